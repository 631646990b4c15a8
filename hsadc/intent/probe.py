"""Probes: what hsadc itself checks, because HAProxy cannot (ICMP, UDP) or has no part in it (virtual servers of type udp)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from hsadc.model.monitor import Monitor


@dataclass(frozen=True, slots=True)
class Probe:
    """A real server's address and port, and how it is found out whether it works; two that are equal are one.

    Attributes:
        type: `icmp`, `tcp`, `http`, `https` or `udp`.
        address: the real server's.
        port: 1 to 65535; 0 for `icmp`.
        interval_s: seconds between the beginnings of two checks.
        timeout_s: seconds after which a check has failed.
        rise: successes in a row that make it up.
        fall: failures in a row that make it down.
        path: what is asked for by HTTP.
        host: the Host header; None takes the address.
        expect: the status that must come; None takes 200 to 399.
        payload: of the datagram.
        answer: whether a datagram must be answered; otherwise it is enough that it is not refused.
    """

    type: str
    address: IPv4Address | IPv6Address
    port: int = 0
    interval_s: int = 5
    timeout_s: int = 3
    rise: int = 2
    fall: int = 3
    path: str = "/"
    host: str | None = None
    expect: int | None = None
    payload: bytes = b""
    answer: bool = False

    @property
    def key(self) -> Probe:
        """The whole: a changed probe is another one."""
        return self

    def __str__(self) -> str:
        """As an error names it."""
        return f"{self.type} {self.address}" + (f" port {self.port}" if self.port else "")


def compile_probe(monitor: Monitor, address: IPv4Address | IPv6Address, port: int) -> Probe:
    """What a monitor checks of a real server that serves at an address and port; `monitor.port` takes that port's place."""
    return Probe(
        monitor.type,
        address,
        0 if monitor.type == "icmp" else monitor.port or port,
        monitor.interval_s,
        monitor.timeout_s,
        monitor.rise,
        monitor.fall,
        monitor.http_get,
        monitor.http_host,
        monitor.http_expect,
        bytes.fromhex(monitor.udp_send or ""),
        monitor.udp_answer,
    )
