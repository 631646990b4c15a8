"""Checks by UDP: a datagram is answered, or at least not refused.

The refusal is an ICMP error, which the kernel reports of a connected socket; so it does when no host answers to the address.
Where no answer is asked for, silence is success: but a refusal may come later than a check lasts. So the socket is kept, and
looked at once more in the next check.
"""

from __future__ import annotations

import asyncio
import os
import socket

from hsadc.dataplane.prober_check import Failed, family_of, open_socket
from hsadc.intent.probe import Probe

_REPORT_ERRORS = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR and IPV6_RECVERR: also those errors are reported that may pass, such as host unreachable (ip(7))."""
_MOST_BYTES = 65536


class DatagramAttempt:
    """A datagram, and an answer if one is wanted.

    Attributes:
        silence: see Attempt.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._socket: socket.socket | None = None
        self.silence = not probe.answer

    async def run(self) -> None:
        """Send it and wait for whatever comes."""
        late = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if self._socket and self.silence else 0
        self.close()
        self._socket = sock = open_socket(family_of(self._probe), socket.SOCK_DGRAM)
        try:
            sock.setsockopt(*_REPORT_ERRORS[family_of(self._probe)], 1)
            sock.connect((str(self._probe.address), self._probe.port))
            sock.send(self._probe.payload)
            if late:
                raise OSError(late, os.strerror(late))
            await asyncio.get_running_loop().sock_recv(sock, _MOST_BYTES)
        except ConnectionRefusedError as e:
            raise Failed("refused: ICMP port unreachable") from e

    def close(self) -> None:
        """Give the last check's socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
