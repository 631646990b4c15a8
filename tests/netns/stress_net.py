"""A network for the mirror under stress: that of `mirror_net` with IPv6, and an analyzer that keeps nothing but sums.

What leaves the ADC is captured at its own output `back`, where the kernel segments and sums what is sent, so that a capture
holds what a wire would carry.
"""

import contextlib
import hashlib
import itertools
import os
import re
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from ipaddress import IPv6Address
from pathlib import Path

from hsadc.wire.checksum import internet_checksum
from hsadc.wire.reassembly import Reassembler
from hsadc.wire.receive import decapsulate, payload_of_frame
from tests.netns.mirror_net import PORT, SERVER, Net

FULL = os.environ.get("HSADC_STRESS") == "1"
SERVER6 = "fd00:1::2"
_ADDRESSES = (
    ("client", "eth0", "fd00:1::1"),
    ("adc", "front", SERVER6),
    ("adc", "back", "fd00:2::2"),
    ("router", "lan", "fd00:2::1"),
    ("router", "mon", "fd00:3::1"),
    ("analyzer", "eth0", "fd00:3::2"),
)
_OUT = "not arp and not icmp and not icmp6 and not (ip6[6] == 0)"  # the last: multicast listener reports
_BLOCK = os.urandom(1 << 20)
_CHUNK, _STEP = 1 << 16, 4099
_numbers = itertools.count()


class StressNet(Net):
    """The namespaces, with both families on each cable."""

    def __enter__(self):
        super().__enter__()
        try:
            for role, device, address in _ADDRESSES:
                self.run(role, f"ip addr add {address}/64 dev {device} nodad")
            self.run("router", "sysctl -qw net.ipv6.conf.all.forwarding=1")
            self.run("adc", "ip -6 route add fd00:3::/64 via fd00:2::1")
            self.run("analyzer", "ip -6 route add default via fd00:3::1")
            self.run("adc", "ethtool -K back tx off sg off tso off gso off")
        except BaseException:
            self.__exit__()
            raise
        return self

    def offloads(self, state):
        """What client and ADC leave to their devices on the cable between them."""
        for role, device in (("client", "eth0"), ("adc", "front")):
            self.run(role, f"ethtool -K {device} tx {state} sg {state} tso {state} gso {state} gro {state}")


class Frame(bytes):
    """A captured frame, and when (seconds since 1970)."""

    time_s = 0.0


def settled(mirror):
    """The counters, once they stand still."""
    before = None
    while (now := mirror.counters()) != before:
        before = now
        time.sleep(0.1)
    return now


@contextlib.contextmanager
def stored_capture(net, role="adc", device="back", expression=_OUT, direction="out"):
    """A capture; the block's value yields its frames one by one after the block. The file has no name any more then."""
    file = Path(f"/tmp/{net.prefix}-{device}-{next(_numbers)}.pcap")
    dump = ["ip", "netns", "exec", net.names[role], "tcpdump", "-i", device, "-Q", direction, "-w", str(file), "-U"]
    dump += ["-B", str(1 << 20 if FULL else 1 << 16), "-s", "2048", "--immediate-mode", expression]  # KiB
    process, kept = subprocess.Popen(dump, stderr=subprocess.PIPE, text=True), []
    with contextlib.suppress(ProcessLookupError):
        os.sched_setaffinity(process.pid, range(os.cpu_count()))  # a test that has one CPU must not keep it waiting
    try:
        process.stderr.readline()  # it listens now
        yield _frames(kept)
        size = -1
        while size != file.stat().st_size:  # nothing arrives any more
            size = file.stat().st_size
            time.sleep(0.25)
    finally:
        process.terminate()
        _, told = process.communicate()
        if file.exists():
            kept.append(file.open("rb"))
            file.unlink()
    assert re.search(r"^0 packets dropped by kernel", told, re.MULTILINE), told


def _frames(kept):
    with kept.pop() as stream:
        stream.read(24)
        while head := stream.read(16):
            seconds, microseconds, length, whole = struct.unpack("=4I", head)
            assert length == whole
            frame = Frame(stream.read(length))
            frame.time_s = seconds + microseconds / 1e6
            yield frame


class _Stream:
    """One direction of a TCP connection."""

    def __init__(self):
        self.hash, self.next, self.waiting, self.late, self.repeated = hashlib.sha256(), None, {}, 0, 0

    def add(self, sequence, is_first, data):
        if is_first:
            self.next = (sequence + 1) % 2**32
        elif data and self.next is not None:
            self._take(sequence, data)

    def _take(self, sequence, data):
        ahead = (sequence - self.next + 2**31) % 2**32 - 2**31
        if ahead > 0:
            self.late += 1  # of those that stand before it
            self.waiting[sequence] = data
            return
        self.repeated += min(-ahead, len(data))
        self.hash.update(data[-ahead:])
        self.next = (self.next + max(0, len(data) + ahead)) % 2**32
        if self.waiting:
            first = min(self.waiting, key=lambda s: (s - self.next + 2**31) % 2**32)
            if (first - self.next + 2**31) % 2**32 <= 2**31:
                self._take(first, self.waiting.pop(first))


class Analyzer:
    """Takes frames as they left the ADC, verifies every checksum, and puts together what TCP connections carried.

    Attributes:
        frames: how many there were.
        payload_bytes: of copies.
        packets: number of copies, by their IP packet; only with `keep`.
        misnumbered: GRE sequence numbers that are not the one after the last.
    """

    def __init__(self, encapsulated=True, keep=False):
        self.frames, self.payload_bytes, self.packets, self.misnumbered = 0, 0, Counter(), 0
        self._encapsulated, self._keep, self._whole, self._number = encapsulated, keep, Reassembler(), None
        self._streams = {}

    def read(self, frames):
        """Take them all."""
        for frame in frames:
            self.frames += 1
            if self._encapsulated:
                self._outer(frame)
            else:
                self.payload_bytes += len(frame)
                self._inner(payload_of_frame(frame))
        return self

    def _outer(self, frame):
        packet = self._whole.add(payload_of_frame(frame))
        if packet is None:
            return
        copy = decapsulate(packet)
        self.payload_bytes += len(copy.payload)
        if copy.sequence is not None:
            self.misnumbered += self._number is not None and copy.sequence != (self._number + 1) % 2**32
            self._number = copy.sequence
        self._inner(payload_of_frame(copy.payload) if copy.is_ethernet else copy.payload)

    def _inner(self, ip):
        if self._keep:
            self.packets[ip] += 1
        if ip[0] >> 4 == 4:
            header, total, protocol, addresses = (ip[0] & 15) * 4, int.from_bytes(ip[2:4]), ip[9], ip[12:20]
            assert internet_checksum(ip[:header]) == 0
        else:
            header, total, protocol, addresses = 40, 40 + int.from_bytes(ip[4:6]), ip[6], ip[8:40]
        assert len(ip) == total
        segment = ip[header:]
        assert internet_checksum(addresses + protocol.to_bytes(4) + len(segment).to_bytes(4) + segment) == 0
        if protocol == 6:
            flow = addresses + segment[:4]
            stream = self._streams.setdefault(flow, _Stream())
            stream.add(int.from_bytes(segment[4:8]), segment[13] & 2, segment[(segment[12] >> 4) * 4 :])

    @property
    def reordered(self):
        """Segments that came before one which belongs before them; those of a segment that was lost count, too."""
        return sum(stream.late for stream in self._streams.values())

    def digests(self, port=PORT):
        """SHA-256 of what was sent to a port, and of what was sent from it; nothing may be missing."""
        assert not any(stream.waiting for stream in self._streams.values())
        to = [s for flow, s in self._streams.items() if flow[-2:] == port.to_bytes(2)]
        back = [s for flow, s in self._streams.items() if flow[-4:-2] == port.to_bytes(2)]
        return sorted(s.hash.hexdigest() for s in to), sorted(s.hash.hexdigest() for s in back)


def _send(connection, size):
    digest, at = hashlib.sha256(), 0
    while size:
        piece = memoryview(_BLOCK)[at : at + min(size, _CHUNK)]
        connection.sendall(piece)
        digest.update(piece)
        at, size = (at + _STEP) % (len(_BLOCK) - _CHUNK), size - len(piece)
    return digest.hexdigest()


def _receive(connection):
    digest = hashlib.sha256()
    while part := connection.recv(1 << 18):
        digest.update(part)
    return digest.hexdigest()


def big_transfer(net, upload, download, address=SERVER, port=PORT):
    """One TCP connection from client to ADC that carries so many bytes; returns SHA-256 of both directions, received whole."""
    family, told = socket.AF_INET6 if ":" in address else socket.AF_INET, {}
    with net.inside("adc"):
        listener = socket.create_server((address, port), family=family)
    with net.inside("client"):
        client = socket.socket(family)
    for end in (listener, client):
        # A small window: a burst longer than the kernel's backlog (1000 packets) would lose copies between the lab's namespaces.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        end.settimeout(60)

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(60)
            told["uploaded"] = _receive(connection)
            told["download"] = _send(connection, download)

    thread = threading.Thread(target=serve)
    with listener, client:
        thread.start()
        client.connect((address, port))
        upload_digest = _send(client, upload)
        client.shutdown(socket.SHUT_WR)
        downloaded = _receive(client)
        thread.join()
    assert (told["uploaded"], downloaded) == (upload_digest, told["download"])
    return upload_digest, downloaded


def ipv6(address):
    """Shorter."""
    return IPv6Address(address)
