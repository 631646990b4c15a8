"""Layer 7: headers, content rules, redirect, compression, and what HTTP/1.1 clients see of them."""

from __future__ import annotations

import gzip

import pytest

from tests.external.slb.device import pool, real_servers, virtual
from tests.external.slb.network import SERVERS, address
from tests.external.slb.servers import TEXT
from tests.external.slb.websocket import echoes

pytestmark = pytest.mark.netns

VIP = address("adc")
URL = f"http://{VIP}"


def profile(settings: str, kind: str = "") -> str:
    return f'app-profile "p" type http\n{settings}\nexit\n{kind}'


def configure(site, settings: str, *, port: int = 8081, more: str = "") -> None:
    """A virtual server with such an app-profile, and real servers that tell what they got."""
    site.device.configure(
        real_servers() + profile(settings) + pool(port=port) + virtual("http", f"auto-snat\n  app-profile p\n{more}", port=80)
    )


def fields(head: bytes) -> list[tuple[str, str]]:
    """The header fields of a request as it came, names in small letters."""
    lines = head.decode().split("\r\n")[1:-2]
    return [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]


def test_real_servers_are_told_the_clients_address(site):
    configure(site, "x-forwarded-for insert")
    assert [v for k, v in fields(site.client.get(f"{URL}/head").body) if k == "x-forwarded-for"] == [address("client1")]
    assert ("x-forwarded-for", address("client2")) in fields(site.other.get(f"{URL}/head").body)


def test_without_it_they_are_not(site):
    configure(site, "")
    assert not [k for k, _ in fields(site.client.get(f"{URL}/head").body) if k.startswith("x-forwarded")]


def test_request_headers_are_inserted_replaced_and_removed(site):
    configure(
        site,
        'header request insert X-New one %[src] "two"\nheader request replace X-Old new\nheader request remove X-Secret',
    )
    answer = site.client.get(f"{URL}/head", "-H", "X-New: zero", "-H", "X-Old: a", "-H", "X-Old: b", "-H", "X-Secret: s")
    sent = fields(answer.body)
    assert [v for k, v in sent if k == "x-new"] == ["zero", 'one %[src] "two"']
    assert [v for k, v in sent if k == "x-old"] == ["new"]
    assert not [v for k, v in sent if k == "x-secret"]


def test_response_headers_are_inserted_replaced_and_removed(site):
    configure(
        site,
        "header response insert X-Frame-Options DENY\nheader response replace Server hidden\nheader response remove X-Server",
        port=80,
    )
    headers = site.client.get(f"{URL}/").headers
    assert ("x-frame-options", "DENY") in headers
    assert [v for k, v in headers if k == "server"] == ["hidden"]
    assert not [k for k, _ in headers if k == "x-server"]


@pytest.fixture
def switched(site):
    """Rules, entered in another order than that of their numbers; rs1 serves what fits none."""
    pools = "".join(pool(name=f"only-{rs}", servers=(rs,)) for rs in SERVERS)
    rules = (
        "auto-snat",
        'rule 30 host *.shop.test server-pool "only-rs2"',
        'rule 10 host admin.shop.test path /private server-pool "only-rs3"',
        'rule 40 path /images/ server-pool "only-rs3"',
        'rule 20 header X-Version next server-pool "only-rs3"',
        'rule 50 host exact.test path /x header X-A 1 server-pool "only-rs2"',
    )
    site.device.configure(real_servers() + pools + virtual("http", "\n".join(rules), port=80, serves="only-rs1"))
    return site


@pytest.mark.parametrize(
    ("path", "headers", "server"),
    [
        ("/who", (), "rs1"),
        ("/who", ("Host: a.shop.test",), "rs2"),
        ("/who", ("Host: A.B.SHOP.TEST:80",), "rs2"),
        ("/who", ("Host: shop.test",), "rs1"),
        ("/who", ("Host: noshop.test",), "rs1"),
        ("/private/who", ("Host: admin.shop.test",), "rs3"),
        ("/who", ("Host: admin.shop.test",), "rs2"),
        ("/images/who", (), "rs3"),
        ("/images/who", ("Host: a.shop.test",), "rs2"),
        ("/imagesque", (), "rs1"),
        ("/who", ("X-Version: next",), "rs3"),
        ("/who", ("X-Version: nextone",), "rs1"),
        ("/who", ("X-Version: next", "Host: a.shop.test"), "rs3"),
        ("/x/who", ("Host: exact.test", "X-A: 1"), "rs2"),
        ("/x/who", ("Host: exact.test", "X-A: 2"), "rs1"),
        ("/y/who", ("Host: exact.test", "X-A: 1"), "rs1"),
    ],
)
def test_the_lowest_rule_that_a_request_fits_decides(switched, path, headers, server):
    options = [word for header in headers for word in ("-H", header)]
    assert switched.client.curl(f"{URL}{path}", *options).server == server


def test_requests_of_one_connection_go_to_different_pools(switched):
    answer = switched.client.get(f"{URL}/{{who,images/who,who}}", "--max-time", 5)
    assert answer.facts["num_connects"] == 0  # the last of three used the connection of the first
    assert answer.server == "rs1"


def test_a_rule_that_is_removed_decides_no_more(switched):
    switched.device.configure_lines('slb virtual-server "v"', "no rule 40")
    assert switched.client.curl(f"{URL}/images/who").server == "rs1"


def test_clients_are_sent_to_the_same_place_by_https(site):
    site.device.configure(f'slb virtual-server "v" type http id 1\nredirect https\nip {VIP} port 80\nexit\n')
    answer = site.client.curl(f"{URL}/a/b?c=d&e=%20", "-H", "Host: www.test:80")
    assert answer.status == 301
    assert answer.header("location") == "https://www.test/a/b?c=d&e=%20"


def test_text_is_compressed_for_clients_that_take_it(site):
    configure(site, "compression", port=80)
    taken = site.client.get(f"{URL}/files/text.html", "-H", "Accept-Encoding: gzip")
    assert taken.header("content-encoding") == "gzip"
    assert len(taken.body) < len(TEXT) / 10
    assert gzip.decompress(taken.body).decode() == TEXT
    plain = site.client.get(f"{URL}/files/text.html")
    assert (plain.header("content-encoding"), plain.body.decode()) == (None, TEXT)
    binary = site.client.get(f"{URL}/files/1k", "-H", "Accept-Encoding: gzip")
    assert (binary.header("content-encoding"), len(binary.body)) == (None, 1024)


def test_a_body_that_is_too_long_is_refused_with_413(site):
    configure(site, "max-body 1000")
    assert site.client.get(f"{URL}/sum", "-d", "x" * 1000).status == 200
    assert site.client.curl(f"{URL}/sum", "-d", "x" * 1001).status == 413
    unknown = ("-H", "Transfer-Encoding: chunked", "-d", "x")
    assert site.client.curl(f"{URL}/sum", *unknown).status == 411


def test_pipelined_requests_are_answered_in_order(site):
    configure(site, "", port=80)
    with site.client.connect(VIP, 80) as link:
        link.sendall(b"".join(b"GET /who?%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(20)))
        heard = b""
        while heard.count(b"HTTP/1.1 200") < 20 or not heard.endswith(b"}\n"):
            heard += link.recv(65536)
    at = [heard.index(b'"uri": "/who?%d"' % n) for n in range(20)]
    assert at == sorted(at)


def test_a_websocket_echoes_across(site):
    configure(site, "x-forwarded-for insert", port=8082)
    assert echoes(site.client, VIP, 80, ["hello", b"\0" * 100_000, "bye"]) == ["hello", b"\0" * 100_000, "bye"]
