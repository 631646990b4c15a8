"""Numbers of objects that the operator names: they follow from what tells these apart, so that a restart finds them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zlib import crc32

_END = 1 << 32


def number_each(contents: Iterable[bytes], first: int) -> Mapping[bytes, int]:
    """A number for each, from `first` to 4294967295; different contents have different numbers.

    It is the content's checksum, or the next free number where two contents have one. The order of the contents does not matter.
    """
    numbers: dict[bytes, int] = {}
    taken: set[int] = set()
    for content in sorted(set(contents)):
        number = first + crc32(content) % (_END - first)
        while number in taken:
            number = first + (number + 1 - first) % (_END - first)
        taken.add(number)
        numbers[content] = number
    return numbers
