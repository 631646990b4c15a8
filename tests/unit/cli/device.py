"""The device's end of a control socket, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsadc.cli import control
from hsadc.cli.remote import ControlError
from hsadc.cli.shell import MakeShell


class Daemon:
    """A device in a thread, to be attached to as from another process."""

    def __init__(self, path: Path, shell: MakeShell) -> None:
        self._path, self._shell = path, shell
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def _run(self) -> None:
        async def life() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            async with await control.listen(self._path, self._shell):
                self._ready.set()
                await self._stop.wait()

        try:
            asyncio.run(life())
        except ControlError as e:
            self._failure = e
        finally:
            self._ready.set()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()


@contextmanager
def running(path: Path, shell: MakeShell) -> Iterator[Daemon]:
    daemon = Daemon(path, shell)
    try:
        yield daemon
    finally:
        daemon.stop()
