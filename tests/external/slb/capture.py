"""A capture at a node while something happens."""

from __future__ import annotations

import itertools
import re
import subprocess
import time
from pathlib import Path
from types import TracebackType

from hsadc.lab.pcap import frames
from tests.external.slb.network import Network
from tests.external.slb.streams import Copies, Packet, copies, packets

_numbers = itertools.count()
_QUIET_S = 0.3


class Capture:
    """tcpdump on a device of a node for as long as the block lasts; what it took is there afterwards.

    Attributes:
        frames: Ethernet frames, in the order of arrival; none was lost by the capture.
    """

    def __init__(
        self,
        network: Network,
        node: str,
        expression: str = "",
        *,
        device: str = "eth0",
        longest: int = 65600,
        patience_s: float = 4,
    ) -> None:
        """It begins when the block is entered.

        Args:
            network: where.
            node: on which node.
            expression: what is captured, in the language of pcap-filter(7).
            device: the node's device.
            patience_s: how long it waits at the end until nothing arrives any more.
            longest: no frame has more bytes; the less, the more of them wait their turn without loss.
        """
        self._file = Path(f"/tmp/{network.prefix}-{next(_numbers)}.pcap")
        command = ["tcpdump", "-i", device, "-n", "-U", "-Z", "root", "-B", "131072", "--immediate-mode"]
        command += ["-s", str(longest), "-w", str(self._file), expression]
        self._command = network.command(node, *command)
        self._patience_s = patience_s
        self.frames: list[bytes] = []

    def __enter__(self) -> Capture:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        assert "listening on" in said, said
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._settle()
            self._process.terminate()
            _, said = self._process.communicate(timeout=20)
            if kind is None:
                assert re.search(r"^0 packets dropped by kernel", said, re.MULTILINE), said
                self.frames = list(frames(self._file.read_bytes()))
        finally:
            self._process.kill()
            self._file.unlink(missing_ok=True)

    def _settle(self) -> None:
        """Wait until nothing arrives any more, but not for ever."""
        size = -1
        begin = since = time.monotonic()
        while time.monotonic() - since < _QUIET_S and time.monotonic() - begin < self._patience_s:
            if (now := self._file.stat().st_size) != size:
                size, since = now, time.monotonic()
            time.sleep(0.05)

    @property
    def packets(self) -> list[Packet]:
        """The packets of TCP and UDP on the wire."""
        return packets(self.frames)

    @property
    def copies(self) -> Copies:
        """What was in the GRE packets."""
        return copies(self.frames)


def at_analyzer(network: Network, patience_s: float = 4) -> Capture:
    """All GRE packets that reach the analyzer."""
    return Capture(network, "analyzer", "ip proto 47 or ip6 proto 47", longest=2048, patience_s=patience_s)
