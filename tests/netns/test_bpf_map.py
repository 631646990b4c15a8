"""Maps of the running kernel."""

import errno

import pytest

from hsadc.dataplane.bpf.syscall import Map, MapShape

pytestmark = pytest.mark.netns

_HASH = 1


def test_a_full_map_says_how_many_it_holds():
    table = Map.create("hsadc_test", MapShape(_HASH, 4, 4, 2))
    try:
        for key in (b"aaaa", b"bbbb"):
            table.set(key, b"1234")
        table.set(b"aaaa", b"5678")
        with pytest.raises(OSError, match="no room for more than 2") as caught:
            table.set(b"cccc", b"1234")
        assert caught.value.errno == errno.E2BIG
        assert table.get(b"aaaa") == b"5678"
    finally:
        table.close()
