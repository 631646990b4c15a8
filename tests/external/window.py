"""A terminal window with a program in it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios


class Window:
    """A terminal window with a program in it, whose controlling terminal it is: so the program is told of a new size."""

    def __init__(self, command: list[str]) -> None:
        self._end, inside = pty.openpty()
        self._program = subprocess.Popen(["setsid", "--ctty", "--wait", *command], stdin=inside, stdout=inside, stderr=inside)
        os.close(inside)

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.kill()
        self._program.wait()
        os.close(self._end)

    def resize(self, rows: int) -> None:
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("4H", rows, 200, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def until(self, end: str) -> str:
        """All that is printed until it ends like this."""
        seen = b""
        while not seen.endswith(end.encode()):
            seen += os.read(self._end, 1)
        return seen.decode()

    def until_seen(self, text: str) -> str:
        """All that is printed until this is in it, whatever a program draws around it."""
        seen = b""
        while text.encode() not in seen:
            seen += os.read(self._end, 4096)
        return seen.decode(errors="replace")

    def status(self) -> int:
        return self._program.wait(30)
