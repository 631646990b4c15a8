"""Monitors: what they try fits their type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict
from hsadc.config.validate.virtual_server import listed
from hsadc.model.monitor import Monitor
from hsadc.model.virtual_server import HTTP_TYPES

_FITS: Sequence[tuple[Callable[[Monitor], object], frozenset[str], str]] = (
    (lambda m: m.http_get != "/" or m.http_host or m.http_expect, HTTP_TYPES, "http"),
    (lambda m: m.udp_send or m.udp_answer, frozenset({"udp"}), "udp"),
    (lambda m: m.port, frozenset({"tcp", "http", "https", "udp"}), "port"),
)
"""What is set, the types that it is for, and what it is called."""


def monitors(change: Change) -> Iterator[Found]:
    """Each sets only what its type tries."""
    for name, monitor in change.changed("monitor").items():
        for is_set, types, words in _FITS:
            if is_set(monitor) and monitor.type not in types:
                yield conflict("monitor", name, f"{words} is for type {listed(types)}, and this one is of type {monitor.type}")
