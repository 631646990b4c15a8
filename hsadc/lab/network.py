"""The article's network, made of namespaces, a bridge and veth pairs, by netlink."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from hsadc.dataplane import offload
from hsadc.dataplane.hop import hop_namespace
from hsadc.errors import ApplyError
from hsadc.lab import namespace
from hsadc.lab.topology import ANALYZER_LEG, NODES, PREFIX, ROUTER_TO_ANALYZER, SWITCHED, Leg, namespace_of

_BRIDGE = "br0"
_SYSCTL = Path("/proc/sys/net/ipv4")
_A_DAY_MS = 86_400_000


def create(prefix: str = PREFIX) -> None:
    """Make the network: everything but what hsadc is to configure.

    Offloads stay on wherever hosts would have them, and are off where the router sends to the analyzer: there a capture must
    see what a wire carries.

    Args:
        prefix: what the names of the namespaces begin with.

    Raises:
        ApplyError: a part cannot be made, or a network of that prefix exists; what had been made is removed again.
    """
    with ExitStack() as made:
        try:
            for node in NODES:
                name = namespace_of(prefix, node)
                namespace.create(name)
                made.callback(namespace.remove, name)
            _connect(prefix)
        except (OSError, NetlinkError) as e:
            raise ApplyError("create the lab's network", str(e)) from e
        made.pop_all()


def remove(prefix: str = PREFIX) -> None:
    """End everything that runs in the network of that prefix and remove it; also right when there is none, or half of one."""
    with suppress(FileNotFoundError):  # a device that is killed leaves its hop behind
        namespace.remove(namespace.within(namespace_of(prefix, "adc"), hop_namespace))
    for node in NODES:
        namespace.remove(namespace_of(prefix, node))


def _connect(prefix: str) -> None:
    switch = namespace_of(prefix, "switch")
    namespace.within(switch, _make_bridge)
    for leg in SWITCHED:
        # A port of the switch is named after the node that is plugged in.
        namespace.within(namespace_of(prefix, leg.node), partial(_make_cable, leg.device, leg.node, switch))
        namespace.within(switch, partial(_plug_in, leg.node))
    router = namespace_of(prefix, ROUTER_TO_ANALYZER.node)
    analyzer = namespace_of(prefix, ANALYZER_LEG.node)
    namespace.within(analyzer, partial(_make_cable, ANALYZER_LEG.device, ROUTER_TO_ANALYZER.device, router))
    namespace.within(analyzer, _never_refuse)
    namespace.within(router, _forward)
    namespace.within(router, partial(offload.finish_frames, ROUTER_TO_ANALYZER.device))
    for leg in (*SWITCHED, ROUTER_TO_ANALYZER, ANALYZER_LEG):
        namespace.within(namespace_of(prefix, leg.node), partial(_configure, leg))
    for leg in (*SWITCHED, ANALYZER_LEG):
        namespace.within(namespace_of(prefix, leg.node), partial(_route, leg))


def _make_bridge() -> None:
    with IPRoute() as kernel:
        kernel.link("add", ifname=_BRIDGE, kind="bridge")
        kernel.link("set", ifname=_BRIDGE, state="up")


def _make_cable(device: str, peer: str, peer_namespace: str) -> None:
    with IPRoute() as kernel:
        far_end = {"ifname": peer, "net_ns_fd": str(namespace.RUN / peer_namespace)}
        kernel.link("add", ifname=device, kind="veth", peer=far_end)


def _plug_in(port: str) -> None:
    with IPRoute() as kernel:
        (bridge,) = kernel.link_lookup(ifname=_BRIDGE)
        kernel.link("set", ifname=port, master=bridge, state="up")


def _configure(leg: Leg) -> None:
    """Bring a node's device up, as a cloud hands it over, with the address that the node has by itself."""
    with IPRoute() as kernel:
        kernel.link("set", ifname="lo", state="up")
        (device,) = kernel.link_lookup(ifname=leg.device)
        if leg.address is not None:
            kernel.addr("add", index=device, address=str(leg.address.ip), prefixlen=leg.address.network.prefixlen)
        kernel.link("set", index=device, state="up")


def _route(leg: Leg) -> None:
    if leg.gateway is not None:
        with IPRoute() as kernel:
            kernel.route("add", dst="default", gateway=str(leg.gateway))


def _forward() -> None:
    (_SYSCTL / "ip_forward").write_text("1")


def _never_refuse() -> None:
    """Keep the analyzer from answering each copy with ICMP "protocol unreachable" (RFC 792): nobody there listens to GRE.

    One such error in a day is allowed, and none before the first day is over; echo replies are not under this limit.
    """
    (_SYSCTL / "icmp_ratelimit").write_text(str(_A_DAY_MS))
