"""How flows are shared among targets."""

import re
from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsadc.dataplane.datagram_share import share
from hsadc.intent.datagram import DatagramTarget


def targets(*weights, version=4):
    base = "10.2.0.1" if version == 4 else "fd02::1"
    return [DatagramTarget(f"rs{n}", ip_address(f"{base}{n}"), 53, weight) for n, weight in enumerate(weights)]


def order(expression):
    """The last byte of each number's target."""
    found = re.findall(r"(\d+) : (\S+) \. 53", expression)
    assert [int(number) for number, _ in found] == list(range(int(re.search(r"mod (\d+)", expression)[1])))
    return [int(ip_address(address).packed[-1]) for _, address in found]


def test_in_turn_nobody_gets_a_burst():
    assert share("weighted-round-robin", targets(4, 2, 2)) == (
        "numgen inc mod 4 map { 0 : 10.2.0.10 . 53, 1 : 10.2.0.11 . 53, 2 : 10.2.0.12 . 53, 3 : 10.2.0.10 . 53 }"
    )


def test_equal_weights_are_one_each():
    assert order(share("weighted-round-robin", targets(200, 200, 200))) == [10, 11, 12]


def test_round_robin_knows_no_weights():
    assert order(share("round-robin", targets(9, 1, 5))) == [10, 11, 12]


def test_random_is_in_proportion_to_the_weights():
    assert (
        share("random", targets(6, 3)) == "numgen random mod 3 map { 0 : 10.2.0.10 . 53, 1 : 10.2.0.10 . 53, 2 : 10.2.0.11 . 53 }"
    )


@given(st.lists(st.integers(1, 255), min_size=1, max_size=9))
def test_each_gets_its_weight_and_never_waits_much_longer_than_its_turn(weights):
    turns = order(share("weighted-round-robin", targets(*weights)))
    counted = Counter(turns)
    assert all(counted[10 + n] * sum(weights) == weight * len(turns) for n, weight in enumerate(weights))
    for n in range(len(weights)):
        places = [i for i, turn in enumerate(turns) if turn == 10 + n]
        gaps = [b - a for a, b in zip(places, [*places[1:], places[0] + len(turns)], strict=True)]
        assert max(gaps) <= len(turns) / counted[10 + n] + len(weights)


def test_a_hash_of_the_clients_address():
    assert share("source-hash", targets(1)).startswith("jhash ip saddr mod 1024 seed 0x68736164 map { 0 : 10.2.0.10 . 53, ")
    assert share("source-hash", targets(1, version=6)).startswith("jhash ip6 saddr mod 1024 seed 0x68736164 map { 0 : fd02::10 .")


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5), (255, 1)])
def test_the_hash_shares_by_weight(weights):
    counted = Counter(order(share("source-hash", targets(*weights))))
    assert all(abs(counted[10 + n] / 1024 - w / sum(weights)) < 0.05 for n, w in enumerate(weights))


def test_when_one_goes_only_its_own_clients_move():
    all_three, two = targets(3, 2, 4), targets(3, 2, 4)[:2]
    before, after = order(share("source-hash", all_three)), order(share("source-hash", two))
    assert all(a == b for b, a in zip(before, after, strict=True) if b != 12)
    assert set(after) == {10, 11}


def test_the_order_of_the_pool_does_not_matter_to_the_hash():
    assert order(share("source-hash", targets(3, 2, 4))) == order(share("source-hash", targets(3, 2, 4)[::-1]))
