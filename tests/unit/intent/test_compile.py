"""From the running-config and the machine to the intent."""

from __future__ import annotations

from dataclasses import fields, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from hsadc.errors import ConfigError, Conflict
from hsadc.intent.address import AddressIntent
from hsadc.intent.compile import compile_config, reason_not_served
from hsadc.intent.inventory import Device, Inventory
from hsadc.intent.link import LinkIntent
from hsadc.intent.material import Material
from hsadc.intent.mirror import ProfileIntent, RuleIntent, TapIntent, TunnelIntent
from hsadc.intent.route import RouteIntent
from hsadc.model.config import SECTIONS, Config
from hsadc.model.virtual_server import Listener, VirtualServer
from hsadc.syntax.edit import settings
from hsadc.syntax.grammar import load_grammar
from hsadc.syntax.load import load
from hsadc.wire.encapsulation import Encapsulation

SAMPLE = Path(__file__).parents[3] / "samples" / "article.cfg"
machine = Inventory(
    (Device("eth0"), Device("eth1", 9000, (IPv4Interface("10.1.0.1/24"),)), Device("br0", physical=False)),
    {"www": Material(identity=b"www", authorities=b"ca"), "mail": Material(identity=b"mail")},
    {"s.html": "sorry"},
)
grammar = load_grammar()


def config(*lines, base=None):
    found = load(grammar, "\n".join(lines), base)
    assert found.mistakes == ()
    return found.config


@pytest.fixture
def article():
    return config(*SAMPLE.read_text().splitlines())


def test_the_article(article):
    compiled = compile_config(article, machine)
    intent = compiled.intent
    assert intent.links == (LinkIntent("eth0"),)
    assert intent.addresses == (AddressIntent("eth0", IPv4Interface("192.168.131.2/24")),)
    assert intent.routes == (RouteIntent(IPv4Network("0.0.0.0/0"), IPv4Address("192.168.131.254"), None, 1),)
    adc, analyzer = IPv4Address("192.168.131.2"), IPv4Address("192.168.141.2")
    assert intent.tunnels == (TunnelIntent("tunnel1", "eth0", Encapsulation("gre", adc, analyzer), 1500),)
    assert (intent.access_lists, intent.port_mirrors) == ((), ())
    assert intent.profiles == (ProfileIntent(1, ("tunnel1",)),)
    assert intent.rules == (RuleIntent(1, adc, 8087, 6, 1),)
    assert intent.taps == (TapIntent("eth0"),)
    (haproxy,) = intent.haproxy
    assert "bind 192.168.131.2:8087 mss 1436" in haproxy.services
    (warning,) = compiled.warnings
    assert warning == (
        "interface tunnel1: copies of packets over 1476 bytes do not fit its 1500 bytes: "
        "clients are asked for TCP segments of at most 1436 bytes, larger ones are copied in pieces, other packets are not copied"
    )


def test_nothing_configured_wants_nothing():
    intent = compile_config(Config(), machine).intent
    assert all(getattr(intent, f.name) == () for f in fields(intent))


def test_compiling_twice_gives_the_same(everything):
    assert compile_config(everything, machine) == compile_config(everything, machine)


def test_the_intent_does_not_depend_on_the_order_of_lines(article):
    shuffled = config(*SAMPLE.with_name("article-verbatim.cfg").read_text().splitlines())
    assert compile_config(shuffled, machine) == compile_config(article, machine)


NOT_OPERATIONAL = {"description", "hostname", "admin_user_password", "admin_user_ssh_keys"}
"""Settings that only people and logins see; this list may only shrink."""

RECEIVERS = {"gre_tunnel_receiver", "erspan_tunnel_receiver", "vxlan_tunnel_receiver"}
"""Settings that change what a commit warns of, and nothing in the dataplane (test_receiver.py)."""

FILES = {"trust_domain_certificate", "trust_domain_key", "trust_domain_ca_certificate"}
"""Settings that say what the dataplane reads; what it finds is in the inventory."""

ALL_SECTIONS = """
interface ethernet0/1
  mirror-traffic profile "two"
exit
access-list "web"
  permit tcp any any eq 80
exit
access-list "dns"
  permit udp any any eq 53
exit
tunnel erspan "e"
  source interface ethernet0/0
  destination 192.168.141.3
exit
tunnel erspan "other"
  source interface ethernet0/0
  destination 192.168.141.5
exit
tunnel vxlan "v"
  source interface ethernet0/0
  destination 192.168.141.4
  vni 7
exit
interface tunnel2
  tunnel erspan "e"
exit
interface tunnel3
  tunnel vxlan "v"
exit
mirror-profile "two"
  destination interface tunnel2
  destination interface tunnel3
exit
pki trust-domain "www"
  certificate file "www.pem"
  key file "www.key"
  ca-certificate file "ca.pem"
exit
pki trust-domain "mail"
  certificate file "mail.pem"
  key file "mail.key"
exit
ssl-profile "web"
  trust-domain "www"
exit
ssl-profile "back"
exit
app-profile "h"
exit
slb monitor "web" type http
exit
slb monitor "up" type udp
exit
slb real-server "ns"
  ip 192.168.131.53
exit
slb server-pool "dns"
  real-server "ns"
  monitor "up"
exit
slb server-pool "web"
  real-server "rs33"
  real-server "rs34"
  monitor "web"
exit
slb virtual-server "s" type https id 2
  app-profile "h"
  server-pool "web"
  ssl-profile "web"
  server-ssl-profile "back"
  mirror-traffic interface tunnel1 http2 raw
  ip 192.168.131.2 port 443
exit
slb virtual-server "dns" type udp id 3
  server-pool "dns"
  auto-snat
  ip 192.168.131.2 port 53
exit
"""


@pytest.fixture
def everything(article):
    """The article, and an object of each other section that has to do with mirroring."""
    return config(*ALL_SECTIONS.splitlines(), base=article)


TUNNELS = ("tunnel gre tunnel-to-142", "tunnel erspan e", "tunnel vxlan v")
OUTER = (
    "source 10.1.0.1",
    "destination 192.168.141.9",
    "interface ethernet0/1",
    "ttl 9",
    "dscp 8",
    "dont-fragment",
    "mtu 1400",
    "oversize drop",
)
CHANGES = [
    ("interface ethernet0/0", "device br0"),
    ("interface ethernet0/0", "ip address 192.168.131.3/24", "ip address 192.168.131.2/24 secondary"),
    ("interface ethernet0/0", "ip address 192.168.131.9/24 secondary"),
    ("interface ethernet0/0", "mtu 1400"),
    ("interface ethernet0/0", "shutdown"),
    ("tunnel gre tunnel-to-142", "no interface"),
    ("tunnel gre tunnel-to-142", "key 0"),
    ("tunnel gre tunnel-to-142", "sequence"),
    ("tunnel gre tunnel-to-142", "checksum"),
    ("tunnel gre tunnel-to-142", "payload ethernet"),
    *((tunnel, line) for tunnel in TUNNELS for line in OUTER),
    ("tunnel erspan e", "version 3"),
    ("tunnel erspan e", "session-id 2"),
    ("tunnel vxlan v", "vni 8"),
    ("tunnel vxlan v", "port 4790"),
    ("interface ethernet0/1", "ipv6 address 2001:db8::1/64"),
    ("interface ethernet0/1", "no mirror-traffic"),
    ("interface ethernet0/1", "mirror-traffic interface tunnel1"),
    ("interface ethernet0/1", "mirror-traffic profile two direction forward"),
    ("interface ethernet0/1", "mirror-traffic profile two access-list web"),
    ("access-list dns", "deny ip any any"),
    ("mirror-profile two", "access-list web"),
    ("mirror-profile two", "destination interface tunnel1"),
    ("mirror-profile two", "no destination interface tunnel3"),
    ("mirror-profile two", "destination interface ethernet0/0"),
    ("mirror-profile two", "direction forward"),
    ("mirror-profile two", "distribute failover"),
    ("mirror-profile two", "sampling packet 10"),
    ("mirror-profile two", "sampling flow 10"),
    ("mirror-profile two", "rate-limit 10 pps"),
    ("mirror-profile two", "rate-limit 10 mbps"),
    ("mirror-profile two", "truncate 128"),
    ("interface tunnel2", "shutdown"),
    ("interface tunnel2", "tunnel erspan other"),
    ("interface tunnel1", "shutdown"),
    ("tunnel gre t2", "source 10.1.0.1", "destination 10.1.0.2", "exit", "interface tunnel1", "tunnel gre t2"),
    ("no ip route 0.0.0.0/0 192.168.131.254",),
    ("ip route 0.0.0.0/0 192.168.131.254 distance 2",),
    ("app-profile l7-http-profile", "x-forwarded-for insert"),
    ("slb real-server rs33", "ip 192.168.131.36"),
    ("slb real-server rs33", "port 81"),
    ("slb real-server rs33", "weight 2"),
    ("slb server-pool l7-http", "load-balance source-hash"),
    ("slb server-pool l7-http", "no real-server rs33"),
    ("slb server-pool l7-http", "real-server rs33 port 81"),
    ("slb server-pool l7-http", "real-server rs33 weight 9"),
    ("slb real-server rs33", "max-connection 5"),
    ("slb real-server rs33", "disable"),
    ("slb real-server rs33", "monitor web"),
    ("slb server-pool web", "real-server rs33 priority 2"),
    ("slb server-pool web", "no monitor"),
    ("slb server-pool web", "persistence source-ip"),
    ("slb server-pool web", "slow-start 5"),
    ("slb server-pool web", "minimum-working-servers 2"),
    ("slb server-pool web", "backup-pool l7-http"),
    ("slb server-pool web", "sorry-page file s.html"),
    ("slb monitor web", "interval 9"),
    ("slb monitor web", "timeout 1"),
    ("slb monitor web", "rise 9"),
    ("slb monitor web", "fall 9"),
    ("slb monitor web", "port 9"),
    ("slb monitor web", "http get /x"),
    ("slb monitor web", "http host a.b"),
    ("slb monitor web", "http expect 204"),
    ("slb monitor up", "udp send 00"),
    ("slb monitor up", "udp answer"),
    ("app-profile h", "http2"),
    ("app-profile h", "compression"),
    ("app-profile h", "max-body 1"),
    ("app-profile h", "header request remove X-A"),
    ("app-profile h", "timeout client 5"),
    ("ssl-profile web", "trust-domain mail"),
    ("ssl-profile web", "min-version tlsv1.3"),
    ("ssl-profile web", "max-version tlsv1.2"),
    ("ssl-profile web", "cipher ECDHE+AESGCM"),
    ("ssl-profile web", "cipher-suites TLS_AES_128_GCM_SHA256"),
    ("ssl-profile web", "client-auth require"),
    ("ssl-profile back", "trust-domain www", "verify-server"),
    ("ssl-profile back", "server-name a.b"),
    ("slb virtual-server s", "no ssl-profile"),
    ("slb virtual-server s", "no server-ssl-profile"),
    ("slb virtual-server s", "rule 1 path /x server-pool l7-http"),
    ("slb virtual-server s", "max-connection 1"),
    ("slb virtual-server s", "rate-limit 1"),
    ("slb virtual-server s", "client-max-connection 1"),
    ("slb virtual-server s", "client-rate-limit 1"),
    ("slb virtual-server s", "mirror-traffic interface tunnel1 port 80"),
    ("slb virtual-server l7-http", "redirect https"),
    ("slb virtual-server l7-http", "no log enable"),
    ("slb virtual-server l7-http", "no app-profile"),
    ("slb virtual-server l7-http", "no server-pool"),
    ("slb virtual-server l7-http", "no auto-snat"),
    ("slb virtual-server l7-http", "ip 192.168.131.2 port 8088"),
    ("slb virtual-server l7-http", "no mirror-traffic"),
    ("slb virtual-server l7-http", "shutdown"),
    ("no slb virtual-server l7-http",),
]


def changed(base, lines):
    if "no app-profile" in lines:
        base = config("app-profile l7-http-profile", "x-forwarded-for insert", base=base)
    if "deny ip any any" in lines:
        base = config("mirror-profile two", "access-list dns", base=base)
    return base, config(*lines, base=base)


@pytest.mark.parametrize("lines", CHANGES, ids=" ".join)
def test_each_change_changes_the_intent(everything, lines):
    before, after = changed(everything, lines)
    assert compile_config(before, machine).intent != compile_config(after, machine).intent


def test_the_changes_cover_every_setting(everything):
    found = set()
    for before, after in (changed(everything, lines) for lines in CHANGES):
        found |= {f for f in settings(Config) if getattr(before, f) != getattr(after, f)}
        for section, cls in SECTIONS.items():
            old, new = getattr(before, section), getattr(after, section)
            pairs = [(old[n], new[n]) for n in old.keys() & new.keys()]
            found |= {f"{section}_{f}" for f in settings(cls) for a, b in pairs if getattr(a, f) != getattr(b, f)}
    every = set(settings(Config)) | {f"{section}_{f}" for section, cls in SECTIONS.items() for f in settings(cls)}
    assert {f for f in every - found if not f.endswith("_description")} == NOT_OPERATIONAL - {"description"} | RECEIVERS | FILES


def test_an_interface_that_is_not_on_this_machine():
    with pytest.raises(
        ConfigError, match="interface ethernet0/2: this machine has no such interface, it has ethernet0/0 to ethernet0/1"
    ):
        compile_config(config("interface ethernet0/2"), machine)
    with pytest.raises(ConfigError, match="it has only ethernet0/0"):
        compile_config(config("interface ethernet1/0"), Inventory((Device("eth0"),)))
    with pytest.raises(ConfigError, match="it has none"):
        compile_config(config("interface ethernet0/0"), Inventory())
    with pytest.raises(ConfigError, match='device "eth7" is not on this machine, it has eth0, eth1, br0'):
        compile_config(config("interface ethernet0/0", "device eth7"), machine)
    for tunnel in ("tunnel gre x", "tunnel erspan x", "tunnel vxlan x"):
        for line in ("source interface ethernet0/5", "interface ethernet0/5"):
            with pytest.raises(ConfigError, match="interface ethernet0/5: this machine has no such interface"):
                compile_config(config(tunnel, line), machine)
    with pytest.raises(ConfigError, match="interface ethernet0/5: this machine has no such interface"):
        compile_config(config("mirror-profile p", "destination interface ethernet0/5"), machine)
    with pytest.raises(ConfigError, match="interface ethernet0/5: this machine has no such interface"):
        compile_config(config("ip route 10.0.0.0/8 ethernet0/5"), machine)


def test_any_device_can_be_an_interface():
    assert compile_config(config("interface ethernet7/0", "device br0"), machine).intent.links == (LinkIntent("br0"),)


def test_two_interfaces_are_not_one_device_and_have_not_one_address():
    with pytest.raises(Conflict, match=r"interface ethernet0/1: eth0 is ethernet0/0 already"):
        compile_config(config("interface ethernet0/0", "interface ethernet0/1", "device eth0"), machine)
    lines = ("interface ethernet0/0", "ip address 10.0.0.1/8", "interface ethernet0/1", "ip address 10.0.0.1/24")
    with pytest.raises(Conflict, match=r"10\.0\.0\.1 is ethernet0/0 already"):
        compile_config(config(*lines), machine)


def test_a_route_waits_for_the_network_of_its_next_hop():
    lines = (
        "interface ethernet0/0",
        "ip address 10.0.0.1/24",
        "shutdown",
        "exit",
        "ip route 0.0.0.0/0 10.0.0.2",
        "ip route 1.0.0.0/8 ethernet0/0",
    )
    compiled = compile_config(config(*lines), machine)
    assert compiled.intent.routes == ()
    assert compiled.warnings == (
        "ip route 0.0.0.0/0 10.0.0.2: not in force, 10.0.0.2 is in no network of an interface that is up",
        "ip route 1.0.0.0/8 ethernet0/0: not in force, ethernet0/0 is shut down",
    )
    up = compile_config(config("interface ethernet0/0", "no shutdown", base=config(*lines)), machine)
    assert [(r.gateway, r.device) for r in up.intent.routes] == [(IPv4Address("10.0.0.2"), None), (None, "eth0")]


def test_an_address_that_the_system_gave_is_ours_too():
    lines = (
        "interface ethernet0/1",
        "exit",
        "slb server-pool p",
        "exit",
        "slb virtual-server v type tcp id 3",
        "server-pool p",
        "auto-snat",
    )
    assert compile_config(config(*lines, "ip 10.1.0.1 port 80"), machine).intent.haproxy
    with pytest.raises(ConfigError, match=r'slb virtual-server "v": 10\.1\.0\.2 is not an address of this device'):
        compile_config(config(*lines, "ip 10.1.0.2 port 80"), machine)


def test_the_key_and_the_mtu_make_room_in_the_segments(article):
    def mss(*lines):
        (haproxy,) = compile_config(config(*lines, base=article), machine).intent.haproxy
        return haproxy.services.partition("mss ")[2].partition("\n")[0]

    assert mss("tunnel gre tunnel-to-142", "key 1") == "1432"
    assert mss("interface ethernet0/0", "mtu 1400") == "1336"
    assert mss("tunnel gre tunnel-to-142", "interface ethernet0/1") == "32767"


def test_a_virtual_server_that_is_not_served_says_why():
    server = VirtualServer("v")
    assert reason_not_served(server) == "it has no ip"
    assert reason_not_served(replace(server, shutdown=True)) == "shutdown"
    lines = (
        "interface ethernet0/1",
        "exit",
        "slb server-pool p",
        "exit",
        "slb virtual-server v type tcp id 3",
        "ip 10.1.0.1 port 80",
    )
    assert reason_not_served(config(*lines).virtual_server["v"]) == "it has no server-pool"
    assert (
        reason_not_served(replace(server, type="ssl", ip=Listener(IPv4Address("10.1.0.1"), 1), server_pool="p"))
        == "it has no ssl-profile"
    )
    assert compile_config(config(*lines), machine).intent.haproxy == ()


def test_keys_tell_objects_apart(everything):
    intent = compile_config(everything, machine).intent
    assert all(getattr(intent, f.name) for f in fields(intent) if f.name != "access_lists")
    for objects in (getattr(intent, f.name) for f in fields(intent)):
        assert len({o.key for o in objects}) == len(objects)


def test_an_error_names_a_rule_in_words():
    assert str(RuleIntent(7, IPv4Address("192.168.131.2"), 8087, 6, 1)) == "192.168.131.2 port 8087"
