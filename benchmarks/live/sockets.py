"""What one writes oneself: a loop over a packet socket, in plain Python and with Scapy; each in a process of its own."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from live.network import ANALYZER, FLOOD_PORT, SOURCE, Network

_SO_RCVBUFFORCE, _SO_MARK = 33, 36
_BUFFER_BYTES = 16 << 20
GRE = bytes.fromhex("00000800")
PORT = FLOOD_PORT.to_bytes(2)


def plain_loop(macs: Mapping[str, bytes]) -> None:  # noqa: ARG001  as the other one
    """Receive a frame, see whether it is of the flood, send the packet in it; the kernel writes the outer IP header."""
    source = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    source.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    source.bind(("front", 3))
    target = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
    target.connect((ANALYZER, 0))
    while True:
        frame = source.recv(65536)
        if frame[12:14] == b"\x08\x00" and frame[36:38] == PORT:
            target.send(GRE + frame[14:])


def scapy_loop(macs: Mapping[str, bytes]) -> None:
    """Scapy's `sniff`, and its own packets sent by one socket; the next hop's address is given: it would ask for each packet."""
    from scapy.config import conf
    from scapy.layers import l2
    from scapy.layers.inet import IP
    from scapy.packet import Packet
    from scapy.sendrecv import sniff

    target = conf.L2socket(iface="back")
    outer = l2.Ether(src=macs["back"].hex(":"), dst=macs["analyzer"].hex(":")) / IP(src=SOURCE, dst=ANALYZER) / l2.GRE()

    def copy(packet: Packet) -> None:
        target.send(outer / packet[IP])

    sniff(iface="front", store=False, filter=f"udp dst port {FLOOD_PORT}", prn=copy)


@contextmanager
def looping(network: Network, loop: Callable[[Mapping[str, bytes]], None], pause_s: float) -> Iterator[int]:
    """The loop in the adc; gives its process id, `pause_s` after it was started."""

    def begin() -> None:
        with network.inside("adc"):
            loop(network.macs)

    process = multiprocessing.get_context("fork").Process(target=begin, daemon=True)
    process.start()
    try:
        time.sleep(pause_s)
        if not process.is_alive() or process.pid is None:
            raise RuntimeError(f"{loop.__name__} has ended")
        yield process.pid
    finally:
        process.terminate()
        process.join()
