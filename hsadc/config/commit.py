"""The transaction: the one place where syntax, intent and dataplane meet.

A commit validates the new configuration, compiles it for this machine, and makes the dataplane so; then it is the
running-config. If anything refuses, the dataplane is as before and the running-config too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from hsadc.config.files import Files
from hsadc.config.store import StartupFile
from hsadc.config.validate import validate
from hsadc.dataplane.dataplane import Dataplane
from hsadc.dataplane.reconcile import Outcome
from hsadc.errors import ApplyError, HsadcError
from hsadc.intent.compile import compile_config
from hsadc.model.config import SECTIONS, Config
from hsadc.syntax.grammar import Grammar
from hsadc.syntax.load import Loaded, load
from hsadc.syntax.render import Renderer

log = logging.getLogger(__name__)


class Device:
    """What all logins share: the running-config, the startup-config and the dataplane.

    Attributes:
        grammar: the words of the command line.
        renderer: writes configurations as text.
        dataplane: None on a device that only keeps configurations (`--dataplane none`).
        startup: the startup-config's file.
        files: the operators' files.
    """

    def __init__(self, grammar: Grammar, startup: StartupFile, dataplane: Dataplane | None) -> None:
        self.grammar = grammar
        self.renderer = Renderer(grammar)
        self.dataplane = dataplane
        self.startup = startup
        self.files = Files(startup.path.parent / "files")
        self._running = Config()
        self._warnings: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._stopped = False

    @property
    def running(self) -> Config:
        """The configuration in force; a frozen value that never changes under its reader."""
        return self._running

    def commit(self, change: Callable[[Config], Config]) -> tuple[str, ...]:
        """Put the configuration that `change` makes of the running one in force.

        Commits follow one another: none loses what another has put in force.

        Returns:
            Warnings that were not there before, a line each.

        Raises:
            CommandError, ConfigError: by `change`, or because the result is contradictory or does not fit the machine.
            ApplyError: the dataplane refused, or the device has been stopped.
        """
        with self._lock:
            if self._stopped:  # a session's thread may have waited for the lock while the device was stopped
                raise ApplyError("commit", "the device is stopping")
            new = change(self._running)
            if new == self._running:
                return ()
            warnings = self._put_in_force(new)
            fresh = [w for w in warnings if w not in self._warnings]
            self._running, self._warnings = new, frozenset(warnings)
            return tuple(fresh)

    def start(self) -> tuple[str, ...]:
        """Put the startup-config in force; what an earlier run left in the kernel is repaired or removed.

        Returns:
            Warnings.

        Raises:
            HsadcError: the startup-config is not right, or the dataplane refused it; then nothing is in force.
        """
        text = self.startup.read()
        with self._lock:
            config = self._whole(self.startup.path.name, load(self.grammar, text or ""))
            warnings = self._put_in_force(config)
            self._running, self._warnings = config, frozenset(warnings)
            missing = (f"there is no {self.startup.path}: the device starts without a configuration",) if text is None else ()
            return (*missing, *warnings)

    def repair(self) -> None:
        """Put right what others have changed on the machine since the last commit, and log it.

        Raises:
            ApplyError: the system refused.
        """
        with self._lock:
            if self._stopped or self.dataplane is None:
                return
            if (outcome := self.dataplane.repair()) != Outcome():
                log.warning("the machine was not as configured, somebody else had changed it: repaired, %s", outcome)

    def stop(self) -> None:
        """Take everything out of force and leave the machine as it was found; nothing can be put in force afterwards."""
        with self._lock:
            self._stopped = True
            if self.dataplane is not None:
                self.dataplane.stop()

    def save(self) -> None:
        """Write the running-config to the startup-config.

        Raises:
            ApplyError: the disk refused; the old one is as it was.
        """
        with self._lock:
            self.startup.write(self.text())

    def text(self) -> str:
        """The running-config as text."""
        return "".join(f"{line}\n" for line in self.renderer.config(self._running))

    def names(self, kind: str) -> Iterable[str]:
        """Names of a kind that exist now, for completion: of a section's objects, or of the machine's devices."""
        if kind in SECTIONS:
            known = list(getattr(self._running, kind))
            return known + [p for p in self._ports() if kind == "ethernet" and p not in known]
        return [d.name for d in self.dataplane.inventory().devices] if self.dataplane else []

    def _ports(self) -> list[str]:
        physical = sum(d.physical for d in self.dataplane.inventory().devices) if self.dataplane else 0
        return [f"ethernet0/{n}" for n in range(physical)]

    def _put_in_force(self, config: Config) -> list[str]:
        for _, _, error in validate(config, self._running):
            raise error
        if self.dataplane is None:
            return []
        compiled = compile_config(config, self.dataplane.inventory())
        self.dataplane.apply(compiled.intent)
        return [*compiled.warnings, *self.dataplane.warnings()]

    @staticmethod
    def _whole(source: str, loaded: Loaded) -> Config:
        for mistake in loaded.mistakes:
            raise HsadcError(f"{source}:{mistake.line}:{mistake.column}: {mistake.error}")
        return loaded.config
