"""`show tech-support`: what a supporter asks for first, without secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hsadc.cli.show.configuration import do_show_running_config
from hsadc.cli.show.dataplane import do_show_arp, do_show_dataplane, do_show_ipv6_neighbor
from hsadc.cli.show.difference import do_show_difference_startup
from hsadc.cli.show.interface import do_show_interface
from hsadc.cli.show.log import do_show_logging
from hsadc.cli.show.mirror import do_show_mirror_counters
from hsadc.cli.show.mirror_session import do_show_mirror_session
from hsadc.cli.show.online import do_show_admin, do_show_online
from hsadc.cli.show.record import do_show_files, do_show_record, do_show_unconfirmed
from hsadc.cli.show.route import do_show_ip_route
from hsadc.cli.show.shown import Shown
from hsadc.cli.show.slb import do_show_real_server, do_show_server_pool, do_show_virtual_server
from hsadc.cli.show.slb_monitor import do_show_slb_monitor
from hsadc.cli.show.slb_session import do_show_slb_session
from hsadc.cli.show.ssl import do_show_pki_files, do_show_ssl_certificate
from hsadc.cli.show.tunnel import do_show_tunnel_erspan, do_show_tunnel_gre, do_show_tunnel_vxlan
from hsadc.cli.show.version import do_show_clock, do_show_version
from hsadc.errors import HsadcError

if TYPE_CHECKING:
    from hsadc.cli.session import Session

PARTS: Mapping[str, Callable[[Session], Shown]] = {
    "clock": do_show_clock,
    "version": do_show_version,
    "dataplane": do_show_dataplane,
    "online": do_show_online,
    "admin": do_show_admin,
    "interface": do_show_interface,
    "ip route": do_show_ip_route,
    "arp": do_show_arp,
    "ipv6 neighbor": do_show_ipv6_neighbor,
    "tunnel gre": do_show_tunnel_gre,
    "slb virtual-server": do_show_virtual_server,
    "slb server-pool": do_show_server_pool,
    "slb real-server": do_show_real_server,
    "slb monitor": do_show_slb_monitor,
    "slb session": do_show_slb_session,
    "tunnel erspan": do_show_tunnel_erspan,
    "tunnel vxlan": do_show_tunnel_vxlan,
    "ssl certificate": do_show_ssl_certificate,
    "pki files": do_show_pki_files,
    "mirror session": do_show_mirror_session,
    "mirror counters": do_show_mirror_counters,
    "running-config": do_show_running_config,
    "configuration difference": do_show_difference_startup,
    "configuration record": do_show_record,
    "configuration unconfirmed": do_show_unconfirmed,
    "files": do_show_files,
    "logging": do_show_logging,
}
"""The show commands that it is made of."""

_HASH = re.compile(r"\$scrypt\$[^\s\"]*")
_MASK = "<hash removed>"


def do_show_tech_support(session: Session) -> Shown:
    """All of these in a row; a part that fails says so and ends nothing. Password hashes are left out."""
    data: dict[str, Any] = {}
    lines: list[str] = []
    for name, show in PARTS.items():
        lines += ["", f"------------------ show {name} ------------------", ""]
        try:
            shown = show(session)
            lines += (_HASH.sub(_MASK, line) for line in shown.lines)
            data[name.replace(" ", "_").replace("-", "_")] = _masked(shown.data)
        except HsadcError as e:
            lines.append(f"% Error: {e}")
    return Shown(data, lines[1:])


def _masked(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _masked(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_masked(value) for value in data]
    return _HASH.sub(_MASK, data) if isinstance(data, str) else data
