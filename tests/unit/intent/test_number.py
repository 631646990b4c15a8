"""Numbers that follow from names or contents."""

from __future__ import annotations

from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from hsadc.intent.number import number_each

LAST = 2**32 - 1


@given(st.lists(st.binary(max_size=8)), st.integers(0, LAST - 100))
def test_different_contents_have_different_numbers_from_the_first_one_on(contents, first):
    numbers = number_each(contents, first)
    assert numbers.keys() == set(contents)
    assert len(set(numbers.values())) == len(numbers)
    assert all(first <= number <= LAST for number in numbers.values())


@given(st.lists(st.binary(max_size=8)), st.randoms())
def test_their_order_does_not_matter(contents, random):
    shuffled = list(contents)
    random.shuffle(shuffled)
    assert number_each(shuffled, 1) == number_each(contents, 1)


def test_a_number_is_the_checksum_whatever_else_there_is():
    assert number_each([b"web", b"dns"], 0)[b"web"] == crc32(b"web")


def test_where_there_is_little_room_the_next_free_one_is_taken():
    contents = [b"a", b"b", b"c", b"d"]
    assert sorted(number_each(contents, LAST - 3).values()) == [LAST - 3, LAST - 2, LAST - 1, LAST]
