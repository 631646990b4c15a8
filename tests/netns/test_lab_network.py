"""The article's network without hsadc: a plain server and a plain mirror stand in for the device."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from hsadc.dataplane import offload
from hsadc.errors import ApplyError, Conflict
from hsadc.lab import namespace, network
from hsadc.lab.capture import Capture
from hsadc.lab.compare import compare
from hsadc.lab.equipment import Servers, run_client
from hsadc.lab.interrupt import Interrupt
from hsadc.lab.pcap import frames
from hsadc.lab.process import Process
from hsadc.lab.runtime import Runtime, claim
from hsadc.lab.scenario import ARTICLE
from hsadc.lab.server import READY
from hsadc.lab.topology import ADC, ANALYZER, NODES, namespace_of
from hsadc.wire.checksum import internet_checksum

pytestmark = pytest.mark.netns

PREFIX = f"hslab-{os.getpid()}"
VICTIM = 100


def place(node):
    return namespace_of(PREFIX, node)


def names():
    """The namespaces of this run; others may come and go meanwhile."""
    return {path.name for path in namespace.RUN.glob(f"{PREFIX}-*")}


@pytest.fixture
def lab():
    """The network with the ADC's address, which hsadc would configure."""
    network.create(PREFIX)
    try:
        namespace.within(place("adc"), configure_adc)
        yield
    finally:
        network.remove(PREFIX)


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    monkeypatch.setattr(Runtime, "folder", tmp_path)
    runtime = Runtime(PREFIX)
    runtime.make()
    return runtime


def configure_adc():
    with IPRoute() as kernel:
        (device,) = kernel.link_lookup(ifname="eth0")
        kernel.addr("add", index=device, address=str(ADC), prefixlen=24)
        kernel.route("add", dst="default", gateway="192.168.131.254")


def ask(node, address, port=ARTICLE.port):
    """Connect from a node and say where it got to."""

    def connect():
        with socket.create_connection((str(address), port), timeout=5) as link:
            return link.getpeername()

    return namespace.within(place(node), connect)


def raw(node, protocol):
    def opened():
        found = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
        found.settimeout(5)
        return found

    return namespace.within(place(node), opened)


class Mirror:
    """Copies what passes the ADC's port 8087 to the analyzer, packet by packet; `spoil` turns a packet into those to send."""

    def __init__(self, spoil=lambda n, packet: [packet]):
        self._spoil = spoil
        # Whole packets with finished checksums, that fit the path with 24 bytes more: what a real mirror must do by itself.
        # The client's MTU bounds the segments of both directions.
        for node in ("client", "adc"):
            namespace.within(place(node), lambda: offload.finish_frames("eth0"))
        namespace.within(place("client"), lambda: set_mtu(1400))
        self._tap, self._out = namespace.within(place("adc"), self._open)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _open(self):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
        tap.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
        tap.bind(("eth0", 0x0003))
        out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_GRE)
        out.connect((str(ANALYZER), 0))
        return tap, out

    def _run(self):
        count = 0
        while packet := self._tap.recv(1 << 16):
            if packet == b"stop":
                return
            ports = struct.unpack_from(">HH", packet, 20) if packet[9:10] == b"\x06" else ()
            if ARTICLE.port in ports:
                count += 1
                for copy in self._spoil(count, packet):
                    self._out.send(b"\x00\x00\x08\x00" + copy)

    def stop(self):
        def wake():
            with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as knock:
                knock.sendto(b"stop", ("eth0", 0x88B5))  # an EtherType for experiments

        namespace.within(place("adc"), wake)
        self._thread.join()
        self._tap.close()
        self._out.close()


def set_mtu(mtu_bytes):
    with IPRoute() as kernel:
        kernel.link("set", ifname="eth0", mtu=mtu_bytes)


def experiment(runtime, spoil):
    """Requests to a server in the ADC, mirrored; what the client recorded, the capture, and its totals."""
    with Interrupt() as interrupt, ExitStack() as running:
        mirror = Mirror(spoil)
        running.callback(mirror.stop)
        command = [sys.executable, "-m", "hsadc.lab.server", "adc", str(ADC), str(ARTICLE.port), str(runtime.files / "adc.json")]
        server = Process("server", command, log=runtime.files / "adc.log", namespace=place("adc"))
        running.callback(server.stop)
        server.expect(lambda: READY in server.log.read_text(), interrupt)
        capture = Capture(runtime.files / "mirror.pcap", namespace=place("analyzer"), interrupt=interrupt)
        running.callback(capture.stop)
        connections = run_client(runtime, interrupt, requests=40, concurrency=4)
        totals = capture.finish()
    found = list(frames(capture.file.read_bytes()))
    assert (totals.captured, totals.dropped) == (len(found), 0)
    return connections, found


def test_every_node_is_where_the_article_has_it(lab):
    with ExitStack() as running:
        listener = namespace.within(place("rs33"), lambda: socket.create_server(("192.168.131.33", 80)))
        running.enter_context(listener)
        assert ask("client", "192.168.131.33", 80) == ("192.168.131.33", 80)
        assert ask("adc", "192.168.131.33", 80) == ("192.168.131.33", 80)
        analyzer = running.enter_context(namespace.within(place("analyzer"), lambda: socket.create_server((str(ANALYZER), 80))))
        assert ask("adc", ANALYZER, 80) == (str(ANALYZER), 80)
        link, peer = analyzer.accept()
        link.close()
        assert peer[0] == str(ADC)


def test_a_router_is_between_the_adc_and_the_analyzer(lab):
    with raw("analyzer", socket.IPPROTO_GRE) as analyzer, raw("adc", socket.IPPROTO_GRE) as adc:
        adc.sendto(b"\x00\x00\x08\x00hello", (str(ANALYZER), 0))
        packet = analyzer.recv(2000)
    assert (packet[8], packet[24:]) == (63, b"hello")


def test_the_analyzer_does_not_refuse_gre_but_answers_a_ping(lab):
    echo = struct.pack(">BBHHH", 8, 0, 0xF7FF - 1, 1, 0)
    with raw("adc", socket.IPPROTO_GRE) as gre, raw("adc", socket.IPPROTO_ICMP) as icmp:
        for _ in range(10):
            gre.sendto(b"\x00\x00\x08\x00hello", (str(ANALYZER), 0))
        icmp.sendto(echo, (str(ANALYZER), 0))
        # The answers come in the order of what they answer, so a refusal would be here first.
        assert icmp.recv(2000)[20] == 0


def test_a_faithful_mirror_is_found_faithful(lab, runtime):
    connections, captured = experiment(runtime, lambda n, packet: [packet])
    assert [e.error for c in connections for e in c.exchanges] == [None] * 40
    found = compare(captured, connections, ARTICLE.route)
    assert found.problems == ()
    assert found.to_server.mirrored == sum(len(c.sent) for c in connections) > 100_000
    assert found.to_client.mirrored == sum(len(c.received) for c in connections) > 100_000


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda n, packet: [packet] if n != VICTIM else [], "missing"),
        (lambda n, packet: [packet] * (1 + (n == VICTIM)), "1 segments copied more than once"),
        (
            lambda n, packet: [packet[:-1] + bytes([packet[-1] ^ 1])] if n == VICTIM else [packet],
            "1 copied packets with a wrong TCP",
        ),
    ],
    ids=["one left out", "one sent twice", "one bit changed"],
)
def test_one_wrong_packet_is_found(lab, runtime, spoil, why):
    """The packet is a full segment of a body, and not an acknowledgement, which could be lost unnoticed."""
    full = []

    def spoil_full(n, packet):
        if len(packet) < 1400:
            return [packet]
        full.append(packet)
        return spoil(len(full), packet)

    connections, captured = experiment(runtime, spoil_full)
    problems = compare(captured, connections, ARTICLE.route).problems
    assert len(full) > VICTIM
    assert any(why in problem for problem in problems)


def test_unfinished_checksums_do_not_reach_the_analyzer_as_such(lab, runtime):
    """The sender leaves segmentation and checksums to the device; on the router's wire they are done."""
    with Interrupt() as interrupt:
        capture = Capture(runtime.files / "mirror.pcap", namespace=place("analyzer"), interrupt=interrupt)
        try:
            sink = namespace.within(place("analyzer"), lambda: socket.create_server((str(ANALYZER), 80)))
            tap = namespace.within(
                place("analyzer"), lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
            )
            with sink, tap:
                tap.settimeout(5)
                send_to_analyzer(b"x" * 200_000)
                seen = [tap.recv(1 << 17) for _ in range(20)]
        finally:
            capture.stop()
    assert max(map(len, seen)) == 1500
    for packet in seen:
        pseudo = packet[12:20] + struct.pack(">BBH", 0, 6, len(packet) - 20)
        assert internet_checksum(pseudo + packet[20:]) == 0


def send_to_analyzer(data):
    def connect():
        return socket.create_connection((str(ANALYZER), 80), timeout=5)

    with namespace.within(place("adc"), connect) as link:
        link.setblocking(False)
        link.send(data)


def test_the_servers_report_who_asked(lab, runtime):
    with Interrupt() as interrupt:
        servers = Servers(runtime, interrupt)
        try:
            for name in ("rs33", "rs33", "rs35"):
                request(f"192.168.131.{name[2:]}")
        finally:
            servers.stop()
    assert {r.name: r.requests for r in servers.reports()} == {"rs33": {str(ADC): 2}, "rs34": {}, "rs35": {str(ADC): 1}}


def request(address):
    def connect():
        return socket.create_connection((address, 80), timeout=5)

    with namespace.within(place("adc"), connect) as link:
        link.sendall(b"GET /bytes/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while link.recv(4096):
            pass


def test_nothing_is_left(lab):
    before = names()
    sleeper = subprocess.Popen(["nsenter", f"--net=/run/netns/{place('client')}", "sleep", "1000"])
    stubborn = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{place('rs34')}", sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE
    )
    assert stubborn.stdout.readline() == b"deaf\n"
    while sleeper.pid not in namespace.processes(place("client")):
        assert sleeper.poll() is None
    namespace.empty(place("rs34"), patience_s=0)
    network.remove(PREFIX)
    assert before == {place(node) for node in NODES}
    assert names() == set()
    assert sleeper.wait() == -signal.SIGTERM
    assert stubborn.wait() == -signal.SIGKILL
    stubborn.stdout.close()
    network.remove(PREFIX)


STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(1000)"


def test_a_second_network_of_that_name_is_refused_and_the_first_stays(lab):
    before = names()
    with pytest.raises(ApplyError, match=f"{place('switch')} exists"):
        network.create(PREFIX)
    assert names() == before


def test_a_half_made_network_is_removed():
    namespace.create(place(NODES[-1]))
    try:
        with pytest.raises(ApplyError, match=f"{place(NODES[-1])} exists"):
            network.create(PREFIX)
        assert names() == {place(NODES[-1])}
    finally:
        network.remove(PREFIX)
    assert names() == set()


def test_one_command_at_a_time():
    prefix = f"{PREFIX}-lock"
    try:
        with claim(prefix) as runtime:
            assert runtime.folder.stat().st_mode & 0o777 == 0o700
            with pytest.raises(Conflict, match="another hsadc lab command is at work"), claim(prefix):
                pass
        with claim(prefix):
            pass
    finally:
        folder = Path("/run") / prefix
        (folder / "lock").unlink()
        folder.rmdir()


def test_the_analyzers_capture_says_why_it_does_not_start(lab, runtime):
    with Interrupt() as interrupt, pytest.raises(ApplyError, match="eth0: No such device"):
        Capture(runtime.files / "mirror.pcap", namespace=place("switch"), interrupt=interrupt)


COMMAND = """
import sys
from hsadc.errors import HsadcError
from hsadc.lab import demo

demo.PREFIX = sys.argv[1]
try:
    sys.exit(getattr(demo, sys.argv[2])(write=lambda line: print(line, flush=True)))
except HsadcError as e:
    print(e)
    sys.exit(1)
"""


@pytest.fixture
def whole():
    """Starts commands on a whole lab, device and all, of this run's prefix."""
    started = []

    def start(action):
        process = subprocess.Popen([sys.executable, "-c", COMMAND, PREFIX, action], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    def done(action):
        process = start(action)
        return process.communicate()[0], process.returncode

    start.done = done
    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stdout.close()
        network.remove(PREFIX)
        shutil.rmtree(Path("/run") / PREFIX, ignore_errors=True)


def test_a_lab_that_is_put_up_stays_up_until_it_is_put_down(whole):
    assert whole.done("up")[1] == 0
    assert names() == {place(node) for node in NODES}
    assert ask("client", ADC) == (str(ADC), ARTICLE.port)
    assert whole.done("run_demo") == ("lab: it is up: `hsadc lab down` first\n", 1)
    assert ask("client", ADC) == (str(ADC), ARTICLE.port)
    assert whole.done("down") == ("the lab is removed\n", 0)
    assert names() == set()
    assert [p.name for p in (Path("/run") / PREFIX).iterdir()] == ["lock"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demonstration_that_is_stopped_leaves_nothing(whole, number):
    demonstration = whole("run_demo")
    while not (line := demonstration.stdout.readline()).startswith("client:"):
        assert line
    demonstration.send_signal(number)
    assert demonstration.communicate()[0].endswith("stopped; the lab is removed\n")
    assert demonstration.returncode == 130
    assert names() == set()


def test_what_a_killed_demonstration_left_is_removed(whole):
    demonstration = whole("run_demo")
    while not (line := demonstration.stdout.readline()).startswith("client:"):
        assert line
    demonstration.kill()
    demonstration.wait()
    orphans = [pid for node in NODES for pid in namespace.processes(place(node))]
    assert orphans
    assert whole.done("down")[1] == 0
    assert names() == set()
    # Whoever adopts them may leave them as zombies; those are in no namespace.
    assert not any(Path(f"/proc/{pid}/ns/net").exists() for pid in orphans)
