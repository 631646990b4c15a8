"""A network for the mirror: client - ADC - router - analyzer in namespaces of its own. The router's leg to the analyzer has no
offloads, so that what the analyzer captures is what a wire would carry.

    client 10.1.0.1 --- front 10.1.0.2 [ADC] back 10.2.0.2 --- 10.2.0.1 [router] 10.3.0.1 --- 10.3.0.2 analyzer
"""

import contextlib
import itertools
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from pyroute2 import netns

from hsadc.dataplane.bpf import syscall
from hsadc.dataplane.mirror import Mirror
from hsadc.dataplane.reconcile import reconcile
from hsadc.intent.mirror import ProfileIntent, RuleIntent, TapIntent, TunnelIntent
from hsadc.wire import gre
from hsadc.wire.checksum import internet_checksum
from hsadc.wire.encapsulation import Encapsulation

CLIENT, SERVER, ANALYZER = "10.1.0.1", "10.1.0.2", "10.3.0.2"
PORT = 8087
GRE = Encapsulation("gre", IPv4Address("10.2.0.2"), IPv4Address(ANALYZER))
TUNNEL = TunnelIntent("tunnel1", "back", GRE)
PROFILE = ProfileIntent(1, ("tunnel1",))
RULE = RuleIntent(7, IPv4Address(SERVER), PORT, 6, PROFILE.number)
TAP = TapIntent("front")
_numbers = itertools.count()


def encapsulated(tunnel=TUNNEL, **changes):
    """The tunnel with another encapsulation."""
    return replace(tunnel, encapsulation=replace(tunnel.encapsulation, **changes))


def command(text):
    done = subprocess.run(text, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{text}: {done.stderr}"
    return done.stdout


class Net:
    """The namespaces; `prefix-client` and so on."""

    def __init__(self):
        self.prefix = f"hsmirror-{os.getpid()}-{next(_numbers)}"
        self.names = {role: f"{self.prefix}-{role}" for role in ("client", "adc", "router", "analyzer")}

    def __enter__(self):
        try:
            for name in self.names.values():
                command(f"ip netns add {name} && ip -n {name} link set lo up")
            self._cable("client", "eth0", f"{CLIENT}/24", "adc", "front", f"{SERVER}/24")
            self._cable("adc", "back", "10.2.0.2/24", "router", "lan", "10.2.0.1/24")
            self._cable("router", "mon", "10.3.0.1/24", "analyzer", "eth0", f"{ANALYZER}/24")
            self.run("adc", "ip route add 10.3.0.0/24 via 10.2.0.1")
            self.run("analyzer", "ip route add default via 10.3.0.1")
            self.run("router", "sysctl -qw net.ipv4.ip_forward=1")
            self.run("router", "ethtool -K mon tx off sg off tso off gso off")
            self.run("analyzer", "ethtool -K eth0 gro off")
            # an analyzer that knows no GRE answers "protocol unreachable"; these would not be mirrored, but they are noise
            self.run(
                "analyzer",
                "nft 'add table ip t; add chain ip t c { type filter hook input priority -300; };"
                " add rule ip t c ip protocol 47 drop'",
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def run(self, role, text):
        return command(f"ip netns exec {self.names[role]} {text}")

    @contextlib.contextmanager
    def inside(self, role):
        """The calling thread's network is that of the role."""
        netns.pushns(self.names[role])
        try:
            yield
        finally:
            netns.popns()

    def _cable(self, a, port_a, address_a, b, port_b, address_b):
        a, b = self.names[a], self.names[b]
        command(f"ip link add {port_a} netns {a} type veth peer name {port_b} netns {b}")
        for name, port, address in ((a, port_a, address_a), (b, port_b, address_b)):
            command(f"ip -n {name} addr add {address} dev {port} && ip -n {name} link set {port} up")


def bring(mirror, tunnels=(TUNNEL,), profiles=(PROFILE,), rules=(RULE,), taps=(TAP,), ports=(), lists=()):
    """Make the mirror so, as a transaction does, and say what was done."""
    return reconcile(
        (
            (mirror.tunnels, tunnels),
            (mirror.access_lists, lists),
            (mirror.profiles, profiles),
            (mirror.rules, rules),
            (mirror.port_mirrors, ports),
            (mirror.taps, taps),
        )
    )


def remove(mirror):
    """All that it made."""
    return bring(mirror, (), (), (), (), (), ())


@contextlib.contextmanager
def mirror_in(net, tunnels=(TUNNEL,), profiles=(PROFILE,), rules=(RULE,), taps=(TAP,), ports=(), lists=(), wait=True):
    """A mirror in force in the ADC's namespace; what it made is removed afterwards."""
    with net.inside("adc"):
        mirror = Mirror()
        mirror.start_watching()
        try:
            bring(mirror, tunnels, profiles, rules, taps, ports, lists)
            if wait:
                until(lambda: all(mirror.tunnel_state(t.interface).state != "down" for t in tunnels))
                mirror.refresh()  # the state is the kernel's of this moment; the map may not know it yet
            yield mirror
        finally:
            remove(mirror)
            mirror.stop()


def until(condition, seconds=20):
    """Wait for a condition that another thread or the kernel brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.02)


@contextlib.contextmanager
def capture(net, role="analyzer", device="eth0", expression="ip proto 47"):
    """Captured Ethernet frames, complete when the block is left."""
    file = Path(f"/tmp/{net.prefix}-{device}-{next(_numbers)}.pcap")
    dump = ["ip", "netns", "exec", net.names[role], "tcpdump", "-i", device, "-w", str(file), "-U", "-B", "65536", "-s", "2048"]
    dump += ["--immediate-mode", expression]
    process = subprocess.Popen(dump, stderr=subprocess.PIPE)
    frames = []
    try:
        process.stderr.readline()  # it listens now
        yield frames
        size = -1
        while size != file.stat().st_size:  # nothing arrives any more
            size = file.stat().st_size
            time.sleep(0.25)
    finally:
        process.terminate()
        process.communicate()
        if file.exists():
            frames += _frames(file.read_bytes())
            file.unlink()


def _frames(pcap):
    offset, found = 24, []
    while offset + 16 <= len(pcap):
        length = int.from_bytes(pcap[offset + 8 : offset + 12], sys.byteorder)
        found.append(pcap[offset + 16 : offset + 16 + length])
        offset += 16 + length
    return found


def transfer(net, upload=b"", download=b"", port=PORT, mss=None):
    """One TCP connection from the client to the ADC; returns what each side received."""
    received = {}
    with net.inside("adc"):
        listener = socket.create_server((SERVER, port))
    # A small window: a burst longer than the kernel's backlog (1000 packets) would lose copies between the lab's namespaces.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    with net.inside("client"):
        client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    if mss:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    client.settimeout(30)
    listener.settimeout(30)

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            received["server"] = _read(connection)
            connection.sendall(download)

    thread = threading.Thread(target=serve)
    with listener, client:
        thread.start()
        client.connect((SERVER, port))
        client.sendall(upload)
        client.shutdown(socket.SHUT_WR)
        received["client"] = _read(client)
        thread.join()
    return received["server"], received["client"]


def _read(connection):
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


class Mirrored:
    """What an analyzer makes of captured copies: every checksum verified, TCP streams put together again."""

    def __init__(self, frames, key=None):
        self.inner, self._segments, self._first, self._latest, self.reordered = [], defaultdict(dict), {}, {}, 0
        for frame in frames:
            outer = frame[14:]
            total = int.from_bytes(outer[2:4])
            assert outer[0] == 0x45
            assert internet_checksum(outer[:20]) == 0
            assert (outer[8], outer[9]) == (63, 47)  # sent with 64, and the router took one
            assert int.from_bytes(outer[6:8]) == 0  # no fragment, and may become one
            assert outer[12:20] == IPv4Address("10.2.0.2").packed + IPv4Address(ANALYZER).packed
            header, length = gre.decode(outer[20:total])
            assert (header.protocol, header.key) == (0x0800, key)
            self.inner.append(outer[20 + length : total])
        self.outer_ids = [frame[18:20] for frame in frames]
        for packet in self.inner:
            self._add(packet)

    def _add(self, ip):
        header = (ip[0] & 15) * 4
        assert int.from_bytes(ip[2:4]) == len(ip)
        assert internet_checksum(ip[:header]) == 0
        assert ip[9] == 6
        segment = ip[header:]
        assert internet_checksum(ip[12:20] + bytes([0, 6]) + len(segment).to_bytes(2) + segment) == 0
        flow = ip[12:20] + segment[:4]
        sequence, data = int.from_bytes(segment[4:8]), segment[(segment[12] >> 4) * 4 :]
        if segment[13] & 2:
            self._first[flow] = sequence + 1
        elif data:
            earlier = (sequence - self._latest.get(flow, sequence)) % 2**32 >= 2**31
            if earlier and not any(first <= sequence < first + len(d) for first, d in self._segments[flow].items()):
                self.reordered += 1  # bytes that were not seen before: no retransmission
            self._segments[flow][sequence] = max(data, self._segments[flow].get(sequence, b""), key=len)  # retransmitted in part
            self._latest[flow] = sequence

    def stream(self, source):
        """The bytes that one address sent in the one connection there is, without a gap."""
        (flow,) = (f for f in self._first if f[:4] == IPv4Address(source).packed)
        body, following = bytearray(), self._first[flow]
        for sequence, data in sorted(self._segments[flow].items(), key=lambda item: (item[0] - self._first[flow]) % 2**32):
            missing = (following - sequence) % 2**32
            assert missing < 2**31, "a gap"
            body += data[missing:]
            following = max(following, sequence + len(data)) if missing < len(data) else following
        return bytes(body)

    @property
    def sizes(self):
        return [len(packet) for packet in self.inner]


def run_program(program, packet, ifindex=0):
    """Run a program once over an Ethernet frame; returns its verdict and the frame afterwards."""
    frame, after = (
        syscall.ctypes.create_string_buffer(packet, len(packet)),
        syscall.ctypes.create_string_buffer(len(packet) + 256),
    )
    context = syscall.ctypes.create_string_buffer(192)
    struct.pack_into("=I", context, 40, ifindex)
    pointers = syscall.address(frame), syscall.address(after)
    attributes = struct.pack(
        "=IIIIQQIIIIQQ", program, 0, len(packet), len(after), *pointers, 1, 0, 192, 0, syscall.address(context), 0
    )
    _, result = syscall.bpf(syscall.PROG_TEST_RUN, attributes)
    verdict, _, length = struct.unpack_from("=iII", result, 4)
    return verdict, after.raw[:length]
