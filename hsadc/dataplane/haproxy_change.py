"""Changing a worker while it serves: the steps of haproxy_runtime, carried out and verified."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from hsadc.dataplane.haproxy_file import Generation
from hsadc.dataplane.haproxy_runtime import Change, Settings, servers_of
from hsadc.dataplane.haproxy_socket import ask, batches


class Refused(Exception):
    """A worker does not take a change; its text says why. It may have taken others: it is to be replaced."""


def carry_out(socket: Path, steps: Sequence[Change], new: Generation) -> None:
    """Change the worker that listens at a socket.

    Args:
        socket: its command socket.
        steps: what is to be changed.
        new: what it has then.

    Raises:
        Refused: it does not take one of them.
        OSError: it does not answer.
    """
    simple = [command for step in steps if not step.expected for command in step.commands]
    for line in batches(simple):
        if answer := ask(socket, line).strip():
            raise Refused(" ".join(answer.split()))
    for step in steps:
        if step.expected:
            _in_one_piece(socket, step)
    if simple:
        _verify(ask(socket, "show stat"), new)


def _in_one_piece(socket: Path, step: Change) -> None:
    for command in step.commands:
        answer = ask(socket, command)
    if step.expected not in answer:
        ask(socket, step.undo)
        raise Refused(" ".join(answer.split()))


def _verify(answer: str, new: Generation) -> None:
    found = {
        f"{row['pxname']}/{row['svname']}": Settings(
            int(row["uweight"] or 0), int(row["slim"] or 0), row["status"].startswith("MAINT")
        )
        for row in csv.DictReader(answer.removeprefix("# ").splitlines())
        if row["svname"] not in ("FRONTEND", "BACKEND")
    }
    for server in servers_of(new.text):
        if (has := found.get(server.path)) != server.settings:
            raise Refused(f"{server.path} has {has} and not {server.settings}")
