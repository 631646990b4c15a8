"""What operators type at a session, and what they see."""

from __future__ import annotations

import json

SHUT = ("configure", "interface ethernet0/1", "shutdown", "end")


def run(session, *lines):
    """Carry out lines that are all right; what they printed."""
    printed = []
    for line in lines:
        reply = session.run(line)
        assert reply.ok, (line, reply.lines)
        printed += reply.lines
    return printed


def refused(session, line):
    reply = session.run(line)
    assert not reply.ok, line
    return list(reply.lines)


def data(session, line):
    return json.loads("\n".join(run(session, f"{line} | json")))


def shut(device):
    return device.running.ethernet["ethernet0/1"].shutdown
