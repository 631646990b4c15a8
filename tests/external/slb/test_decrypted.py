"""The decrypted mirror: what TLS hides is at the analyzer, as TCP between client and virtual server, every byte and no more."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.external.slb.capture import Capture
from tests.external.slb.client import Load, closing_all, trust
from tests.external.slb.device import pool, real_servers, virtual
from tests.external.slb.identity import SITE
from tests.external.slb.network import address
from tests.external.slb.servers import BIG_BYTES, FULL
from tests.external.slb.streams import RST, streams
from tests.external.slb.websocket import echoes

pytestmark = pytest.mark.netns

VIP, CLIENT = address("adc"), address("client1")
CONNECTIONS = 5000 if FULL else 1000
KINDS = {"offload": "", "proxy": "server-ssl-profile origin"}


def configure(site, kind: str = "offload", mirror: str = "", *, port: int = 0, app: str = "", more: str = "") -> None:
    settings = [
        "auto-snat",
        "ssl-profile clients",
        "app-profile p",
        KINDS[kind],
        f"mirror-traffic interface tunnel1 {mirror}",
        more,
    ]
    text = real_servers() + pool(port=port or (443 if kind == "proxy" else 80)) + f'app-profile "p" type http\n{app}\nexit\n'
    text += site.identities.profile() + site.identities.origin(site.certificates.authority.pem)
    site.device.configure(text + virtual("https", "\n".join(settings), port=443))


@dataclass
class Recorded:
    """A connection as its client saw it, inside TLS."""

    port: int
    sent: bytes
    heard: bytes


def request(path: str, body: bytes = b"", *, close: bool = False) -> bytes:
    how = "POST" if body else "GET"
    end = "Connection: close\r\n" if close else ""
    return f"{how} {path} HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {len(body)}\r\n{end}\r\n".encode() + body


def exchange(link, data: bytes, answers: int = 1) -> bytes:
    """Send, and receive that many whole answers."""
    link.sendall(data)
    heard, wanted = bytearray(), 0
    for _ in range(answers):
        at = wanted
        while (end := heard.find(b"\r\n\r\n", at)) < 0:
            heard += _some(link)
        head = bytes(heard[at:end]).lower()
        wanted = end + 4 + int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(heard) < wanted:
            heard += _some(link)
    assert len(heard) == wanted
    return bytes(heard)


def _some(link) -> bytes:
    part = link.recv(1 << 18)
    assert part, "closed"
    return part


@contextlib.contextmanager
def connected(site, context: ssl.SSLContext | None = None, source_port: int = 0) -> Iterator[ssl.SSLSocket]:
    with site.client.connect(VIP, 443, context or trust(site.identities.root.pem), SITE, source_port=source_port) as link:
        yield link


def check(copies, recorded: list[Recorded], port: int = 443) -> None:
    """The analyzer has these connections, each byte, between these addresses and ports, and nothing else."""
    found = streams(copies.packets)
    ends = [((CLIENT, r.port), (VIP, port)) for r in recorded]
    assert set(found) == {flow for client, server in ends for flow in ((client, server), (server, client))}
    for r, (client, server) in zip(recorded, ends, strict=True):
        assert _digest(found[client, server].data) == _digest(r.sent)
        assert _digest(found[server, client].data) == _digest(r.heard)
        assert found[client, server].closed
        assert found[server, client].closed
    assert copies.sources == {VIP}


def _digest(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_download(site, kind):
    configure(site, kind)
    with site.mirrored() as capture, connected(site) as link:
        sent = request("/files/big")
        heard = exchange(link, sent)
        port = link.getsockname()[1]
    assert len(heard) > BIG_BYTES
    check(capture.copies, [Recorded(port, sent, heard)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_upload(site, kind):
    configure(site, kind, port={"offload": 8081, "proxy": 8443}[kind])
    body = os.urandom(BIG_BYTES)
    with site.mirrored() as capture, connected(site) as link:
        sent = request("/sum", body)
        heard = exchange(link, sent)
        port = link.getsockname()[1]
    assert hashlib.sha256(body).hexdigest().encode() in heard
    check(capture.copies, [Recorded(port, sent, heard)])


def test_requests_of_a_connection_that_stays_open_and_pipelined_ones(site):
    configure(site)
    with site.mirrored() as capture, connected(site) as link:
        sent = [request(f"/who?{n}") for n in range(20)]
        heard = b"".join(exchange(link, one) for one in sent)
        together = b"".join(request(f"/who?p{n}") for n in range(20))
        link.sendall(together + request("/who?last", close=True))
        heard += b"".join(iter(lambda: link.recv(65536), b""))
        port = link.getsockname()[1]
    assert heard.count(b"HTTP/1.1 200") == 41
    check(capture.copies, [Recorded(port, b"".join(sent) + together + request("/who?last", close=True), heard)])


def test_many_connections_at_once(site):
    configure(site)
    context = trust(site.identities.root.pem)

    def one(number: int) -> Recorded:
        # Each with a port of its own: of two connections with the same one the copies would be taken for one.
        with connected(site, context, 10_000 + number) as link:
            sent = request(f"/who?{number}") + request("/files/1k")
            heard = exchange(link, sent, 2)
            return Recorded(link.getsockname()[1], sent, heard)

    with site.mirrored() as capture, ThreadPoolExecutor(30) as threads:
        recorded = list(threads.map(one, range(CONNECTIONS)))
    check(capture.copies, recorded)


def test_connections_that_are_open_all_at_the_same_time(site):
    configure(site)
    context = trust(site.identities.root.pem)
    with (
        site.mirrored() as capture,
        closing_all([site.client.connect(VIP, 443, context, SITE) for _ in range(CONNECTIONS // 3)]) as links,
    ):
        sent = request("/who")
        heard = [exchange(link, sent) for link in links]
        ports = [link.getsockname()[1] for link in links]
        for link in links:
            link.close()
    check(capture.copies, [Recorded(port, sent, h) for port, h in zip(ports, heard, strict=True)])


def test_a_client_that_aborts_in_the_middle(site):
    """The copies may be ahead of the client, by what was on its way; they are what the real server sent, and end."""
    configure(site)
    with site.mirrored() as capture:
        link = site.client.connect(VIP, 443, trust(site.identities.root.pem), SITE)
        link.sendall(request("/files/big"))
        heard = b""
        while len(heard) < 100_000:
            heard += link.recv(65536)
        port = link.getsockname()[1]
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.close()
    found = streams(capture.copies.packets)
    shown = found[(VIP, 443), (CLIENT, port)]
    assert shown.data.startswith(heard)
    assert len(shown.data) < BIG_BYTES
    assert found[(CLIENT, port), (VIP, 443)].data == request("/files/big")
    assert shown.closed or found[(CLIENT, port), (VIP, 443)].closed
    whole = site.client.get(f"https://{VIP}/files/big", "-k").body
    assert whole.startswith(shown.data.partition(b"\r\n\r\n")[2])


def test_a_real_server_that_aborts_in_the_middle(site):
    configure(site, port=8081)
    with site.mirrored() as capture, connected(site) as link:
        sent, heard = request("/abort/50000"), b""
        link.sendall(sent)
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            while part := link.recv(65536):
                heard += part
        port = link.getsockname()[1]
    shown = streams(capture.copies.packets)[(VIP, 443), (CLIENT, port)]
    assert shown.data == heard
    assert len(heard) < 100_000
    assert shown.closed


def test_no_secret_and_no_ciphertext_is_copied(site, tmp_path):
    configure(site, "proxy")
    context = trust(site.identities.root.pem)
    context.keylog_filename = str(tmp_path / "keys")
    with site.mirrored() as capture, Capture(site.network, "client1", "tcp port 443") as wire, connected(site, context) as link:
        for _ in range(5):
            exchange(link, request("/files/1k"))
    everything = b"".join(capture.copies.raw)
    assert b"GET /files/1k" in everything
    secrets = [bytes.fromhex(line.split()[-1]) for line in (tmp_path / "keys").read_text().splitlines() if line[0] != "#"]
    number = site.identities.site.key.private_numbers().private_value.to_bytes(32)
    assert len(secrets) >= 4
    assert not [secret for secret in (*secrets, number, b"PRIVATE KEY") if secret in everything]
    encrypted = [p.data[at : at + 32] for p in wire.packets for at in range(5, len(p.data) - 32, 400)]
    assert len(encrypted) > 10
    assert not [piece for piece in encrypted if piece in everything]


def test_the_copies_show_another_port_where_it_is_set(site):
    configure(site, mirror="port 80")
    with site.mirrored() as capture, connected(site) as link:
        sent = request("/who")
        heard = exchange(link, sent)
        port = link.getsockname()[1]
    check(capture.copies, [Recorded(port, sent, heard)], port=80)


def test_view_encrypted_copies_what_is_on_the_wire(site):
    configure(site, mirror="view encrypted")
    with site.mirrored() as capture, Capture(site.network, "client1", "tcp port 443") as wire, connected(site) as link:
        exchange(link, request("/files/1k"))
    shown, real = streams(capture.copies.packets), streams(wire.packets)
    assert set(shown) == set(real)
    assert len(shown) == 2
    assert {flow: s.data for flow, s in shown.items()} == {flow: s.data for flow, s in real.items()}
    assert b"GET /files" not in b"".join(capture.copies.raw)


def test_two_virtual_servers_that_show_one_port_are_not_mixed(site):
    """IPv4 and IPv6 on port 443, both shown on port 80; and a third one on 8443."""
    mirror = "auto-snat\nssl-profile clients\nmirror-traffic interface tunnel1 port"
    site.device.configure(
        real_servers()
        + pool()
        + site.identities.profile()
        + virtual("https", f"{mirror} 80", port=443)
        + virtual("https", f"{mirror} 80", port=443, family=6, name="v6", number=2)
        + virtual("https", f"{mirror} 8080", port=8443, name="w", number=3)
    )
    expected = {}
    with site.mirrored() as capture:
        for target, port, shown in ((VIP, 443, 80), (address("adc", 6), 443, 80), (VIP, 8443, 8080)):
            with site.client.connect(target, port, trust(site.identities.root.pem), SITE) as link:
                sent = request(f"/who?{target}-{port}")
                exchange(link, sent)
                expected[link.getsockname()[:2], (target, shown)] = sent
    found = {flow: s.data for flow, s in streams(capture.copies.packets).items()}
    assert {flow: data for flow, data in found.items() if flow[1][1] in (80, 8080)} == expected
    assert len(found) == 6


def test_http2_is_not_offered_to_clients_unless_told(site):
    configure(site, app="http2")
    assert site.client.get(f"https://{VIP}/", "-k", "--http2").facts["http_version"] == "1.1"


def test_http2_raw_is_copied_as_it_is(site):
    configure(site, mirror="http2 raw", app="http2")
    with site.mirrored() as capture:
        answer = site.client.get(f"https://{VIP}/files/1k", "-k", "--http2")
    assert answer.facts["http_version"] == "2"
    found = streams(capture.copies.packets)
    client, server = (CLIENT, answer.facts["local_port"]), (VIP, 443)
    assert set(found) == {(client, server), (server, client)}
    assert found[client, server].data.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert answer.body in found[server, client].data


def test_http2_normalise_is_copied_as_http1(site):
    configure(site, mirror="http2 normalise", app="http2")
    with site.mirrored() as capture:
        answer = site.client.get(f"https://{VIP}/{{who?1,who?2,files/1k}}", "-k", "--http2", "--parallel")
    assert answer.facts["http_version"] == "2"
    found = streams(capture.copies.packets)
    up = b"".join(s.data for (source, to), s in found.items() if to == (VIP, 443) and source[0] == CLIENT)
    down = b"".join(s.data for (source, _), s in found.items() if source == (VIP, 443))
    assert len(found) >= 2
    assert all(line in up for line in (b"GET /who?1 HTTP/1.1\r\n", b"GET /who?2 HTTP/1.1\r\n", b"GET /files/1k HTTP/1.1\r\n"))
    assert down.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert {a for flow in found for a, _ in flow} == {CLIENT, VIP}


def test_a_websocket_is_copied_in_clear(site):
    configure(site, port=8082)
    with site.mirrored() as capture:
        echoes(site.client, VIP, 443, ["nothing is secret to the analyzer"], trust(site.identities.root.pem), SITE)
    down = b"".join(s.data for (source, _), s in streams(capture.copies.packets).items() if source == (VIP, 443))
    assert b"101 Switching Protocols" in down
    assert b"nothing is secret to the analyzer" in down


def is_copied(site, load) -> bool:
    """Whether copies arrive while the load goes on."""
    with site.mirrored(patience_s=0.5) as capture:
        load.goes_on(50)
    return bool(capture.frames)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mirror_goes_off_and_on_under_load_and_no_request_fails(site, kind):
    configure(site, kind)
    with Load(site.client, VIP, 443, tls=trust(site.identities.root.pem), name=SITE) as load:
        for line, copied in (("no mirror-traffic", False), ("mirror-traffic interface tunnel1", True)) * 2:
            site.device.configure_lines('slb virtual-server "v"', line)
            load.goes_on(150)  # connections from before have had their 20 requests
            assert is_copied(site, load) == copied
        # Now and then a client is shaking hands with the worker that is replaced just now.
        for line in ("no mirror-traffic", "mirror-traffic interface tunnel1 port 80", "mirror-traffic interface tunnel1") * 4:
            site.device.configure_lines('slb virtual-server "v"', line)
            load.goes_on(100)
    assert load.failed == {}


@pytest.mark.parametrize("after", ["", "view encrypted", "port 80", "http2 normalise"])
def test_a_handshake_that_goes_on_while_the_mirror_changes_is_not_in_vain(site, after):
    """An old worker leads the client across the hop when that is done, to where the clear leg listened then."""
    configure(site)
    raw = site.client.connect(VIP, 443)
    time.sleep(0.2)  # until it is accepted
    site.device.configure_lines(
        'slb virtual-server "v"', f"mirror-traffic interface tunnel1 {after}" if after else "no mirror-traffic"
    )
    with trust(site.identities.root.pem).wrap_socket(raw, server_hostname=SITE) as link:
        assert exchange(link, request("/who")).startswith(b"HTTP/1.1 200 ")


def test_an_analyzer_that_cannot_be_reached_hurts_no_client(site):
    configure(site)
    with Load(site.client, VIP, 443, tls=trust(site.identities.root.pem), name=SITE) as load:
        load.goes_on()
        site.network.ip("router", "link set eth1 down")
        try:
            load.goes_on(300)
            site.network.ip("router", "link set eth0 down")
            load.goes_on(300)
        finally:
            site.network.ip("router", "link set eth0 up", "link set eth1 up")
        site.eventually(lambda: is_copied(site, load))
    assert load.failed == {}


def test_a_connection_ends_well_although_its_virtual_server_is_gone_meanwhile(site):
    configure(site, port=8081)
    with connected(site) as link:
        link.sendall(request("/pause/2"))
        time.sleep(0.2)  # until the real server has it
        site.device.configure(real_servers() + pool() + virtual("http", port=80, name="w", number=2))
        heard = b""
        while not heard.endswith(b"ok\n"):
            heard += _some(link)


def test_the_hop_is_gone_when_haproxy_serves_nothing(site):
    configure(site)
    assert "hsadc-hop" in site.network.run("adc", "ip", "link").stdout
    configure(site, mirror="view encrypted")  # old connections may still cross it
    site.device.configure("")
    assert "hsadc-hop" not in site.network.run("adc", "ip", "link").stdout


def test_a_reset_of_the_client_is_a_reset_in_the_copies(site):
    configure(site)
    with site.mirrored() as capture, connected(site) as link:
        exchange(link, request("/who"))
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert any(p.flags & RST or p.flags & 1 for p in capture.copies.packets if p.source[0] == CLIENT)
