"""How fast a configuration of 100,000 lines is read to a validated model, and written, beside others that read such files.

    python benchmarks/load.py

Each measurement is a process of its own, so that its memory is its own, and the best of three; the ratio is to FRR's
`vtysh -C -f` in the same run, on a file of as many lines in as many blocks of FRR's own language. What the others do is less:
vtysh checks each line by itself, ciscoconfparse2 and hier_config build a tree of lines without knowing what they mean.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BLOCKS = 5000
RUNS = 3


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / name for name in ("plain", "blanks", "open", "routes", "frr")}
        files["plain"].write_text(configuration())
        files["blanks"].write_text(configuration(suffix=" of site 1"))
        files["open"].write_text(configuration(leave=""))
        files["routes"].write_text(configuration(routes=10_000))
        files["frr"].write_text(frr_configuration())
        rows = [
            ("FRR vtysh -C -f", measure("vtysh", files["frr"])),
            ("hsadc load and validate", measure("hsadc", files["plain"])),
            ("  quoted names with blanks", measure("hsadc", files["blanks"])),
            ("  blocks without exit", measure("hsadc", files["open"])),
            ("  and 10,000 routes", measure("hsadc", files["routes"])),
            ("hsadc check, from its start to its end", measure("check", files["plain"])),
            ("hsadc render", measure("render", files["plain"])),
            ("ciscoconfparse2", measure("ciscoconfparse2", files["plain"])),
            ("hier_config", measure("hier_config", files["plain"])),
        ]
    base = rows[0][1]
    print(f"{'':40} {'lines':>8} {'seconds':>8} {'lines/s':>9} {'x vtysh':>8} {'MB':>5}")
    for name, found in rows:
        if isinstance(found, str):
            print(f"{name:40} {found}")
            continue
        lines, seconds, megabytes = found
        ratio = "" if isinstance(base, str) else f"{lines / seconds / (base[0] / base[1]):8.2f}"
        print(f"{name:40} {lines:8,.0f} {seconds:8.2f} {lines / seconds:9,.0f} {ratio:>8} {megabytes:5.0f}")


def configuration(suffix: str = "", leave: str = "exit\n", routes: int = 0) -> str:
    """A file of hsadc: 5,000 real servers, pools of five of them, virtual servers that are mirrored."""
    text = ["interface ethernet0/0\n  ip address 10.0.0.1/8\nexit\n"]
    text += [f"ip route 172.16.{n // 256}.{n % 256}/32 10.0.0.{n % 250 + 2}\n" for n in range(routes)]
    text += ['tunnel gre "analyzer"\n  source interface ethernet0/0\n  destination 192.168.141.2\nexit\n']
    text += ['interface tunnel1\n  tunnel gre "analyzer"\nexit\napp-profile "http" type http\nexit\n']
    for n in range(BLOCKS):
        text.append(f'slb real-server "rs-{n}{suffix}"\n  ip 10.1.{n // 250}.{n % 250 + 1}\n  port 8080\n{leave}')
    for n in range(BLOCKS):
        members = "".join(f'  real-server "rs-{(n + i) % BLOCKS}{suffix}" weight {i + 1}\n' for i in range(5))
        text.append(f'slb server-pool "pool-{n}{suffix}"\n  load-balance least-connection\n{members}{leave}')
    for n in range(BLOCKS):
        head = f'slb virtual-server "vs-{n}{suffix}" type http id {n + 1}\n  log enable\n  app-profile "http"\n'
        ip = f"  auto-snat\n  ip 10.0.0.1 port {n + 1000}\n  mirror-traffic interface tunnel1\n"
        text.append(f'{head}  server-pool "pool-{n}{suffix}"\n{ip}{leave}')
    return "".join(text)


def frr_configuration() -> str:
    """A file of FRR with as many lines, in blocks of as many lines."""
    block = """route-map RM-{n} permit 10
 description copies to the analyzer
 match ip address prefix-list PL-{n}
 set ip next-hop 10.1.{a}.{b}
 set metric 100
 set local-preference 200
exit
"""
    return "".join(block.format(n=n, a=n // 250, b=n % 250 + 1) for n in range(100_000 // 7))


def measure(what: str, file: Path) -> tuple[float, float, float] | str:
    """Lines, the seconds of the best of some runs, and megabytes of memory at most; or why there is nothing to measure."""
    if what == "vtysh" and shutil.which("vtysh") is None:
        return "not installed (Debian package frr)"
    results = []
    for _ in range(RUNS):
        done = subprocess.run([sys.executable, __file__, what, str(file)], capture_output=True, text=True)
        if "ModuleNotFoundError" in done.stderr:
            return f"not installed (pip install {what})"
        done.check_returncode()
        results.append(json.loads(done.stdout))
    return min(results, key=lambda result: result[1])


def run(what: str, file: str) -> None:
    """In a process of its own: measure and print as JSON."""
    text = Path(file).read_text()
    work: Callable[[], object] = prepare(what, text, file)
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    who = resource.RUSAGE_CHILDREN if what in ("vtysh", "check") else resource.RUSAGE_SELF
    print(json.dumps([text.count("\n"), seconds, resource.getrusage(who).ru_maxrss / 1024]))


def prepare(what: str, text: str, file: str) -> Callable[[], object]:
    """The work to be measured; what it imports is imported here, as the peers' imports are not counted either."""
    if what in ("vtysh", "check"):
        command = ["vtysh", "-C", "-f", file] if what == "vtysh" else [sys.executable, "-m", "hsadc", "check", file]
        return lambda: subprocess.run(command, check=True, capture_output=True)
    if what == "ciscoconfparse2":
        from ciscoconfparse2 import CiscoConfParse

        return lambda: CiscoConfParse(text.splitlines(), syntax="ios")
    if what == "hier_config":
        from hier_config import Host

        return lambda: Host("device", "ios").load_running_config(text)
    from hsadc.config.change import Change
    from hsadc.config.validate import validate
    from hsadc.model.config import Config
    from hsadc.syntax.grammar import load_grammar
    from hsadc.syntax.load import load
    from hsadc.syntax.render import Renderer

    grammar = load_grammar()
    if what == "render":
        config = load(grammar, text).config
        return lambda: sum(1 for _ in Renderer(grammar).config(config))

    def load_and_validate() -> None:
        loaded = load(grammar, text)
        assert not loaded.mistakes, loaded.mistakes[0]
        assert not list(validate(Change(Config(), loaded.config)))

    return load_and_validate


if __name__ == "__main__":
    run(*sys.argv[1:]) if len(sys.argv) > 1 else main()
