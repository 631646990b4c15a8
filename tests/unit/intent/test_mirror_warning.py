"""What a commit tells of the mirror: one line for each thing, of the object as it is typed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsadc.intent.compile import compile_config
from hsadc.intent.inventory import Inventory
from tests.unit.intent.words import MACHINE, TLS_MACHINE, TLS_WORDS, config

TUNNELS = "".join(
    f"tunnel gre t{n}; source 10.0.0.1; destination 10.9.0.{n}; %s exit; interface tunnel{n}; tunnel gre t{n}; exit;"
    for n in (1, 2)
)
POOL = "slb server-pool p; exit;"
SERVER = "slb virtual-server v type tcp id 3; server-pool p; auto-snat; ip 10.0.0.1 port 80;"


def base(settings="", profile=""):
    return f"{TUNNELS % (settings, '')} mirror-profile m; destination interface tunnel1; {profile} exit; {POOL}"


def compiled(*parts, machine=MACHINE):
    return compile_config(config("".join(parts)), machine)


def warnings(*parts, machine=MACHINE):
    found = compiled(*parts, machine=machine).warnings
    assert all("\n" not in warning for warning in found)
    return found


def mss(*parts):
    (haproxy,) = compiled(*parts).intent.haproxy
    return haproxy.services.partition("mss ")[2].partition("\n")[0]


TO_M = "mirror-traffic profile m; exit;"
TOO_LARGE = "interface tunnel1: copies of packets over 1476 bytes do not fit its 1500 bytes: "


IN_PIECES = "copied in pieces, other packets are not copied"


@pytest.mark.parametrize(
    ("oversize", "consequence", "asked"),
    [
        ("segment", f"clients are asked for TCP segments of at most 1436 bytes, larger ones are {IN_PIECES}", "1436"),
        ("fragment", "they are sent in fragments", "32767"),
        ("truncate", "their end is left out", "32767"),
        ("drop", "they are dropped", "32767"),
    ],
)
def test_what_happens_to_full_sized_packets(oversize, consequence, asked):
    parts = base(f"oversize {oversize};"), SERVER, TO_M
    assert warnings(*parts) == (TOO_LARGE + consequence,)
    assert mss(*parts) == asked


def test_clients_of_a_mirrored_interface_cannot_be_asked_for_anything():
    assert warnings(base(), "interface ethernet0/0; mirror-traffic interface tunnel1") == (f"{TOO_LARGE}TCP is {IN_PIECES}",)


def test_the_smallest_tunnel_and_the_smallest_segment_count():
    both = "destination interface tunnel2;"
    parts = base("mtu 1400;", both), SERVER, TO_M, SERVER.replace("v type tcp id 3", "w type tcp id 4").replace("80", "81")
    first, second = warnings(*parts, "mirror-traffic interface tunnel1")
    assert first.startswith("interface tunnel1: copies of packets over 1376 bytes do not fit its 1400 bytes: clients")
    assert "at most 1336 bytes" in first
    assert "at most 1336 bytes" in second
    assert second.startswith("interface tunnel2: copies of packets over 1476 bytes")


def test_a_source_whose_packets_fit_is_not_talked_about():
    jumbo = "tunnel gre t1; interface ethernet0/1; exit;"
    assert warnings(base(), jumbo, SERVER, TO_M) == ()
    assert mss(base(), jumbo, SERVER, TO_M) == "32767"
    large = warnings(base(), jumbo, "interface ethernet0/1; mirror-traffic profile m")
    assert large[0].startswith("interface tunnel1: copies of packets over 8976 bytes do not fit its 9000 bytes")


@pytest.mark.parametrize(
    ("settings", "most", "fits"),
    [
        ("", 1476, True),
        ("", 1477, False),
        ("payload ethernet;", 1476, True),  # what is shortened is the frame, and 14 bytes of it are its header
        ("payload ethernet;", 1477, False),
    ],
)
def test_what_the_profile_shortens_fits(settings, most, fits):
    parts = base(settings, f"truncate {most};"), SERVER, TO_M
    assert bool(warnings(*parts)) is not fits
    assert (mss(*parts) == "32767") is fits


def test_frames_that_leave_as_they_are():
    cable = "mirror-profile c; destination interface ethernet0/0; exit;"
    assert warnings(cable, "interface ethernet0/1; mirror-traffic profile c") == (
        f"interface ethernet0/0: copies of packets over 1500 bytes do not fit its 1500 bytes: TCP is {IN_PIECES}",
    )
    assert warnings(cable, POOL, SERVER, "mirror-traffic profile c") == ()


SIX = SERVER.replace("10.0.0.1", "2001:db8::1")


def test_the_headers_of_ipv6_are_larger():
    assert mss(base(), SIX, TO_M) == str(1476 - 60)
    assert "segments of at most 1416 bytes" in warnings(base(), SIX, TO_M)[0]


HTTPS = "slb virtual-server v type https id 3; server-pool p; auto-snat; ip 10.0.0.1 port 443; ssl-profile web;"


def decrypted(settings, *more, mirror="mirror-traffic profile m; exit;"):
    """Warnings, and the segments that the clients of a TLS virtual server are asked for."""
    found = compile_config(config("".join((TLS_WORDS, base(settings), HTTPS, mirror, *more))), TLS_MACHINE)
    (haproxy,) = found.intent.haproxy
    return found.warnings, haproxy.services.partition("mss ")[2].split()[0]


def test_the_hops_packets_are_made_to_fit():
    assert decrypted("") == ((), "32767")
    assert decrypted("mtu 1476;") == ((), "32767")
    small = "interface tunnel1: copies of packets over 1451 bytes do not fit its 1475 bytes"
    assert decrypted("mtu 1475;") == ((f"{small}: TCP is {IN_PIECES}",), "32767")
    assert decrypted("mtu 1475; oversize fragment;") == ((f"{small}: they are sent in fragments",), "32767")


def test_what_is_copied_encrypted_is_as_large_as_on_the_wire():
    encrypted = "mirror-traffic profile m view encrypted; exit;"
    (warning,), asked = decrypted("", mirror=encrypted)
    assert warning.startswith("interface tunnel1: copies of packets over 1476 bytes do not fit its 1500 bytes: clients are asked")
    assert asked == "1436"


def test_clients_of_udp_cannot_be_asked_for_anything():
    found = compiled(base(), SERVER.replace("tcp", "udp"), TO_M)
    assert found.warnings == (f"{TOO_LARGE}TCP is {IN_PIECES}",)


def test_a_virtual_server_without_an_address_has_no_packets():
    assert warnings(base(), "slb virtual-server v type tcp id 3; mirror-traffic profile m") == ()


DOWN = "interface tunnel1; shutdown; exit;"


@pytest.mark.parametrize(
    ("source", "title"), [(SERVER, 'slb virtual-server "v"'), ("interface ethernet0/0;", "interface ethernet0/0")]
)
def test_a_destination_that_is_shut_down(source, title):
    one = f"{title}: its traffic is not mirrored, interface tunnel1 is shut down"
    assert warnings(base(), source, TO_M, DOWN) == (one,)
    assert warnings(base(), source, "mirror-traffic interface tunnel1; exit;", DOWN) == (one,)
    two = base("mtu 1400;", "destination interface tunnel2;")
    small = "interface tunnel2; shutdown; exit;"
    assert warnings(two, source, TO_M, DOWN, small) == (
        f"{title}: its traffic is not mirrored, interfaces tunnel1, tunnel2 are shut down",
    )
    assert warnings(two, source, TO_M, DOWN)[0] == f"{title}: its traffic is mirrored in part, interface tunnel1 is shut down"


@pytest.mark.parametrize(("above", "below", "named"), [("br0", "eth0", "ethernet0/0"), ("eth0", "br0", "ethernet7/0")])
def test_an_interface_whose_packets_are_looked_at_on_another_device(above, below, named):
    stacked = Inventory(tuple(replace(d, seen_at={below: above}.get(d.name)) for d in MACHINE.devices))
    other = {"ethernet0/0": "ethernet7/0", "ethernet7/0": "ethernet0/0"}[named]
    both = "interface ethernet7/0; device br0; exit; interface ethernet0/0; exit;"
    found = warnings(base("oversize fragment;"), both, f"interface {named}; {TO_M}", machine=stacked)
    why = f"its packets are looked at on interface {other}: say mirror-traffic there"
    assert found[0] == f"interface {named}: its traffic is not mirrored, {why}"
    alone = "interface ethernet7/0; device br0; exit;" if named == "ethernet7/0" else ""
    assert "looked at" not in "".join(warnings(base(), alone, f"interface {named}; {TO_M}", machine=stacked))
