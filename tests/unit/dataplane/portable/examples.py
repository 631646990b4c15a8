"""A mirror and a packet of it."""

from ipaddress import ip_address

from hsadc.dataplane.portable.core import Intents
from hsadc.intent.mirror import ProfileIntent, RuleIntent, TunnelIntent
from hsadc.wire.encapsulation import Encapsulation
from tests.unit.dataplane.traffic import ipv4, transport

CLIENT, SERVER = "10.0.0.2", "10.0.0.1"
GRE = Encapsulation("gre", ip_address("10.9.0.1"), ip_address("10.9.0.2"))
TUNNEL = TunnelIntent("tunnel1", None, GRE)
PROFILE = ProfileIntent(1, ("tunnel1",))
RULE = RuleIntent(1, ip_address(SERVER), 80, 6, 1)
INTENTS = Intents((TUNNEL,), (), (PROFILE,), (RULE,), ())
MACS = bytes.fromhex("020000000a01020000000a02")
FRAME = MACS + b"\x08\0" + ipv4(CLIENT, SERVER, 6, transport(6, 5000, 80, 10))
