"""Monitors: how it is found out whether a real server works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Monitor:
    """`slb monitor NAME type T`.

    Attributes:
        name: as the operator wrote it.
        type: `icmp` (an echo request), `tcp` (a connection), `http`, `https` (a request) or `udp` (a datagram).
        description: free text for people.
        interval_s: seconds between two checks, 1 to 3600.
        timeout_s: seconds after which a check has failed, 1 to 3600; at the latest when the next one is due.
        rise: so many checks in a row must succeed before a server that was down is used, 1 to 100.
        fall: so many must fail before a server that was up is used no more, 1 to 100.
        port: what is checked instead of the port that is served, 1 to 65535.
        http_get: path that is asked for, with its query.
        http_host: the Host header; None asks by HTTP/1.0, which needs none.
        http_expect: status that must come, 100 to 599; None takes any from 200 to 399.
        udp_send: payload of the datagram in hexadecimal, two digits a byte; None sends an empty one.
        udp_answer: True requires an answer; otherwise it is enough that the server does not refuse (ICMP port unreachable).
    """

    name: str
    type: str = "tcp"
    description: str | None = None
    interval_s: int = 5
    timeout_s: int = 3
    rise: int = 2
    fall: int = 3
    port: int | None = None
    http_get: str = "/"
    http_host: str | None = None
    http_expect: int | None = None
    udp_send: str | None = None
    udp_answer: bool = False
