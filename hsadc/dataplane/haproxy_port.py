"""Whether another program has an address and port that HAProxy is to listen at.

HAProxy finds out only when a new worker starts, and the old one makes room for it meanwhile: for as long as the new one tries, no
client is let in anywhere. So it is tried before.
"""

from __future__ import annotations

import errno
import re
import socket

from hsadc.dataplane.haproxy_explain import section_of
from hsadc.errors import ApplyError

_BIND = re.compile(r"^  bind (?:\[(?P<six>[^\]]+)\]|(?P<four>[0-9.]+)):(?P<port>\d+) (?!namespace )", re.MULTILINE)
"""Those behind the hop are in a network namespace where nobody else is."""


def check_ports(text: str, before: str) -> None:
    """See that HAProxy will get what it does not have yet.

    Args:
        text: the configuration file to come.
        before: the one in force; empty when there is none.

    Raises:
        ApplyError: another program has one.
    """
    have = {match[0].split()[1] for match in _BIND.finditer(before)}
    for match in _BIND.finditer(text):
        endpoint = match[0].split()[1]
        if endpoint not in have and _is_taken(match["six"] or match["four"], int(match["port"])):
            line = text.count("\n", 0, match.start()) + 1
            raise ApplyError("check haproxy", f"{section_of(text, line)}: another program uses {endpoint}")


def _is_taken(address: str, port: int) -> bool:
    """Whether a socket of another program, or of another user, is there; ours may share it, as workers do."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            probe.bind((address, port))
        except OSError as e:
            # An address that is not there yet is made in the same transaction.
            return e.errno == errno.EADDRINUSE
    return False
