"""What a configuration must satisfy whatever the machine: references, and settings that contradict each other.

A module for each stem. A check gets a change and finds what is wrong with what has changed, and with what depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hsadc.config.change import Change
from hsadc.config.validate.access_list import access_lists
from hsadc.config.validate.app_profile import edits
from hsadc.config.validate.found import Found
from hsadc.config.validate.interface import addresses
from hsadc.config.validate.loop import loops
from hsadc.config.validate.mirror_profile import mirrored, port_mirrors, profiles
from hsadc.config.validate.monitor import monitors
from hsadc.config.validate.real_server import real_servers
from hsadc.config.validate.reference import references
from hsadc.config.validate.route import routes
from hsadc.config.validate.server_pool import pools, pools_fit
from hsadc.config.validate.ssl_profile import versions
from hsadc.config.validate.tunnel import bindings, tunnels
from hsadc.config.validate.virtual_server import servers, servers_told_apart

__all__ = ["Found", "validate"]

_CHECKS: tuple[Callable[[Change], Iterator[Found]], ...] = (
    references,
    addresses,
    routes,
    tunnels,
    bindings,
    access_lists,
    profiles,
    mirrored,
    port_mirrors,
    versions,
    edits,
    monitors,
    pools,
    servers_told_apart,
    servers,
    pools_fit,
    real_servers,
    loops,
)


def validate(change: Change) -> list[Found]:
    """All that is wrong with a configuration after a change.

    In the one before nothing is wrong: what has not changed since is not looked at again, and what a deletion breaks is told as
    such. To look at all of a configuration, let it come from an empty one.
    """
    return [found for check in _CHECKS for found in check(change)]
