"""What the operator calls an object, and how many of a kind there are, for messages."""

from __future__ import annotations

from collections.abc import Mapping

_WORDS: Mapping[str, str] = {
    "admin_user": "admin user",
    "ethernet": "interface",
    "gre_tunnel": "tunnel gre",
    "erspan_tunnel": "tunnel erspan",
    "vxlan_tunnel": "tunnel vxlan",
    "tunnel_interface": "interface",
    "access_list": "access-list",
    "mirror_profile": "mirror-profile",
    "trust_domain": "pki trust-domain",
    "ssl_profile": "ssl-profile",
    "app_profile": "app-profile",
    "monitor": "slb monitor",
    "real_server": "slb real-server",
    "server_pool": "slb server-pool",
    "virtual_server": "slb virtual-server",
}


def title(section: str, name: str) -> str:
    """A section's object as it is typed, such as `slb virtual-server "l7-http"` or `interface tunnel1`."""
    words = _WORDS[section]
    return f"{words} {name}" if words == "interface" else f'{words} "{name}"'


def number_of(number: int, noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
