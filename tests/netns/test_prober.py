"""The prober against real servers in a namespace of their own, and against networks that fail."""

import contextlib
import resource
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest

from hsadc.dataplane import nft
from hsadc.dataplane.prober import Prober
from hsadc.intent.probe import Probe
from tests.netns.conftest import inside
from tests.netns.mirror_net import until

pytestmark = pytest.mark.netns

ADDRESS = {4: "10.1.0.9", 6: "fd01::9"}
FAST = {"interval_s": 1, "timeout_s": 1, "rise": 1, "fall": 1}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path[1:] or 200))
        self.send_header("Host", self.headers["Host"])
        self.end_headers()

    def log_message(self, *_):
        """Quiet."""


class Web(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6  # and IPv4 with it

    def handle_error(self, *_):
        """Quiet: a check resets its connection."""


@pytest.fixture
def reached(net):
    """`near` reaches `far`, which is 10.1.0.9 and fd01::9."""
    net.ip("address add 10.1.0.1/24 dev eth0")
    net.ip("address add fd01::1/64 dev eth0 nodad")
    net.far_ip("address add fd01::9/64 dev eth0 nodad")
    for namespace in (net.near, net.far):
        subprocess.run(
            f"ip netns exec {namespace} sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0", shell=True, check=True
        )
    return net


@pytest.fixture
def prober(reached):
    prober = Prober()
    prober.start()
    yield prober
    prober.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "prober"]


@contextlib.contextmanager
def web(net, port, certificate=None):
    with inside(net.far):
        server = Web(("::", port), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def datagrams(net, port, answering=True, version=6):
    with inside(net.far):
        sock = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("::" if version == 6 else "", port))
    heard = []
    sock.settimeout(0.05)
    going = True

    def serve():
        while going:
            with contextlib.suppress(TimeoutError):
                data, peer = sock.recvfrom(2000)
                heard.append(data)
                if answering:
                    sock.sendto(data, peer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield heard
    finally:
        going = False
        thread.join()
        sock.close()


def probe(kind, port=0, version=4, **changes):
    return Probe(kind, ip_address(ADDRESS[version]), port, **{**FAST, **changes})


def checked(prober, *probes):
    """The words of the next check of each."""
    prober.want("test", probes)
    until(lambda: all(prober.state(p).known for p in probes))
    return [prober.state(p).words for p in probes]


def good(prober, one):
    """Whether it is up, and known to be."""
    return prober.state(one).known and prober.state(one).up


@pytest.mark.parametrize("version", [4, 6])
def test_icmp(prober, version):
    (words,) = checked(prober, probe("icmp", version=version))
    assert words.startswith("answered in ")
    assert words.endswith(" ms")


@pytest.mark.parametrize("version", [4, 6])
def test_nobody_there(prober, version):
    gone = [
        Probe(kind, ip_address("10.1.0.77" if version == 4 else "fd01::77"), 80 * (kind != "icmp"), **FAST)
        for kind in ("icmp", "tcp", "udp")
    ]
    words = checked(prober, *gone[:2])
    assert words == ["no answer within 1 s"] * 2
    assert not any(prober.state(p).up for p in gone[:2])
    # A datagram that need not be answered: the kernel says after three seconds that there is no such neighbour.
    prober.want("test", gone)
    until(lambda: not prober.state(gone[2]).up)
    assert prober.state(gone[2]).words == "no route to host"
    assert len({prober.state(p).words for p in gone}) == 2


def test_no_way_there(prober):
    nowhere = [Probe(kind, ip_address("10.77.0.1"), 80 * (kind != "icmp"), **FAST) for kind in ("icmp", "tcp", "http", "udp")]
    assert checked(prober, *nowhere) == ["network is unreachable"] * 4


def test_what_a_filter_of_this_device_forbids(reached, prober):
    nft.apply("table inet t {\nchain c {\ntype filter hook output priority 0; ip daddr 10.1.0.9 drop\n}\n}")
    words = checked(prober, probe("icmp"), probe("udp", 53), probe("tcp", 80))
    assert words == ["operation not permitted", "operation not permitted", "no answer within 1 s"]


@pytest.mark.parametrize("version", [4, 6])
def test_tcp(reached, prober, version):
    with web(reached, 80):
        taken, refused = checked(prober, probe("tcp", 80, version), probe("tcp", 81, version))
        assert taken.startswith("answered in ")
        assert refused == "connection refused"


@pytest.mark.parametrize("version", [4, 6])
def test_http(reached, prober, version):
    with web(reached, 80), web(reached, 8080):
        probes = [
            probe("http", 80, version),
            probe("http", 8080, version, path="/302", host="www.example.com"),
            probe("http", 80, version, path="/404"),
            probe("http", 80, version, path="/404", expect=404),
            probe("http", 80, version, expect=204),
        ]
        words = checked(prober, *probes)
        assert [w.partition(" in ")[0] for w in words] == [
            "status 200",
            "status 302",
            "status 404, 200 to 399 wanted",
            "status 404",
            "status 200, 204 wanted",
        ]
        assert [prober.state(p).up for p in probes] == [True, True, False, True, False]


def test_https_with_a_certificate_that_nobody_knows(reached, prober, tmp_path):
    pem = tmp_path / "server.pem"
    make = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {pem} -out {pem}.crt -days 1 -subj /CN=x"
    subprocess.run(make, shell=True, check=True, capture_output=True)
    pem.write_text(pem.read_text() + (tmp_path / "server.pem.crt").read_text())
    with web(reached, 443, pem), web(reached, 80):
        words = checked(
            prober,
            probe("https", 443),
            probe("https", 443, host="www.example.com"),
            probe("https", 443, 6),
            probe("https", 80),
            probe("http", 443),
        )
        assert [w.partition(" in ")[0] for w in words[:3]] == ["status 200"] * 3
        assert words[3] == "TLS: wrong version number"
        assert words[4] in ("connection reset by peer", "the connection was closed without an answer")


@pytest.mark.parametrize("version", [4, 6])
def test_udp(reached, prober, version):
    with datagrams(reached, 53) as heard, datagrams(reached, 54, answering=False):
        words = checked(
            prober,
            probe("udp", 53, version, payload=b"\x01who", answer=True),
            probe("udp", 53, version, answer=True),
            probe("udp", 54, version, answer=True),
            probe("udp", 54, version),
            probe("udp", 55, version),
        )
        assert [w.partition(" in ")[0] for w in words[:2]] == ["answered"] * 2
        assert words[2:] == ["no answer within 1 s", "not refused within 1 s", "refused: ICMP port unreachable"]
        assert set(heard) == {b"\x01who", b""}


def test_up_and_down_are_told_to_whom_they_concern(reached, prober):
    told = {"one": [], "two": []}
    for owner, said in told.items():
        prober.listen(owner, lambda p, said=said: said.append((p.port, prober.state(p).up)))
    prober.want("one", [probe("udp", 53, answer=True, fall=2, rise=2)])
    prober.want("two", [probe("udp", 54)])
    until(lambda: told["one"] and told["two"])
    assert told == {"one": [(53, False)], "two": [(54, False)]}
    with datagrams(reached, 53):
        until(lambda: len(told["one"]) == 2)
    until(lambda: len(told["one"]) == 3)
    assert told == {"one": [(53, False), (53, True), (53, False)], "two": [(54, False)]}


def test_one_that_two_want_is_checked_once(reached, prober):
    with datagrams(reached, 53) as heard:
        prober.want("one", [probe("udp", 53, payload=b"x", answer=True)])
        prober.want("two", [probe("udp", 53, payload=b"x", answer=True)])
        time.sleep(2.5)
        assert 2 <= len(heard) <= 3
        prober.want("one", [])
        until(lambda: len(heard) >= 4)
        prober.want("two", [])
        time.sleep(0.2)
        before = len(heard)
        time.sleep(1.5)
        assert len(heard) == before


def test_a_listener_that_fails_does_not_end_the_checks(reached, prober, caplog):
    def fail(_):
        raise ValueError("a mistake")

    prober.listen("test", fail)
    watched = probe("udp", 53, answer=True)
    checked(prober, watched)
    with datagrams(reached, 53):
        until(lambda: prober.state(watched).up)
    assert "what listens to udp 10.1.0.9 port 53 failed" in caplog.text


def test_a_cable_that_is_pulled(reached, prober):
    watched = [probe("icmp"), probe("icmp", version=6)]
    checked(prober, *watched)
    reached.ip("link set eth0 down")
    until(lambda: not any(prober.state(p).up for p in watched))
    reached.ip("link set eth0 up")
    reached.ip("address replace fd01::1/64 dev eth0 nodad")  # which goes with the link
    until(lambda: all(good(prober, p) for p in watched))


def test_what_this_device_lacks_says_nothing_of_a_real_server(reached, prober):
    with datagrams(reached, 53):
        watched = probe("udp", 53, answer=True)
        checked(prober, watched)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            until(lambda: prober.state(watched).words == "not checked: too many open files")
            assert prober.state(watched).up
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        until(lambda: prober.state(watched).words.startswith("answered"))


def test_thousands_are_spread_over_time(reached, prober):
    """3000 probes of real servers that are there, and 1500 of some that are not."""
    with datagrams(reached, 53) as heard:
        slow = {"interval_s": 5, "timeout_s": 3, "fall": 1}
        there = [probe("udp", 53, payload=n.to_bytes(2), answer=True, **slow) for n in range(3000)]
        gone = [Probe("tcp", ip_address("10.1.0.0") + 100 + n % 100, 1000 + n, **slow) for n in range(1500)]
        began, used = time.monotonic(), time.process_time()
        prober.want("test", [*there, *gone])
        until(lambda: all(prober.state(p).known for p in there), 30)
        assert len(heard) < 2 * len(there)
        time.sleep(max(0, 15 - (time.monotonic() - began)))
        assert all(prober.state(p).up for p in there)
        assert not any(prober.state(p).up for p in gone)
        assert len(heard) >= 2 * len(there)
        assert time.process_time() - used < 15
        prober.want("test", [])


def test_stopped_and_started_again(reached):
    prober = Prober()
    watched = probe("icmp")
    prober.want("test", [watched])
    for _ in range(3):
        prober.start()
        prober.start()
        until(lambda: prober.state(watched).known)
        prober.stop()
        prober.stop()
        assert not [thread for thread in threading.enumerate() if thread.name == "prober"]
        prober.want("test", [])
        prober.want("test", [watched])
