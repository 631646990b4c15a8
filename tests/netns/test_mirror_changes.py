"""The mirror changed under traffic, and in force before the first packet. `HSADC_STRESS=1`: as much as a release wants."""

import itertools
import subprocess
import sys
import time
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from hsadc.dataplane.bpf.records import Profile, Source, Tunnel, decode_index, encode_index, encode_rule_key
from hsadc.dataplane.dataplane import Dataplane
from hsadc.intent.mirror import ANY_PROTOCOL, AccessListIntent, AccessRule
from tests.netns.mirror_net import PROFILE, RULE, SERVER, TUNNEL, encapsulated, mirror_in, until
from tests.netns.stress_net import FULL, Analyzer, StressNet, settled, stored_capture
from tests.netns.stress_traffic import datagrams, numbers
from tests.unit.config.memory import adc, configure

pytestmark = [pytest.mark.netns, pytest.mark.timeout(600)]

UPDATES = 600_000 if FULL else 30_000
SERVERS = 50 if FULL else 4
UDP_RULE = replace(RULE, protocol=17)
LISTS = (
    AccessListIntent(11, (AccessRule(True, 17, IPv4Network("10.1.0.0/24")),)),
    AccessListIntent(12, (AccessRule(False, 6), AccessRule(True, ANY_PROTOCOL, destination=IPv4Network("10.1.0.2/32")))),
)
DEVICE = """
interface ethernet0/0
  device "front"
  ip address 10.1.0.2/24
exit
interface ethernet0/1
  device "back"
exit
tunnel gre "one"
  source 10.2.0.2
  destination 10.3.0.2
exit
interface tunnel1
  tunnel gre "one"
exit
slb real-server "real"
  ip 10.1.0.1
  port 80
exit
slb server-pool "pool"
  real-server "real"
exit
"""
SERVER_LINES = """
slb virtual-server "server {0}" type tcp id {1}
  server-pool "pool"
  auto-snat
  ip 10.1.0.2 port {1}
  mirror-traffic interface tunnel1
exit
"""
CONNECT = """
import socket, sys
while True:
    with socket.socket() as s:
        if s.connect_ex((sys.argv[1], int(sys.argv[2]))) == 0:
            print(s.getsockname()[1])
            break
"""


@pytest.fixture
def net():
    with StressNet() as made:
        yield made


def all_are_copied(mirror, sent, frames):
    """Each datagram once; `frames` of the capture."""
    counters = settled(mirror)
    source, copies = counters.sources[RULE.id], counters.tunnel("tunnel1")
    analyzer = Analyzer(keep=True).read(frames)
    assert source.seen == source.matched_packets == sent.number > 1000, "none is lost before the mirror"
    assert (copies.sent_packets, copies.dropped, copies.unaccounted, source.failed) == (sent.number, 0, 0, 0)
    assert numbers(analyzer.packets.elements()) == list(range(sent.number))


def replaced_in_place(mirror, updates):
    """Write profile, tunnel and rule again and again, each time another; tells how long it took (seconds)."""
    maps = mirror._objects.maps
    (key,), (rule_key,) = maps["tunnels"].keys(), maps["rules"].keys()
    assert rule_key == encode_rule_key(*UDP_RULE.key)
    tunnel = Tunnel.decode(maps["tunnels"].get(key))
    tunnel = replace(tunnel, fresh_ns=time.monotonic_ns() + 3600 * 10**9)
    number = encode_index(PROFILE.number)
    profile = Profile.decode(PROFILE.number, maps["profiles"].get(number))
    tunnels = [replace(tunnel, encapsulation=replace(tunnel.encapsulation, ttl=ttl, dscp=ttl % 64)) for ttl in (64, 9)]
    lists = [replace(profile, intent=replace(profile.intent, access_list=n)) for n in (0, 11, 12)]
    rules = [Source(UDP_RULE.id, PROFILE.number, access_list) for access_list in (0, 12)]
    writes = [("tunnels", key, t.encode(decode_index(key))) for t in tunnels] + [("profiles", number, p.encode()) for p in lists]
    writes += [("rules", rule_key, r.encode()) for r in rules]
    start = time.monotonic()
    for name, at, value in itertools.islice(itertools.cycle(writes), updates):
        maps[name].set(at, value)
    return time.monotonic() - start


def test_no_copy_is_lost_while_records_are_replaced(net):
    with mirror_in(net, rules=[UDP_RULE], lists=LISTS) as mirror:
        mirror._watcher.stop()  # it would write the tunnel, too
        mirror._watcher = None
        with stored_capture(net) as frames:
            mirror.clear_counters()
            with datagrams(net) as sent:
                took_s = replaced_in_place(mirror, UPDATES)
        all_are_copied(mirror, sent, frames)
    print(f"{UPDATES} updates in {took_s:.1f} s, {sent.number} datagrams")


def test_no_copy_is_lost_while_intents_change(net):
    """As transactions do it: what comes is there before what goes is removed."""
    keyed = [encapsulated(key=5), TUNNEL, replace(TUNNEL, encapsulation=replace(TUNNEL.encapsulation, ttl=9))]
    tunnel, profile, rule, rounds = TUNNEL, PROFILE, UDP_RULE, 0
    with mirror_in(net, rules=[rule]) as mirror:
        with stored_capture(net) as frames:
            mirror.clear_counters()
            with datagrams(net) as sent:
                end = time.monotonic() + (20 if FULL else 3)
                while time.monotonic() < end:
                    rounds += 1
                    access_list = replace(LISTS[rounds % 2], number=100 + rounds)
                    mirror.access_lists.create(access_list)
                    new_tunnel, new_profile = keyed[rounds % 3], replace(PROFILE, access_list=access_list.number)
                    mirror.tunnels.change(tunnel, new_tunnel)
                    mirror.profiles.change(profile, new_profile)
                    mirror.rules.change(rule, rule)
                    if profile.access_list:
                        mirror.access_lists.delete(replace(LISTS[0], number=profile.access_list))
                    tunnel, profile = new_tunnel, new_profile
        all_are_copied(mirror, sent, frames)
        mirror.access_lists.delete(access_list)
    print(f"{rounds} rounds, {sent.number} datagrams")


def test_the_very_first_packet_is_copied(net, tmp_path):
    """Somebody tries to connect all the time: the first handshake with a new virtual server is at the analyzer."""
    with net.inside("adc"):
        device = adc(tmp_path, Dataplane(tmp_path))
        try:
            configure(device, DEVICE)
            until(lambda: device.dataplane.tunnel_state("tunnel1").state == "up")
            with stored_capture(net) as frames:
                first = [_first_connection(net, device, number) for number in range(1, SERVERS + 1)]
        finally:
            device.stop()
    copied = set()
    for packet in Analyzer(keep=True).read(frames).packets:
        if packet[9] == 6 and packet[33] & 0x12 == 0x02:  # SYN, and not ACK
            copied.add((int.from_bytes(packet[20:22]), int.from_bytes(packet[22:24])))
    assert [flow for flow in first if flow not in copied] == []


def _first_connection(net, device, number):
    """Source and destination port of the first connection to a virtual server that is configured now."""
    port = 9000 + number
    command = ["ip", "netns", "exec", net.names["client"], sys.executable, "-c", CONNECT, SERVER, str(port)]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.1)
        configure(device, SERVER_LINES.format(number, port))
        told, _ = client.communicate(timeout=20)
        return int(told), port
    finally:
        client.kill()
        client.wait()
