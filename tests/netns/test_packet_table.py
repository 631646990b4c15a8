"""The packet table through the BPF programs, run alone and in live traffic, and through the mirror without BPF: the pure
mirror's bytes and counters.
"""

import pytest

from tests.netns.packet_net import PacketNet
from tests.netns.packet_table import CASES
from tests.netns.portable_packet_net import PortablePacketNet, reaches_a_tap
from tests.unit.dataplane.portable.test_packet_table import mirrored, without_time

pytestmark = pytest.mark.netns

RUN_BYTES_MAX = 3500
"""The kernel runs programs over frames of at most one page."""
HEADERS = {b"\x08\0": 20, b"\x86\xdd": 40}
"""And what says that it is IP must have an IP header, by the Ethertype."""
TRIES = 5


class Device:
    """The mirror, whose configuration is changed as the cases ask for it."""

    def __init__(self, net):
        self.net, self._setup = net, None

    def judge(self, case, send):
        """Send a case's packets, and compare with the pure mirror."""
        if case.setup != self._setup:
            self.net.configure(case.setup.intents)
            self._setup = case.setup
        bytes_expected, counters = mirrored(case)
        expected = dict(counters.sources), dict(counters.destinations)
        for _ in range(TRIES):
            self.net.reset()
            frames = send(case.frames, case.device, expected)
            if self.net.passing_ns < case.within_ns:
                break
        order = by_analyzer if self.net.sends_by_tunnel and len(case.setup.intents.tunnels) > 1 else list
        assert order(text(frame, case) for frame in frames) == order(without_time(p).hex() for p in bytes_expected)
        assert self.net.counters() == expected


def text(frame, case):
    """What left, without the outer Ethernet header: the next hop's matter."""
    if case.setup.intents.tunnels[0].encapsulation.kind == "none":
        return frame.hex()
    assert frame[:6] == b"\x02\0\0\0\0\x99"
    assert frame[12:14] == {4: b"\x08\0", 6: b"\x86\xdd"}[frame[14] >> 4]
    return without_time(frame[14:]).hex()


def by_analyzer(packets):
    """Outer packets in hexadecimal, sorted by the destination's address; those to one analyzer stay in their order."""
    return sorted(packets, key=lambda p: p[32:40] if p[0] == "4" else p[48:80])


@pytest.fixture(scope="module")
def device():
    with PacketNet() as net:
        yield Device(net)


@pytest.fixture(scope="module")
def portable_device():
    with PortablePacketNet() as net:
        yield Device(net)


def can_run(frame):
    return 14 + HEADERS.get(frame[12:14], 1) <= len(frame) < RUN_BYTES_MAX


def test_a_tunnel_that_becomes_another_takes_its_profile_along(device):
    by_name = {c.name: c for c in CASES}
    for name in ("GRE ip options none over IPv4", "VXLAN over IPv4", "frames as they are", "GRE ip options sc over IPv4"):
        device.judge(by_name[name], lambda frames, where, _: device.net.run(frames, where))


def can_pass(frame):
    """The kernel drops what it receives with a tag that is cut off, before anybody sees it."""
    return frame[12:14] not in (b"\x81\0", b"\x88\xa8") or len(frame) >= 20


def is_seen(setup, frame):
    """Whether what becomes of a frame can be captured."""
    return can_run(frame) and (setup.intents.tunnels[0].encapsulation.kind != "none" or can_pass(frame))


@pytest.mark.parametrize("case", [c for c in CASES if all(is_seen(c.setup, f) for f, _ in c.frames)], ids=str)
def test_the_programs_do_as_the_pure_mirror(device, case):
    device.judge(case, lambda frames, where, _: device.net.run(frames, where))


@pytest.mark.parametrize("case", [c for c in CASES if all(can_pass(f) for f, _ in c.frames)], ids=str)
def test_live_traffic_is_mirrored_as_by_the_pure_mirror(device, case):
    device.judge(case, device.net.send)


@pytest.mark.parametrize("case", [c for c in CASES if all(reaches_a_tap(f) for f, _ in c.frames)], ids=str)
def test_the_mirror_without_bpf_does_as_the_pure_mirror(portable_device, case):
    portable_device.judge(case, portable_device.net.send)
