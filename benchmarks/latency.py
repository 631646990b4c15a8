"""How long people wait: for the program to start, for the first prompt, for each key.

    python benchmarks/latency.py

Starts are the median of some, as ratios to `python -c pass` of the same interpreter and to `vtysh -c exit`, which attaches to a
`staticd` of FRR that is started here with a socket folder of its own (it touches no route). The prompt is waited for on a
pseudo-terminal, where `hsadc` attaches to a `daemon --dataplane none`. Keys are typed at the session of a device with 5,000
virtual servers, character by character; the terminals' own work is not in it.
"""

from __future__ import annotations

import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from load import configuration

RUNS = 15
SAMPLE = Path(__file__).parents[1] / "samples" / "article.cfg"
STATICD = "/usr/lib/frr/staticd"
LINES = (
    "show slb virtual-server vs-4321",
    'show running-config slb virtual-server "vs-17"',
    "show mirror counters | include vs-1",
    'slb server-pool "pool-3123"',
    "no slb real-server rs-1234",
    "ip route 10.20.0.0/16 10.0.0.254 distance 20",
    'tunnel gre "analyzer"',
)


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder, daemon(Path(folder) / "state") as state, frr(Path(folder) / "frr") as vty:
        starts: dict[str, list[float] | str] = {
            "python -c pass": command(sys.executable, "-c", "pass"),
            "vtysh -c exit": command("vtysh", "--vty_socket", vty, "-c", "exit") if vty else "FRR is not installed",
            "hsadc --version": command(sys.executable, "-m", "hsadc", "--version"),
            f"hsadc check {SAMPLE.name}": command(sys.executable, "-m", "hsadc", "check", str(SAMPLE)),
            "hsadc, to its first prompt": [until_prompt(state) for _ in range(RUNS)],
        }
    print(f"{'start':32} {'ms':>7} {'more than python':>17} {'x python':>9} {'x vtysh':>8}")
    python, vtysh = starts["python -c pass"], starts["vtysh -c exit"]
    for name, times in starts.items():
        if isinstance(times, str):
            print(f"{name:32} {times}")
            continue
        ms = statistics.median(times) * 1e3
        bare = statistics.median(python) * 1e3
        ratio = "" if isinstance(vtysh, str) else f"{ms / statistics.median(vtysh) / 1e3:8.1f}"
        print(f"{name:32} {ms:7.1f} {ms - bare:14.1f} ms {ms / bare:9.1f} {ratio:>8}")
    print(f"\n{'key':32} {'median ms':>9} {'p99 ms':>7} {'keys':>6}")
    for name, times in keys():
        print(
            f"{name:32} {statistics.median(times) * 1e3:9.2f} {statistics.quantiles(times, n=100)[98] * 1e3:7.2f} {len(times):6}"
        )


def command(*words: str) -> list[float]:
    """Seconds that a command takes from its start to its end."""
    return [timed(lambda: subprocess.run(words, check=True, capture_output=True)) for _ in range(RUNS)]


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextmanager
def daemon(state: Path) -> Iterator[Path]:
    """A device without a dataplane; gives its state folder."""
    state.mkdir()
    words = [sys.executable, "-m", "hsadc", "daemon", "--dataplane", "none", "--ssh", "off", "--state-dir", str(state)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(state / "control.sock")
            yield state
        finally:
            process.terminate()


@contextmanager
def frr(folder: Path) -> Iterator[str]:
    """One daemon of FRR to attach to; gives the folder of its socket, empty where FRR is not installed."""
    if shutil.which("vtysh") is None:
        yield ""
        return
    folder.mkdir()
    shutil.chown(folder.parent, "frr", "frr")
    shutil.chown(folder, "frr", "frr")
    words = [
        STATICD,
        "-P",
        "0",
        "--vty_socket",
        str(folder),
        "-i",
        str(folder / "pid"),
        "-z",
        str(folder / "zebra"),
        "-f",
        "/dev/null",
    ]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(folder / "staticd.vty")
            yield str(folder)
        finally:
            process.terminate()


def wait_for(socket: Path) -> None:
    """Until a daemon listens."""
    for _ in range(200):
        if socket.exists():
            return
        time.sleep(0.05)
    raise TimeoutError(socket)


def until_prompt(state: Path) -> float:
    """Seconds from the start of `hsadc` to its prompt on a terminal."""
    start = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "hsadc", "--state-dir", str(state)])
    seen = b""
    while b"hsadc#" not in seen:
        seen += os.read(terminal, 4096)
    seconds = time.perf_counter() - start
    os.write(terminal, b"exit\r")
    os.waitpid(child, 0)
    os.close(terminal)
    return seconds


def keys() -> Iterator[tuple[str, list[float]]]:
    """What the terminals ask at each key, and how long each answer took."""
    from hsadc.cli.session import Session
    from hsadc.config.commit import Device
    from hsadc.syntax.grammar import load_grammar

    with tempfile.TemporaryDirectory() as folder:
        startup = Path(folder) / "startup.cfg"
        startup.write_text(configuration())
        device = Device(load_grammar(), startup, Path(folder), None)
        device.start()
    session = Session(device)
    session.run("configure")
    typed = [line[:n] for line in LINES for n in range(1, len(line) + 1)] * 10
    for name, ask in {
        "menu (choices)": session.choices,
        "TAB (complete)": session.complete,
        "? (help)": session.help,
        "red from here (wrong_from)": session.wrong_from,
    }.items():
        yield name, [timed(lambda ask=ask, line=line: ask(line)) for line in typed]


if __name__ == "__main__":
    main()
