"""HAProxy's processes of one device."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.external.slb.device import Device


def masters(device: Device) -> list[int]:
    """Numbers of its master processes: one, or none."""
    found = _processes(device)
    return [pid for pid, parent in found.items() if parent not in found]


def workers(device: Device) -> list[int]:
    """Numbers of its workers: after a reload, old ones may still finish what they have."""
    found = _processes(device)
    return [pid for pid, parent in found.items() if parent in found]


def kill(pids: list[int]) -> None:
    """End them without a chance to clean up."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _processes(device: Device) -> dict[int, int]:
    """The parent of each process of HAProxy that was started with the device's directory; zombies left out."""
    found, wanted = {}, str(device.state / "haproxy").encode()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "cmdline").read_bytes().split(b"\0"):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return found
