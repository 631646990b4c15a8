"""Two network namespaces joined by two cables; the test itself runs in one of them."""

import itertools
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from pyroute2 import netns

_numbers = itertools.count()


@dataclass(frozen=True)
class Net:
    """`near` has eth0 and eth1, without addresses; `far` has their other ends as 10.1.0.9/24 and 10.2.0.9/24, and 10.9.0.1."""

    near: str
    far: str

    def ip(self, command: str) -> str:
        """Run ip(8) in `near`."""
        return _ip(f"-n {self.near} {command}")

    def far_ip(self, command: str) -> str:
        """Run ip(8) in `far`."""
        return _ip(f"-n {self.far} {command}")

    def udp_near(self) -> socket.socket:
        """A socket of `near`; the caller closes it."""
        return _udp_socket(self.near)

    def udp_far(self) -> socket.socket:
        """A socket of `far`; the caller closes it."""
        return _udp_socket(self.far)

    def far_hears(self, destination: str) -> str:
        """Send a packet from `near` to an address of `far`; the source address that it had when it came."""
        with self.udp_near() as sender, self.udp_far() as receiver:
            return _heard(sender, receiver, destination)

    def near_hears(self, destination: str) -> str:
        """Send a packet from `far` to an address of `near`; the source address that it had when it came."""
        with self.udp_far() as sender, self.udp_near() as receiver:
            return _heard(sender, receiver, destination)


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """The calling thread, and processes that it starts, are in the namespace."""
    netns.pushns(namespace)
    try:
        yield
    finally:
        netns.popns()


@pytest.fixture
def net() -> Iterator[Net]:
    with ExitStack() as stack:
        near, far = _namespace(stack), _namespace(stack)
        net = Net(near, far)
        for device, address in (("eth0", "10.1.0.9/24"), ("eth1", "10.2.0.9/24")):
            net.ip(f"link add {device} type veth peer name {device} netns {far}")
            net.ip(f"link set {device} up")
            net.far_ip(f"address add {address} dev {device}")
            net.far_ip(f"link set {device} up")
        net.ip("link set lo up")
        net.far_ip("link set lo up")
        net.far_ip("address add 10.9.0.1/32 dev lo")
        with inside(near):
            yield net


def _namespace(stack: ExitStack) -> str:
    name = f"hsnetlink-{os.getpid()}-{next(_numbers)}"
    stack.callback(subprocess.run, ["ip", "netns", "del", name], capture_output=True, check=False)
    _ip(f"netns add {name}")
    return name


def _ip(command: str) -> str:
    done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {command}: {done.stderr}"
    return done.stdout


def _udp_socket(namespace: str) -> socket.socket:
    # A socket stays in the namespace that it was made in; a thread of its own leaves the test where it is.
    def make() -> socket.socket:
        with inside(namespace):
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    return _in_a_thread(make)


def _in_a_thread(work: Callable[[], socket.socket]) -> socket.socket:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _heard(sender: socket.socket, receiver: socket.socket, destination: str) -> str:
    receiver.bind((destination, 0))
    receiver.settimeout(5)
    sender.sendto(b"hello", receiver.getsockname())
    _, (source, _) = receiver.recvfrom(100)
    return str(source)
