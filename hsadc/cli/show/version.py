"""`show version`, `show privilege`."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hsadc import __version__

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.haproxy_supervisor import HaproxyState

_STARTED = time.monotonic()


def do_show_version(session: Session) -> Iterable[str]:
    """Versions of hsadc and of what it stands on."""
    yield f"hsadc software ADC, version {__version__}"
    yield f"Linux {platform.release()} {platform.machine()}, Python {platform.python_version()}"
    if (dataplane := session.device.dataplane) is None:
        yield "Dataplane: none, configurations are kept but not applied"
    else:
        haproxy = dataplane.haproxy()
        yield f"Dataplane: BPF mirror, HAProxy {haproxy.version or 'not running'}" + _since(haproxy)
    minutes, seconds = divmod(int(time.monotonic() - _STARTED), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    yield f"Uptime is {days} days {hours} hours {minutes} minutes {seconds} seconds"


def do_show_privilege(session: Session) -> Iterable[str]:  # noqa: ARG001
    """The one privilege level, in the words that scripts look for."""
    return ("Current privilege level is 15",)


def _since(haproxy: HaproxyState) -> str:
    restarts = f", restarted {haproxy.restarts} times" if haproxy.restarts else ""
    return restarts + (f", last error: {haproxy.last_error}" if haproxy.last_error else "")
