"""The device: its configurations, and the transaction that changes the one in force.

A commit validates the new configuration, compiles it for this machine, and makes the dataplane so; then it is the
running-config. If anything refuses, the dataplane is as before and the running-config too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hsadc.config.archive import Archive
from hsadc.config.change import Change
from hsadc.config.check import checked
from hsadc.config.clock import Clock
from hsadc.config.confirm import Confirmation
from hsadc.config.files import Files
from hsadc.config.lock import Author, Lock, Transaction, Unconfirmed
from hsadc.config.pki import Imports
from hsadc.config.running import Committed, Running
from hsadc.config.saved import Saved
from hsadc.dataplane.dataplane import Dataplane
from hsadc.dataplane.reconcile import Outcome
from hsadc.errors import ApplyError, ConfigError
from hsadc.intent.material import Material
from hsadc.model.config import SECTIONS, Config
from hsadc.model.title import title
from hsadc.syntax.grammar import Grammar
from hsadc.syntax.render import Renderer

log = logging.getLogger(__name__)

MakeChange = Callable[[Config], Change]
"""Makes a change of the configuration that is running at the commit; raises CommandError or ConfigError."""


class Device:
    """What all logins share: the configurations and the dataplane.

    Attributes:
        grammar: the words of the command line.
        renderer: writes configurations as text.
        dataplane: None on a device that only keeps configurations (`--dataplane none`).
        archive: the startup-config and its backups.
        files: the operators' files.
        imports: imported certificates and keys.
        lock: who alone may change the configuration now.
        clock: the time.
    """

    def __init__(
        self, grammar: Grammar, startup: Path, state_dir: Path, dataplane: Dataplane | None, clock: Clock | None = None
    ) -> None:
        """Nothing is read or touched yet.

        Args:
            grammar: the words of the command line.
            startup: the startup-config's file.
            state_dir: the folder of all other files; exists.
            dataplane: None keeps configurations without applying them.
            clock: this machine's unless another is given.
        """
        self.grammar = grammar
        self.renderer = Renderer(grammar)
        self.dataplane = dataplane
        self.archive = Archive(startup)
        self.files = Files(state_dir / "files")
        self.imports = Imports(self.files, state_dir / "pki")
        self.lock = Lock()
        self.clock = clock or Clock()
        self._running = Running(self.renderer, dataplane)
        self._confirmation = Confirmation(state_dir / "confirm.cfg", self.clock, self.lock, self._expire)
        self._mutex = threading.Lock()
        self._stopped = False
        self._not_refreshed = ""

    @property
    def running(self) -> Config:
        """The configuration in force; a frozen value that never changes under its reader."""
        return self._running.config

    @property
    def materials(self) -> Mapping[str, Material]:
        """What the trust domains in force hold, by name; nothing without a dataplane."""
        return self._running.materials

    def commit(self, make: MakeChange, author: Author, what: str, confirm_s: int | None = None) -> Committed:
        """Put the change that `make` makes of the running-config in force.

        Commits follow one another: none loses what another has put in force. The author's transaction, if any, has ended then:
        whoever cleared it afterwards would be told that its lines are not in force.

        Args:
            make: is given the running-config.
            author: whose change it is.
            what: names it in the log, such as `batch of 3 lines`.
            confirm_s: seconds after which all that was changed since is taken back, unless it is confirmed before.

        Raises:
            Locked: another one has the configuration for himself.
            CommandError, ConfigError: by `make`, or because the result is contradictory or does not fit the machine.
            ApplyError: the dataplane or the disk refused, or the device has been stopped.
        """
        with self._alone():
            self.lock.check(author)
            change = make(self.running)
            if confirm_s is None:
                committed = self._become(change, f"{what} by {author}")
            else:
                with self._confirmation.of(author, self.running, self.text, confirm_s):
                    committed = self._become(change, f"{what} by {author}, to be confirmed within {confirm_s} seconds")
            self.lock.transaction = None
        return committed

    def confirm(self, author: Author) -> None:
        """Keep what waits to be confirmed. Any author may.

        Raises:
            ConfigError: nothing waits.
            ApplyError: the disk refused; it still waits.
        """
        with self._alone():
            self._confirmation.confirm()
        log.info("configuration confirmed by %s", author)

    def take_back(self, author: Author) -> Committed:
        """Put the configuration before the unconfirmed commit in force. Any author may.

        Raises:
            ConfigError: nothing waits to be confirmed.
            ApplyError: the dataplane refused; it still waits.
        """
        with self._alone():
            return self._take_back(f"rollback of the unconfirmed commit by {author}")

    def begin(self, author: Author) -> Transaction:
        """Give an author the configuration for himself; who gets it ends it.

        Raises:
            Locked: another one has it.
        """
        with self._alone():
            self.lock.check(author)
            self.lock.transaction = Transaction(author, self.clock.now())
            return self.lock.transaction

    def end(self, transaction: Transaction) -> None:
        """Others may change the configuration again."""
        with self._mutex:
            if self.lock.transaction is transaction:
                self.lock.transaction = None

    def clear_lock(self, by: Author) -> Author:
        """Take the configuration from whoever is in a transaction, for good; who that was.

        Raises:
            ConfigError: nobody is.
        """
        with self._mutex:
            if (transaction := self.lock.transaction) is None:
                raise ConfigError("", "no session is in a transaction")
            transaction.ended_by, self.lock.transaction = by, None
        log.info("the transaction of %s was ended by %s", transaction.author, by)
        return transaction.author

    def start(self) -> tuple[str, ...]:
        """Put the startup-config in force; what an earlier run left in the kernel is repaired or removed.

        Where an earlier run ended before a commit was confirmed, the configuration before that commit is put in force instead.

        Returns:
            Warnings.

        Raises:
            HsadcError: the configuration is not right, or the dataplane refused it; then nothing is in force.
        """
        base = self._confirmation.left_behind()
        saved, source = (base, self._confirmation.path) if base else (self.archive.startup(), self.archive.path)
        config = checked(self.grammar, source.name, saved.text if saved else "")
        self.imports.files.prepare()
        with self._alone():
            warnings = self._running.enforce(Change(self.running, config)).warnings
            if base is not None:
                self._confirmation.forget()
        if base is not None:
            why = f"the commit of {base.by} at {base.time:%Y-%m-%d %H:%M:%S} UTC was not confirmed before the device stopped"
            return (f"{why}: the configuration before it is in force", *warnings)
        missing = () if saved else (f"there is no {source}: the device starts without a configuration",)
        return (*missing, *warnings)

    def repair(self) -> None:
        """Put right what others have changed on the machine since the last commit, and log it.

        Raises:
            ApplyError: the system refused.
        """
        with self._mutex:
            if self._stopped or self.dataplane is None:
                return
            self._refresh()
            if (outcome := self.dataplane.repair()) != Outcome():
                log.warning("the machine was not as configured, somebody else had changed it: repaired, %s", outcome)

    def refresh(self) -> tuple[str, ...]:
        """Read the files that the configuration names, and put in force what they hold now; `repair` does so, too.

        Returns:
            What the operator should know that he was not told before, a line each.

        Raises:
            ApplyError: the device has been stopped.
        """
        with self._alone():
            return self._refresh()

    def stop(self) -> None:
        """Take everything out of force and leave the machine as it was found; nothing can be put in force afterwards."""
        with self._mutex:
            self._stopped = True
            self._confirmation.stop()
            if self.dataplane is not None:
                self.dataplane.stop()

    def save(self, author: Author, description: str | None = None) -> bool:
        """Make the running-config the startup-config, and keep the one before it as a backup.

        Returns:
            False when it was the startup-config already, and nothing new is said about it.

        Raises:
            ConfigError: a commit is not confirmed yet.
            ApplyError: the disk refused; the old one is as it was.
        """
        with self._alone():
            self._confirmation.refuse_unconfirmed()
            written = self.archive.save(Saved(self.text(), self.clock.now(), author.name, description))
        if written:
            log.info("configuration saved by %s", author)
        return written

    def delete_backup(self, number: int) -> None:
        """Delete a backup; the older ones move up.

        Raises:
            DanglingReference: there is no such backup.
            ApplyError: the disk refused.
        """
        with self._alone():
            self.archive.delete(number)

    def delete_pki_file(self, name: str) -> None:
        """Delete an imported file that no trust domain uses, in force or in what may be put in force again.

        Raises:
            DanglingReference: one uses it, or there is no such file.
            ApplyError: the disk refused.
        """
        with self._alone():
            waiting = self.lock.unconfirmed
            self.imports.delete(name, (self.running, *(() if waiting is None else (waiting.base,))))

    def text(self) -> str:
        """The running-config as text."""
        return "".join(f"{line}\n" for line in self.renderer.config(self.running))

    def names(self, kind: str, config: Config | None = None) -> Iterable[str]:
        """Names of a kind that exist now, for completion: of a section's objects, of the machine's devices, of files.

        Args:
            kind: a section, `mirrored` (sources and profiles of the mirror that have names of their own), `device`, `file`,
                `pki_file` or `backup`.
            config: whose objects; the running-config's unless another is given.
        """
        if kind in SECTIONS:
            known = list(getattr(config or self.running, kind))
            # Only where it matters: the kernel is asked, at each key stroke.
            return known + [p for p in self._ports() if p not in known] if kind == "ethernet" else known
        if kind == "mirrored":
            running = config or self.running
            return [*running.mirror_profile, *(v.name for v in running.virtual_server.values() if v.mirror_traffic)]
        if kind == "file":
            return self.files.names()
        if kind == "pki_file":
            return self.imports.files.names()
        if kind == "backup":
            return [str(n) for n in range(len(self.archive.backups()))]
        return [d.name for d in self.dataplane.machine().devices] if self.dataplane else []

    def _ports(self) -> list[str]:
        physical = sum(d.physical for d in self.dataplane.machine().devices) if self.dataplane else 0
        return [f"ethernet0/{n}" for n in range(physical)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread at a time, while the device runs."""
        with self._mutex:
            if self._stopped:  # a session's thread may have waited for its turn while the device was stopped
                raise ApplyError("commit", "the device is stopping")
            yield

    def _refresh(self) -> tuple[str, ...]:
        """As `refresh`; what stands in the way is told once, as it is tried again and again."""
        try:
            renewed, warnings = self._running.refresh()
        except (ConfigError, ApplyError) as e:
            why, known = f"files have changed and cannot be put in force: {e}", self._not_refreshed
            self._not_refreshed = why
            warnings, renewed = (() if why == known else (why,)), ()
        else:
            self._not_refreshed = ""
        for name in renewed:
            log.info("%s: its files have changed, what they hold now is in force", title("trust_domain", name))
        for warning in warnings:
            log.warning(warning)
        return warnings

    def _become(self, change: Change, what: str) -> Committed:
        committed = self._running.become(change)
        if committed.changed:
            log.info("configuration changed, %s: %s", committed, what)
        return committed

    def _take_back(self, what: str) -> Committed:
        committed = self._running.become(Change(self.running, self._confirmation.base), back=True)
        self._confirmation.taken_back()
        log.info("configuration changed, %s: %s", committed, what)
        return committed

    def _expire(self, waiting: Unconfirmed) -> None:
        with self._mutex:
            if not self._stopped and self.lock.unconfirmed is waiting:
                self._take_back(f"timed rollback, the commit of {waiting.author} was not confirmed")
