"""The only place that starts a process."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from hsadc.errors import ApplyError


def run(command: Sequence[str], *, timeout_s: float = 30, ok: Sequence[int] = (0,)) -> str:
    """Run a command to its end.

    Returns:
        What it wrote to standard output and standard error, in that order.

    Raises:
        ApplyError: it cannot be started, takes longer than `timeout_s`, or ends with a status that is not in `ok`.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise ApplyError(f"run {command[0]}", str(e)) from e
    if done.returncode not in ok:
        raise ApplyError(f"run {command[0]}", (done.stderr or done.stdout).strip() or f"exit status {done.returncode}")
    return done.stdout + done.stderr


def spawn(command: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one, in a session of its own; its output is appended to `log`.

    Raises:
        ApplyError: it cannot be started.
    """
    try:
        with log.open("ab") as out:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    except OSError as e:
        raise ApplyError(f"start {command[0]}", str(e)) from e
