"""How a way out is written for the kernel; sockets are tested in namespaces."""

import socket

import pytest

from hsadc.dataplane.portable.output import Way, hardware_address


def test_the_address_of_a_next_hop():
    way = Way(5, hardware_address("02:00:00:00:00:fe"), 0x86DD)
    family = socket.AF_PACKET.to_bytes(2, "little")
    assert way.address == family + b"\x86\xdd" + b"\5\0\0\0" + b"\0\0\0" + b"\6" + b"\2\0\0\0\0\xfe" + b"\0\0"


def test_frames_have_their_own_address():
    assert Way(5).address[-9:] == bytes(9)


@pytest.mark.parametrize("text", [None, ""])
def test_a_device_without_neighbours(text):
    assert hardware_address(text) == bytes(6)


def test_what_is_no_hardware_address():
    with pytest.raises(ValueError, match="non-hexadecimal"):
        hardware_address("02:zz")
