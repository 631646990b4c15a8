"""The driver of HAProxy: one process that serves all virtual servers but those of type udp."""

from __future__ import annotations

import logging
import os
import re
import resource
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from hsadc.dataplane.haproxy_binary import Binary, find_binary
from hsadc.dataplane.haproxy_change import Refused, carry_out
from hsadc.dataplane.haproxy_check import check
from hsadc.dataplane.haproxy_explain import explain
from hsadc.dataplane.haproxy_file import STATS_SOCKET, Generation, Machine, clear_legs, write_file
from hsadc.dataplane.haproxy_folder import Folder
from hsadc.dataplane.haproxy_health import Health, Prober, paths_of
from hsadc.dataplane.haproxy_log import open_pipe
from hsadc.dataplane.haproxy_master import Master
from hsadc.dataplane.haproxy_port import check_ports
from hsadc.dataplane.haproxy_process import Process
from hsadc.dataplane.haproxy_runtime import changes, servers_of
from hsadc.dataplane.haproxy_sessions import ServerSession, detail_commands, parse_sessions, with_figures
from hsadc.dataplane.haproxy_socket import ask, batches
from hsadc.dataplane.haproxy_state import handed_over
from hsadc.dataplane.haproxy_statistics import Statistics, Totals, VirtualServerStatistics, parse_statistics
from hsadc.errors import ApplyError
from hsadc.intent.haproxy import HaproxyIntent
from hsadc.intent.haproxy_file import HaproxyFile
from hsadc.intent.haproxy_pool import ServerProbe
from hsadc.intent.haproxy_tls import identity_file
from hsadc.model.title import number_of
from hsadc.model.virtual_server import Listener

log = logging.getLogger(__name__)
_MOST_THREADS = 64  # HAProxy's own limit without thread groups
_NOTHING = HaproxyIntent("")
_LOOK_AGAIN_S = 5.0
"""Figures and health of thousands of servers are not asked for at each line of a paste."""


@dataclass(frozen=True, slots=True)
class _Found(HaproxyIntent):
    """What is in force where it is not just what would be written for it: it is written anew, and may have to be put back.

    Attributes:
        generation: the whole; None when nobody knows what the worker serves.
    """

    generation: Generation | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What was done since the daemon started.

    Attributes:
        reloads: new workers that took the place of old ones.
        changed: settings that were changed in a worker that went on.
    """

    reloads: int = 0
    changed: int = 0


class HaproxyDriver:
    """Runs HAProxy with the services that are wanted, and changes them without losing a request.

    Its folder is `state_dir`/haproxy, what it says of itself goes to `state_dir`/log/haproxy.log.

    Attributes:
        kind: the driver's name in errors.
        lock: held while anything here is changed or looked at; the supervisor takes it too.
        on_process: called, with the lock held, when the process to watch may be another one than before.
        wanted: True from the moment it serves (or is found serving) until it is deleted, also when it has ended since.
        work: what was done.
    """

    kind = "haproxy"

    def __init__(self, state_dir: Path, prober: Prober | None = None) -> None:
        """Nothing is touched yet.

        Args:
            state_dir: the daemon's directory; made, for this user alone, when it is first needed.
            prober: what finds out the health of servers that HAProxy cannot check; None takes them as working.
        """
        self.lock = threading.RLock()
        self.on_process: Callable[[], None] = lambda: None
        self.wanted = False
        self.work = Work()
        self._intent = _NOTHING  # in force, or to be put in force again: what the disk says may be somebody else's by then
        self._totals = Totals()
        self._standing = ""  # how servers stood when that was last looked at
        self._looked_s = -_LOOK_AGAIN_S
        self._folder = Folder(state_dir.absolute() / "haproxy")
        self._log = state_dir.absolute() / "log" / "haproxy.log"
        self._master = Master(self._folder.path, self._log)
        self._health = Health(self._stats_socket, prober)

    def observe(self, wanted: Mapping[Hashable, HaproxyIntent]) -> Mapping[Hashable, HaproxyIntent]:
        """What the worker serves, also when an earlier daemon started it; other services than any wanted when that is unknown."""
        with self.lock:
            if not self._master.adopt():
                return {}
            self.wanted = True
            self.on_process()
            if time.monotonic() - self._looked_s >= _LOOK_AGAIN_S:
                self._standing = self._ask("show servers state") or self._standing
                self._look()
                self._master.shorten_log()
            found = self._in_force()
            if found is None:
                return {_NOTHING.key: _Found("")}
            self._intent = HaproxyIntent(found.services, _ordered(found, wanted.get(_NOTHING.key)), self._intent.probes)
            if found.text == self._generation(self._intent).text:
                return {self._intent.key: self._intent}
            # What was written for another machine or by another release must be written again, too.
            return {_NOTHING.key: _Found(found.services, found.files, self._intent.probes, found)}

    def prepare(self, wanted: Mapping[Hashable, HaproxyIntent]) -> None:
        """Have HAProxy check the file, and all that it names; and see that its ports are free.

        Raises:
            Unsupported: there is no HAProxy, or it is too old.
            ApplyError: it refuses the file, or another program has a port.
        """
        for new in wanted.values():
            with self.lock:
                target, before = self._generation(new), self._in_force()
                # A worker takes other weights, limits and states of servers without a check.
                if before is None or set(before.files) != set(target.files) or changes(before, target) is None:
                    check(self._binary, self._folder, target)
                    check_ports(target.text, before.text if before is not None else "")

    def create(self, new: HaproxyIntent) -> None:
        """Start it and return when it serves.

        Raises:
            ApplyError: it does not start, because an address or a port is not free for example; then nothing is left of it.
        """
        self._put_back(new) if isinstance(new, _Found) else self._put(new)

    def change(self, old: HaproxyIntent, new: HaproxyIntent) -> None:  # noqa: ARG002 what is in force is asked, not believed
        """Change the worker that serves or, where that is not enough, put a new one in its place; returns when that is done.

        An old worker finishes what it has begun.

        Raises:
            ApplyError: the new services are refused; then the old ones go on.
        """
        self._put_back(new) if isinstance(new, _Found) else self._put(new)

    def delete(self, old: HaproxyIntent) -> None:  # noqa: ARG002 there is one
        """Stop it; open connections get a few seconds to finish. Its log stays."""
        with self.lock:
            self._master.adopt()
            self.wanted = False
            self._intent, self._standing = _NOTHING, ""
            self._health.want((), ())
            self._master.stop()
            self.on_process()
            self._folder.clear()

    def restart(self) -> bool:
        """Start it again with the services in force, after it ended without being told to.

        Returns:
            False when there was no need.

        Raises:
            ApplyError: it does not start; it stays wanted.
        """
        with self.lock:
            if not self.wanted or self._master.alive:
                return False
            self._serve(self._generation(self._intent), self._intent.probes)
            self._health.tell()
            return True

    @property
    def process(self) -> Process | None:
        """The process as last known, maybe ended; it is the driver's: look at it with the lock held."""
        return self._master.process

    def file_of(self, trust_domain: str) -> Path:
        """The file with a trust domain's certificate and key; need not exist."""
        return self._folder.path / identity_file(trust_domain)

    def clear_legs(self) -> Mapping[int, tuple[Listener, ...]]:
        """Where virtual servers listen on the hop, by their number; at first, where an earlier daemon had them listen."""
        with self.lock:
            left = None if self._intent.services else self._folder.current()
            return clear_legs(self._intent.services if left is None else left.services)

    def version(self) -> str | None:
        """The version of the worker that serves, such as `2.8.25-5cf5d0683`; None while none answers."""
        with self.lock:
            worker = self._master.worker()
            return worker.version if worker is not None else None

    def statistics(self) -> Mapping[int, VirtualServerStatistics]:
        """The counters of each virtual server, by its number; empty while HAProxy does not run."""
        with self.lock:
            return self._look().with_checks(self._health.words()).virtual_servers()

    def dropped_logs(self) -> int:
        """Lines of the log that found no room in the pipe, of all workers since this daemon started."""
        with self.lock:
            return self._look().dropped_logs

    def sessions(self, most: int, virtual_server: int | None = None) -> tuple[tuple[ServerSession, ...], int]:
        """Connections and requests of clients that go on.

        Args:
            most: as many are returned.
            virtual_server: number of the one whose they are; None for all.

        Returns:
            Those, as HAProxy lists them, and how many there are.
        """
        with self.lock:
            found = [
                s for s in parse_sessions(self._ask("show sess")) if virtual_server is None or s.virtual_server == virtual_server
            ]
            chosen = found[:most]
            details = "".join(self._ask(line) for line in batches(detail_commands(chosen)))
            return tuple(with_figures(chosen, details)), len(found)

    def clear_statistics(self) -> None:
        """Set all counters to zero; nothing to do while HAProxy does not run.

        Raises:
            OSError: it does not answer.
        """
        with self.lock, suppress(FileNotFoundError, ConnectionRefusedError):
            ask(self._stats_socket, "clear counters all")
            self._totals.clear()

    def _look(self) -> Statistics:
        """What was counted by now, by all workers since this daemon started."""
        answer = self._ask("show info; show stat")
        self._looked_s = time.monotonic()
        pid = re.search(r"^Pid: (\d+)$", answer, re.MULTILINE)
        return self._totals.see(pid[1], parse_statistics(answer)) if pid is not None else parse_statistics("")

    def _put(self, new: HaproxyIntent) -> None:
        with self.lock:
            target = self._generation(new)
            running = self._master.adopt()
            before = (self._in_force() or self._folder.current()) if running or self.wanted else None
            try:
                if not (running and self._change(target)):
                    self._serve(target, new.probes)
            except (ApplyError, OSError) as e:
                restored = self._restore(before)
                if isinstance(e, ApplyError):
                    raise ApplyError(e.step, explain(e.cause, target.text), restored) from e
                raise
            self.wanted, self._intent = True, new
            self._health.want(new.probes, [server.path for server in servers_of(target.text)])
            self._health.tell()
            self.on_process()

    def _put_back(self, found: _Found) -> None:
        """A transaction has failed: have that served again which was found at its beginning, as it was.

        Raises:
            ApplyError: nobody knows what it was, or it is refused now.
        """
        if found.generation is None:
            raise ApplyError("put haproxy back", "what its worker served was not known", rolled_back=False)
        with self.lock:
            self._serve(found.generation, found.probes)
            self.wanted, self._intent = True, HaproxyIntent(found.services, found.files, found.probes)
            self._health.tell()

    def _change(self, target: Generation) -> bool:
        """Change the worker that serves; False when another one is needed."""
        worker, old = self._master.worker(), self._in_force()
        steps = changes(old, target) if old is not None else None
        if worker is None or old is None or steps is None:
            return False
        if old.text == target.text:
            return True
        self._folder.begin_change(worker.pid, worker.told)
        try:
            carry_out(self._stats_socket, steps, target)
        except (Refused, OSError) as e:
            log.warning("haproxy cannot be changed while it runs, it is reloaded: %s", e)
            return False
        self._folder.end_change(worker.pid, worker.told, target)
        self.work = replace(self.work, changed=self.work.changed + len(steps))
        log.info("haproxy: %s changed at run time", number_of(len(steps), "setting"))
        return True

    def _serve(self, target: Generation, probes: Iterable[ServerProbe]) -> None:
        """Have a new worker serve a generation, in the place of an old one if there is one."""
        self._make_directories()
        self._folder.replace(target)
        alive = self._master.alive
        standing = (self._ask("show servers state") if alive else "") or self._standing
        self._folder.write_state(handed_over(standing, target.text, paths_of(probes)))
        if alive:
            self._look()
            self._master.reload(target.digest)
            self.work = replace(self.work, reloads=self.work.reloads + 1)
            log.info("haproxy: reloaded")
        else:
            pipe = open_pipe(self._folder)
            try:
                self._master.start(self._binary.path, target.digest, pipe)
            finally:
                os.close(pipe)
        self.on_process()
        self._folder.settle(target)

    def _restore(self, before: Generation | None) -> bool:
        """Go back to a generation; True when that is what is in force now, or will be when the supervisor starts it again."""
        try:
            if before is None:
                self._folder.clear()
                return not self._master.alive
            self._folder.restore(before)
            if self._master.alive and self._in_force() != before:
                self._serve(before, self._intent.probes)
                self._health.tell()
        except (ApplyError, OSError) as e:
            log.error("haproxy: what was in force before cannot be put back: %s", e)
            return False
        return True

    def _in_force(self) -> Generation | None:
        worker = self._master.worker()
        return self._folder.in_force(worker.pid, worker.told) if worker is not None else None

    def _generation(self, intent: HaproxyIntent) -> Generation:
        # A running master keeps the limits that it was started with.
        pid = self._master.process.pid if self._master.process is not None and self._master.alive else 0
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        files = sys.maxsize if limit == resource.RLIM_INFINITY else limit
        threads = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
        return write_file(intent.services, Machine(os.geteuid() == 0, files, threads), intent.files)

    def _ask(self, command: str) -> str:
        """A worker's answer; empty while none answers."""
        try:
            return ask(self._stats_socket, command)
        except OSError:
            return ""

    def _make_directories(self) -> None:
        self._folder.make()
        self._log.parent.mkdir(mode=0o700, exist_ok=True)

    @property
    def _stats_socket(self) -> Path:
        return self._folder.path / STATS_SOCKET

    @cached_property
    def _binary(self) -> Binary:
        return find_binary()


def _ordered(found: Generation, wanted: HaproxyIntent | None) -> tuple[HaproxyFile, ...]:
    """A generation's files, in the order in which they are wanted when they are those that are wanted."""
    return wanted.files if wanted is not None and set(wanted.files) == set(found.files) else found.files
