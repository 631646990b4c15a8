"""A network in which the packet table passes a mirror with BPF, and what leaves is captured.

    far ---- front, hsadc-hop [ADC] back ---- far
             cables `silent` (nobody answers there), `cut` (down); no device has an IP address or answers anything

`front` and `hsadc-hop` have no address, so the kernel makes nothing of the packets that come there but copies. One thread on one
CPU does all.
"""

import contextlib
import itertools
import os
import socket
import struct
import subprocess
import time

from pyroute2 import netns

from hsadc.dataplane.bpf.records import decode_destination_counters, decode_index, decode_pair, decode_source_counters
from hsadc.dataplane.helper_device import helpers
from hsadc.dataplane.mirror import Mirror
from hsadc.dataplane.reconcile import reconcile
from hsadc.intent.hop import DEVICE
from hsadc.intent.mirror import TapIntent
from tests.netns.mirror_net import command, run_program
from tests.netns.packet_case import FRONT

_numbers = itertools.count()
_TAPPED = (FRONT, DEVICE)
_SOL_PACKET, _AUXDATA, _IGNORE_OUTGOING = 263, 8, 23
_AUX = struct.Struct("=IIIHHHH")
_TAG_VALID = 0x10
_ETH_P_ALL = 3
_END = b"\x02\0\0\0\0\x0e\x02\0\0\0\0\x0f\x88\xb6"
"""Ethernet header of the frame behind the last one."""
_NETWORK = """
link add front type veth peer name front netns {far}
link add hsadc-hop type veth peer name hsadc-hop netns {far}
link add back type veth peer name back netns {far}
link add silent type veth peer name silent netns {far}
link add cut type veth peer name cut netns {far}
link set front mtu 9500 up
link set hsadc-hop mtu 9500 up
link set back mtu 9000 up
link set silent up
address add 10.2.0.2/24 dev back
address add fd00:2::2/64 dev back nodad
address add 10.4.0.2/24 dev silent
neighbour add 10.2.0.1 lladdr 02:00:00:00:00:99 dev back
neighbour add fd00:2::1 lladdr 02:00:00:00:00:99 dev back
route add 10.3.0.0/24 via 10.2.0.1
route add 10.3.0.0/24 via 10.4.0.1 dev silent metric 9
route add fd00:3::/64 via fd00:2::1
"""


class PacketNet:
    """The namespaces `adc` and `far`, and the mirror in `adc`; use it as a context manager, in one thread.

    Attributes:
        passing_ns: how long it took to let the last case's packets pass.
        sends_by_tunnel: whether copies of several packets leave in batches, one for each tunnel.
    """

    sends_by_tunnel = False

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        try:
            self._make()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _make(self):
        cpus = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cpus)})  # packets stay in the order in which they are sent
        self._stack.callback(os.sched_setaffinity, 0, cpus)
        prefix = f"hspackets-{os.getpid()}-{next(_numbers)}"
        self.adc, self.far = f"{prefix}-adc", f"{prefix}-far"
        for name in (self.adc, self.far):
            self._stack.callback(subprocess.run, ["ip", "netns", "del", name], capture_output=True, check=False)
            command(f"ip netns add {name}")
        for line in _NETWORK.format(far=self.far).strip().splitlines():
            with self._quiet(line):
                command(f"ip {'-6 ' if 'route add fd' in line else ''}-n {self.adc} {line}")
        for device, mtu in ((FRONT, 9500), (DEVICE, 9500), ("back", 9000), ("silent", 1500)):
            with self.inside(self.far):
                _no_ipv6(device)
            command(f"ip -n {self.far} link set {device} mtu {mtu} arp off up")
        self._sockets()
        with self.inside(self.adc):
            self._mirror = self._open_mirror()
            self._stack.callback(self._mirror.stop)
            self._indexes = {device: socket.if_nametoindex(device) for device in _TAPPED}
        self._stack.callback(self.configure, None)

    def _open_mirror(self):
        return Mirror()

    @contextlib.contextmanager
    def _quiet(self, line):
        """IPv6 is off on `front` and `hsadc-hop` before they come up."""
        for device in _TAPPED:
            if line.startswith(f"link set {device}"):
                with self.inside(self.adc):
                    _no_ipv6(device)
        yield

    def _sockets(self):
        with self.inside(self.far):
            self._capture = self._packet_socket("back")
            self._clients = {device: self._packet_socket(device, listens=False) for device in _TAPPED}
        with self.inside(self.adc):
            self._servers = {device: self._packet_socket(device, listens=False) for device in _TAPPED}
            self._end = self._packet_socket("back", listens=False)
            self._mac = self._end.getsockname()[4]

    def _packet_socket(self, device, listens=True):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._stack.callback(s.close)
        if listens:
            s.setsockopt(_SOL_PACKET, _AUXDATA, 1)
            s.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
            s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
            s.settimeout(5)
        s.bind((device, _ETH_P_ALL if listens else 0))
        return s

    @contextlib.contextmanager
    def inside(self, namespace):
        netns.pushns(namespace)
        try:
            yield
        finally:
            netns.popns()

    def configure(self, intents):
        """Put a configuration in force; None: nothing."""
        m = self._mirror
        names = ("tunnels", "access_lists", "profiles", "rules", "port_mirrors")
        with self.inside(self.adc):
            taps = (m.taps, tuple(map(TapIntent, _TAPPED)) if intents else ())
            reconcile([*((getattr(m, name), getattr(intents, name, ())) for name in names), taps])
            m.refresh()
            self._learn(intents)

    def _learn(self, intents):
        """What `counters` needs to know."""
        self._ids = {s.id for s in (*intents.rules, *intents.port_mirrors)} if intents else {}
        self._names = {i: name for name, i in helpers(self._mirror._objects.netlink).items()}

    def reset(self):
        """Counters and all that is remembered begin anew."""
        with self._mirror._objects.lock:
            maps = self._mirror._objects.maps
            for name in ("series", "buckets"):
                for key in list(maps[name].keys()):
                    maps[name].set(key)
            for key in list(maps["fragments"].keys()):
                maps["fragments"].delete(key)
        self._mirror.clear_counters()

    def counters(self):
        """All counters of the configuration's sources, and of destinations that belong to a profile."""
        # As `Mirror.counters`, which asks the kernel for all devices each time.
        maps = self._mirror._objects.maps
        sources = ((decode_index(key), decode_source_counters(value)) for key, value in maps["source_counters"].items())
        copies = ((decode_pair(key), decode_destination_counters(value)) for key, value in maps["copy_counters"].items())
        # Ids that are gone go with the next change.
        return {i: c for i, c in sources if i in self._ids}, {(p, self._names[i]): c for (p, i), c in copies if p}

    def run(self, frames, device):
        """Run the device's programs over frames; returns what left by `back`.

        What a program returns is asserted: the packet goes on, unchanged.
        """
        programs, kind = self._mirror._objects._programs, "hop" if device == DEVICE else "tap"
        with self.inside(self.adc), self._timed():
            for frame, received in frames:
                program = programs[f"hsadc_{kind}_{'in' if received else 'out'}"]
                assert run_program(program, frame, self._indexes[device]) == (-1, frame)
        return self._left()

    def send(self, frames, device, expected):
        """Let frames pass the device, wait for the counters to be as expected; returns what left by `back`."""
        self._pass(frames, device)
        end = time.monotonic() + 2
        while self.counters() != expected and time.monotonic() < end:
            time.sleep(0.001)
        return self._left()

    def _pass(self, frames, device):
        with self._timed():
            for frame, received in frames:
                (self._clients if received else self._servers)[device].send(frame)

    @contextlib.contextmanager
    def _timed(self):
        started = time.monotonic_ns()
        yield
        self.passing_ns = time.monotonic_ns() - started

    def _left(self):
        """Frames as they left, with their VLAN tags, until a last one that is sent here."""
        self._end.send(_END + bytes(46))
        frames = []
        while True:
            data, ancillary, _, _ = self._capture.recvmsg(1 << 16, 256)
            if data.startswith(_END):
                return frames
            if not (data[0] & 1 and data[6:12] == self._mac):  # the kernel's own neighbour and multicast messages
                frames.append(_tagged(data, ancillary))


def _tagged(frame, ancillary):
    """The frame with the tag that the kernel has taken off."""
    for level, kind, data in ancillary:
        if (level, kind) == (_SOL_PACKET, _AUXDATA):
            status, _, _, _, _, tag, protocol = _AUX.unpack(data[: _AUX.size])
            if status & _TAG_VALID:
                return frame[:12] + protocol.to_bytes(2) + tag.to_bytes(2) + frame[12:]
    return frame


def _no_ipv6(device):
    with open(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6", "w") as file:
        file.write("1")
