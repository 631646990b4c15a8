"""Many virtual servers: their configurations for hsadc, HAProxy and nginx, and their addresses."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

from proxies import adc
from proxies.network import Network
from proxies.server import HTTP
from pyroute2 import netns

from hsadc.dataplane.haproxy_socket import ask

REAL_SERVERS = 5
_ADDRESSES = 250
_MONITOR = 'slb monitor "tcp" type tcp\nexit\n'
_NGINX = """
daemon off; worker_processes 2; worker_rlimit_nofile 20000; pid nginx.pid; error_log error.log; user nobody nogroup;
events {{ worker_connections 4096; }}
http {{
  access_log off;
{blocks}}}
"""


def listener(number: int) -> tuple[str, int]:
    """The address and port of a virtual server."""
    return f"10.4.0.{number % _ADDRESSES + 1}", 8000 + number // _ADDRESSES


def real_address(number: int) -> str:
    """The address of a real server; they are counted through."""
    return f"10.5.{number // _ADDRESSES}.{number % _ADDRESSES + 1}"


def give_addresses(network: Network, virtual_servers: int) -> None:
    """All that virtual servers listen on to the adc, all real servers' to the server."""
    addresses = {listener(number)[0] for number in range(virtual_servers)}
    network.run("adc", "ip", "-batch", "-", text="".join(f"addr add {a}/32 dev front\n" for a in sorted(addresses)))
    network.run("adc", "ip", "route", "add", "10.5.0.0/16", "via", "10.2.0.2")
    network.run("server", "ip", "route", "add", "local", "10.5.0.0/16", "dev", "lo")


def answers(network: Network, number: int) -> bool:
    """Whether a request to a virtual server is answered."""
    netns.pushns(network.names["client"])
    try:
        connection = socket.socket()
    finally:
        netns.popns()
    with connection:
        connection.settimeout(2)
        try:
            connection.connect(listener(number))
            connection.sendall(b"GET /1k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(12) == b"HTTP/1.1 200"
        except OSError:
            return False


@dataclass(frozen=True)
class Crowd:
    """So many virtual servers.

    Attributes:
        count: those that are there at first; the next one has this number.
    """

    count: int

    def hsadc(self) -> str:
        """The file."""
        return adc.DEVICES + _MONITOR + "".join(map(_hsadc, range(self.count)))

    def hsadc_more(self) -> str:
        """Lines that add one."""
        return f"configure\n{_hsadc(self.count)}"

    def haproxy_more(self, text: str) -> str:
        """HAProxy's file with one more, like those that are there."""
        address, port = listener(self.count)
        backend = text[text.rindex("\nbackend ") :].replace(text[text.rindex("\nbackend ") :].split()[1], "more", 1)
        return f"{text}\nfrontend more from http\n  bind {address}:{port}\n  default_backend more\n{backend}"

    def nginx(self, count: int) -> str:
        """The file for so many."""
        return _NGINX.format(blocks="".join(map(_nginx, range(count))))


def new_weight() -> str:
    """Lines that change the weight of one real server."""
    return 'configure\nslb server-pool "p7"\n  real-server "r35" weight 7\nexit\n'


def set_weight(stats_socket: Path, text: str) -> None:
    """The same by HAProxy's own words."""
    backend = next(line.split()[1] for line in text.splitlines() if re.match(r"backend pool8\D", line))
    answer = ask(stats_socket, f"set server {backend}/r35 weight 7")
    if answer.strip():
        raise RuntimeError(answer)


def _hsadc(number: int) -> str:
    members = range(number * REAL_SERVERS, (number + 1) * REAL_SERVERS)
    servers = "".join(f'slb real-server "r{n}"\n  ip {real_address(n)}\n  port {HTTP}\nexit\n' for n in members)
    pool = "".join(f'  real-server "r{n}"\n' for n in members)
    address, port = listener(number)
    return (
        f'{servers}slb server-pool "p{number}"\n{pool}  monitor "tcp"\nexit\n'
        f'slb virtual-server "v{number}" type http id {number + 1}\n  server-pool "p{number}"\n  auto-snat\n'
        f"  ip {address} port {port}\n  mirror-traffic interface tunnel1\nexit\n"
    )


def _nginx(number: int) -> str:
    address, port = listener(number)
    servers = "".join(f" server {real_address(number * REAL_SERVERS + n)}:{HTTP};" for n in range(REAL_SERVERS))
    return (
        f"  upstream p{number} {{{servers} }}\n"
        f"  server {{ listen {address}:{port}; location / {{ proxy_pass http://p{number}; }} }}\n"
    )
