"""The capture at the analyzer."""

from __future__ import annotations

import re
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from hsadc.errors import ApplyError, Unsupported
from hsadc.lab.interrupt import Interrupt
from hsadc.lab.process import Process
from hsadc.lab.topology import ANALYZER_LEG

_BUFFER_KIB = 65_536
# tcpdump is handed its packets in blocks, each at the latest a second after its first packet.
_QUIET_S = 1.5
_TOTALS = re.compile(r"(\d+) packets? captured\n(?:.*\n)*?(\d+) packets? dropped by kernel")


@dataclass(frozen=True, slots=True)
class CaptureTotals:
    """How many packets are in the file, and how many the kernel dropped before they could be."""

    captured: int
    dropped: int


def totals(said: str) -> CaptureTotals:
    """Read the totals out of what tcpdump says when it ends.

    Raises:
        ApplyError: they are not there.
    """
    found = _TOTALS.search(said)
    if found is None:
        raise ApplyError("capture at the analyzer", f"tcpdump gave no totals: {said.strip()}")
    return CaptureTotals(int(found[1]), int(found[2]))


def check_tcpdump() -> None:
    """Raise Unsupported when there is no tcpdump to capture with."""
    if shutil.which("tcpdump") is None:
        raise Unsupported("capture at the analyzer", "tcpdump is missing: install the Debian package tcpdump")


class Capture:
    """A tcpdump of all GRE packets (IP protocol 47) that reach the analyzer; it listens once this is made."""

    def __init__(self, file: Path, *, namespace: str, interrupt: Interrupt) -> None:
        """Start it; the file's name must end in `.pcap` (some systems let tcpdump write no other)."""
        self.file = file
        self._interrupt = interrupt
        # -Z root: the folder is closed to the user that tcpdump would become.
        command = ["tcpdump", "-i", ANALYZER_LEG.device, "-Q", "in", "-n", "-U", "-Z", "root"]
        command += ["-B", str(_BUFFER_KIB), "-w", str(file), "ip proto 47"]
        self._process = Process("tcpdump", command, log=file.with_suffix(".log"), namespace=namespace)
        try:
            self._process.expect(lambda: "listening on" in self._said(), interrupt)
        except BaseException:
            self._process.stop()
            raise

    def finish(self) -> CaptureTotals:
        """Wait until no more packets come, end the capture, and return its totals.

        Raises:
            ApplyError: tcpdump ended by itself, or its totals cannot be read.
            Interrupted: the operator asked to stop.
        """
        size, since = -1, time.monotonic()

        def quiet() -> bool:
            nonlocal size, since
            if (now := self.file.stat().st_size) != size:
                size, since = now, time.monotonic()
            return time.monotonic() - since > _QUIET_S

        self._process.expect(quiet, self._interrupt)
        self.stop()
        return totals(self._said())

    def stop(self) -> None:
        """End the capture; also right when it has ended."""
        self._process.stop(signal.SIGINT)

    def _said(self) -> str:
        return self._process.log.read_text(errors="replace")
