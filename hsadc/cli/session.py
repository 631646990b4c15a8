"""One user's session: the mode it is in, and what a line does there. No terminal in here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from hsadc.cli.ask import Ask
from hsadc.cli.assist import Assistant
from hsadc.cli.caret import explain
from hsadc.cli.commands import COMMANDS
from hsadc.cli.configuration import COMMITS
from hsadc.cli.live import Live, filtered, redirected
from hsadc.cli.logins import Logins
from hsadc.cli.pipe import LIVE, Pipeline, read_pipeline, split_pipes
from hsadc.cli.shell import CONSOLE, Choice, Completion, Login, Reply, holds_secret
from hsadc.cli.show.shown import Shown
from hsadc.config.commit import Device
from hsadc.config.edits import Edit, Edits
from hsadc.config.lock import Author
from hsadc.errors import CommandError, ConfigError, HsadcError, WrongFile
from hsadc.model.title import number_of
from hsadc.syntax.grammar import section_of
from hsadc.syntax.load import check_line
from hsadc.syntax.match import match, match_in
from hsadc.syntax.nodes import Command, Node

log = logging.getLogger(__name__)

HOSTNAME_SHOWN = 16
_LINE_LOGGED = 200
_PROMPTS = {
    "admin_user": "admin",
    "gre_tunnel": "tunnel-gre",
    "erspan_tunnel": "tunnel-erspan",
    "vxlan_tunnel": "tunnel-vxlan",
    "access_list": "acl",
    "mirror_profile": "mirror-profile",
    "trust_domain": "trust-domain",
    "ssl_profile": "ssl-profile",
    "app_profile": "app-profile",
    "monitor": "slb-monitor",
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
        prompt_blank: True puts a blank behind the prompt.
        page_width: cells that a line of a table may take; None follows the window, 0 cuts nothing.
        closed: True after `exit` in exec mode, and after the login's end.
        author: the session, as the one that changes the configuration.
        edits: its lines that are not in force yet.
        since: when it began.
        last_used_s: when its last line came in, by time.monotonic().
        logins: knows of this session and the others.
    """

    def __init__(self, device: Device, login: Login = CONSOLE, logins: Logins | None = None) -> None:
        """A login begins; `logins` knows of the others."""
        self.device = device
        self.login = login
        self.since = datetime.now(UTC)
        self.last_used_s = time.monotonic()
        self.logins = logins or Logins()
        self._history = self.logins.enter(self)
        self.prompt_blank = False
        self.page_length: int | None = None
        self.page_width: int | None = None
        self._window = self._refresh_s = 0
        self.closed = False
        self._mode = "exec"
        self._name = ""
        self._saved = False
        self._live: Live | None = None
        self._live_line = ""
        self._question: Ask | None = None
        self.author = Author(str(login).strip())
        self.edits = Edits(device, self.author)

    @property
    def prompt(self) -> str:
        """The host name, cut to 16 characters, and the mode: `hsadc(config-if-eth0/0)#`; `hsadc[TRN]#` in a transaction."""
        host = self.device.running.hostname
        if len(host) > HOSTNAME_SHOWN:
            host = host[:HOSTNAME_SHOWN] + "~"
        transaction = "[TRN]" if self.edits.in_transaction else ""
        mode = "" if self._mode == "exec" else f"({self.mode})"
        return f"{host}{transaction}{mode}#{' ' * self.prompt_blank}"

    @property
    def mode(self) -> str:
        """As the prompt shows it: `exec`, `config`, `config-if-eth0/0`."""
        if self._mode in ("exec", "config"):
            return self._mode
        if self._mode in ("ethernet", "tunnel_interface"):
            kind = "eth" if self._mode == "ethernet" else "tun"
            return f"config-if-{kind}{self._name.removeprefix('ethernet').removeprefix('tunnel')}"
        return f"config-{_PROMPTS[self._mode]}"

    @property
    def block(self) -> tuple[str, str] | None:
        """Section and name of the block that is open, `config` and no name outside of blocks; None in exec mode."""
        return None if self._mode == "exec" else (self._mode, self._name)

    @property
    def _roots(self) -> list[Node]:
        return [self.device.grammar.roots[m] for m in self._modes]

    @property
    def _modes(self) -> tuple[str, ...]:
        return self.device.grammar.modes_of(self._mode)

    @property
    def history(self) -> Sequence[str]:
        """What this user has typed, oldest line first."""
        return self._history.lines

    @property
    def width(self) -> int:
        """Cells that a line of what is shown may take; 0 for any."""
        return self.page_width if self._window and self.page_width is not None else self._window

    def run(self, line: str, columns: int = 0) -> Reply:
        """Carry out one line."""
        self.last_used_s = time.monotonic()
        if not self.login.batch:
            self._history.add(line)
        self._window, self._refresh_s = columns, 0
        self._end_live()
        self._live_line, self._question = line, None
        return self._reply(line, lambda: self._run(line))

    def follow(self, *, stop: bool = False) -> Reply:
        """The next lines of a command that is still at work."""
        self.last_used_s = time.monotonic()
        return self._reply(self._live_line, lambda: self._follow(stop))

    def answer(self, text: str | None) -> Reply:
        """What was asked for; None when the operator does not want to answer."""
        self.last_used_s = time.monotonic()
        return self._reply(self._live_line, lambda: self._answer(text))

    def finish(self) -> Reply:
        """The input has ended: a batch's lines are committed now, those of a transaction only when it was told so."""
        return self._reply("", self._finish)

    def close(self) -> None:
        """The login has ended, however: what is not committed is forgotten, and others may change the configuration."""
        self.closed = True
        self._end_live()
        self._question = None
        self.edits.discard()

    def _end_live(self) -> None:
        """Nobody wants to hear more of what is still at work."""
        live, self._live = self._live, None
        if live is not None:
            live.lines.close()

    def _follow(self, stop: bool) -> Iterator[str]:
        live, self._live = self._live, None
        if live is None:
            return
        if stop:
            live.stop.set()
        for line in live.lines:
            if line is None:
                self._live = live
                return
            yield line

    def _answer(self, text: str | None) -> Iterable[str]:
        question, self._question = self._question, None
        if question is None:
            return ()
        if text is None:
            raise ConfigError("", question.abandoned)
        return self._asked(question.take(text))

    def _asked(self, printed: Iterable[str] | Ask) -> Iterable[str]:
        """What is to be printed; where it is a question, that is kept until it is answered."""
        if not isinstance(printed, Ask):
            return printed
        self._question = printed
        return printed.lines

    def _reply(self, line: str, work: Callable[[], Iterable[str]]) -> Reply:
        printed: list[str] = []
        try:
            for answer in work():
                printed.append(answer)  # noqa: PERF402  what was printed before an error is not lost
            ask = self._question.prompt if self._question is not None else ""
            return Reply(tuple(printed), refresh_s=self._refresh_s, more=self._live is not None, ask=ask)
        except CommandError as e:
            return Reply((*printed, *explain(e, self.prompt, line)), ok=False)
        except WrongFile as e:
            return Reply((*printed, *e.mistakes, f"% Error: {e.summary}; nothing was changed"), ok=False)
        except HsadcError as e:
            return Reply((*printed, f"% Error: {e}"), ok=False)
        except Exception:
            log.exception("a bug: %r failed", "a line with a password" if holds_secret(line) else line[:_LINE_LOGGED])
            return Reply((*printed, "% Error: internal error, the log has the details; nothing else was done"), ok=False)

    def _run(self, line: str) -> Iterator[str]:
        text = line.strip()
        answer, self._saved = self._saved and text.lower() in ("y", "n", "yes", "no"), False
        if not text or text.startswith("!") or answer:  # some clients answer a question that `save` does not ask
            return
        check_line(line)
        first, *stages = split_pipes(self._roots, line)
        pipeline = read_pipeline(self.device.grammar.roots["pipe"], stages)
        depth, command = match_in(self._roots, first, match)
        if command.name == "do_exec":
            command = command.args[0]
        if (move := self._MOVES.get(command.name)) is not None:
            yield from move(self) or ()
        elif (do := COMMANDS.get(command.name)) is not None:
            if command.name in LIVE and (pipeline.as_json or pipeline.refresh_s):
                raise ConfigError(command.name, "its answer goes on, and is lines alone: json and refresh do not go with it")
            if pipeline.refresh_s and self.login.batch:
                raise ConfigError("refresh", "it ends when a key is pressed, so it needs a terminal")
            if command.name not in COMMITS and not self.edits.in_transaction:
                yield from self._commit()  # a batch's lines so far: what follows may save or show them
            self._saved = command.name == "save"
            self._window, self._refresh_s = 0 if pipeline.filters or pipeline.file else self._window, pipeline.refresh_s
            printed = do(self, *command.args)
            if isinstance(printed, Live):
                lines = filtered(printed.lines, pipeline)
                if pipeline.file is not None:
                    lines = redirected(lines, partial(self._write, pipeline.file))
                self._live = Live(lines, printed.stop)
                printed = self._follow(stop=False)
            yield from self._through(pipeline, printed) if isinstance(printed, Shown) else self._asked(printed)
        else:
            yield from self._configure(command, in_block=self._mode not in ("exec", "config") and depth == 0)

    def _through(self, pipeline: Pipeline, shown: Shown) -> Iterable[str]:
        lines = shown.json() if pipeline.as_json else pipeline.filter(list(shown.lines))
        if pipeline.file is None:
            return lines
        return (self._write(pipeline.file, lines),)

    def _write(self, name: str, lines: Sequence[str]) -> str:
        """Write lines to an operator's file; what to say of it."""
        self.device.files.write(name, "".join(f"{line}\n" for line in lines))
        return f'{number_of(len(lines), "line")} written to file "{name}"'

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
        raise ConfigError("", f"the transaction was not committed, {self._discarded()}")

    def leave(self) -> Iterable[str]:
        """`exit`: one mode up; out of exec mode it ends the session, and a transaction that is open."""
        if self._mode != "exec":
            self._mode, self._name = ("exec" if self._mode == "config" else "config"), ""
            return ()
        self.closed = True
        if self.login.batch or not self.edits.in_transaction:  # a batch's end is `finish`
            return ()
        return (f"The transaction was not committed, {self._discarded()}",)

    def _discarded(self) -> str:
        return f"{number_of(self.edits.discard(), 'line')} discarded"

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

    def help(self, line: str) -> list[str]:
        """What `?` prints."""
        try:
            return self._assistant.help(line)
        except CommandError as e:
            return explain(e, self.prompt, line)
        except HsadcError as e:
            return [f"% Error: {e}"]

    def choices(self, line: str) -> list[Choice]:
        """What may stand at the end of the line; nothing when the line is wrong."""
        return self._assistant.choices(line)

    def complete(self, line: str) -> Completion:
        """What TAB does."""
        return self._assistant.complete(line)

    def wrong_from(self, line: str) -> int | None:
        """Where the line goes wrong."""
        return self._assistant.wrong_from(line)

    @property
    def _assistant(self) -> Assistant:
        return Assistant(self._roots, self.device.grammar.roots["pipe"], self._names)

    def _names(self, kind: str) -> Iterable[str]:
        return self.device.names(kind, self.edits.candidate() if self.edits.in_transaction else None)
