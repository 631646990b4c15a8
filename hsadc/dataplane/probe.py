"""Frames that are put into a tunnel's helper device by hand, to see that they arrive at the analyzer."""

from __future__ import annotations

import errno
import socket

from hsadc.dataplane.helper_device import helper_name
from hsadc.dataplane.portable.tap import open_packet_socket
from hsadc.errors import ApplyError


def send_into(interface: str, frame: bytes) -> None:
    """Hand a frame to the helper device of a tunnel or Ethernet interface, as the tap hands it a copy; without the bridge.

    The encapsulator runs before this returns, and counts the frame under profile 0, whether it sends or drops it.

    Args:
        interface: whose helper device is in the network namespace of the calling thread.
        frame: an Ethernet frame with right checksums, smaller than what needs to be segmented.

    Raises:
        Unsupported: the process may not.
        ApplyError: the helper device does not exist.
    """
    s = open_packet_socket(socket.SOCK_RAW)
    try:
        s.bind((helper_name(interface), 0))
        s.send(frame)
    except OSError as e:
        if e.errno == errno.ENOBUFS:  # what the sender of a packet hears that a filter drops
            return
        raise ApplyError(f"send a probe by {interface}", e.strerror or str(e)) from e
    finally:
        s.close()
