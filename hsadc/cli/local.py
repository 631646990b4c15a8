"""The shell of the device on this machine: the running one, or one started in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hsadc.cli.log import RECENT
from hsadc.cli.remote import CONTROL_SOCKET, NoDaemon, RemoteShell
from hsadc.errors import HsadcError


@contextmanager
def open_shell(state_dir: Path, *, batch: bool, write: Callable[[str], None]) -> Iterator[RemoteShell]:
    """A session on the device with this state directory; where none runs, one is started and lives as long as the shell.

    Raises:
        HsadcError: it can neither be reached nor started.
    """
    try:
        shell = RemoteShell(state_dir / CONTROL_SOCKET, batch=batch)
    except NoDaemon:
        write("No hsadc daemon is running: this shell starts a device of its own, which stops when you leave.")
        with _own_device(state_dir), RemoteShell(state_dir / CONTROL_SOCKET, batch=batch) as own:
            for warning in (e for e in RECENT.entries() if e.severity != "INFO"):
                write(warning.message)
            yield own
        return
    with shell:
        yield shell


@contextmanager
def _own_device(state_dir: Path) -> Iterator[None]:
    """A daemon in a thread of this process, without SSH."""
    from hsadc.cli.daemon import Options, serve
    from hsadc.cli.main import STARTUP_CONFIG

    options = Options(state_dir, state_dir / STARTUP_CONFIG, "off", "auto")
    started = threading.Event()
    failure: list[HsadcError] = []
    stop: list[Callable[[], object]] = []

    async def life() -> None:
        event = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(event.set))
        await serve(options, event, started.set)

    def run() -> None:
        try:
            asyncio.run(life())
        except HsadcError as e:
            failure.append(e)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="device")
    thread.start()
    try:
        started.wait()  # inside: a Ctrl-C here must stop the device, too
        for error in failure:
            raise error
        yield
    finally:
        if thread.is_alive() and stop:
            stop[0]()
        thread.join()
