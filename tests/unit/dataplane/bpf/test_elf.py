"""The reader of compiled objects: the real one, and damaged ones."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsadc.dataplane.bpf import loader
from hsadc.dataplane.bpf.clsact import HOOKS
from hsadc.dataplane.bpf.elf import ProgramCode, decode
from hsadc.dataplane.bpf.records import SIZES
from hsadc.errors import WireError

BLOB = loader.OBJECT.read_bytes()


def test_the_programs_are_those_that_have_a_hook():
    compiled = decode(BLOB)
    assert compiled.programs.keys() == HOOKS.keys()
    assert compiled.license == "GPL"
    assert all(len(name) <= 15 for name in compiled.maps)


def test_programs_refer_to_maps_by_name():
    used = {program: {name for _, name in code.references} for program, code in decode(BLOB).programs.items()}
    assert {"rules", "port_mirrors", "profiles", "access_lists"} <= used["hsadc_tap_in"] == used["hsadc_tap_out"]
    assert {"tunnels", "series", "copy_counters", "buckets"} <= used["hsadc_encap"]
    assert used["hsadc_tap_in"] | used["hsadc_encap"] == SIZES.keys()


def test_link_fills_in_descriptors():
    load_imm64 = bytes([0x18, 0x01, *bytes(14)])
    linked = ProgramCode(bytes(8) + load_imm64, ((8, "m"),)).link({"m": 7})
    assert linked == bytes(8) + bytes([0x18, 0x11, 0, 0, 7, 0, 0, 0]) + bytes(8)


@pytest.mark.parametrize("blob", [b"", b"\x7fELF", b"MZ" + BLOB[2:], BLOB[:18] + b"\x3e\x00" + BLOB[20:]])
def test_refuses_what_is_no_bpf_object(blob):
    with pytest.raises(WireError, match=r"not a 64-bit little-endian BPF object|damaged"):
        decode(blob)


@given(st.integers(64, len(BLOB) - 1))
def test_refuses_what_is_cut_off(length):
    with pytest.raises(WireError, match="damaged"):
        decode(BLOB[:length])


def test_refuses_a_call_to_a_function():
    relocation = bytes.fromhex("01000000") + struct.pack("<I", _symbol("rules"))
    assert relocation in BLOB
    called = BLOB.replace(relocation, bytes.fromhex("0a000000") + relocation[4:])
    with pytest.raises(WireError, match="relocation of type 10 to 'rules'"):
        decode(called)


def _symbol(name):
    """Number of a symbol in the object's table."""
    (table,) = struct.unpack_from("<Q", BLOB, 40)
    size, count, _ = struct.unpack_from("<HHH", BLOB, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", BLOB, table + i * size) for i in range(count)]
    symbols = next(h for h in headers if h[1] == 2)
    strings = headers[symbols[6]][4]
    for number in range(symbols[5] // 24):
        start = strings + struct.unpack_from("<I", BLOB, symbols[4] + number * 24)[0]
        if BLOB[start : BLOB.index(b"\0", start)] == name.encode():
            return number
    raise AssertionError(name)
