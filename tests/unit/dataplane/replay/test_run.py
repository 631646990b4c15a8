"""A capture file is mirrored to another: what is in it, and that it is there whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import GRE, Ether
from scapy.utils import RawPcapNgReader

from hsadc.dataplane.replay import output, pcapng
from hsadc.dataplane.replay.run import replay
from hsadc.errors import HsadcError, WireError
from hsadc.intent.mirror import PortMirrorIntent, TunnelIntent
from hsadc.wire.encapsulation import Encapsulation
from tests.unit.dataplane.portable.examples import FRAME, INTENTS, PROFILE, TUNNEL
from tests.unit.dataplane.replay.test_reading import NOW, enhanced, interface, option, pcap, section
from tests.unit.dataplane.traffic import DEVICE

RAW = TunnelIntent("ethernet0/2", None, Encapsulation("none", payload="ethernet"))
BOTH = replace(INTENTS, tunnels=(TUNNEL, RAW), profiles=(replace(PROFILE, destinations=("tunnel1", "ethernet0/2")),))
MIRROR = replace(INTENTS, rules=(), port_mirrors=(PortMirrorIntent(65536, DEVICE, 1, direction="forward"),))


@pytest.fixture
def mirrored(tmp_path):
    source, target = tmp_path / "in.pcap", tmp_path / "out.pcapng"

    def run(data, intents=INTENTS, **options):
        source.write_bytes(data)
        return replay(intents, DEVICE, source, target, **options)

    run.target, run.folder = target, tmp_path
    return run


def packets(path):
    with RawPcapNgReader(str(path)) as reader:
        return [(meta.ifname, data, (meta.tshigh << 32) + meta.tslow) for data, meta in reader]


def test_what_the_analyzer_would_get(mirrored):
    done = mirrored(pcap([FRAME, bytes(60), FRAME]), BOTH)
    found = packets(mirrored.target)
    assert [(name, time) for name, _, time in found] == [
        (name, NOW * 10**9 + us * 1000) for us in (0, 2) for name in (b"tunnel1", b"ethernet0/2")
    ]
    outer = Ether(found[0][1])
    assert (outer.src, outer.dst) == ("02:00:00:00:00:01", "02:00:00:00:00:02")
    assert (outer[IP].src, outer[IP].dst, bytes(outer[GRE].payload)) == ("10.9.0.1", "10.9.0.2", FRAME[14:])
    assert found[1][1] == FRAME
    assert (done.packets, done.snapped, done.damage) == (3, 0, None)
    assert done.counters.sources[1].copied == 4


def test_outer_ipv6(mirrored):
    e = Encapsulation("gre", ip_address("2001:db8::1"), ip_address("2001:db8::2"))
    mirrored(pcap([FRAME]), replace(INTENTS, tunnels=(replace(TUNNEL, encapsulation=e),)))
    assert Ether(packets(mirrored.target)[0][1]).type == 0x86DD


def test_direction_by_mac_address(mirrored):
    assert mirrored(pcap([FRAME, FRAME[:10]]), MIRROR).counters.sources[65536].filtered == 0
    assert mirrored(pcap([FRAME, FRAME[:10]]), MIRROR, mac=FRAME[6:12]).counters.sources[65536].filtered == 1


def test_direction_by_flags(mirrored):
    data = section() + interface() + enhanced(FRAME) + enhanced(FRAME, options=option(2, b"\2\0\0\0"))
    assert mirrored(data, MIRROR).counters.sources[65536].filtered == 1


def test_packets_not_captured_whole(mirrored):
    done = mirrored(pcap([FRAME], wire=len(FRAME) + 1))
    assert (done.packets, done.snapped, packets(mirrored.target)) == (1, 1, [])


def test_what_stands_before_the_damage_is_kept(mirrored):
    done = mirrored(pcap([FRAME, FRAME])[:-1])
    assert done.damage.endswith("in.pcap: packet 2: it ends inside a packet")
    assert len(packets(mirrored.target)) == 1


def test_without_a_packet_there_is_no_file(mirrored):
    with pytest.raises(WireError, match="no pcap or pcapng file"):
        mirrored(b"")
    assert [path.name for path in mirrored.folder.iterdir()] == ["in.pcap"]


def test_an_empty_capture_is_no_mistake(mirrored):
    assert mirrored(pcap([])).packets == 0
    assert packets(mirrored.target) == []


def test_an_interrupted_run_leaves_the_file_as_it_was(mirrored):
    def interrupt(progress):
        raise KeyboardInterrupt

    mirrored.target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        mirrored(pcap([FRAME]), progress=interrupt)
    assert mirrored.target.read_bytes() == b"old"
    assert len(list(mirrored.folder.iterdir())) == 2


def test_progress(mirrored):
    seen = []
    mirrored(pcap([FRAME]), progress=seen.append)
    assert (seen[0].position_bytes, seen[0].size_bytes) == (len(pcap([FRAME])),) * 2


def test_many_packets_in_several_parts(mirrored, monkeypatch):
    monkeypatch.setattr("hsadc.dataplane.replay.run._PACKETS_AT_ONCE", 7)
    assert mirrored(pcap([FRAME] * 100)).packets == 100
    assert [time for _, _, time in packets(mirrored.target)] == [NOW * 10**9 + n * 1000 for n in range(100)]


def test_a_folder_that_is_not_there(mirrored, tmp_path):
    (tmp_path / "in").write_bytes(pcap([FRAME]))
    with pytest.raises(HsadcError, match="No such file"):
        replay(INTENTS, DEVICE, tmp_path / "in", tmp_path / "none" / "out")


def test_a_full_disk(tmp_path):
    with output.OutputFile(tmp_path / "out", ["tunnel1"]) as file:
        file._file.close()
        file._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 (the output closes it)
        with pytest.raises(HsadcError, match="No space left"):
            file.write(memoryview(b"data"))
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_is_a_folder(tmp_path):
    (tmp_path / "out").mkdir()
    with output.OutputFile(tmp_path / "out", ["tunnel1"]) as file, pytest.raises(HsadcError, match="directory"):
        file.commit()


def test_a_name_that_does_not_fit():
    with pytest.raises(WireError, match="too long"):
        pcapng.section_and_interfaces(("x" * 256,))
