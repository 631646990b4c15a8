"""Configurations that are right for a machine with two ports."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from hypothesis import strategies as st

from hsadc.model.config import Config
from hsadc.model.interface import Ethernet, TunnelInterface
from hsadc.model.real_server import RealServer
from hsadc.model.route import Route
from hsadc.model.server_pool import PoolMember, ServerPool
from hsadc.model.tunnel import GreTunnel
from hsadc.model.virtual_server import Listener, VirtualServer

OUR_ADDRESS = IPv4Address("10.0.0.1")
NAMES = ("a", "乙", "c d")


def named(objects):
    return {o.name: o for o in objects}


def some(draw, choices):
    return draw(st.lists(st.sampled_from(choices), unique=True, max_size=len(choices))) if choices else []


@st.composite
def valid_configs(draw):
    numbers = st.integers(1, 3)
    uplink = Ethernet("ethernet0/0", ip_address=IPv4Interface("10.0.0.1/24"), mtu=draw(st.sampled_from([None, 1400, 9000])))
    other = Ethernet("ethernet0/1", "eth1", shutdown=draw(st.booleans()))
    tunnels = named(
        GreTunnel(
            name,
            None,
            draw(st.sampled_from(["ethernet0/0", OUR_ADDRESS])),
            IPv4Address(f"10.9.0.{draw(numbers)}"),
            key=draw(numbers),
        )
        for name in some(draw, NAMES)
    )
    interfaces = named(
        TunnelInterface(f"tunnel{n}", None, draw(st.sampled_from(list(tunnels))), draw(st.booleans()))
        for n in (some(draw, [1, 2, 3]) if tunnels else [])
    )
    reals = named(RealServer(n, None, IPv4Address(f"10.1.0.{draw(numbers)}"), weight=draw(numbers)) for n in some(draw, NAMES))
    pools = named(
        ServerPool(n, None, "round-robin", {r: PoolMember(r, draw(st.none() | numbers)) for r in some(draw, list(reals))})
        for n in some(draw, NAMES)
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
            mirror_traffic=draw(st.none() | st.sampled_from(list(interfaces))) if interfaces else None,
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
        gre_tunnel=tunnels,
        tunnel_interface=interfaces,
        routes=routes,
        real_server=reals,
        server_pool=pools,
        virtual_server=servers,
    )
