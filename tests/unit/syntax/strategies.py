"""Configurations with hostile names, for property tests."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import fields
from ipaddress import IPv4Address, IPv4Interface

from hypothesis import strategies as st

from hsadc.model.admin_user import AdminUser
from hsadc.model.app_profile import AppProfile
from hsadc.model.config import Config
from hsadc.model.interface import Ethernet, TunnelInterface
from hsadc.model.real_server import RealServer
from hsadc.model.route import Route
from hsadc.model.server_pool import PoolMember, ServerPool
from hsadc.model.tunnel import GreTunnel
from hsadc.model.virtual_server import Listener, VirtualServer

forbidden = "".join(map(chr, range(32))) + "".join(map(chr, range(0x7F, 0xA0))) + "\u2028\u2029\ufffd"
texts = st.text(st.characters(exclude_characters=forbidden, exclude_categories=["Cs"]), min_size=1, max_size=63)
names = st.sampled_from(["no", "exit", '"', "\\", 'a"b', " ", "中文", "x y", "!", "?", "|", "gre", "1.2.3.4", "<cr>"]) | texts
addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
prefixes = st.builds(lambda a, n: IPv4Interface(f"{a}/{n}"), addresses, st.integers(1, 32))
networks = st.builds(lambda a, n: IPv4Interface(f"{a}/{n}").network, addresses, st.integers(0, 32))
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
            maybe(st.integers(576, 9216)),
            st.booleans(),
        )
    ),
    gre_tunnel=section(
        st.builds(
            GreTunnel,
            names,
            notes,
            maybe(ethernets | addresses),
            maybe(addresses),
            maybe(ethernets),
            maybe(st.integers(0, 2**32 - 1)),
        )
    ),
    tunnel_interface=section(st.builds(TunnelInterface, tunnels, notes, maybe(names), st.booleans())),
    routes=keyed(st.builds(Route, networks, addresses | ethernets, st.integers(1, 255))),
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
            maybe(tunnels),
            st.booleans(),
        )
    ),
)

assert len(fields(Config)) == 10, "a new section needs a strategy"
