"""The mirror without BPF in the mirror's lab, with a core that does the least there is: tested is what surrounds a core."""

import contextlib
import struct
import time
from collections import Counter
from ipaddress import IPv4Address
from typing import NamedTuple

from hsadc.dataplane.mirror_counters import DestinationCounters, MirrorCounters, SourceCounters
from hsadc.dataplane.portable.mirror import PortableMirror
from hsadc.intent.mirror import PortMirrorIntent, ProfileIntent, RuleIntent, TapIntent, TunnelIntent
from hsadc.wire.checksum import internet_checksum
from hsadc.wire.encapsulation import Encapsulation
from tests.netns.mirror_net import ANALYZER, PORT, SERVER, until

GRE = Encapsulation("gre", IPv4Address("10.2.0.2"), IPv4Address(ANALYZER))
TUNNEL = TunnelIntent("tunnel1", "back", GRE)
FRAMES = TunnelIntent("ethernet0/2", "back", Encapsulation("none", payload="ethernet"))
PROFILE = ProfileIntent(1, ("tunnel1",))
RULE = RuleIntent(7, IPv4Address(SERVER), PORT, 6, 1)
TAP = TapIntent("front")


class Out(NamedTuple):
    interface: str
    data: bytes


def behind_tags(frame):
    at = 14
    while frame[at - 2 : at] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    return at


class PlainCore:
    """Copies what a rule's port is in, or what passes a port mirror's device, to the tunnel, in IPv4 and GRE or as it is."""

    def __init__(self, wanted, before):
        self.wanted = wanted
        self.counts = before.counts if before else Counter()

    def process(self, frame, device, received, now_ns):
        self.counts["frames"] += 1
        if not self.wants(frame, device, received):
            return []
        self.counts["matched"] += 1
        self.counts["received" if received else "sent by the device"] += 1
        out = []
        for tunnel in self.wanted.tunnels:
            state = self.wanted.paths[tunnel.interface].state
            self.counts["sent" if state == "up" else state] += 1
            if state == "up":
                out.append(Out(tunnel.interface, self._wrap(tunnel.encapsulation, frame)))
        return out

    def wants(self, frame, device, received):
        at = behind_tags(frame)
        start = at + (20 if frame[at] >> 4 == 4 else 40)
        ports = {int.from_bytes(frame[start : start + 2]), int.from_bytes(frame[start + 2 : start + 4])}
        by_rule = frame[at - 2 : at] in (b"\x08\x00", b"\x86\xdd") and any(rule.port in ports for rule in self.wanted.rules)
        return by_rule or any(mirror.device == device for mirror in self.wanted.port_mirrors)

    def _wrap(self, e, frame):
        if e.kind == "none":
            return frame
        at = behind_tags(frame)
        gre = b"\0\0" + frame[at - 2 : at] + frame[at:]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(gre), 0, 0, 64, 47, 0, e.source.packed, e.destination.packed)
        return ip[:10] + internet_checksum(ip).to_bytes(2) + ip[12:] + gre

    def unsent(self, outgoing, reason):
        self.counts["sent"] -= 1
        self.counts[reason] += 1

    def counters(self):
        reasons = ("no_route", "no_neighbour", "link_down", "oversize", "encapsulation")
        c = {name: self.counts[name] for name in reasons}
        source = SourceCounters(seen=self.counts["frames"], matched_packets=self.counts["matched"])
        return MirrorCounters({7: source}, {(1, "tunnel1"): DestinationCounters(sent_packets=self.counts["sent"], **c)})

    def clear_counters(self):
        self.counts.clear()


@contextlib.contextmanager
def portable(net, *, core=PlainCore, tunnel=TUNNEL, rules=(RULE,), mirrored=(), taps=("front",), wait=True):
    """A mirror in force in the ADC's namespace."""
    with net.inside("adc"):
        mirror = PortableMirror(core)
        try:
            mirror.start_watching()
            mirror.tunnels.create(tunnel)
            mirror.profiles.create(ProfileIntent(1, (tunnel.interface,)))
            for rule in rules:
                mirror.rules.create(rule)
            for number, device in enumerate(mirrored):
                mirror.port_mirrors.create(PortMirrorIntent(65536 + number, device, 1))
            for device in taps:
                mirror.taps.create(TapIntent(device))
            if wait:
                until(lambda: mirror.tunnel_state(tunnel.interface).state != "down")
                mirror.refresh()
            yield mirror
        finally:
            mirror.stop()


def settled(mirror):
    """The counters once no more packets come."""
    last = None
    while (now := mirror.counters()) != last:
        last = now
        time.sleep(0.3)
    return last
