"""The only place that starts a process."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from hsadc.errors import ApplyError


def _placed(command: Sequence[str], namespace: str | None) -> Sequence[str]:
    """The command that runs `command` in the network namespace of that name; None stays in this process's own.

    nsenter and not `ip netns exec`, because the latter gives the process a mount namespace of its own, in which later
    namespaces do not show up.
    """
    return command if namespace is None else ("nsenter", f"--net=/run/netns/{namespace}", *command)


def run(command: Sequence[str], *, input: str = "", timeout_s: float = 30, ok: Sequence[int] = (0,)) -> str:  # noqa: A002
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        input: what it reads from its standard input.
        timeout_s: seconds after which it is killed.
        ok: the exit statuses that are no failure.

    Returns:
        What it wrote to standard output and standard error, in that order.

    Raises:
        ApplyError: it cannot be started, takes longer than `timeout_s`, or ends with a status that is not in `ok`.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, input=input)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise ApplyError(f"run {command[0]}", str(e)) from e
    if done.returncode not in ok:
        raise ApplyError(f"run {command[0]}", (done.stderr or done.stdout).strip() or f"exit status {done.returncode}")
    return done.stdout + done.stderr


def spawn(
    command: Sequence[str], *, log: Path, namespace: str | None = None, output: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one, in a session of its own; its output is appended to `log`.

    Args:
        command: the program and its arguments.
        log: a file; made when it is not there.
        namespace: name of the network namespace that it runs in; None takes this process's own.
        output: a file descriptor for its standard output, which stays the caller's; None appends that to `log`, too.

    Raises:
        ApplyError: it cannot be started.
    """
    try:
        with log.open("ab") as out:
            placed = _placed(command, namespace)
            return subprocess.Popen(
                placed, stdin=subprocess.DEVNULL, stdout=out if output is None else output, stderr=out, start_new_session=True
            )
    except OSError as e:
        raise ApplyError(f"start {command[0]}", str(e)) from e


def attach(command: Sequence[str]) -> int:
    """Run a command on this process's terminal to its end; returns its exit status.

    Raises:
        ApplyError: it cannot be started.
    """
    try:
        return subprocess.run(command, check=False).returncode
    except OSError as e:
        raise ApplyError(f"start {command[0]}", str(e)) from e
