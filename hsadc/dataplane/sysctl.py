"""The kernel's switches of this network namespace: files below /proc/sys/net that hold one number each."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/proc/sys/net")


def read(name: str) -> int:
    """The value of a switch such as `ipv4/ip_forward`.

    Raises:
        OSError: there is none of that name.
    """
    return int((_ROOT / name).read_text())


def write(name: str, value: int) -> None:
    """Set a switch.

    Raises:
        OSError: there is none of that name, or the kernel refuses.
    """
    (_ROOT / name).write_text(f"{value}\n")


def children(name: str) -> list[str]:
    """The names in a folder of switches, such as the devices in `ipv6/conf`; none when the kernel has no such folder."""
    folder = _ROOT / name
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
