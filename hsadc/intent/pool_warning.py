"""What the operator should know of virtual servers and their pools: what cannot work on this network, and what is ignored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from hsadc.intent.inventory import Inventory
from hsadc.intent.ports import Ports
from hsadc.intent.refusal import Refusal
from hsadc.model.config import Config
from hsadc.model.pools import pools_of
from hsadc.model.server_pool import ServerPool
from hsadc.model.title import title
from hsadc.model.virtual_server import VirtualServer

_SHOWN = 5


def check_pages(config: Config, inventory: Inventory, served: Iterable[VirtualServer]) -> Iterator[Refusal]:
    """The pages of the pools in use that are not there, or cannot be used; clients are shown an empty one then."""
    for pool in _pools(config, served):
        page = pool.sorry_page
        if page is not None and page not in inventory.pages:
            missing = "is not among this device's files, or no text: show files has them, upload it first"
            problem = inventory.page_problems.get(page)
            why = missing if problem is None else f"cannot be used: {problem}"
            yield Refusal((pool.name, page), title("server_pool", pool.name), f'its sorry-page "{page}" {why}')


def server_warnings(config: Config, ports: Ports, served: Iterable[VirtualServer]) -> Iterator[str]:
    """A line for each thing."""
    served = tuple(served)
    for server in served:
        if not server.auto_snat:
            yield from _answers(config, ports, server)
    for pool in _pools(config, served):
        yield from _weights(config, pool)
        yield from _too_few(pool)


def _answers(config: Config, ports: Ports, server: VirtualServer) -> Iterator[str]:
    """Real servers see the clients' addresses, and must send their answers to this device."""
    assert server.ip is not None  # noqa: S101 it is in force
    own, path = server.ip.address, f"{title('virtual_server', server.name)}: without auto-snat"
    members = {m for pool in _pools(config, [server]) for m in pool.members}
    addresses = sorted({ip for m in members if (ip := config.real_server[m].ip) is not None and ip.version == own.version})
    networks = [a.network for p in ports if not p.ethernet.shutdown for a in p.all_addresses]
    near = [a for a in addresses if any(a in n and own in n for n in networks)]
    if near:
        yield f"{path} clients in the network of {own} get no answers from {_all(near)}, in that network too"
    if addresses:
        yield f"{path} {_all(addresses)} must have this device as their gateway, or the way to the clients"


def _all(addresses: list[Any]) -> str:
    """Some of them and how many more."""
    shown, more = addresses[:_SHOWN], len(addresses) - _SHOWN
    return ", ".join(map(str, shown)) + (f" and {more} more" if more > 0 else "")


def _weights(config: Config, pool: ServerPool) -> Iterator[str]:
    weights = {m.weight or config.real_server[m.real_server].weight for m in pool.members.values()}
    if pool.load_balance == "round-robin" and len(weights) > 1:
        yield f"{title('server_pool', pool.name)}: round-robin does not look at weights, weighted-round-robin does"


def _too_few(pool: ServerPool) -> Iterator[str]:
    """Pools that are out of work although all their servers work."""
    most = max(Counter(m.priority for m in pool.members.values()).values(), default=0)
    if 0 < most < pool.minimum_working_servers:
        why = f"no priority has the {pool.minimum_working_servers} real servers that must work (minimum-working-servers)"
        yield f"{title('server_pool', pool.name)}: it never serves, {why}"


def _pools(config: Config, served: Iterable[VirtualServer]) -> list[ServerPool]:
    """The pools in use, each once."""
    return list({pool.name: pool for server in served for pool in pools_of(config, server)}.values())
