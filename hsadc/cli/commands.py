"""The exec commands: for each exec rule of the grammar one function `do_<rule>`, found by its name.

A function gets the session and the rule's arguments, and returns the lines to print; one that shows something returns
`Shown`, which has the same for programs, one whose answer goes on `Live`, and one that needs a secret `Ask`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from hsadc.cli import capture, configuration, do, pki, probe, trial
from hsadc.cli.ask import Ask
from hsadc.cli.live import Live
from hsadc.cli.show import configuration as show_configuration
from hsadc.cli.show import (
    dataplane,
    difference,
    interface,
    log,
    mirror,
    mirror_session,
    online,
    record,
    route,
    section,
    slb,
    slb_monitor,
    slb_session,
    ssl,
    tech_support,
    tunnel,
    version,
)
from hsadc.cli.show.shown import Shown

_MODULES: tuple[ModuleType, ...] = (
    do,
    probe,
    trial,
    capture,
    configuration,
    pki,
    show_configuration,
    dataplane,
    difference,
    interface,
    log,
    mirror,
    mirror_session,
    online,
    record,
    route,
    section,
    slb,
    slb_monitor,
    slb_session,
    ssl,
    tech_support,
    tunnel,
    version,
)


def _collect() -> Mapping[str, Callable[..., Iterable[str] | Shown | Live | Ask]]:
    found: dict[str, Any] = {}
    for module in _MODULES:
        own = {n: f for n, f in vars(module).items() if n.startswith("do_") and f.__module__ == module.__name__}
        found |= {n.removeprefix("do_"): f for n, f in own.items()}
    return found


COMMANDS = _collect()
