"""A hundred SSH sessions at once, each pushing objects of its own and reading them back as fast as it is answered.

Printed: how long the logins took, lines a second over all sessions, and how long an answer took, of a configuration line and of
`show`; beside it the same of one session and of ten, so that the machine's own speed can be told from the crowd's. Every answer
is compared with what it must be, and at the end every line must be in force. The daemon keeps the configuration only.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from peers.over_ssh import USER, Device, hsadc, in_own_network, make_key

SESSIONS = 100
OBJECTS = 20
EXEC, CONFIG, BLOCK = "hsadc#", "hsadc(config)#", "hsadc(config-slb-rs)#"


@dataclass
class Measured:
    """Seconds that answers took."""

    lines: list[float] = field(default_factory=list)
    shows: list[float] = field(default_factory=list)


async def ask(process: asyncssh.SSHClientProcess[str], line: str, prompt: str, expected: str, taken: list[float]) -> None:
    """Type a line, and see that the answer is right."""
    begun = time.monotonic()
    process.stdin.write(f"{line}\r")
    answer = await process.stdout.readuntil(f"\n{prompt}")
    taken.append(time.monotonic() - begun)
    if answer != f"{line}\r\n{expected}{prompt}":
        sys.exit(f"{line!r} was answered by {answer!r}")


def block(session: int, number: int) -> list[str]:
    """Lines of one object, as they are rendered."""
    name = f"s{session}-{number}"
    return [f'slb real-server "{name}"', f"  ip 10.{session // 200}.{session % 200}.{number + 1}", "  port 8080", "exit"]


async def session(device: Device, number: int, begin: asyncio.Barrier, measured: Measured) -> None:
    """One administrator's work."""
    options = {"username": USER, "client_keys": [str(device.key)], "known_hosts": None, "config": None, "agent_path": None}
    async with asyncssh.connect("127.0.0.1", device.port, login_timeout=120, **options) as connection:
        process = await connection.create_process(term_type="vt100", term_size=(200, 1000))
        await process.stdout.readuntil(EXEC)
        await begin.wait()
        await ask(process, "configure", CONFIG, "", measured.lines)
        for n in range(OBJECTS):
            lines = block(number, n)
            for line in lines:
                await ask(process, line, CONFIG if line == "exit" else BLOCK, "", measured.lines)
            shown = "".join(f"{line}\r\n" for line in lines)
            await ask(process, f"show running-config {lines[0]}", CONFIG, shown, measured.shows)


async def crowd(device: Device, numbers: Sequence[int]) -> tuple[float, float, Measured]:
    """Sessions at once; seconds until all were logged in, seconds that their work took, and the answers."""
    begin, measured = asyncio.Barrier(len(numbers) + 1), Measured()
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(session(device, number, begin, measured))
        await begin.wait()
        logged_in = time.monotonic()
    return logged_in - begun, time.monotonic() - logged_in, measured


def show(device: Device, numbers: Sequence[int]) -> None:
    """Measure sessions and print a row."""
    login_s, work_s, measured = asyncio.run(crowd(device, numbers))
    in_force = device.ssh(lines="show running-config\n")
    wrong = [name for s in numbers for n in range(OBJECTS) if (name := "\n".join(block(s, n))) not in in_force]
    if wrong:
        sys.exit(f"not in force: {wrong[0]}")
    cells = [f"{login_s:.1f}", f"{(len(measured.lines) + len(measured.shows)) / work_s:,.0f}"]
    for taken in (measured.lines, measured.shows):
        percentiles = statistics.quantiles(taken, n=100)
        cells += [f"{percentiles[49] * 1000:.1f}", f"{percentiles[98] * 1000:.1f}"]
    print(f"{len(numbers):>8}" + "".join(f"{cell:>12}" for cell in cells), flush=True)


def main() -> None:
    """Measure and print."""
    in_own_network()
    with tempfile.TemporaryDirectory(prefix="hsadc-sessions-") as name:
        folder = Path(name)
        with hsadc(folder / "state", make_key(folder), "hsadc", 2201) as device:
            heads = ("login s", "lines/s", "line p50 ms", "p99", "show p50 ms", "p99")
            print("sessions" + "".join(f"{head:>12}" for head in heads))
            for numbers in (range(1), range(1, 11), range(11, 11 + SESSIONS)):
                show(device, numbers)


if __name__ == "__main__":
    main()
