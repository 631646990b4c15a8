"""What configurations become in HAProxy's words; each lies whole in tests/golden/haproxy beside those of test_haproxy.py."""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from hsadc.intent.haproxy import HaproxyIntent, compile_services
from hsadc.intent.inventory import Inventory
from hsadc.intent.material import Material
from hsadc.intent.mirror import TCP, RuleIntent
from hsadc.intent.probe import Probe
from hsadc.model.config import Config
from hsadc.model.virtual_server import Listener
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import load

GOLDEN = Path(__file__).parents[2] / "golden" / "haproxy"
grammar = load_grammar()

BASE = """
pki trust-domain "www"
  certificate file www.pem
  key file www.key
exit
pki trust-domain "authorities"
  ca-certificate file ca.pem
exit
ssl-profile "web"
  trust-domain "www"
exit
slb monitor "web" type http
exit
slb real-server "a"
  ip 10.1.0.1
  port 80
exit
slb real-server "b"
  ip 10.1.0.2
exit
slb server-pool "p"
  real-server "a"
  real-server "b"
exit
slb server-pool "other"
  real-server "b" port 81
exit
"""

HTTP = 'slb virtual-server "v" type http id 1\n server-pool "p"\n auto-snat\n ip 10.0.0.1 port 8080\n'
HTTPS = 'slb virtual-server "s" type https id 2\n server-pool "p"\n auto-snat\n ip 10.0.0.1 port 443\n ssl-profile "web"\n'
SSL = 'slb virtual-server "t" type ssl id 3\n server-pool "p"\n auto-snat\n ip 2001:db8::1 port 993\n ssl-profile "web"\n'
SSL += " log enable\n"
TCP_SERVER = 'slb virtual-server "m" type tcp id 4\n server-pool "p"\n ip 2001:db8::1 port 3306\n'

CASES: dict[str, str] = {
    "tls-offload": HTTPS,
    "tls-http2": "app-profile h2\n http2\n x-forwarded-for insert\nexit\n" + HTTPS + " app-profile h2",
    "tls-clients": "ssl-profile web\n trust-domain authorities\n client-auth require\n max-version tlsv1.2\n"
    " cipher ECDHE+AESGCM\n cipher-suites TLS_AES_128_GCM_SHA256\nexit\n" + HTTPS,
    "tls-optional-clients": "ssl-profile web\n trust-domain authorities\n client-auth optional\nexit\n" + SSL,
    "tls-proxy": "ssl-profile back\n trust-domain authorities\n trust-domain www\n verify-server\n"
    " server-name app.example\nexit\nslb monitor s type https\nexit\nslb server-pool p\n monitor s\nexit\n"
    + HTTPS
    + " server-ssl-profile back",
    "tls-proxy-any-name": "ssl-profile back\nexit\nslb server-pool p\n monitor web\nexit\n" + HTTP + " server-ssl-profile back",
    "tls-proxy-tcp": "ssl-profile back\nexit\n" + SSL + " server-ssl-profile back",
    "tls-name-without-proof": "ssl-profile back\n server-name app.example\nexit\nslb monitor s type https\n port 8443\nexit\n"
    "slb server-pool p\n monitor s\nexit\n" + SSL + " server-ssl-profile back",
    "tls-monitor": "slb monitor s type https\nexit\nslb server-pool p\n monitor s\nexit\n" + HTTP,
    "hop": "app-profile h2\n http2\nexit\n"
    + HTTPS
    + " log enable\n client-max-connection 9\n client-rate-limit 5\n app-profile h2",
    "hop-port": SSL,
    "hop-http2": "app-profile h2\n http2\nexit\n" + HTTPS + " app-profile h2\n mirror-traffic profile x http2 raw",
    "hop-normalise": "app-profile h2\n http2\nexit\n" + HTTPS + " app-profile h2\n mirror-traffic profile x http2 normalise",
    "hop-kept": "app-profile h2\n http2\nexit\n" + HTTPS + " app-profile h2",
    "priorities": "slb server-pool p\n real-server a priority 9\n minimum-working-servers 2\n backup-pool other\n"
    " sorry-page file s.html\nexit\nslb server-pool other\n backup-pool p\nexit\n" + HTTP,
    "sorry": "slb server-pool p\n sorry-page file s.html\nexit\n" + HTTP,
    "rules": HTTP + ' rule 20 path /img server-pool other\n rule 10 host *.Example.com header X-A "it\'s 5%" server-pool p\n'
    " rule 5 host www.example.com server-pool other\n rule 30 server-pool other",
    "redirect": 'slb virtual-server "r" type http id 9\n ip 10.0.0.1 port 80\n redirect https',
    "limits": TCP_SERVER + " auto-snat\n max-connection 100\n rate-limit 50\n client-max-connection 5\n client-rate-limit 2",
    "client-rate": TCP_SERVER + " auto-snat\n client-rate-limit 2",
    "client-address": TCP_SERVER.replace("2001:db8::1", "10.0.0.1"),
    "client-address-other-family": "slb real-server c\n ip fd00::1\nexit\nslb server-pool p\n real-server c\nexit\n" + TCP_SERVER,
    "headers": "app-profile h\n x-forwarded-for insert\n compression\n max-body 1000\n header request insert X-A 100% 'x'\n"
    " header response remove Server\n header request replace Host a.b\n timeout connect 1\n timeout client 2\n timeout server 3\n"
    " timeout http-request 4\n timeout keepalive 5\n timeout queue 6\nexit\n" + HTTP + " app-profile h",
    "persistence-cookie": "slb server-pool p\n persistence cookie name SID\nexit\n" + HTTP,
    "persistence-secure-cookie": "slb server-pool p\n persistence cookie\nexit\n" + HTTPS,
    "persistence-address": "slb server-pool p\n persistence source-ip timeout 5\nexit\n" + HTTP,
    "persistence-address6": "slb server-pool p\n persistence source-ip\nexit\n" + TCP_SERVER + " auto-snat",
    "monitors": "slb monitor web\n http get /h?a=1\n http host a.b\n http expect 204\n interval 1\n timeout 9\nexit\n"
    "slb monitor t type tcp\nexit\nslb real-server b\n monitor t\nexit\nslb server-pool p\n monitor web\n slow-start 10\nexit\n"
    + HTTP,
    "monitor-icmp": "slb monitor i type icmp\nexit\nslb server-pool p\n monitor i\nexit\n" + HTTP,
    "server-states": "slb real-server a\n drain\n max-connection 7\nexit\nslb real-server b\n disable\nexit\n"
    "slb server-pool p\n load-balance round-robin\n real-server b weight 9\nexit\n" + HTTP,
    "udp-alone": 'slb virtual-server "u" type udp id 8\n server-pool "p"\n auto-snat\n ip 10.0.0.1 port 53\n',
}
MATERIALS = {"www": Material(identity=b"CERTIFICATE KEY\n"), "authorities": Material(authorities=b"AUTHORITY\n")}
INVENTORY = Inventory(materials=MATERIALS, pages={"s.html": "<p>sorry"}, hop_namespace="ns")
RULES = {
    "hop": RuleIntent(2, IPv4Address("10.0.0.1"), 443, TCP, 1, True),
    "hop-port": RuleIntent(3, IPv6Address("2001:db8::1"), 143, TCP, 1, True),
    "hop-http2": RuleIntent(2, IPv4Address("10.0.0.1"), 443, TCP, 1, True),
    "hop-normalise": RuleIntent(2, IPv4Address("10.0.0.1"), 443, TCP, 1, True),
    "tls-offload": RuleIntent(2, IPv4Address("10.0.0.1"), 443, TCP, 1),
}


def config(*lines: str) -> Config:
    found = load(grammar, "\n".join(lines))
    assert found.mistakes == ()
    return found.config


KEPT = replace(
    INVENTORY, hop_present=True, clear_legs={2: (Listener(IPv4Address("10.0.0.1"), 80), Listener(IPv4Address("10.0.0.9"), 80))}
)
"""HAProxy listens on the hop: at the virtual server's address, and at one that it had before."""


def compiled(case: str, inventory: Inventory | None = None) -> HaproxyIntent | None:
    made = config(BASE, CASES[case])
    served = made.virtual_server.values()
    rules = [RULES[case]] if case in RULES else []
    machine = inventory or (KEPT if case == "hop-kept" else INVENTORY)
    return next(iter(compile_services(made, machine, served, {}, rules)), None)


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    path, intent = GOLDEN / f"services-{case}.cfg", compiled(case)
    text = intent.services if intent else ""
    if os.environ.get("HSADC_REWRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_file_without_its_case() -> None:
    assert {p.stem.removeprefix("services-") for p in GOLDEN.glob("services-*.cfg")} == set(CASES)


def test_who_has_listened_on_the_hop_goes_on_unless_another_listens_there_now() -> None:
    def binds(case: str, **changes: object) -> list[str]:
        intent = compiled(case, replace(KEPT, **changes))  # type: ignore[arg-type]
        assert intent is not None
        return [line.split()[1] for line in intent.services.split("\n") if " namespace " in line]

    assert binds("hop-kept") == ["10.0.0.1:80"]
    assert binds("hop") == ["10.0.0.1:443", "10.0.0.1:80"]
    assert binds("hop", clear_legs={2: (Listener(IPv4Address("10.0.0.1"), 443),)}) == ["10.0.0.1:443"]
    assert binds("hop-kept", hop_present=False) == []
    assert binds("monitors", clear_legs={1: (Listener(IPv4Address("10.0.0.1"), 80),)}) == []


def test_certificates_authorities_and_pages_come_with_the_text() -> None:
    files = {case: {f.name: f.content for f in intent.files} for case in CASES if (intent := compiled(case))}
    assert files["tls-offload"] == {"pki/web.list": b"pki/www.pem\n", "pki/www.pem": b"CERTIFICATE KEY\n"}
    assert files["tls-clients"]["pki/web.ca"] == b"AUTHORITY\n"
    assert files["tls-proxy-any-name"] == {}
    assert files["sorry"] == {"pages/s.html": b"<p>sorry"}


def test_no_text_of_an_intent_shows_a_key() -> None:
    assert "KEY" not in repr(compiled("tls-offload"))
    assert "KEY" not in repr(INVENTORY)


def test_what_haproxy_cannot_check_is_checked_by_hsadc() -> None:
    icmp = compiled("monitor-icmp")
    assert icmp is not None
    assert {(p.backend, p.server, p.probe.type) for p in icmp.probes} == {
        ("pool1.1_p", "a", "icmp"),
        ("pool1.1_p", "b", "icmp"),
    }
    own = compiled("monitors")
    assert own is not None
    (probe,) = own.probes
    assert (probe.server, probe.probe) == ("b", Probe("tcp", IPv4Address("10.1.0.2"), 8080))


@pytest.mark.parametrize("name", ["a" * 63, "汉" * 63, ".hidden", "a/b"])
def test_a_file_has_a_name_that_any_disk_takes(name: str) -> None:
    from hsadc.intent.haproxy_word import file_name

    folder, _, file = file_name("pki", name, ".pem").partition("/")
    assert folder == "pki"
    assert "/" not in file
    assert not file.startswith(".")
    assert len(file.encode()) <= 255
