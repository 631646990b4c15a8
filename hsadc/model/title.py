"""What the operator calls an object, for messages."""

from __future__ import annotations

from collections.abc import Mapping

_WORDS: Mapping[str, str] = {
    "admin_user": "admin user",
    "ethernet": "interface",
    "gre_tunnel": "tunnel gre",
    "tunnel_interface": "interface",
    "app_profile": "app-profile",
    "real_server": "slb real-server",
    "server_pool": "slb server-pool",
    "virtual_server": "slb virtual-server",
}


def title(section: str, name: str) -> str:
    """A section's object as it is typed, such as `slb virtual-server "l7-http"` or `interface tunnel1`."""
    words = _WORDS[section]
    return f"{words} {name}" if words == "interface" else f'{words} "{name}"'
