"""What devices and their network namespace were like before hsadc changed them, kept in a file to be put back even after a kill.

A value is written before the first change and removed after the value is back. The values belong to one boot and one network
namespace (`kernel_identity`): in another, the devices are other ones, and the file is taken as empty.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SO_NETNS_COOKIE = 71
"""Of asm-generic/socket.h, since Linux 5.14: a number of the network namespace that no other gets until the next boot."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of one device, or of all of them.

    Attributes:
        device: Linux name; `all` or `default` for what /proc/sys/net has for all devices and for new ones; empty for what the
            whole network namespace shares.
        index: the kernel's number of the device: after it was unplugged, another device may get its name; 0 without a device.
        name: `mtu_bytes`, `up`, a device's name in /proc/sys/net, or a file below that, such as `ipv4/ip_forward`.
    """

    device: str
    index: int
    name: str


class Originals:
    """The original values of changed settings; a truth value is 0 or 1.

    One thread at a time may change them while others read; two processes must not share a file.
    """

    def __init__(self, path: Path, identity: str) -> None:
        """Read `path` (which need not exist; its folder must), unless another `kernel_identity` wrote it."""
        self._path = path
        self._identity = identity
        self._values = _load(path, identity)

    def get(self, setting: Setting) -> int | None:
        """The value before the first change; None when hsadc has not changed it."""
        return self._values.get(setting)

    def settings(self) -> frozenset[Setting]:
        """Those that are changed."""
        return frozenset(self._values)

    def remember(self, setting: Setting, value: int) -> None:
        """Keep `value`, safe on disk, unless an earlier one is kept.

        Raises:
            OSError: it cannot be written; then nothing is remembered and the setting must not be changed.
        """
        if setting not in self._values:
            self._store({**self._values, setting: value})

    def forget(self, setting: Setting) -> None:
        """The original value is in force again.

        Raises:
            OSError: the file cannot be written; then it is still remembered.
        """
        if setting in self._values:
            self._store({s: v for s, v in self._values.items() if s != setting})

    def _store(self, values: dict[Setting, int]) -> None:
        text = json.dumps(
            {"identity": self._identity, "originals": [[s.device, s.index, s.name, value] for s, value in values.items()]},
            indent=1,
        )
        beside = self._path.with_name(self._path.name + ".new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        self._values = values


def kernel_identity() -> str:
    """This boot and this network namespace, as one word.

    Raises:
        OSError: the kernel is older than 5.14.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        cookie = probe.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8).hex()
    return f"{_BOOT_ID.read_text().strip()}/{cookie}"


def _load(path: Path, identity: str) -> dict[Setting, int]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["identity"] != identity:
            return {}
        return {Setting(device, index, name): value for device, index, name, value in content["originals"]}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        # The rename makes a half-written file impossible; one that somebody else spoiled must not keep the ADC from starting.
        _log.exception("%s is damaged: what devices were like before is not known", path)
        return {}
