"""One user's session: the mode it is in, and what a line does there. No terminal in here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from hsadc.cli.commands import COMMANDS
from hsadc.cli.configuration import COMMITS
from hsadc.cli.shell import CONSOLE, Choice, Completion, Login, Reply
from hsadc.cli.show.shown import Shown
from hsadc.config.commit import Device
from hsadc.config.edits import Edit, Edits
from hsadc.config.lock import Author
from hsadc.errors import AmbiguousCommand, CommandError, ConfigError, HsadcError, IncompleteCommand, UnknownCommand, WrongFile
from hsadc.syntax.complete import Candidate, candidates, last_word
from hsadc.syntax.grammar import section_of
from hsadc.syntax.load import check_line
from hsadc.syntax.match import match, match_in, understand
from hsadc.syntax.nodes import Command, Node
from hsadc.syntax.width import blank, cells

log = logging.getLogger(__name__)

HOSTNAME_SHOWN = 16
_PROMPTS = {
    "admin_user": "admin",
    "gre_tunnel": "tunnel-gre",
    "app_profile": "app-profile",
    "real_server": "slb-rs",
    "server_pool": "slb-pool",
    "virtual_server": "slb-vs",
}


class Session:
    """A login; an interactive line is a transaction of one command.

    Attributes:
        device: what all sessions share.
        login: who sits there; configuration lines of a batch that follow one another are one transaction.
        page_length: lines on a page; None follows the window, 0 turns paging off.
        closed: True after `exit` in exec mode.
        author: the session, as the one that changes the configuration.
        edits: its lines that are not in force yet.
    """

    def __init__(self, device: Device, login: Login = CONSOLE) -> None:
        self.device = device
        self.login = login
        self.page_length: int | None = None
        self.closed = False
        self._mode = "exec"
        self._name = ""
        self._saved = False
        self.author = Author(str(login).strip())
        self.edits = Edits(device, self.author)

    @property
    def prompt(self) -> str:
        """The host name, cut to 16 characters, and the mode: `hsadc(config-if-eth0/0)#`, in a transaction `hsadc[TRN](config)#`."""
        host = self.device.running.hostname
        if len(host) > HOSTNAME_SHOWN:
            host = host[:HOSTNAME_SHOWN] + "~"
        return f"{host}{'[TRN]' if self.edits.in_transaction else ''}{self._mode_shown()}#"

    def _mode_shown(self) -> str:
        if self._mode in ("exec", "config"):
            return "" if self._mode == "exec" else "(config)"
        if self._mode in ("ethernet", "tunnel_interface"):
            kind = "eth" if self._mode == "ethernet" else "tun"
            return f"(config-if-{kind}{self._name.removeprefix('ethernet').removeprefix('tunnel')})"
        return f"(config-{_PROMPTS[self._mode]})"

    @property
    def _roots(self) -> list[Node]:
        return [self.device.grammar.roots[m] for m in self._modes]

    @property
    def _modes(self) -> tuple[str, ...]:
        return self.device.grammar.modes_of(self._mode)

    def run(self, line: str) -> Reply:
        """Carry out one line."""
        return self._reply(line, lambda: self._run(line))

    def finish(self) -> Reply:
        """The input has ended: a batch's lines are committed now, those of a transaction only when it was told so."""
        return self._reply("", self._finish)

    def close(self) -> None:
        """The login has ended, however: what is not committed is forgotten, and others may change the configuration."""
        self.edits.discard()

    def _reply(self, line: str, work: Callable[[], Iterable[str]]) -> Reply:
        printed: list[str] = []
        try:
            for answer in work():
                printed.append(answer)  # noqa: PERF402  what was printed before an error is not lost
            return Reply(tuple(printed))
        except CommandError as e:
            return Reply((*printed, *self._explain(e, line)), ok=False)
        except WrongFile as e:
            return Reply((*printed, *e.mistakes, f"% Error: {e.summary}; nothing was changed"), ok=False)
        except HsadcError as e:
            return Reply((*printed, f"% Error: {e}"), ok=False)
        except Exception:
            log.exception("a bug: '%s ...' failed", " ".join(line.split()[:2]))  # not the whole line: it may hold a password
            return Reply((*printed, "% Error: internal error, the log has the details; nothing else was done"), ok=False)

    def _run(self, line: str) -> Iterator[str]:
        text = line.strip()
        answer, self._saved = self._saved and text.lower() in ("y", "n", "yes", "no"), False
        if not text or text.startswith("!") or answer:  # some clients answer a question that `save` does not ask
            return
        check_line(line)
        depth, command = match_in(self._roots, line, match)
        if command.name == "do_exec":
            command = command.args[0]
        if (move := self._MOVES.get(command.name)) is not None:
            yield from move(self) or ()
        elif (do := COMMANDS.get(command.name)) is not None:
            if command.name not in COMMITS and not self.edits.in_transaction:
                yield from self._commit()  # a batch's lines so far: what follows may save or show them
            self._saved = command.name == "save"
            printed = do(self, *command.args)
            yield from printed.lines if isinstance(printed, Shown) else printed
        else:
            yield from self._configure(command, in_block=self._mode not in ("exec", "config") and depth == 0)

    def _configure(self, command: Command, in_block: bool) -> Iterable[str]:
        """Carry out a configuration line: at once, or when the batch or the transaction ends."""
        self.edits.add(Edit((self._mode, self._name) if in_block else None, command))
        warnings = () if self.login.batch or self.edits.in_transaction else self._commit()
        section = section_of(command.name)
        if section is not None and not command.negated:
            self._mode, self._name = section, command.args[0]
        elif not in_block:
            self._mode, self._name = "config", ""
        return warnings

    def _commit(self) -> Iterable[str]:
        return [f"Warning: {w}" for w in self.edits.commit().warnings]

    def _finish(self) -> Iterable[str]:
        if not self.edits.in_transaction:
            return self._commit()
        raise ConfigError("", f"the transaction was not committed: its {self.edits.discard()} lines are discarded")

    def leave(self) -> Iterable[str]:
        """`exit`: one mode up; out of exec mode it ends the session, and a transaction that is open."""
        if self._mode != "exec":
            self._mode, self._name = ("exec" if self._mode == "config" else "config"), ""
            return ()
        self.closed = True
        if not self.edits.in_transaction:
            return ()
        return (f"The transaction was not committed: its {self.edits.discard()} lines are discarded",)

    def leave_block(self) -> None:
        """To configuration mode out of a block, which may be gone."""
        if self._mode != "exec":
            self._mode, self._name = "config", ""

    def to_exec(self) -> None:
        """`end`, Ctrl-Z: to exec mode."""
        self._mode, self._name = "exec", ""

    def _enter_config(self) -> None:
        self._mode, self._name = "config", ""

    _MOVES = {"leave": leave, "to_exec": to_exec, "enter_config": _enter_config}  # noqa: RUF012  the class's own methods

    def _explain(self, error: CommandError, line: str) -> list[str]:
        margin = blank(self.prompt + line[: error.column])
        if isinstance(error, AmbiguousCommand):
            return [f"{margin}^-----{error}", f'% Ambiguous command: "{line.strip()}"']
        if isinstance(error, IncompleteCommand):
            return [f"{margin}^-----{error}", "% Incomplete command."]
        return [f"{margin}^-----{error}", "% Invalid input detected at '^' marker."]

    def help(self, line: str) -> list[str]:
        """What `?` prints: words only after a half-typed one, as IOS does, else with a line of help each."""
        try:
            found = self._candidates(line)
        except CommandError as e:
            return self._explain(e, line)
        if not found:
            return ["% Unrecognized command"]
        if last_word(line) and not any(c.placeholder for c in found):
            return ["  ".join(c.word for c in found)]
        width = max(cells(c.word) for c in found)
        return [f"  {c.word}{' ' * (width - cells(c.word))}  {c.text}".rstrip() for c in found]

    def choices(self, line: str) -> list[Choice]:
        """What may stand at the end of the line; nothing when the line is wrong."""
        try:
            return [Choice(*c) for c in self._candidates(line)]
        except CommandError:
            return []

    def complete(self, line: str) -> Completion:
        """What TAB does: the rest of the only candidate, or what all candidates begin with."""
        words = [c.word for c in self.choices(line) if not c.placeholder]
        last = last_word(line)
        if not words or (not last and len(words) > 1):
            return Completion(words=tuple(words))
        common = _common_beginning(words)
        if len(words) == 1:
            return Completion(len(last), common + " ")
        if len(common) > len(last):
            return Completion(len(last), common, tuple(words))
        return Completion(words=tuple(words))

    def wrong_from(self, line: str) -> int | None:
        """Where the line goes wrong; a last word that may still become right is not wrong."""
        if not line.strip() or line.lstrip().startswith("!"):
            return None
        try:
            check_line(line)
            match_in(self._roots, line, understand)
        except (IncompleteCommand, AmbiguousCommand):
            return None
        except CommandError as e:
            half_typed = isinstance(e, UnknownCommand) and last_word(line) and e.column + len(last_word(line)) == len(line)
            return None if half_typed and self.choices(line) else e.column
        return None

    def _candidates(self, line: str) -> list[Candidate]:
        """Of this mode; when there are none, of the modes around it."""
        furthest: CommandError | None = None
        for root in self._roots:
            try:
                if found := candidates(root, line, self.device.names):
                    return found
            except CommandError as e:
                furthest = e if furthest is None or e.depth > furthest.depth else furthest
        if furthest is not None:
            raise furthest
        return []


def _common_beginning(words: Sequence[str]) -> str:
    shortest, *others = sorted(words, key=len)
    for n, c in enumerate(shortest):
        if any(w[n] != c for w in others):
            return shortest[:n]
    return shortest
