"""Configurations with hostile names, for property tests."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import fields
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, IPv6Network

from hypothesis import strategies as st

from hsadc.model.access_list import AccessEntry, AccessList, PortRange
from hsadc.model.admin_user import AdminUser
from hsadc.model.app_profile import AppProfile, HeaderEdit, Timeout
from hsadc.model.config import Config
from hsadc.model.interface import Ethernet, PortMirror, TunnelBinding, TunnelInterface
from hsadc.model.mirror_profile import MirrorProfile, RateLimit, Sampling
from hsadc.model.monitor import Monitor
from hsadc.model.real_server import RealServer
from hsadc.model.route import Route
from hsadc.model.server_pool import Persistence, PoolMember, ServerPool
from hsadc.model.ssl_profile import SslProfile
from hsadc.model.trust_domain import TrustDomain
from hsadc.model.tunnel import ErspanTunnel, GreTunnel, VxlanTunnel
from hsadc.model.virtual_server import ContentRule, Listener, ServerMirror, VirtualServer

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

limits = maybe(st.integers(1, 10**6))
headers = st.from_regex(r"[A-Za-z0-9!$&*+.^_|~-]{1,63}", fullmatch=True)
hosts = st.from_regex(r"[A-Za-z0-9_-]{1,20}(\.[A-Za-z0-9_-]{1,20}){0,2}", fullmatch=True)
paths = st.from_regex(r"/[!#-~]{0,20}", fullmatch=True)
edits = st.builds(
    HeaderEdit, st.sampled_from(["request", "response"]), st.sampled_from(["insert", "replace", "remove"]), headers, maybe(lines)
)
timeouts = st.builds(
    Timeout,
    st.sampled_from(["connect", "client", "server", "http-request", "keepalive", "queue"]),
    st.integers(1, 86400),
)
versions = st.sampled_from(["tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3"])
ciphers = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9:+!@=_.-]{0,30}", fullmatch=True)
rules = st.integers(1, 65535).flatmap(
    lambda n: (
        st.builds(ContentRule, st.just(n), maybe(hosts | hosts.map("*.{}".format)), maybe(paths), server_pool=names)
        | st.builds(ContentRule, st.just(n), maybe(hosts), maybe(paths), headers, names, names)
    )
)
monitors = st.builds(
    Monitor,
    names,
    st.sampled_from(["icmp", "tcp", "http", "https", "udp"]),
    notes,
    st.integers(1, 3600),
    st.integers(1, 3600),
    st.integers(1, 100),
    st.integers(1, 100),
    maybe(ports),
    paths,
    maybe(hosts),
    maybe(st.integers(100, 599)),
    maybe(st.binary(min_size=1, max_size=9).map(bytes.hex)),
    st.booleans(),
)

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
    trust_domain=section(st.builds(TrustDomain, names, notes, notes, notes, notes)),
    ssl_profile=section(
        st.builds(
            SslProfile,
            names,
            notes,
            keyed(names, lambda n: n),
            versions,
            maybe(versions),
            maybe(ciphers),
            maybe(ciphers),
            st.sampled_from(["none", "optional", "require"]),
            st.booleans(),
            maybe(hosts),
        )
    ),
    app_profile=section(
        st.builds(
            AppProfile,
            names,
            st.just("http"),
            notes,
            st.booleans(),
            st.booleans(),
            st.booleans(),
            maybe(st.integers(0, 2**32 - 1)),
            keyed(edits),
            keyed(timeouts),
        )
    ),
    monitor=section(monitors),
    real_server=section(
        st.builds(
            RealServer,
            names,
            notes,
            maybe(addresses | addresses6),
            maybe(ports),
            st.integers(1, 255),
            limits,
            st.sampled_from(["enable", "drain", "disable"]),
            maybe(names),
        )
    ),
    server_pool=section(
        st.builds(
            ServerPool,
            names,
            notes,
            st.sampled_from(["weighted-round-robin", "round-robin", "least-connection", "source-hash", "uri-hash", "random"]),
            keyed(st.builds(PoolMember, names, maybe(ports), maybe(st.integers(1, 255)), st.integers(1, 100))),
            maybe(names),
            maybe(st.builds(Persistence, st.sampled_from(["source-ip", "cookie"]), st.integers(1, 1440), headers)),
            maybe(st.integers(1, 3600)),
            st.integers(1, 256),
            maybe(names),
            maybe(names),
        )
    ),
    virtual_server=section(
        st.builds(
            VirtualServer,
            names,
            st.sampled_from(["tcp", "udp", "http", "https", "ssl"]),
            ports,
            notes,
            st.booleans(),
            *[maybe(names)] * 4,
            keyed(rules),
            st.booleans(),
            st.booleans(),
            maybe(st.builds(Listener, addresses | addresses6, ports)),
            *[limits] * 4,
            maybe(
                target(
                    ServerMirror,
                    port=maybe(ports),
                    view=st.sampled_from(["decrypted", "encrypted"]),
                    http2=maybe(st.sampled_from(["raw", "normalise"])),
                )
            ),
            st.booleans(),
        )
    ),
)

assert len(fields(Config)) == 17, "a new section needs a strategy"
