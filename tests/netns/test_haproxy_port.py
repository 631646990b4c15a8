"""A port that another program has is found out before anything is touched."""

import socket

import pytest

from hsadc.dataplane.haproxy_port import check_ports
from hsadc.errors import ApplyError

TEXT = """\
# slb virtual-server "a"
frontend vs1_a from http
  bind 10.1.0.1:80 mss 32767
# slb virtual-server "b"
frontend vs2_b from http
  bind [fd00::1]:80 mss 32767
# slb virtual-server "b"
frontend vs3_b from http
  bind 10.1.0.1:443 namespace hop transparent
"""


@pytest.fixture
def addressed(net):
    net.ip("address add 10.1.0.1/24 dev eth0")
    net.ip("address add fd00::1/64 dev eth0 nodad")
    return net


def listener(address, port, *options):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    for option in options:
        s.setsockopt(socket.SOL_SOCKET, option, 1)
    s.bind((address, port))
    s.listen()
    return s


@pytest.mark.parametrize(
    ("address", "bound", "whose"),
    [
        ("10.1.0.1", "10.1.0.1:80", "a"),
        ("0.0.0.0", "10.1.0.1:80", "a"),
        ("fd00::1", "[fd00::1]:80", "b"),
        ("::", "10.1.0.1:80", "a"),
    ],
)
def test_another_program_has_it(addressed, address, bound, whose):
    with listener(address, 80), pytest.raises(ApplyError) as e:
        check_ports(TEXT, "")
    assert f'slb virtual-server "{whose}": another program uses {bound}' in str(e.value)
    check_ports(TEXT, "")


def test_a_socket_of_ours_is_shared(addressed):
    with listener("10.1.0.1", 80, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        check_ports(TEXT, "")


def test_what_is_in_force_is_not_asked(addressed):
    with listener("10.1.0.1", 80):
        check_ports(TEXT, TEXT)


def test_what_is_on_the_hop_is_nobody_elses(addressed):
    with listener("10.1.0.1", 443):
        check_ports(TEXT, "")


def test_an_address_that_is_made_later_is_free(net):
    check_ports(TEXT, "")


def test_connections_that_have_ended_do_not_count(addressed):
    with listener("10.1.0.1", 80, socket.SO_REUSEADDR) as s, socket.create_connection(("10.1.0.1", 80)) as client:
        accepted, _ = s.accept()
        accepted.close()  # this side waits then (TIME_WAIT)
        assert client.recv(1) == b""
    check_ports(TEXT, "")
