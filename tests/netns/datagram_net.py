"""A network for virtual servers of type udp: clients - ADC - real servers, and a driver in the ADC's namespace.

    clients 10.1.0.1, .3 to .12 --- front 10.1.0.2 [ADC] back 10.2.0.2 --- real servers 10.2.0.11 to .14

and the same with fd01:: and fd02::. The real servers' way to the clients leads through the ADC.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import socket
import subprocess
import threading
from collections import Counter
from ipaddress import ip_address

from pyroute2 import netns

from hsadc.dataplane.datagram import DatagramDriver
from hsadc.dataplane.datagram_watch import DatagramWatch
from hsadc.dataplane.forwarding import Forwarding
from hsadc.dataplane.originals import Originals, kernel_identity
from hsadc.dataplane.prober import Prober
from hsadc.dataplane.reconcile import reconcile
from hsadc.intent.datagram import DatagramIntent, DatagramTarget, DatagramTier
from hsadc.intent.probe import Probe

SERVER, SERVER6, PORT = "10.1.0.2", "fd01::2", 5300
_numbers = itertools.count()


def command(text):
    done = subprocess.run(text, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{text}: {done.stderr}"
    return done.stdout


def real(number, version=4):
    """Address of a real server."""
    return ip_address(f"10.2.0.1{number}" if version == 4 else f"fd02::1{number}")


def client(number, version=4):
    """One of several addresses of the client's device."""
    return f"10.1.0.{number + 2 if number else 1}" if version == 4 else f"fd01::1:{number}"


def probe(number, version=4, **changes):
    """Fast, and what a real server here answers to."""
    settings = {"interval_s": 1, "timeout_s": 1, "rise": 1, "fall": 1, "payload": b"?", "answer": True, **changes}
    return Probe("udp", real(number, version), PORT, **settings)


def target(number, version=4, **changes):
    return DatagramTarget(f"rs{number}", real(number, version), **{"port": PORT, **changes})


def tier(*targets, **changes):
    return DatagramTier(targets, **changes)


def server(*tiers, number=7, version=4, port=PORT, auto_snat=True):
    return DatagramIntent(number, ip_address(SERVER if version == 4 else SERVER6), port, tiers, auto_snat)


class Net:
    """The namespaces `prefix-client`, `-adc` and `-real`, and what runs in them."""

    def __init__(self):
        self.prefix = f"hsudp-{os.getpid()}-{next(_numbers)}"
        self.names = {role: f"{self.prefix}-{role}" for role in ("client", "adc", "real")}
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            for name in self.names.values():
                self._stack.callback(subprocess.run, ["ip", "netns", "del", name], capture_output=True, check=False)
                command(f"ip netns add {name} && ip -n {name} link set lo up")
            clients = [f"{client(n, version)}/{width}" for version, width in ((4, 24), (6, 64)) for n in range(11)]
            reals = [f"{real(n, version)}/{width}" for version, width in ((4, 24), (6, 64)) for n in range(1, 5)]
            self._cable("client", "eth0", clients, "adc", "front", (f"{SERVER}/24", f"{SERVER6}/64"))
            self._cable("adc", "back", ("10.2.0.2/24", "fd02::2/64"), "real", "eth0", reals)
            self.run("real", "ip route add default via 10.2.0.2")
            self.run("real", "ip -6 route add default via fd02::2")
            # A new namespace is like the first one, whatever that is like.
            self.run("adc", "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
            for name in ("adc", "real"):  # else no more than some ICMP errors a second are sent to one address
                self.run(name, "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _cable(self, a, port_a, addresses_a, b, port_b, addresses_b):
        a, b = self.names[a], self.names[b]
        command(f"ip link add {port_a} netns {a} type veth peer name {port_b} netns {b}")
        for name, port, addresses in ((a, port_a, addresses_a), (b, port_b, addresses_b)):
            for address in addresses:
                command(f"ip -n {name} addr add {address} dev {port} {'nodad' if ':' in address else ''}")
            command(f"ip -n {name} link set {port} up")

    def run(self, role, text):
        return command(f"ip netns exec {self.names[role]} {text}")

    @contextlib.contextmanager
    def inside(self, role):
        """The calling thread's network is that of the role."""
        netns.pushns(self.names[role])
        try:
            yield
        finally:
            netns.popns()

    def socket(self, role, address, port=0):
        """A UDP socket of the role, bound."""
        with self.inside(role):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((address, port))
        sock.settimeout(5)
        return sock


class Reals:
    """Real servers that answer with their name and the address that they saw; each can be stopped, as if killed."""

    def __init__(self, net, *numbers, version=4, port=PORT):
        self.heard = Counter()
        self._selector, self._lock = selectors.DefaultSelector(), threading.Lock()
        self._sockets = {}
        self._net, self._version, self._port = net, version, port
        self._going = True
        for number in numbers:
            self.begin(number)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._going = False
        self._thread.join()
        for sock in self._sockets.values():
            sock.close()
        self._selector.close()

    def begin(self, number):
        sock = self._net.socket("real", str(real(number, self._version)), self._port)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.setblocking(False)
        with self._lock:
            self._sockets[number] = sock
            self._selector.register(sock, selectors.EVENT_READ, number)

    def kill(self, number):
        with self._lock:
            sock = self._sockets.pop(number)
            self._selector.unregister(sock)
            sock.close()

    def _serve(self):
        while self._going:
            for key, _ in self._selector.select(0.02):
                with self._lock, contextlib.suppress(OSError, ValueError):
                    data, peer = key.fileobj.recvfrom(2000)
                    if data != b"?":
                        self.heard[f"rs{key.data}"] += 1
                    key.fileobj.sendto(f"rs{key.data} {peer[0]}".encode(), peer)


class Adc:
    """A driver with all that belongs to it, in the ADC's namespace, as the dataplane puts it together."""

    def __init__(self, net, directory):
        self._net = net
        with net.inside("adc"):
            self.prober = Prober()
            self.originals = Originals(directory / "originals.json", kernel_identity())
            self.driver = DatagramDriver(self.prober, Forwarding(self.originals))
            self.watch = DatagramWatch(self.driver, self.prober)
            self.prober.start()
            self.watch.start()

    def bring(self, *servers):
        """Make it so, and say what was done."""
        with self._net.inside("adc"):
            return reconcile([(self.driver, servers)])

    def observe(self):
        with self._net.inside("adc"):
            return self.driver.observe({})

    def change(self, new):
        """As the transaction does that looks at nothing before."""
        with self._net.inside("adc"):
            self.driver.change(new, new)

    def statistics(self, number=7):
        with self._net.inside("adc"):
            return self.driver.statistics()[number]

    def sessions(self):
        with self._net.inside("adc"):
            return list(self.driver.sessions())

    def leave(self):
        """End as if killed: the table stays."""
        self.watch.stop()
        self.prober.stop()


@contextlib.contextmanager
def adc(net, directory):
    """An ADC whose table is gone in the end."""
    here = Adc(net, directory)
    try:
        yield here
    finally:
        here.bring()
        here.leave()


def ask(net, number=0, times=1, version=4, port=PORT):
    """One datagram each from so many sockets of a client's; who answered, and whom that one saw.

    All stay open until the end: a port that is used again would belong to a flow that there is.
    """
    answers = []
    with contextlib.ExitStack() as stack:
        for _ in range(times):
            sock = stack.enter_context(net.socket("client", client(number, version)))
            sock.connect((SERVER if version == 4 else SERVER6, port))
            answers.append(exchange(sock))
    return answers


def exchange(sock, data=b"hello"):
    """Send, and the two words of the answer."""
    sock.send(data)
    return tuple(sock.recv(100).decode().split())


def names(answers):
    return Counter(name for name, _ in answers)
