"""`ping`, `traceroute`: the machine's own programs, which end by themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from hsadc.dataplane.run import run
from hsadc.errors import ConfigError

if TYPE_CHECKING:
    from hsadc.cli.session import Session

_PROBES = 5
_HOPS = 15
_WAIT_S = 1
_ANY = range(256)


def do_ping(session: Session, host: str, count: int | None = None, source: IPv4Address | None = None) -> Iterable[str]:  # noqa: ARG001
    """Echo requests to a host, one a second."""
    probes = count or _PROBES
    limits = ("-c", str(probes), "-W", str(_WAIT_S), "-w", str(probes + _WAIT_S))
    return _output(("ping", "-n", *limits, *(("-I", str(source)) if source else ()), "--", host), probes + 5)


def do_traceroute(session: Session, host: str, source: IPv4Address | None = None) -> Iterable[str]:  # noqa: ARG001
    """The routers on the way to a host."""
    limits = ("-q", "1", "-w", str(_WAIT_S), "-m", str(_HOPS))
    return _output(("traceroute", "-n", *limits, *(("-s", str(source)) if source else ()), "--", host), _HOPS * _WAIT_S + 5)


def _output(command: Sequence[str], timeout_s: float) -> Iterable[str]:
    """What a program says, whatever its exit status: `no answer` is an answer.

    Raises:
        ConfigError: it is not installed.
        ApplyError: it does not end.
    """
    if shutil.which(command[0]) is None:
        raise ConfigError(command[0], "this machine has no such program, install it first")
    return run(command, timeout_s=timeout_s, ok=_ANY).splitlines()
