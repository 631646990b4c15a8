"""Configurations with hostile names, for property tests."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import fields
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, IPv6Network

from hypothesis import strategies as st

from hsadc.model.access_list import AccessEntry, AccessList, PortRange
from hsadc.model.admin_user import AdminUser
from hsadc.model.app_profile import AppProfile
from hsadc.model.config import Config
from hsadc.model.interface import Ethernet, PortMirror, TunnelBinding, TunnelInterface
from hsadc.model.mirror_profile import MirrorProfile, MirrorTarget, RateLimit, Sampling
from hsadc.model.real_server import RealServer
from hsadc.model.route import Route
from hsadc.model.server_pool import PoolMember, ServerPool
from hsadc.model.tunnel import ErspanTunnel, GreTunnel, VxlanTunnel
from hsadc.model.virtual_server import Listener, VirtualServer

forbidden = "".join(map(chr, range(32))) + "".join(map(chr, range(0x7F, 0xA0))) + "\u2028\u2029\ufffd"
texts = st.text(st.characters(exclude_characters=forbidden, exclude_categories=["Cs"]), min_size=1, max_size=63)
names = st.sampled_from(["no", "exit", '"', "\\", 'a"b', " ", "中文", "x y", "!", "?", "|", "gre", "1.2.3.4", "<cr>"]) | texts
addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
prefixes = st.builds(lambda a, n: IPv4Interface(f"{a}/{n}"), addresses, st.integers(1, 32))
networks = st.builds(lambda a, n: IPv4Interface(f"{a}/{n}").network, addresses, st.integers(0, 32))
addresses6 = st.integers(0, 2**128 - 1).map(IPv6Address)
prefixes6 = st.builds(lambda a, n: IPv6Interface((a, n)), addresses6, st.integers(1, 128))
networks6 = st.builds(lambda a, n: IPv6Network((a, n), strict=False), addresses6, st.integers(0, 128))
ports = st.integers(1, 65535)
ethernets = st.builds(lambda s, p: f"ethernet{s}/{p}", st.integers(0, 9), st.integers(0, 127))
tunnels = st.integers(1, 65535).map(lambda n: f"tunnel{n}")
hostnames = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
lines = texts.map(str.strip).filter(bool)
notes = st.none() | lines
hashes = st.builds(
    lambda salt, digest: (
        f"$scrypt$ln=14,r=8,p=1${salt.decode()}${digest.decode()}".replace("=$", "$").replace("=$", "$").rstrip("=")
    ),
    st.binary(min_size=1, max_size=20).map(b64encode),
    st.binary(min_size=16, max_size=40).map(b64encode),
)


def public_key(kind, key, comment):
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (kind.encode(), key))
    return f"{kind} {b64encode(blob).decode()} {comment}".strip()


public_keys = st.builds(public_key, st.sampled_from(["ssh-ed25519", "ssh-rsa"]), st.binary(max_size=40), lines)


def maybe(strategy):
    return st.none() | strategy


def keyed(strategy, key=lambda o: o.key):
    return st.lists(strategy, max_size=3).map(lambda found: {key(o): o for o in found})


def section(strategy):
    return keyed(strategy, lambda o: o.name)


def common(ips):
    """The settings that all kinds of tunnels have."""
    return {
        "description": notes,
        "source": maybe(ethernets | ips),
        "destination": maybe(ips),
        "interface": maybe(ethernets),
        "ttl": st.integers(1, 255),
        "dscp": st.integers(0, 63),
        "dont_fragment": st.booleans(),
        "mtu": maybe(st.integers(576, 9216)),
        "oversize": st.sampled_from(["segment", "fragment", "truncate", "drop"]),
        "receiver": st.sampled_from(["suricata", "zeek", "snort3", "arkime", "tshark", "generic"]),
    }


def target(cls, **others):
    """What something is mirrored to."""
    return st.builds(cls, st.just("interface"), tunnels, **others) | st.builds(cls, st.just("profile"), names, **others)


tunnel_settings = common(addresses | addresses6)
directions = st.sampled_from(["forward", "backward", "bidirection"])
port_ranges = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(lambda p: PortRange(*sorted(p)))
port_ranges |= st.integers(0, 65535).map(lambda p: PortRange(p, p))
entries = st.builds(
    AccessEntry,
    st.sampled_from(["permit", "deny"]),
    st.sampled_from(["ip", "tcp", "udp", "icmp"]) | st.integers(0, 255),
    *[maybe(networks | networks6), maybe(port_ranges)] * 2,
)
destinations = st.lists(tunnels | ethernets, unique=True, max_size=8).map(lambda found: {d: d for d in found})

configs = st.builds(
    Config,
    hostname=hostnames,
    admin_user=section(st.builds(AdminUser, names, maybe(hashes), keyed(public_keys, lambda k: k))),
    ethernet=section(
        st.builds(
            Ethernet,
            ethernets,
            maybe(names),
            notes,
            maybe(prefixes),
            keyed(prefixes, lambda p: p),
            keyed(prefixes6, lambda p: p),
            maybe(st.integers(576, 9216)),
            maybe(target(PortMirror, access_list=maybe(names), direction=directions)),
            st.booleans(),
        )
    ),
    gre_tunnel=section(
        st.builds(
            GreTunnel,
            names,
            **tunnel_settings,
            payload=st.sampled_from(["ip", "ethernet"]),
            key=maybe(st.integers(0, 2**32 - 1)),
            sequence=st.booleans(),
            checksum=st.booleans(),
        )
    ),
    erspan_tunnel=section(
        st.builds(ErspanTunnel, names, **tunnel_settings, version=st.integers(1, 3), session_id=st.integers(0, 1023))
    ),
    vxlan_tunnel=section(
        st.builds(VxlanTunnel, names, **tunnel_settings, vni=maybe(st.integers(0, 2**24 - 1)), port=st.integers(1, 65535))
    ),
    tunnel_interface=section(
        st.builds(
            TunnelInterface,
            tunnels,
            notes,
            maybe(st.builds(TunnelBinding, st.sampled_from(["gre", "erspan", "vxlan"]), names)),
            st.booleans(),
        )
    ),
    routes=keyed(st.builds(Route, networks, addresses | ethernets, st.integers(1, 255))),
    access_list=section(st.builds(AccessList, names, notes, keyed(entries))),
    mirror_profile=section(
        st.builds(
            MirrorProfile,
            names,
            notes,
            destinations,
            directions,
            st.sampled_from(["replicate", "flow-hash", "failover"]),
            maybe(st.builds(Sampling, st.sampled_from(["packet", "flow"]), st.integers(2, 10**6))),
            maybe(st.integers(64, 9216)),
            maybe(st.builds(RateLimit, st.integers(1, 10**7), st.sampled_from(["pps", "mbps"]))),
            maybe(names),
        )
    ),
    app_profile=section(st.builds(AppProfile, names, st.just("http"), notes, st.booleans())),
    real_server=section(st.builds(RealServer, names, notes, maybe(addresses), maybe(ports), st.integers(1, 255))),
    server_pool=section(
        st.builds(
            ServerPool,
            names,
            notes,
            st.sampled_from(["round-robin", "least-connection", "source-hash"]),
            keyed(st.builds(PoolMember, names, maybe(ports), maybe(st.integers(1, 255)))),
        )
    ),
    virtual_server=section(
        st.builds(
            VirtualServer,
            names,
            st.sampled_from(["http", "tcp"]),
            ports,
            notes,
            st.booleans(),
            maybe(names),
            maybe(names),
            st.booleans(),
            maybe(st.builds(Listener, addresses, ports)),
            maybe(target(MirrorTarget)),
            st.booleans(),
        )
    ),
)

assert len(fields(Config)) == 14, "a new section needs a strategy"
