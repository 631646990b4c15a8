from dataclasses import replace

import pytest

from hsadc.lab.copied import segment
from hsadc.lab.payload import body
from hsadc.lab.tally import Tally, tally
from tests.unit.lab.frames import stream, tcp

DATA = body("clnt", 1000)


def segments(packets):
    return [segment(bytes(p)) for p in packets]


@pytest.mark.parametrize("isn", [0, 2**32 - 1, 2**32 - 500])
def test_a_faithful_mirror(isn):
    assert tally(DATA, segments(stream(DATA, isn=isn))) == Tally(recorded=1000, mirrored=1000)


def test_order_does_not_matter():
    assert tally(DATA, segments(reversed(stream(DATA)))) == Tally(recorded=1000, mirrored=1000)


def test_nothing_sent_and_nothing_seen():
    assert tally(b"", segments(stream(b""))) == Tally()


def test_a_segment_left_out_is_missing():
    packets = stream(DATA)
    del packets[3]
    assert tally(DATA, segments(packets)) == Tally(recorded=1000, mirrored=900, missing=100)


def test_the_same_packet_again_is_a_copy_of_a_copy():
    packets = stream(DATA)
    for n in (0, 3, 11):  # SYN, data, FIN
        assert tally(DATA, segments([*packets, packets[n]])) == Tally(recorded=1000, mirrored=1000, repeated=1)


def test_the_same_acknowledgement_again_is_one_only_if_the_sender_counts_its_packets():
    packets = stream(DATA)
    counted, uncounted = tcp(seq=1001, flags="A", ip_id=77), tcp(seq=1001, flags="A", ip_id=0)
    assert tally(DATA, segments([*packets, counted, counted])).repeated == 1
    assert tally(DATA, segments([*packets, uncounted, uncounted])).repeated == 0


def test_the_same_bytes_in_another_packet_are_a_retransmission():
    again = tcp(DATA[150:250], seq=151, ip_id=99)
    assert tally(DATA, segments([*stream(DATA), again])) == Tally(recorded=1000, mirrored=1000, retransmitted=1)


def test_changed_bytes_are_different():
    changed = bytes(stream(DATA)[3]).replace(DATA[200:210], b"?" * 10)
    found = tally(DATA, [segment(changed), *segments(p for n, p in enumerate(stream(DATA)) if n != 3)])
    assert found == Tally(recorded=1000, mirrored=990, different=10)


def test_bytes_beyond_the_end_are_surplus():
    beyond = tcp(b"xyz", seq=1001, ip_id=99)
    across = tcp(DATA[990:] + b"xyz", seq=991, ip_id=98)
    assert tally(DATA, segments([*stream(DATA), beyond])).surplus == 3
    assert tally(DATA, segments([*stream(DATA), across])) == Tally(recorded=1000, mirrored=1000, surplus=3, retransmitted=1)


def test_without_a_syn_nothing_can_be_placed():
    assert tally(DATA, segments(stream(DATA)[1:])) == Tally(recorded=1000, missing=1000, unopened=1)
    assert tally(DATA, []) == Tally(recorded=1000, missing=1000, unopened=1, unclosed=1)


@pytest.mark.parametrize(("last", "unclosed"), [("FA", 0), ("R", 0), ("A", 1)])
def test_a_stream_ends_with_fin_or_reset(last, unclosed):
    end = tcp(seq=1001, flags=last, ip_id=99)
    assert tally(DATA, segments([*stream(DATA)[:-1], end])).unclosed == unclosed


def test_tallies_add_up():
    one = Tally(1, 2, 3, 4, 5, 6, 7, 8, 9)
    assert one + replace(one, recorded=10) == Tally(11, 4, 6, 8, 10, 12, 14, 16, 18)
