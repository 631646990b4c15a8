"""How fast 1,000 configuration lines are pushed over SSH, to hsadc and to FRR's vtysh, by the same clients in the same run.

Clients: netmiko's send_config_set, scrapli's send_inputs, both with their drivers for Cisco IOS, and OpenSSH without a terminal.
Logging in is part of the time. Every push is checked: each line must stand in the running-config afterwards.

- objects: on FRR neighbours of its BGP daemon, whose lines cost it least; on hsadc real servers and virtual servers, also while
  there are 5,000 of each already.
- routes: the same 300 lines on both; fewer, because FRR gets slower with each. Kept only means that nothing is done
  with them (FRR without zebra, hsadc without a dataplane).

Needs root, for a network namespace.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from netmiko import ConnectHandler
from peers.over_ssh import NEXT_HOP, USER, Device, frr, frr_is_here, hsadc, in_own_network, make_key
from scrapli import AuthOptions, Cli
from scrapli.transport import Ssh2Options

LINES = 1000
ROUTES = 300
LOADED = 5000
OBJECTS = f"{LINES:,} lines of objects"
KEPT = f"{ROUTES} routes, kept only"
IN_KERNEL = f"{ROUTES} routes in the kernel"

Push = Callable[[Device, Sequence[str]], None]


def by_netmiko(device: Device, lines: Sequence[str]) -> None:
    """As its users do: the echo of each line is awaited."""
    login = {"host": "127.0.0.1", "port": device.port, "username": USER, "use_keys": True, "key_file": str(device.key)}
    with ConnectHandler(device_type="cisco_ios", **login) as connection:
        connection.send_config_set(lines, read_timeout=600)


def by_scrapli(device: Device, lines: Sequence[str]) -> None:
    """As its users do: prompt after each line."""
    login = AuthOptions(username=USER, private_key_path=str(device.key))
    options = {"definition_file_or_name": "cisco_iosxe", "auth_options": login, "transport_options": Ssh2Options()}
    with Cli("127.0.0.1", port=device.port, **options) as connection:
        result = connection.send_inputs(inputs=list(lines), requested_mode="configuration", operation_timeout_ns=600 * 10**9)
        if result.failed:
            sys.exit(result.result)


def by_ssh(device: Device, lines: Sequence[str]) -> None:
    """`ssh host < file`."""
    device.ssh(lines="\n".join(["configure terminal", *lines, "end", "exit", ""]))


CLIENTS: dict[str, Push] = {"netmiko": by_netmiko, "scrapli": by_scrapli, "ssh < file": by_ssh}


def routes(net: int) -> list[str]:
    """Lines that mean the same to both."""
    return [f"ip route 10.{net}.{n // 250}.{n % 250 + 1}/32 {NEXT_HOP}" for n in range(ROUTES)]


def neighbours(net: int) -> list[str]:
    """Three lines for each neighbour."""
    addresses = [f"10.{net}.{n // 250}.{n % 250 + 1}" for n in range(LINES // 3)]
    settings = ("remote-as 65001", "description a peer", "passive")
    return ["router bgp 65000", *(f" neighbor {address} {setting}" for address in addresses for setting in settings)]


def servers(first: int, count: int = LINES // 5) -> list[str]:
    """Five lines for each real server and its virtual server."""
    return [line for n in range(first, first + count) for line in _server(n)]


def _server(n: int) -> tuple[str, ...]:
    address = f"10.{100 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}"
    head = f'slb virtual-server "v{n}" type http id {n + 1}'
    return (f'slb real-server "r{n}"', f"  ip {address}", head, "  auto-snat", f"  ip 192.0.2.1 port {n + 1000}")


def measure(device: Device, push: Push, lines: Sequence[str]) -> float:
    """Lines a second, once it is certain that each took effect."""
    begun = time.monotonic()
    push(device, lines)
    taken = time.monotonic() - begun
    shown = set(device.ssh(lines="show running-config\n").replace("\r", "").splitlines())
    missing = [line for line in lines if line not in shown]
    if missing:
        sys.exit(f"{device.name}: {len(missing)} lines are not in force, the first is {missing[0]!r}")
    return len(lines) / taken


class Table:
    """Rows of lines a second for each client, and how many times those of FRR with the same lines, where it has such a row."""

    def __init__(self) -> None:
        self._frr: dict[str, dict[str, float]] = {}
        self._print("lines/s", CLIENTS)

    def row(self, what: str, device: Device, lines: Callable[[int], list[str]], more: str = "") -> None:
        """Measure each client with lines of its own, and print."""
        rates = {client: measure(device, push, lines(n)) for n, (client, push) in enumerate(CLIENTS.items())}
        if device.name == "FRR":
            self._frr[what] = rates
        peer = self._frr.get(what)
        cells = (f"{rate:,.0f}" + (f" ({rate / peer[client]:.1f}x)" if peer else "") for client, rate in rates.items())
        self._print(f"{device.name}: {what}{more}", cells)

    def _print(self, name: str, cells: Iterable[str]) -> None:
        print(f"{name:52}" + "".join(f"{cell:>17}" for cell in cells), flush=True)


def measure_frr(table: Table, folder: Path, key: Path) -> None:
    """Its rows, or why there are none."""
    if not frr_is_here():
        print("FRR or OpenSSH's server is not installed (apt-get install frr openssh-server): no comparison")
        return
    rows = (OBJECTS, ["bgpd"], neighbours), (KEPT, ["staticd"], routes), (IN_KERNEL, ["zebra", "staticd"], routes)
    for what, daemons, lines in rows:
        with frr(folder / "-".join(daemons), key, "FRR", 2201, daemons) as device:
            table.row(what, device, lines)


def measure_hsadc(table: Table, folder: Path, key: Path) -> None:
    """Its rows."""
    step = LINES // 5
    with hsadc(folder / "kept", key, "hsadc", 2202) as device:
        table.row(OBJECTS, device, lambda n: servers(n * step))
        table.row(KEPT, device, routes)
        by_ssh(device, servers(3 * step, LOADED - 3 * step))
        table.row(OBJECTS, device, lambda n: servers(LOADED + n * step), f" while there are {LOADED:,}")
    with hsadc(folder / "in-force", key, "hsadc", 2203, "auto") as device:
        table.row(IN_KERNEL, device, routes)


def main() -> None:
    """Measure and print."""
    in_own_network()
    with tempfile.TemporaryDirectory(prefix="hsadc-push-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # FRR's daemons are another user
        key = make_key(folder)
        table = Table()
        measure_frr(table, folder, key)
        measure_hsadc(table, folder, key)


if __name__ == "__main__":
    main()
