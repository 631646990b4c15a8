"""A small shell that lives in memory, for the terminals to be typed at; a device that serves such shells; real sessions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from hsadc.cli.session import Session
from hsadc.cli.shell import CONSOLE, Choice, Completion, Login, Reply
from tests.unit.cli.device import Daemon, running
from tests.unit.config.memory import FULL, MemoryClock, MemoryDataplane, adc, configure

_WORDS = {
    "exec": {"configure": "Enter configuration mode", "show": "Show something", "terminal": "This terminal", "exit": "Log out"},
    "config": {"hostname": "The device's name", "show": "Show something", "exit": "One mode up", "end": "To exec mode"},
}


class MemoryShell:
    """Two modes and a handful of commands; `ran` has every line, `committed` the name that a batch or a line committed."""

    def __init__(self, login: Login = CONSOLE) -> None:
        self.user = login.user
        self.batch = login.batch
        self.mode = "exec"
        self.name = self.committed = "hsadc"
        self.page_length: int | None = None
        self.closed = False
        self.ran: list[str] = []
        self.answers: list[str | None] = []
        self.history: list[str] = []
        self.started = threading.Event()
        self.may_go_on = threading.Event()
        self.ended = threading.Event()
        self.live = 0
        self.seen = threading.Event()

    @property
    def prompt(self) -> str:
        return f"{self.committed}{'(config)' if self.mode == 'config' else ''}#"

    def run(self, line: str, columns: int = 0) -> Reply:
        self.ran.append(line)
        self.history.append(line)
        words = line.split()
        if words[:1] == ["live"]:
            self.live = int(words[1])
            return Reply(("begun",), more=True)
        if words == ["secret"]:
            return Reply(("one is needed",), ask="Secret: ")
        if words[:1] == ["show"]:
            return Reply(self._show(*words[1:]))
        if words[:1] == ["watch"]:
            self.columns = columns
            return Reply((f"look {len(self.ran)}",), refresh_s=float(words[1]))
        if words and not self._do(words):
            at = len(line) - len(line.lstrip())
            caret = " " * (len(self.prompt) + at) + f"^-----unrecognized keyword {words[0]}"
            return Reply((caret, "% Invalid input detected at '^' marker."), ok=False)
        return Reply(("waited",) if words == ["wait"] else ())

    def _do(self, words: list[str]) -> bool:
        match words:
            case ["configure", *_]:
                self.mode = "config"
            case ["exit"]:
                self.closed, self.mode = self.mode == "exec", "exec"
            case ["end"]:
                self.mode = "exec"
            case ["hostname", name] if self.mode == "config":
                self.name = name
                self.committed = self.committed if self.batch else name
            case ["terminal", "length", number]:
                self.page_length = int(number)
            case ["wait"]:
                self.started.set()
                self.may_go_on.wait()
            case ["crash"]:
                raise RuntimeError("a bug")
            case _:
                return words == ["terminal", "width", "511"]
        return True

    def _show(self, what: str, number: str = "0") -> tuple[str, ...]:
        return {
            "version": ("hsadc 1.0",),
            "user": (f"{self.user} {'batch' if self.batch else 'interactive'}",),
            "lines": tuple(f"line {n}" for n in range(1, int(number) + 1)),
            "escape": ("a\x1b[2Jb\x9bc",),
        }[what]

    def follow(self, *, stop: bool = False) -> Reply:
        """`live N` prints so many packets; with -1 one that is wrong comes at once."""
        time.sleep(0.001)
        self.live -= 1
        self.seen.set()
        if self.live < -1:
            return Reply(("% Error: the device went down",), ok=False)
        return Reply(("the end",)) if stop or self.live < 0 else Reply((f"packet {self.live}",), more=True)

    def answer(self, text: str | None) -> Reply:
        """`secret` asks until it gets `sesame`, or nothing."""
        self.answers.append(text)
        if text is None:
            return Reply(("% Error: nothing was told",), ok=False)
        return Reply(("open",)) if text == "sesame" else Reply(("% Error: wrong",), ask="Again: ")

    def finish(self) -> Reply:
        if self.name == "refused":
            return Reply(("% Error: this name is refused",), ok=False)
        self.committed = self.name
        return Reply()

    def close(self) -> None:
        self.ended.set()

    def to_exec(self) -> None:
        self.mode = "exec"

    def help(self, line: str) -> Sequence[str]:
        return [f"  {c.word}  {c.text}" for c in self.choices(line)]

    def choices(self, line: str) -> Sequence[Choice]:
        head, _, last = line.rpartition(" ")
        if head.strip() == "hostname":
            return [Choice("WORD", "The name", placeholder=True)]
        if head.strip():
            return []
        return [Choice(word, text) for word, text in _WORDS[self.mode].items() if word.startswith(last)]

    def complete(self, line: str) -> Completion:
        last = line.rpartition(" ")[2]
        words = tuple(c.word for c in self.choices(line) if not c.placeholder)
        return Completion(len(last), f"{words[0]} ") if len(words) == 1 else Completion(words=words)

    def wrong_from(self, line: str) -> int | None:
        first = line.split(" ")[0]
        return None if any(word.startswith(first) for word in _WORDS[self.mode]) else 0


@pytest.fixture
def make_shell() -> Callable[..., MemoryShell]:
    """Makes the shell of a login."""
    return MemoryShell


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def daemon(path, make_shell) -> Iterator[Daemon]:
    with running(path, make_shell) as daemon:
        yield daemon


@pytest.fixture
def clock():
    return MemoryClock()


@pytest.fixture
def device(tmp_path, clock):
    device = adc(tmp_path, MemoryDataplane(), clock)
    configure(device, FULL)
    return device


@pytest.fixture
def session(device):
    return Session(device, Login("admin", "ssh", "10.0.0.7"))


@pytest.fixture
def other(device):
    return Session(device, Login("root"))


@pytest.fixture
def batch(device):
    return Session(device, Login("admin", "ssh", "10.0.0.7", batch=True))


@pytest.fixture
def kept(tmp_path):
    """A device without a dataplane."""
    device = adc(tmp_path)
    configure(device, FULL)
    return device


@pytest.fixture
def served(tmp_path):
    """A device whose dataplane is in memory."""
    device = adc(tmp_path, MemoryDataplane())
    configure(device, FULL)
    return device
