"""Every type of virtual server x IPv4 and IPv6 x clients' addresses replaced (auto-snat) or kept x mirrored or not."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from dataclasses import dataclass
from itertools import count, product

import pytest

from tests.external.slb.client import trust
from tests.external.slb.device import pool, real_servers, virtual
from tests.external.slb.network import BACK, address
from tests.external.slb.servers import BIG_BYTES
from tests.external.slb.streams import UDP, streams

pytestmark = pytest.mark.netns

_KINDS = {
    "tcp": ("tcp", 7),
    "udp": ("udp", 53),
    "http": ("http", 80),
    "https offload": ("https", 80),
    "https proxy": ("https", 443),
}
_KINDS |= {"ssl offload": ("ssl", 7), "ssl proxy": ("ssl", 8007)}
_TLS = ("https", "ssl")


@dataclass(frozen=True)
class Case:
    """A virtual server."""

    kind: str
    family: int
    snat: bool
    mirrored: bool
    number: int

    @property
    def type(self) -> str:
        return _KINDS[self.kind][0]

    @property
    def port(self) -> int:
        return 1000 + self.number

    def __str__(self) -> str:
        addresses = "replaced" if self.snat else "kept"
        return f"{self.kind} over IPv{self.family}, addresses {addresses}{', mirrored' * self.mirrored}"

    @property
    def text(self) -> str:
        """Its section, and its pool's."""
        settings = ["auto-snat"] if self.snat else []
        settings += ["mirror-traffic interface tunnel1"] if self.mirrored else []
        settings += ["ssl-profile clients"] if self.type in _TLS else []
        settings += ["server-ssl-profile origin"] if "proxy" in self.kind else []
        made = {"port": self.port, "family": self.family, "name": str(self), "number": self.number, "serves": str(self)}
        members = "".join(f'  real-server "{rs}-{self.family}" port {_KINDS[self.kind][1]}\n' for rs in ("rs1", "rs2", "rs3"))
        return f'slb server-pool "{self}"\n{members}exit\n' + virtual(self.type, "\n".join(settings), **made)


_numbers = count(1)
CASES = [Case(*values, next(_numbers)) for values in product(_KINDS, (4, 6), (True, False), (True, False))]


@pytest.fixture(scope="module")
def configured(site):
    servers = "".join(
        f'slb real-server "{rs}-{family}"\n  ip {address(rs, family)}\nexit\n'
        for rs in ("rs1", "rs2", "rs3")
        for family in (4, 6)
    )
    profiles = site.identities.profile() + site.identities.origin(site.certificates.authority.pem)
    site.device.configure(servers + profiles + "".join(case.text for case in CASES))
    return site


@dataclass
class Talk:
    """What a client said and heard, without TLS, and from which port; and the address that the real server saw."""

    sent: bytes
    heard: bytes
    port: int
    seen: str


def talk(site, case) -> Talk:
    """A conversation such as the type is for."""
    target = address("adc", case.family)
    if case.type == "udp":
        heard = site.client.datagram(target, case.port, b"question", source_port=5300)
        name, seen, _, data = heard.split(b" ")
        assert (name[:2], data) == (b"rs", b"question")
        return Talk(b"question", heard, 5300, seen.decode())
    tls = trust(site.identities.root.pem) if case.type in _TLS else None
    with site.client.connect(target, case.port, tls) as link:
        port = link.getsockname()[1]
        if case.type in ("http", "https"):
            sent = b"POST /who HTTP/1.1\r\nHost: www.test\r\nContent-Length: 3000\r\nConnection: close\r\n\r\n" + bytes(3000)
            link.sendall(sent)
            heard = b"".join(iter(lambda: link.recv(65536), b""))
            return Talk(sent, heard, port, json.loads(heard.partition(b"\r\n\r\n")[2])["client"])
        greeting, sent = b"", bytes(range(256)) * 100
        while not greeting.endswith(b"\n"):
            greeting += link.recv(1)
        link.sendall(sent)
        heard = b""
        while len(heard) < len(sent):
            heard += link.recv(65536)
        assert heard == sent
        if tls is None:
            link.shutdown(socket.SHUT_WR)
            assert link.recv(1) == b""
        return Talk(sent, greeting + heard, port, greeting.split()[1].decode())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_client_is_served(configured, case):
    site, copied = configured, None
    if case.mirrored:
        with site.mirrored() as copied:
            said = talk(site, case)
    else:
        said = talk(site, case)
    assert said.seen == (BACK[case.family] if case.snat else address("client1", case.family))
    if copied is not None:
        check_copies(case, said, copied.copies.packets)


def check_copies(case, said, packets):
    """The analyzer got what client and virtual server said, each byte, in clear, and nothing else."""
    client = address("client1", case.family), said.port
    server = address("adc", case.family), case.port
    if case.type == "udp":
        assert [(p.source, p.destination, p.protocol, p.data) for p in packets] == [
            (client, server, UDP, said.sent),
            (server, client, UDP, said.heard),
        ]
        return
    found = streams(packets)
    assert set(found) == {(client, server), (server, client)}
    assert found[client, server].data == said.sent
    assert found[server, client].data == said.heard
    assert found[client, server].closed
    assert found[server, client].closed


def test_nothing_is_copied_of_what_is_not_mirrored(configured):
    with configured.mirrored() as capture:
        for case in CASES:
            if not case.mirrored:
                talk(configured, case)
    assert capture.frames == []


@pytest.mark.parametrize("snat", [True, False], ids=["replaced", "kept"])
def test_a_large_body_is_copied_whole_both_ways(site, snat):
    """Of HTTP without TLS; what clients send are packets as large as the path allows, and larger than their copies may be."""
    settings = "mirror-traffic interface tunnel1" + "\nauto-snat" * snat
    site.device.configure(real_servers() + pool(port=8081) + virtual("http", settings, port=80))
    body = os.urandom(BIG_BYTES)
    (site.folder / "body").write_bytes(body)
    with site.mirrored() as capture:
        up = site.client.get(f"http://{address('adc')}/sum", "-H", "Expect:", "--data-binary", f"@{site.folder / 'body'}")
    assert up.body.decode() == hashlib.sha256(body).hexdigest()
    client, server = (address("client1"), up.facts["local_port"]), (address("adc"), 80)
    copied = streams(capture.copies.packets)
    assert hashlib.sha256(copied[client, server].data.partition(b"\r\n\r\n")[2]).hexdigest() == up.body.decode()
    site.device.configure(real_servers() + pool() + virtual("http", settings, port=80))
    with site.mirrored() as capture:
        down = site.client.get(f"http://{address('adc')}/files/big")
    copied = streams(capture.copies.packets)[server, (address("client1"), down.facts["local_port"])]
    assert copied.data.partition(b"\r\n\r\n")[2] == down.body


def test_a_client_of_one_family_is_served_by_real_servers_of_the_other(site):
    for family, other in ((4, 6), (6, 4)):
        site.device.configure(real_servers(other) + pool() + virtual("http", port=80, family=family))
        with site.client.connect(address("adc", family), 80) as link:
            link.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            heard = b"".join(iter(lambda: link.recv(65536), b""))
        assert json.loads(heard.partition(b"\r\n\r\n")[2])["client"] == BACK[other]


def test_a_real_server_that_has_another_gateway_serves_where_addresses_are_replaced(site):
    site.device.configure(real_servers() + pool(servers=("rs3",)) + virtual("http", port=80))
    site.network.ip("rs3", "route del default")
    try:
        assert site.client.get(f"http://{address('adc')}/").server == "rs3"
    finally:
        site.network.ip("rs3", f"route add default via {BACK[4]}")
