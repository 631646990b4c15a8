"""Wireshark's dissectors on all outer packets of the packet table: what is in a copy is what they find in the packet alone."""

import subprocess
from itertools import groupby

import pytest
from scapy.utils import PcapNgWriter

from tests.netns.packet_table import CASES

pytestmark = pytest.mark.external

FIELDS = [
    *("frame.protocols", "_ws.malformed", "gre.key", "gre.sequence_number", "gre.checksum.status", "vxlan.vni", "erspan.version"),
    *("erspan.spanid", "erspan.truncated", "ip.checksum.status", "ip.dsfield.dscp", "ip.ttl", "ip.flags.df"),
    *("ipv6.tclass.dscp", "ipv6.hlim"),
]
PREFERENCES = (
    "ip.check_checksum:TRUE",
    "tcp.analyze_sequence_numbers:FALSE",
    "tcp.desegment_tcp_streams:FALSE",
    "udp.process_info:FALSE",
)
MACS = b"\x02\0\0\0\0\x99\x02\0\0\0\0\x98"
ETHERTYPES = {4: b"\x08\0", 6: b"\x86\xdd"}
ERSPAN_VERSIONS = {2: "1", 3: "2"}


def framed(packet):
    """An IP packet as a frame."""
    return MACS + ETHERTYPES[packet[0] >> 4] + packet


def is_fragment(packet):
    return packet[6] & 0x3F or packet[7] if packet[0] >> 4 == 4 else packet[6] == 44


def tunnel_of(case, packet):
    """The tunnel that a packet was sent by, by the analyzer's address."""
    address = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
    return next(t for t in case.setup.intents.tunnels if t.encapsulation.destination.packed == address)


def lines():
    """Of each outer packet: case, tunnel, number of the copy, the packet, and its payload alone as a frame; None in fragments."""
    for case in CASES:
        if case.setup.intents.tunnels[0].encapsulation.kind == "none":
            continue
        payloads = iter(case.payloads)
        for packet in case.sent:
            t, last = tunnel_of(case, packet), not more_follow(packet)
            payload = next(payloads) if last else None
            if payload is not None and t.encapsulation.payload == "ip":
                payload = framed(payload)
            yield case, t, packet, payload


def more_follow(packet):
    return bool(packet[6] & 0x20) if packet[0] >> 4 == 4 else packet[6] == 44 and bool(packet[43] & 1)


@pytest.fixture(scope="module")
def dissected(tmp_path_factory):
    """What tshark says of each line: of the outer packet and of the payload alone."""
    found, file = list(lines()), tmp_path_factory.mktemp("tshark") / "copies.pcapng"
    with PcapNgWriter(str(file)) as writer:
        writer.linktype = 1  # Ethernet
        for _, _, packet, payload in found:
            writer.write(framed(packet))
            writer.write(payload or b"\xff" * 60)
    command = ["tshark", "-r", str(file), "-T", "fields", "-d", "udp.port==8472,vxlan", "-E", "occurrence=f"]
    command += [word for name in FIELDS for word in ("-e", name)]
    command += [word for preference in PREFERENCES for word in ("-o", preference)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]
    assert len(rows) == 2 * len(found)
    return list(zip(found, rows[::2], rows[1::2], strict=True))


def front(t):
    """The protocols in front of a payload."""
    e = t.encapsulation
    shim = {"gre": "gre", "erspan": "gre:erspan", "vxlan": "udp:vxlan"}[e.kind]
    return f"{'ipv6' if e.destination.version == 6 else 'ip'}:{shim}"


def test_protocols_are_those_of_the_payload_behind_the_tunnel(dissected):
    wrong = []
    for (case, t, packet, payload), row, alone in dissected:
        chain = row["frame.protocols"].replace("ipv6:ipv6.fraghdr", "ipv6") if is_fragment(packet) else row["frame.protocols"]
        inner = alone["frame.protocols"]
        if case.name.startswith("later fragments are those of the first"):  # copy and packet alone are one datagram to tshark
            chain, inner = chain.replace(":tcp", ""), inner.replace(":tcp", "")
        if payload is None:
            expected = "eth:ethertype:" + front(t).split(":")[0] + ":data"
        else:
            behind = inner.removeprefix("eth:ethertype:") if t.encapsulation.payload == "ip" else inner
            expected = f"eth:ethertype:{front(t)}:{behind}"
        if chain != expected or row["_ws.malformed"] != alone["_ws.malformed"] * (payload is not None):
            wrong.append((case.name, chain, expected, row["_ws.malformed"]))
    assert wrong == []
    assert len(dissected) > 300


def test_the_tunnels_own_fields(dissected):
    for (case, t, packet, payload), row, _ in dissected:
        e = t.encapsulation
        if payload is None or is_fragment(packet):
            continue
        number = int(row["gre.sequence_number"]) if e.numbered else row["gre.sequence_number"]
        assert row["gre.key"] == ("" if e.key is None else f"0x{e.key:08x}"), case
        assert number == "" or number >= 0, case
        assert row["gre.checksum.status"] == ("1" if e.checksum else ""), case
        if e.kind == "vxlan":
            assert row["vxlan.vni"] == str(e.vni), case
        if e.kind == "erspan" and e.version > 1:
            assert (row["erspan.version"], int(row["erspan.spanid"])) == (ERSPAN_VERSIONS[e.version], e.session_id), case
            assert row["erspan.truncated"] == str(int(len(case.payloads[0]) < len(case.frames[0][0]) and "truncate" in case.name))
        if e.destination.version == 4:
            assert (row["ip.ttl"], row["ip.dsfield.dscp"], row["ip.checksum.status"]) == (str(e.ttl), str(e.dscp), "1"), case
            assert row["ip.flags.df"] == str(int(e.dont_fragment)), case
        else:
            assert (row["ipv6.hlim"], row["ipv6.tclass.dscp"]) == (str(e.ttl), str(e.dscp)), case


def test_sequence_numbers_count_up(dissected):
    numbered = [(case, row) for (case, t, _, _), row, _ in dissected if t.encapsulation.sequence]
    for case, rows in groupby(numbered, key=lambda pair: pair[0].name):
        numbers = [int(row["gre.sequence_number"]) for _, row in rows if row["gre.sequence_number"]]
        assert numbers == list(range(len(numbers))), case
