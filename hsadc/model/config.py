"""The whole running-config, its sections in the order in which they depend on each other and are rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from hsadc.model.access_list import AccessList
from hsadc.model.admin_user import AdminUser
from hsadc.model.app_profile import AppProfile
from hsadc.model.interface import Ethernet, TunnelInterface
from hsadc.model.mirror_profile import MirrorProfile
from hsadc.model.monitor import Monitor
from hsadc.model.real_server import RealServer
from hsadc.model.route import Route
from hsadc.model.server_pool import ServerPool
from hsadc.model.ssl_profile import SslProfile
from hsadc.model.trust_domain import TrustDomain
from hsadc.model.tunnel import ErspanTunnel, GreTunnel, VxlanTunnel
from hsadc.model.virtual_server import VirtualServer


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration. Its mappings are never changed in place: an editor copies the one it changes."""

    hostname: str = "hsadc"
    admin_user: Mapping[str, AdminUser] = field(default_factory=dict)
    ethernet: Mapping[str, Ethernet] = field(default_factory=dict)
    gre_tunnel: Mapping[str, GreTunnel] = field(default_factory=dict)
    erspan_tunnel: Mapping[str, ErspanTunnel] = field(default_factory=dict)
    vxlan_tunnel: Mapping[str, VxlanTunnel] = field(default_factory=dict)
    tunnel_interface: Mapping[str, TunnelInterface] = field(default_factory=dict)
    routes: Mapping[tuple[IPv4Network, IPv4Address | str], Route] = field(default_factory=dict)
    access_list: Mapping[str, AccessList] = field(default_factory=dict)
    mirror_profile: Mapping[str, MirrorProfile] = field(default_factory=dict)
    trust_domain: Mapping[str, TrustDomain] = field(default_factory=dict)
    ssl_profile: Mapping[str, SslProfile] = field(default_factory=dict)
    app_profile: Mapping[str, AppProfile] = field(default_factory=dict)
    monitor: Mapping[str, Monitor] = field(default_factory=dict)
    real_server: Mapping[str, RealServer] = field(default_factory=dict)
    server_pool: Mapping[str, ServerPool] = field(default_factory=dict)
    virtual_server: Mapping[str, VirtualServer] = field(default_factory=dict)


SECTIONS: Mapping[str, type] = {
    "admin_user": AdminUser,
    "ethernet": Ethernet,
    "gre_tunnel": GreTunnel,
    "erspan_tunnel": ErspanTunnel,
    "vxlan_tunnel": VxlanTunnel,
    "tunnel_interface": TunnelInterface,
    "access_list": AccessList,
    "mirror_profile": MirrorProfile,
    "trust_domain": TrustDomain,
    "ssl_profile": SslProfile,
    "app_profile": AppProfile,
    "monitor": Monitor,
    "real_server": RealServer,
    "server_pool": ServerPool,
    "virtual_server": VirtualServer,
}
"""The sections that are blocks (`head ... exit`): the field of Config that holds them and the class of one."""

ORDERED = frozenset({"access_list", "mirror_profile", "ssl_profile"})
"""The sections in whose blocks the order of entries counts: of two with the same entries in another order, one is changed."""
