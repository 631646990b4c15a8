"""`hsadc replay`: what the analyzer would get of a capture file."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsadc.cli.show.table import Columns, Row, table
from hsadc.config.check import checked
from hsadc.config.store import read_text
from hsadc.dataplane.mirror_counters import DROPS
from hsadc.dataplane.portable.core import Intents
from hsadc.errors import ConfigError, WireError
from hsadc.intent.inventory import Device, Inventory
from hsadc.model.config import Config
from hsadc.model.interface import Ethernet
from hsadc.model.title import number_of, title
from hsadc.syntax.grammar import load_grammar

if TYPE_CHECKING:
    from hsadc.dataplane.replay.run import Progress, Replayed

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")
_STATUS_INTERVAL_S = 0.1
_MTU_BYTES = 1500  # of an interface that has none configured


@dataclass(frozen=True, slots=True)
class Options:
    """The command line.

    Attributes:
        config: the configuration file.
        source: the capture file.
        target: the file to be made.
        interface: where the capture was taken; None takes the one whose traffic is mirrored.
        mac: the interface's MAC address; None when it is not given.
        as_json: whether the counters are printed as JSON.
    """

    config: Path
    source: Path
    target: Path
    interface: str | None = None
    mac: str | None = None
    as_json: bool = False


def run_replay(options: Options, write: Callable[[str], None], status: Callable[[str], None] | None = None) -> None:
    """Run the command.

    Args:
        options: the command line.
        write: takes the lines of the result.
        status: takes text for the terminal that goes over the line it wrote before; None without a terminal.

    Raises:
        ConfigError: configuration and options do not go together.
        WireError: the capture file cannot be read to its end.
        HsadcError: anything else that is wrong, such as the disk.
    """
    config = checked(load_grammar(), str(options.config), read_text(options.config))
    intents = intents_of(config)
    mirror(intents, names_of(config, intents), options, write, status)


def mirror(
    intents: Intents, names: Names, options: Options, write: Callable[[str], None], status: Callable[[str], None] | None = None
) -> None:
    """`run_replay` of a configuration that is compiled."""
    if not intents.rules and not intents.port_mirrors:
        raise ConfigError(str(options.config), "no virtual server or interface that is in force has mirror-traffic")
    if options.target.exists() and options.target.samefile(options.source):
        raise ConfigError("-w", f"{options.target} is the capture file itself")
    device, mac = device_of(intents, options.interface), mac_of(options.mac)
    from hsadc.dataplane.replay.run import replay

    bar = ProgressBar(status) if status else None
    try:
        done = replay(intents, device, options.source, options.target, mac=mac, progress=bar.show if bar else lambda _: None)
    finally:
        if bar:
            bar.clear()
    if options.as_json:
        write(json.dumps(as_data(done, names), indent=2))
    else:
        for line in lines(done, names):
            write(line)
    if done.damage is not None:
        raise WireError(done.damage)


def intents_of(config: Config) -> Intents:
    """What the mirror of a configuration does, on a machine that has just the interfaces it names.

    Raises:
        ConfigError: it does not fit that machine: a tunnel's source is an interface without an address, for instance.
    """
    from hsadc.intent.compile import compile_config

    ethernet = {name: replace(config.ethernet.get(name, Ethernet(name)), device=name) for name in named(config)}
    config = replace(config, ethernet=ethernet)
    intent = compile_config(config, inventory_of(config)).intent
    return Intents(intent.tunnels, intent.access_lists, intent.profiles, intent.rules, intent.port_mirrors)


def named(config: Config) -> list[str]:
    """All Ethernet interfaces that a configuration has or names."""
    tunnels = [*config.gre_tunnel.values(), *config.erspan_tunnel.values(), *config.vxlan_tunnel.values()]
    words = [word for tunnel in tunnels for word in (tunnel.source, tunnel.interface)]
    words += [route.next_hop for route in config.routes.values()]
    words += [name for profile in config.mirror_profile.values() for name in profile.destinations]
    return sorted({*config.ethernet, *(word for word in words if isinstance(word, str) and word.startswith("ethernet"))})


def inventory_of(config: Config) -> Inventory:
    """A device for each interface; it has the interface's name."""
    return Inventory(tuple(Device(e.name, e.mtu or _MTU_BYTES, physical=False) for e in config.ethernet.values()))


@dataclass(frozen=True, slots=True)
class Names:
    """What the operator calls sources and profiles, by the numbers that the mirror has for them."""

    sources: Mapping[int, str] = field(default_factory=dict)
    profiles: Mapping[int, str] = field(default_factory=dict)


def names_of(config: Config, intents: Intents) -> Names:
    """The names of a configuration's virtual servers, interfaces and profiles."""
    from hsadc.intent.mirror_profile import profile_numbers

    servers = {server.id: title("virtual_server", server.name) for server in config.virtual_server.values()}
    interfaces = {mirror.id: title("ethernet", mirror.device) for mirror in intents.port_mirrors}
    profiles = {number: title("mirror_profile", name) for name, number in profile_numbers(config).items()}
    return Names(servers | interfaces, profiles)


def device_of(intents: Intents, interface: str | None) -> str:
    """The interface at which the capture was taken.

    Raises:
        ConfigError: it is not given, and several are mirrored.
    """
    mirrored = [mirror.device for mirror in intents.port_mirrors]
    if interface is None and len(mirrored) > 1:
        raise ConfigError("--interface", f"say at which of {', '.join(mirrored)} the packets were captured")
    if interface is not None and not intents.rules and interface not in mirrored:
        raise ConfigError("--interface", f"{interface} is not mirrored, {', '.join(mirrored)} is")
    return interface or next(iter(mirrored), "")


def mac_of(text: str | None) -> bytes | None:
    """The bytes of a MAC address; raises ConfigError when it is none."""
    if text is None:
        return None
    if not _MAC.fullmatch(text):
        raise ConfigError("--mac", f"{text} is no MAC address such as 02:00:00:00:00:01")
    return bytes.fromhex(re.sub("[:-]", "", text))


def as_data(done: Replayed, names: Names) -> dict[str, Any]:
    """What was done, as `--json` prints it; a profile that has no name is that of one tunnel interface."""
    counters = done.counters
    return {
        "packets": done.packets,
        "not_whole": done.snapped,
        "damage": done.damage,
        "sources": [{"source": names.sources.get(key, str(key)), **asdict(c)} for key, c in counters.sources.items()],
        "destinations": [
            {"profile": names.profiles.get(number), "destination": name, **asdict(c), "dropped": c.dropped}
            for (number, name), c in counters.destinations.items()
        ],
    }


def lines(done: Replayed, names: Names) -> Iterator[str]:
    """What was done, for people: sources that had no packet are left out."""
    left_out = f", {done.snapped} of them not captured whole and left out" if done.snapped else ""
    yield f"{number_of(done.packets, 'packet')}{left_out}"
    data = as_data(done, names)
    yield ""
    yield from table(_SOURCES, [row for row in data["sources"] if row["seen"]])
    yield ""
    yield from table(_DESTINATIONS, data["destinations"])


def _remarks(row: Row) -> str:
    return ", ".join(f"{word} {row[word]}" for word in (*DROPS, "truncated", "split", "fragmented") if row[word])


_SOURCES: Columns = {
    "Source": "source",
    "Seen": "seen",
    "Filtered": "filtered",
    "Not sampled": "sampled_out",
    "Loop guard": "loop_guard",
    "Matched": "matched_packets",
    "Bytes": "matched_bytes",
    "Copied": "copied",
}
_DESTINATIONS: Columns = {
    "Profile": "profile",
    "Destination": "destination",
    "Copies": "copies",
    "Not sampled": "sampled_out",
    "Sent": "sent_packets",
    "Bytes": "sent_bytes",
    "Dropped": "dropped",
    "Remarks": _remarks,
}


class ProgressBar:
    """A line on the terminal that tells how far it is; it is written over and over, and away at the end."""

    def __init__(self, status: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._status, self._clock = status, clock
        self._start = self._next = clock()
        self._width = 0

    def show(self, progress: Progress) -> None:
        """Tell, but not more often than an eye can follow."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _STATUS_INTERVAL_S
        percent = 100 * progress.position_bytes // max(progress.size_bytes, 1)
        rate = progress.position_bytes / max(now - self._start, 1e-3) / 1e6
        text = f"{percent:3} %  {rate:,.0f} MB/s  {progress.packets:,} packets"
        self._status("\r" + text.ljust(self._width))
        self._width = len(text)

    def clear(self) -> None:
        """Take the line away."""
        self._status("\r" + " " * self._width + "\r")


def terminal_status() -> Callable[[str], None] | None:
    """What writes to standard error; None unless that is a terminal."""
    stream = sys.stderr
    if stream is None or not stream.isatty():
        return None

    def status(text: str) -> None:
        stream.write(text)
        stream.flush()

    return status
