"""Configurations that are right for a machine with two ports."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network

from hypothesis import strategies as st

from hsadc.model.access_list import AccessEntry, AccessList, PortRange
from hsadc.model.config import Config
from hsadc.model.interface import Ethernet, PortMirror, TunnelBinding, TunnelInterface
from hsadc.model.mirror_profile import MirrorProfile, RateLimit, Sampling
from hsadc.model.real_server import RealServer
from hsadc.model.route import Route
from hsadc.model.server_pool import PoolMember, ServerPool
from hsadc.model.tunnel import ErspanTunnel, GreTunnel, VxlanTunnel
from hsadc.model.virtual_server import Listener, ServerMirror, VirtualServer

OUR_ADDRESS = IPv4Address("10.0.0.1")
NAMES = ("a", "乙", "c d")


def named(objects):
    return {o.name: o for o in objects}


def some(draw, choices):
    return draw(st.lists(st.sampled_from(choices), unique=True, max_size=len(choices))) if choices else []


@st.composite
def tunnels(draw, kind, **settings):
    sources, last = st.sampled_from(["ethernet0/0", OUR_ADDRESS]), st.integers(1, 3)
    return named(
        kind(
            name,
            None,
            draw(sources),
            IPv4Address(f"10.9.0.{draw(last)}"),
            oversize=draw(st.sampled_from(["segment", "drop"])),
            **{setting: draw(values) for setting, values in settings.items()},
        )
        for name in some(draw, NAMES)
    )


@st.composite
def entries(draw):
    one = AccessEntry("permit", "tcp", IPv4Network("10.0.0.0/8"), None, None, PortRange(80, 90))
    return {e: e for e in some(draw, [one, AccessEntry("deny", "icmp"), AccessEntry("permit", 47, IPv6Network("2001:db8::/32"))])}


@st.composite
def mirror_profiles(draw, interfaces, lists):
    """Profiles that lead to tunnels, and none without."""
    return named(
        MirrorProfile(
            name,
            destinations={d: d for d in draw(st.lists(st.sampled_from(interfaces), unique=True, min_size=1))},
            distribute=draw(st.sampled_from(["replicate", "flow-hash", "failover"])),
            sampling=draw(st.sampled_from([None, Sampling("packet", 2), Sampling("flow", 3)])),
            truncate=draw(st.sampled_from([None, 100])),
            rate_limit=draw(st.sampled_from([None, RateLimit(5, "pps")])),
            access_list=draw(st.none() | st.sampled_from(lists)) if lists else None,
        )
        for name in (some(draw, NAMES) if interfaces else [])
    )


def port_mirror(target):
    return target and PortMirror(*target)


@st.composite
def valid_configs(draw):
    numbers = st.integers(1, 3)
    uplink = Ethernet("ethernet0/0", ip_address=IPv4Interface("10.0.0.1/24"), mtu=draw(st.sampled_from([None, 1400, 9000])))
    gre, erspan, vxlan = draw(tunnels(GreTunnel, key=numbers, payload=st.sampled_from(["ip", "ethernet"]))), {}, {}
    if draw(st.booleans()):
        erspan, vxlan = draw(tunnels(ErspanTunnel, session_id=numbers)), draw(tunnels(VxlanTunnel, vni=numbers))
    kinds = {"gre": gre, "erspan": erspan, "vxlan": vxlan}
    bindings = [TunnelBinding(kind, name) for kind, found in kinds.items() for name in found]
    interfaces = named(
        TunnelInterface(f"tunnel{n}", None, draw(st.sampled_from(bindings)), draw(st.booleans()))
        for n in (some(draw, [1, 2, 3]) if bindings else [])
    )
    lists = named(AccessList(name, None, draw(entries())) for name in some(draw, NAMES))
    profiles = draw(mirror_profiles(list(interfaces), list(lists)))
    targets = [("interface", name) for name in interfaces] + [("profile", name) for name in profiles]
    mirror = st.none() | st.sampled_from(targets) if targets else st.none()
    other = Ethernet("ethernet0/1", "eth1", shutdown=draw(st.booleans()), mirror_traffic=draw(mirror.map(port_mirror)))
    reals = named(RealServer(n, None, IPv4Address(f"10.1.0.{draw(numbers)}"), weight=draw(numbers)) for n in some(draw, NAMES))
    pools = named(
        ServerPool(n, None, "round-robin", {r: PoolMember(r, draw(st.none() | numbers)) for r in members})
        for n in (some(draw, NAMES) if reals else [])
        if (members := draw(st.lists(st.sampled_from(list(reals)), unique=True, min_size=1)))
    )
    servers = named(
        VirtualServer(
            name,
            draw(st.sampled_from(["http", "tcp"])),
            100 + NAMES.index(name),
            log_enable=draw(st.booleans()),
            server_pool=draw(st.none() | st.sampled_from(list(pools))) if pools else None,
            auto_snat=draw(st.booleans()),
            ip=draw(st.sampled_from([None, Listener(OUR_ADDRESS, 80 + NAMES.index(name))])),
            mirror_traffic=draw(mirror.map(lambda target: target and ServerMirror(*target))),
            shutdown=draw(st.booleans()),
        )
        for name in some(draw, NAMES)
    )
    destinations = some(draw, [IPv4Network("0.0.0.0/0"), IPv4Network("10.20.0.0/16")])
    hops = st.sampled_from([IPv4Address("10.0.0.254"), IPv4Address("10.77.0.1"), "ethernet0/1"])
    routes = {r.key: r for r in (Route(d, draw(hops), draw(numbers)) for d in destinations)}
    return Config(
        hostname=draw(st.sampled_from(["hsadc", "edge"])),
        ethernet=named([uplink, *([other] if draw(st.booleans()) else [])]),
        gre_tunnel=gre,
        erspan_tunnel=erspan,
        vxlan_tunnel=vxlan,
        tunnel_interface=interfaces,
        routes=routes,
        access_list=lists,
        mirror_profile=profiles,
        real_server=reals,
        server_pool=pools,
        virtual_server=servers,
    )
