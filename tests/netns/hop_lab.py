"""TLS virtual servers whose clear text is mirrored, and what is around them, in the network of `mirror_net`.

client --TLS--> front [ADC: HAProxy's TLS leg, hop, clear leg] back ---> router: real server
                                            |
                                            +--- copies --> router ---> analyzer
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from random import Random

from hsadc.dataplane.haproxy_binary import find_binary
from hsadc.dataplane.haproxy_socket import ask
from hsadc.dataplane.hop import HopDriver, hop_namespace
from hsadc.dataplane.netlink import Netlink
from hsadc.dataplane.originals import Originals, kernel_identity
from hsadc.dataplane.transparent import TransparentDriver
from hsadc.intent.hop import HopIntent
from hsadc.intent.transparent import TransparentIntent
from hsadc.wire import gre
from hsadc.wire.checksum import internet_checksum
from tests.netns.mirror_net import Net, command, until

CLIENT, CLIENT6 = "10.1.0.1", "fd00:1::1"
SERVER, SERVER6 = "10.1.0.2", "fd00:1::2"
REAL, REAL6 = "10.2.0.1", "fd00:2::1"
PORT, PORT80, PORT_H2 = 443, 8443, 9443
"""Virtual servers whose copies have their own port, port 80, and HTTP/1.1 in place of HTTP/2."""

LAYOUT = """\
global
  stats socket {folder}/stats.sock mode 600 level admin expose-fd listeners
  maxconn 2000
  nbthread 2
  uid 65534
  gid 65534
  setcap cap_net_raw
  hard-stop-after 30s
  tune.bufsize 65536

defaults base
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 15s

defaults http from base
  mode http
  option idle-close-on-response
  option abortonclose

defaults tls from base
  mode tcp
  timeout client 10s
  timeout server 10s
  timeout tunnel 25h

backend hop443 from tls
  source 0.0.0.0 usesrc client interface hsadc-hop
  server hop 0.0.0.0:443

backend hop80 from tls
  source 0.0.0.0 usesrc client interface hsadc-hop
  server hop 0.0.0.0:80

backend hop9443_http from http
  source 0.0.0.0 usesrc clientip interface hsadc-hop
  server hop 0.0.0.0:9443

frontend tls1 from tls
  bind 10.1.0.2:443 ssl crt {folder}/certificate.pem alpn http/1.1
  bind [fd00:1::2]:443 ssl crt {folder}/certificate.pem alpn http/1.1
  default_backend hop443

frontend vs1 from http
  bind 10.1.0.2:443 namespace {namespace} transparent
  bind [fd00:1::2]:443 namespace {namespace} transparent
  default_backend pool

frontend tls2 from tls
  bind 10.1.0.2:8443 ssl crt {folder}/certificate.pem alpn http/1.1
  bind [fd00:1::2]:8443 ssl crt {folder}/certificate.pem alpn http/1.1
  default_backend hop80

frontend vs2 from http
  bind 10.1.0.2:80 namespace {namespace} transparent
  bind [fd00:1::2]:80 namespace {namespace} transparent
  default_backend pool

frontend tls3 from http
  bind 10.1.0.2:9443 ssl crt {folder}/certificate.pem alpn h2,http/1.1
  default_backend hop9443_http

frontend vs3 from http
  bind 10.1.0.2:9443 namespace {namespace} transparent
  default_backend pool

backend pool from http
  server real 10.2.0.1:80
"""
"""The way across the hop (which serves both families, whatever `0.0.0.0` looks like), as it is proved here."""

PLAIN = """\
global
  stats socket {folder}/stats.sock mode 600 level admin expose-fd listeners
  uid 65534
  gid 65534
  setcap cap_net_raw

defaults
  mode tcp
  timeout connect 2s
  timeout client 20s
  timeout server 20s

frontend four
  bind 10.1.0.2:8080
  default_backend pool4

frontend six
  bind [fd00:1::2]:8080
  default_backend pool6

backend pool4
  source 0.0.0.0 usesrc clientip
  server real 10.2.0.1:80

backend pool6
  source 0.0.0.0 usesrc clientip
  server real [fd00:2::1]:80
"""
"""Virtual servers without auto-snat."""


class HopNet(Net):
    """The network, with IPv6 as well; the thread that uses it as a context manager is in the ADC's namespace meanwhile.

    Attributes:
        folder: for files.
        peers: the addresses that connections to real servers came from, where a test keeps them here.
        hop: the driver.
        intent: what it is to make.
    """

    peers: list[str]

    def __enter__(self) -> HopNet:
        self._stack = contextlib.ExitStack()
        try:
            super().__enter__()
            self._stack.callback(super().__exit__)
            self.folder = Path(tempfile.mkdtemp(prefix=self.prefix))
            self._stack.callback(shutil.rmtree, self.folder)
            self.folder.chmod(0o755)
            for role, device, address in (("client", "eth0", CLIENT6), ("adc", "front", SERVER6), ("router", "lan", REAL6)):
                self.run(role, f"ip address add {address}/64 dev {device} nodad")
            self.run("adc", "ip address add fd00:2::2/64 dev back nodad")
            self.run("router", "ip route add 10.1.0.0/24 via 10.2.0.2")
            self.run("router", "ip -6 route add fd00:1::/64 via fd00:2::2")
            self._stack.enter_context(self.inside("adc"))
            self.netlink = self._stack.enter_context(Netlink())
            self.originals = Originals(self.folder / "originals.json", kernel_identity())
            self.hop, self.transparent = HopDriver(self.netlink, self.originals), TransparentDriver(self.netlink)
            self.intent = HopIntent(hop_namespace())
            self._stack.callback(self.hop.delete, self.intent)
            self._stack.callback(self.transparent.delete, TransparentIntent((4, 6)))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def haproxy(self, text: str) -> Iterator[Proxy]:
        """HAProxy in the ADC's namespace, serving until the block is left."""
        make_certificate(self.folder)
        file, master = self.folder / "haproxy.cfg", self.folder / "master.sock"
        file.write_text(text.format(folder=self.folder, namespace=self.intent.namespace))
        words = [str(find_binary().path), "-W", "-db", "-S", str(master), "-f", str(file)]
        with (self.folder / "haproxy.log").open("ab") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is not None or (self.folder / "stats.sock").exists())
            proxy = Proxy(process, master, self.folder / "haproxy.log")
            assert process.poll() is None, proxy.log
            yield proxy
        finally:
            process.terminate()
            process.wait()

    @contextlib.contextmanager
    def real_servers(self) -> Iterator[list[str]]:
        """Real servers in the router's namespace, on both addresses; the addresses that connections came from."""
        peers: list[str] = []
        servers = [
            self._real_server(family, address, peers) for family, address in ((socket.AF_INET, REAL), (socket.AF_INET6, REAL6))
        ]
        threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in servers]
        for thread in threads:
            thread.start()
        try:
            yield peers
        finally:
            for server, thread in zip(servers, threads, strict=True):
                server.shutdown()
                thread.join()
                server.server_close()

    def _real_server(self, family: socket.AddressFamily, address: str, peers: list[str]) -> ThreadingHTTPServer:
        kind = type("_Server", (_Server,), {"address_family": family, "peers": peers})
        with self.inside("router"):
            return kind((address, 80), _Handler)

    def client_socket(self, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        """A socket of the client's namespace; the caller closes it."""
        with self.inside("client"):
            return socket.socket(family)

    def connect(self, address: str, port: int, raw: socket.socket | None = None) -> ssl.SSLSocket:
        """A client's connection with TLS, by a socket of the client's namespace or a new one; the caller closes it."""
        raw = raw or self.client_socket(family_of(address))
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw.settimeout(20)
        try:
            raw.connect((address, port))
            return context.wrap_socket(raw)
        except BaseException:
            raw.close()
            raise


@dataclass
class Proxy:
    """A HAProxy that runs: its master process, the master's command socket, what it said."""

    process: subprocess.Popen[bytes]
    master: Path
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def reload(self) -> None:
        """Have another worker serve, with the same file."""
        answer = ask(self.master, "reload")
        assert "Success=1" in answer, answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    peers: list[str]

    def handle_error(self, *args: object) -> None:
        """Quiet: connections may be reset."""


class _Handler(BaseHTTPRequestHandler):
    """`GET /N` answers with `body(N)`; `POST` with the digest of what it got."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.peers.append(self.client_address[0])

    def do_GET(self) -> None:
        self._answer(body(int(self.path[1:])))

    def do_POST(self) -> None:
        self._answer(hashlib.sha256(self.rfile.read(int(self.headers["Content-Length"]))).hexdigest().encode())

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def family_of(address: str) -> socket.AddressFamily:
    """Of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def body(size: int) -> bytes:
    """So many bytes, always the same ones."""
    return Random(size).randbytes(size)


def make_certificate(folder: Path) -> None:
    """A certificate that nobody trusts, with its key, as HAProxy reads them."""
    folder.mkdir(exist_ok=True)
    target = folder / "certificate.pem"
    if not target.exists():
        key, certificate = folder / "key.pem", folder / "public.pem"
        command(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hop"
            f" -keyout {key} -out {certificate}"
        )
        target.write_bytes(certificate.read_bytes() + key.read_bytes())
        target.chmod(0o600)


class Recorder:
    """A connection that remembers every byte of both directions; use it as a context manager."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection
        self.sent, self.received = bytearray(), bytearray()
        self.address, self.port, *_ = connection.getsockname()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def request(self, head: str, content: bytes = b"") -> bytes:
        """One request, `GET /5` or the like; the body of its answer."""
        self.begin(head, content)
        return self.end()

    def begin(self, head: str, content: bytes = b"") -> None:
        """Send a request."""
        lines = f"{head} HTTP/1.1\r\nHost: hop\r\nContent-Length: {len(content)}\r\n\r\n"
        self._send(lines.encode() + content)

    def end(self) -> bytes:
        """Receive the answer; its body."""
        answer = bytearray()
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        header, _, rest = bytes(answer).partition(b"\r\n\r\n")
        assert header.startswith(b"HTTP/1.1 200"), header
        size = int(header.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        got = bytearray(rest)
        while len(got) < size:
            got += self._receive()
        assert len(got) == size
        return bytes(got)

    def _send(self, data: bytes) -> None:
        self._connection.sendall(data)
        self.sent += data

    def _receive(self) -> bytes:
        data = self._connection.recv(1 << 16)
        assert data, "the connection was closed"
        self.received += data
        return data


class HttpsConnection(HTTPConnection):
    """Of a client in the lab."""

    def __init__(self, net: HopNet, address: str, port: int) -> None:
        super().__init__(address, port, timeout=20)
        self._net = net

    def connect(self) -> None:
        self.sock = self._net.connect(self.host, self.port)


_End = tuple[IPv4Address | IPv6Address, int]


class Copies:
    """What an analyzer makes of captured frames with GRE: every checksum verified, TCP streams put together again.

    Attributes:
        packets: the IP packets.
        streams: what each end sent to the other, by both ends.
    """

    def __init__(self, frames: Sequence[bytes]) -> None:
        self.packets = [_inner(frame) for frame in frames]
        first: dict[tuple[_End, _End], int] = {}
        parts: dict[tuple[_End, _End], dict[int, bytes]] = defaultdict(dict)
        for packet in self.packets:
            ends, sequence, flags, data = _segment(packet)
            if flags & 2:
                first[ends] = sequence + 1
            elif data:
                parts[ends][sequence] = max(data, parts[ends].get(sequence, b""), key=len)
        self.streams = {ends: _joined(parts[ends], start) for ends, start in first.items()}

    def between(self, client: str, client_port: int, server: str, server_port: int) -> tuple[bytes, bytes]:
        """What a client and a server said to each other."""
        ends = (ip_address(client), client_port), (ip_address(server), server_port)
        return self.streams[ends], self.streams[ends[::-1]]


def _inner(frame: bytes) -> bytes:
    outer = frame[14:]
    assert outer[0] == 0x45
    assert int.from_bytes(outer[6:8]) & 0x3FFF == 0  # no fragment
    header, length = gre.decode(outer[20 : int.from_bytes(outer[2:4])])
    packet = outer[20 + length : int.from_bytes(outer[2:4])]
    assert header.protocol == {4: 0x0800, 6: 0x86DD}[packet[0] >> 4]
    return packet


def _segment(packet: bytes) -> tuple[tuple[_End, _End], int, int, bytes]:
    """Both ends, sequence number, flags and payload; lengths and checksums are right."""
    if packet[0] >> 4 == 4:
        assert internet_checksum(packet[:20]) == 0
        assert (packet[0], packet[9], int.from_bytes(packet[2:4])) == (0x45, 6, len(packet))
        addresses, tcp = packet[12:20], packet[20:]
    else:
        assert (packet[6], int.from_bytes(packet[4:6])) == (6, len(packet) - 40)
        addresses, tcp = packet[8:40], packet[40:]
    pseudo = addresses + len(tcp).to_bytes(4) + (6).to_bytes(4)
    assert internet_checksum(pseudo + tcp) == 0
    half = len(addresses) // 2
    source = ip_address(addresses[:half]), int.from_bytes(tcp[:2])
    destination = ip_address(addresses[half:]), int.from_bytes(tcp[2:4])
    return (source, destination), int.from_bytes(tcp[4:8]), tcp[13], tcp[(tcp[12] >> 4) * 4 :]


def _joined(parts: dict[int, bytes], first: int) -> bytes:
    """The bytes from sequence number `first` on, without a gap."""
    stream, following = bytearray(), first
    for sequence, data in sorted(parts.items(), key=lambda part: (part[0] - first) % 2**32):
        known = (following - sequence) % 2**32
        assert known < 2**31, f"a gap after {len(stream)} bytes"
        stream += data[known:]
        following = max(following, sequence + len(data))
    return bytes(stream)
