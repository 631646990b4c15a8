"""`hsadc`: its command line. Each sub-command imports what it needs, so that none waits for the others."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from hsadc import __version__
from hsadc.errors import ConfigError, HsadcError

STATE_DIR = Path("/var/lib/hsadc")
STARTUP_CONFIG = "startup.cfg"
DATAPLANES = ("auto", "bpf", "portable", "none")
LAB_SCENARIOS = ("article", "ssl-offload", "ssl-proxy")

REPLAY_DESCRIPTION = """\
Mirrors a capture file as the running device would mirror the packets, and writes what the analyzer would get.

Virtual servers: a packet to the address is forward, one from it backward, as live. Port mirrors: all packets of the file
passed at one interface. It received them, but for those that the capture marks as sent (flags of pcapng packets, packet
type of Linux cooked captures) and those that come from the MAC address given with --mac."""
REPLAY_EPILOG = """\
Input: pcap (microseconds or nanoseconds) and pcapng, also compressed by gzip; Ethernet, raw IP, BSD loopback and Linux
cooked packets. Packets that were not captured whole are counted and left out, as their copies cannot be known. Of a
damaged file all packets before the damage are mirrored and kept, one line says where it is, and the exit status is 1.

Output: pcapng with an interface for each tunnel, and the original time stamps. Outer packets stand behind an Ethernet
header of 02:00:00:00:00:01 > 02:00:00:00:00:02; frames for an Ethernet interface are as they are. All tunnels are up,
and their paths are as wide as configured. The file is there when it is complete: an interrupted run leaves nothing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command.

    Returns:
        The exit status: 0, or 1 after one line on standard error that says what is wrong.
    """
    options = _parser().parse_args(argv)
    _accept_any_bytes()
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except HsadcError as e:
        print(f"hsadc: {e}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hsadc",
        description="Software ADC that sends a copy of traffic to an analyzer. Without a command: the running device's shell.",
    )
    parser.add_argument("--version", action="version", version=f"hsadc {__version__}")
    parser.set_defaults(run=_shell)
    _add_state_dir(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    daemon = commands.add_parser("daemon", help="run the device in the foreground")
    _add_state_dir(daemon)
    daemon.add_argument(
        "--startup-config", type=Path, metavar="FILE", help=f"configuration to start with [STATE_DIR/{STARTUP_CONFIG}]"
    )
    daemon.add_argument(
        "--ssh", default="127.0.0.1:2222", metavar="ADDRESS:PORT", help="where SSH listens, 'off' for nowhere [%(default)s]"
    )
    daemon.add_argument(
        "--dataplane",
        choices=DATAPLANES,
        default="auto",
        help="how packets are copied: by BPF programs in the kernel, by this process (portable), or by the best that the "
        "machine has (auto); none only keeps the configuration, no privileges are needed [%(default)s]",
    )
    daemon.set_defaults(run=_daemon)

    check = commands.add_parser("check", help="parse and validate configuration files offline")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true", help="print the findings as a JSON list")
    check.set_defaults(run=_check)

    execute = commands.add_parser("exec", help="run lines on the running device; configuration lines are one transaction")
    _add_state_dir(execute)
    execute.add_argument("-c", dest="lines", action="append", default=[], metavar="LINE", help="a line; may be repeated")
    execute.add_argument("-f", dest="file", type=Path, metavar="FILE", help="a file of lines, '-' for standard input")
    execute.set_defaults(run=_exec)

    _add_replay(commands)

    lab = commands.add_parser("lab", help="the article's network in network namespaces of this machine (needs root)")
    lab.add_argument(
        "action", choices=("demo", "up", "shell", "down"), help="demo: up, real requests, the analyzer's capture, down"
    )
    lab.add_argument(
        "--scenario",
        choices=LAB_SCENARIOS,
        default="article",
        help="demo, up: HTTP as in the article, or HTTPS that the ADC decrypts and (ssl-proxy) encrypts again [%(default)s]",
    )
    lab.add_argument("--keep", type=Path, metavar="FILE", help="demo: keep the analyzer's capture in this file")
    lab.set_defaults(run=_lab)

    grammar = commands.add_parser("grammar", help="for developers: what the grammar says, without a device")
    actions = grammar.add_subparsers(required=True, metavar="ACTION")
    complete = actions.add_parser("complete", help="what `?` shows at the end of a partial line")
    complete.add_argument("--mode", default="exec", help="exec, config, pipe or a section such as gre_tunnel [%(default)s]")
    complete.add_argument("line", metavar="LINE")
    complete.set_defaults(run=_complete)
    actions.add_parser("reference", help="all commands as Markdown").set_defaults(run=_reference)
    return parser


def _add_replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    replay = commands.add_parser(
        "replay",
        help="mirror a capture file: what would the analyzer get",
        description=REPLAY_DESCRIPTION,
        epilog=REPLAY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    replay.add_argument("config", type=Path, metavar="CONFIG", help="configuration file")
    replay.add_argument("-r", dest="source", type=Path, required=True, metavar="FILE", help="capture file, pcap or pcapng")
    replay.add_argument("-w", dest="target", type=Path, required=True, metavar="FILE", help="pcapng file to be made")
    replay.add_argument("--interface", metavar="NAME", help="where it was captured [the interface that has mirror-traffic]")
    replay.add_argument("--mac", metavar="ADDRESS", help="MAC address of that interface: frames from it were sent")
    replay.add_argument("--json", action="store_true", help="print the counters as JSON")
    replay.set_defaults(run=_replay)


def _add_state_dir(parser: argparse.ArgumentParser) -> None:
    # argparse lets a sub-command's default win over what was given before it: without a default, what was given stays.
    default = STATE_DIR if parser.prog == "hsadc" else argparse.SUPPRESS
    text = f"where the device keeps its files [{STATE_DIR}]"
    parser.add_argument("--state-dir", type=Path, metavar="DIR", default=default, help=text)


def _accept_any_bytes() -> None:
    """Input that is no text becomes U+FFFD, which is refused as any wrong line; what the terminal's encoding lacks is escaped."""
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _write(line: str) -> None:
    try:
        print(line, flush=True)  # noqa: T201
    except BrokenPipeError:
        raise
    except OSError as e:
        with suppress(OSError):
            sys.stdout.close()  # or it would be tried again at the end
        raise HsadcError(f"standard output: {e.strerror}") from e


def _daemon(options: argparse.Namespace) -> int:
    from hsadc.cli.daemon import Options, run_daemon

    if options.startup_config is not None and not options.startup_config.exists():  # a misspelt name, more often than not
        raise ConfigError("--startup-config", f"there is no file {options.startup_config}, an empty one will do")
    startup = options.startup_config or options.state_dir / STARTUP_CONFIG
    run_daemon(Options(options.state_dir, startup, options.ssh, options.dataplane))
    return 0


def _check(options: argparse.Namespace) -> int:
    from hsadc.config.check import Finding, check_file
    from hsadc.syntax.grammar import load_grammar

    findings: list[Finding] = []
    for file in options.files:
        try:
            found = check_file(load_grammar(), file)
        except HsadcError as e:
            found = [Finding(str(file), 0, 0, str(e).removeprefix(f"{file}: "))]
        findings += found
        if not options.json:
            for line in (line for f in found for line in f.lines()):
                _write(line)
            if not found:
                _write(f"{file}: ok")
    if options.json:
        import json
        from dataclasses import asdict

        _write(json.dumps([asdict(f) for f in findings], ensure_ascii=False, indent=2))
    return 1 if findings else 0


def _exec(options: argparse.Namespace) -> int:
    from hsadc.cli.batch import run_batch
    from hsadc.cli.remote import CONTROL_SOCKET, RemoteShell

    lines = None if options.file is None else _lines_of(options.file)
    with RemoteShell(options.state_dir / CONTROL_SOCKET, batch=True) as shell:
        status = run_batch(shell, options.lines, _write)
        if status or lines is None:
            return status
        shell.run("configure")  # before the batch, so that its line numbers are the file's
        return run_batch(shell, lines, _write)


def _lines_of(file: Path) -> Iterable[str]:
    from hsadc.config.store import read_text

    return _input() if str(file) == "-" else read_text(file).split("\n")


def _input() -> Iterable[str]:
    """The lines of standard input as they come; one that is longer than any may be comes in parts, and the first is refused."""
    from hsadc.cli.batch import LINE_LIMIT

    if sys.stdin is None:  # closed by whoever started this
        raise HsadcError("standard input is closed")
    return iter(partial(sys.stdin.readline, LINE_LIMIT + 2), "")


def _shell(options: argparse.Namespace) -> int:
    from hsadc.cli.batch import run_batch
    from hsadc.cli.local import open_shell

    terminal = sys.stdin is not None and sys.stdin.isatty()
    lines = () if terminal else _input()
    with open_shell(options.state_dir, batch=not terminal, write=_write) as shell:
        if not terminal:
            return run_batch(shell, lines, _write)
        from hsadc.cli.console import run_console

        run_console(shell)
    return 0


def _replay(options: argparse.Namespace) -> int:
    from hsadc.cli.replay import Options, run_replay, terminal_status

    chosen = Options(options.config, options.source, options.target, options.interface, options.mac, options.json)
    run_replay(chosen, _write, terminal_status())
    return 0


def _lab(options: argparse.Namespace) -> int:
    from hsadc.lab import demo
    from hsadc.lab.scenario import SCENARIOS

    scenario = SCENARIOS[options.scenario]
    match options.action:
        case "demo":
            return demo.run_demo(scenario, keep_pcap=options.keep, write=_write)
        case "up":
            return demo.up(scenario, write=_write)
        case "shell":
            return demo.shell(write=_write)
    return demo.down(write=_write)


def _complete(options: argparse.Namespace) -> int:
    from hsadc.cli.assist import Assistant
    from hsadc.syntax.grammar import load_grammar

    grammar = load_grammar()
    if options.mode not in grammar.roots:
        raise HsadcError(f"there is no mode {options.mode}, the modes are {', '.join(grammar.roots)}")
    modes = [grammar.roots[mode] for mode in grammar.modes_of(options.mode)]
    for line in Assistant(modes, grammar.roots["pipe"], lambda _: ()).help(options.line):
        _write(line)
    return 0


def _reference(_: argparse.Namespace) -> int:
    from hsadc.syntax.grammar import load_grammar
    from hsadc.syntax.reference import reference

    for line in reference(load_grammar()):
        _write(line)
    return 0
