"""Virtual servers of type udp, from the running-config."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from hsadc.intent.datagram import DatagramIntent, DatagramTarget, DatagramTier, compile_datagrams, pools_of_tiers
from hsadc.intent.probe import compile_probe
from hsadc.model.config import Config
from hsadc.model.monitor import Monitor
from hsadc.model.real_server import RealServer
from hsadc.model.server_pool import Persistence, PoolMember, ServerPool
from hsadc.model.virtual_server import Listener, VirtualServer

PING, ASK = Monitor("ping", "icmp"), Monitor("ask", "udp", udp_send="0aff", port=9053)
ONE = RealServer("one", ip=ip_address("10.2.0.1"), port=5353, weight=3)
TWO = RealServer("two", ip=ip_address("10.2.0.2"), state="drain", monitor="ask")
SIX = RealServer("six", ip=ip_address("fd00::6"))
BARE = RealServer("bare")
POOL = ServerPool("dns", members={"one": PoolMember("one"), "two": PoolMember("two", port=54, weight=7)}, monitor="ping")
SERVER = VirtualServer("dns", "udp", 7, server_pool="dns", ip=Listener(ip_address("10.1.0.2"), 53), auto_snat=True)


def config(*pools: ServerPool) -> Config:
    return Config(
        monitor={m.name: m for m in (PING, ASK)},
        real_server={r.name: r for r in (ONE, TWO, SIX, BARE)},
        server_pool={p.name: p for p in pools},
    )


def tiers(*pools: ServerPool, server: VirtualServer = SERVER) -> tuple[DatagramTier, ...]:
    (intent,) = compile_datagrams(config(*pools), [server])
    return intent.tiers


def names(*pools: ServerPool, server: VirtualServer = SERVER) -> list[list[str]]:
    return [[t.real_server for t in tier.targets] for tier in tiers(*pools, server=server)]


def test_a_virtual_server_with_all_that_can_be_said_of_it() -> None:
    one = DatagramTarget("one", ip_address("10.2.0.1"), 5353, 3, "enable", compile_probe(PING, ip_address("10.2.0.1"), 5353))
    two = DatagramTarget("two", ip_address("10.2.0.2"), 54, 7, "drain", compile_probe(ASK, ip_address("10.2.0.2"), 54))
    wanted = DatagramIntent(7, ip_address("10.1.0.2"), 53, (DatagramTier((one, two)),), True)
    assert compile_datagrams(config(POOL), [SERVER]) == (wanted,)
    assert (one.probe and one.probe.port, two.probe and two.probe.port) == (0, 9053)
    assert (wanted.key, str(wanted)) == (7, "10.1.0.2 port 53")


def test_only_those_of_type_udp_by_number() -> None:
    others = [replace(SERVER, name=t, type=t, id=n) for n, t in enumerate(("tcp", "http", "https", "ssl"), 100)]
    served = [replace(SERVER, id=9), *others, replace(SERVER, id=8), replace(SERVER, id=10, ip=None)]
    assert [d.id for d in compile_datagrams(config(POOL), served)] == [8, 9]


def test_without_a_monitor_nothing_is_checked() -> None:
    (tier,) = tiers(ServerPool("dns", members={"one": PoolMember("one")}))
    assert tier.targets[0].probe is None


def test_a_port_that_nobody_says_is_the_virtual_servers() -> None:
    (tier,) = tiers(ServerPool("dns", members={"two": PoolMember("two")}))
    assert (tier.targets[0].port, tier.targets[0].weight) == (53, 1)


def test_real_servers_of_no_or_another_family_are_left_out() -> None:
    pool = ServerPool("dns", members={n: PoolMember(n) for n in ("bare", "six", "one")})
    assert names(pool) == [["one"]]
    six = replace(SERVER, ip=Listener(ip_address("fd00::2"), 53))
    assert names(pool, server=six) == [["six"]]
    assert names(ServerPool("dns", members={"bare": PoolMember("bare")})) == []


def test_the_highest_priority_is_the_first_tier() -> None:
    members = {"one": PoolMember("one", priority=1), "two": PoolMember("two", priority=100)}
    pool = ServerPool("dns", members=members, minimum_working_servers=2, load_balance="random")
    assert names(pool) == [["two"], ["one"]]
    assert [(t.minimum, t.load_balance) for t in tiers(pool)] == [(2, "random")] * 2


def test_backup_pools_follow_until_one_was_there_already() -> None:
    first = ServerPool("dns", members={"one": PoolMember("one")}, backup_pool="b", persistence=Persistence("source-ip"))
    second = ServerPool("b", members={"two": PoolMember("two")}, backup_pool="c", load_balance="round-robin")
    third = ServerPool("c", members={"one": PoolMember("one")}, backup_pool="dns", persistence=Persistence("cookie"))
    assert names(first, second, third) == [["one"], ["two"], ["one"]]
    assert [t.load_balance for t in tiers(first, second, third)] == ["source-hash", "round-robin", "weighted-round-robin"]


def test_a_virtual_server_without_a_pool_serves_nobody() -> None:
    assert names(server=replace(SERVER, server_pool=None)) == []


def test_whose_the_tiers_are() -> None:
    first = replace(POOL, members={"one": PoolMember("one", priority=9), "two": PoolMember("two")}, backup_pool="far")
    far = ServerPool("far", members={"one": PoolMember("one")})
    assert pools_of_tiers(config(first, far), SERVER) == ("dns", "dns", "far")
    assert len(tiers(first, far)) == 3
    assert pools_of_tiers(config(first, far), replace(SERVER, ip=None)) == ()
