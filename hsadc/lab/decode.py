"""Copied packets for people, decoded by Scapy: not by the code that made or compared them."""

from __future__ import annotations

from collections.abc import Iterable

from hsadc.errors import WireError
from hsadc.lab.copied import decapsulate, segment

_WANTED = (b"GET ", b"HTTP/1.1 200", b"POST ")


def pick(frames: Iterable[bytes]) -> tuple[bytes, ...]:
    """The first frames that carry a GET request, a response and a POST request, in the order of arrival."""
    wanted, found = set(_WANTED), []
    for frame in frames:
        try:
            data = segment(decapsulate(frame).packet).data
        except WireError:
            continue
        if match := next((w for w in wanted if data.startswith(w)), None):
            wanted.discard(match)
            found.append(frame)
        if not wanted:
            break
    return tuple(found)


def describe(frame: bytes) -> tuple[str, ...]:
    """One line for each header of a frame from the analyzer's capture, from the outer IP header to HTTP."""
    # Here and not above: Scapy takes half a second to import.
    from scapy.layers.http import HTTP, HTTPRequest, HTTPResponse
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import GRE, Ether

    outer = Ether(frame)[IP]
    gre = outer[GRE]
    inner = gre[IP]
    tcp = inner[TCP]
    http = HTTP(bytes(tcp.payload))
    key = f"  key {gre.key}" if gre.key_present else ""
    lines = [
        f"IP    {outer.src} > {outer.dst}  ttl {outer.ttl}  protocol {outer.proto}  {outer.len} bytes",
        f"GRE   version {gre.version}  carries 0x{gre.proto:04x}{key}",
        f"IP    {inner.src} > {inner.dst}  ttl {inner.ttl}  protocol {inner.proto}  {inner.len} bytes",
        f"TCP   {tcp.sport} > {tcp.dport}  flags {tcp.flags}  seq {tcp.seq}  ack {tcp.ack}  {len(tcp.payload)} bytes of data",
    ]
    if HTTPRequest in http:
        request = http[HTTPRequest]
        lines.append(
            f"HTTP  {_text(request.Method)} {_text(request.Path)} {_text(request.Http_Version)}  Host: {_text(request.Host)}"
        )
    if HTTPResponse in http:
        response = http[HTTPResponse]
        named = {_text(name).lower(): _text(value) for name, value in (response.Unknown_Headers or {}).items()}
        status = f"{_text(response.Http_Version)} {_text(response.Status_Code)} {_text(response.Reason_Phrase)}"
        lines.append(f"HTTP  {status}  X-Real-Server: {named.get('x-real-server', '-')}")
    return tuple(lines)


def _text(field: bytes | None) -> str:
    return (field or b"").decode(errors="replace")
