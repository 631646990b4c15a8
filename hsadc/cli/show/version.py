"""`show version`, `show clock`, `show privilege`."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from hsadc import __version__
from hsadc.cli.show.shown import Shown
from hsadc.cli.show.table import Row

if TYPE_CHECKING:
    from hsadc.cli.session import Session

_STARTED = time.monotonic()
_MIRRORS = {"bpf": "BPF mirror", "portable": "mirror without BPF"}


def do_show_version(session: Session) -> Shown:
    """Versions of hsadc and of what it stands on."""
    dataplane = session.device.dataplane
    haproxy = dataplane.haproxy() if dataplane else None
    data = {
        "version": __version__,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "dataplane": dataplane.mirror_path if dataplane else "none",
        "haproxy_version": haproxy.version if haproxy else None,
        "haproxy_restarts": haproxy.restarts if haproxy else None,
        "haproxy_last_error": haproxy.last_error if haproxy else None,
        "uptime_s": int(time.monotonic() - _STARTED),
    }
    return Shown(data, _lines(data))


def _lines(data: Row) -> Iterator[str]:
    yield f"hsadc software ADC, version {data['version']}"
    yield f"Linux {data['kernel']} {data['machine']}, Python {data['python']}"
    if data["dataplane"] == "none":
        yield "Dataplane: none, configurations are kept but not applied"
    else:
        restarts = f", restarted {data['haproxy_restarts']} times" if data["haproxy_restarts"] else ""
        error = f", last error: {data['haproxy_last_error']}" if data["haproxy_last_error"] else ""
        yield f"Dataplane: {_MIRRORS[data['dataplane']]}, HAProxy {data['haproxy_version'] or 'not running'}{restarts}{error}"
    minutes, seconds = divmod(data["uptime_s"], 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    yield f"Uptime is {days} days {hours} hours {minutes} minutes {seconds} seconds"


def do_show_privilege(session: Session) -> Shown:  # noqa: ARG001
    """The one privilege level, in the words that scripts look for."""
    return Shown({"privilege": 15}, ("Current privilege level is 15",))


def do_show_clock(session: Session) -> Shown:  # noqa: ARG001
    """The time of this machine."""
    now = datetime.now().astimezone()
    return Shown({"time": now.isoformat(timespec="seconds")}, (f"{now:%Y-%m-%d %H:%M:%S %Z (UTC%z)}",))
