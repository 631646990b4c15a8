"""HAProxy's configuration file around the services: what the machine decides, and reading the file back; pure.

The file carries a digest of itself as HAProxy's `description`, and those of the files that it names as comments. A worker
tells the former (`show info`), so that what is in force is known from the worker and not guessed from the disk, whatever was
interrupted in between.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from hsadc.intent.haproxy_file import HaproxyFile
from hsadc.intent.haproxy_frontend import HOP_CONNECTIONS
from hsadc.intent.haproxy_pool import PEERS
from hsadc.model.virtual_server import Listener

CONFIG = "haproxy.cfg"
STATS_SOCKET = "stats.sock"
SERVER_STATE = "server-state"
NOBODY = 65534
"""Linux's own overflow user and group: there without any entry in /etc/passwd. Workers run as such."""

_PEERS_SOCKET = "peers.sock"
_MAX_FILES = 200_000  # with 64 KB buffers the memory is gone long before
_OWN_FILES = 256  # pollers of threads, sockets, log
_LONGEST_LINE = 4000  # with its end it is shorter than PIPE_BUF, so that lines are written whole
_SERVICES = "\n# services\n"

# With forward secrecy and authenticated encryption alone (RFC 9325 section 4.2); TLS 1.3 has no others.
_CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)

_TLS = f"""\
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  ssl-default-bind-ciphers {_CIPHERS}
  ssl-default-server-options ssl-min-ver TLSv1.2
  ssl-default-server-ciphers {_CIPHERS}
  tune.ssl.default-dh-param 2048
  tune.ssl.cachesize 20000
"""

_PEERS = f"""\
# A worker hands its stick tables to the next one; one that started from nothing does so after its first five seconds.
peers {PEERS}
  bind unix@{_PEERS_SOCKET} mode 600{{owner}}
  server {PEERS}
"""

_DEFAULTS = """\
defaults base
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout queue 10s
  timeout http-request 10s
  timeout http-keep-alive 15s
  timeout tunnel 1h
  # Otherwise that of a virtual server's first max-connection stays with its socket, whatever the limit becomes: of a burst of
  # clients some are turned away then, and try again a second later.
  backlog 65535
  option redispatch
  retries 2
  load-server-state-from-file global
  # A client that asks for a name with a line feed in it must not write lines of its own.
  error-log-format "%ci:%cp [%t] %ft %{+Q}[fc_err_str] %{+Q}[ssl_fc_err_str] sni=%{+Q}[ssl_fc_sni,json(utf8s)]"

defaults http from base
  mode http
  # What is spoken is what was offered: an analyzer that reads HTTP/1.1 alone must not be passed by with HTTP/2.
  option disable-h2-upgrade
  # Without it a reload closes idle connections under a client that is just sending its next request.
  option idle-close-on-response
  option abortonclose

defaults tcp from base
  mode tcp
  option clitcpka

# The TLS leg of a virtual server whose clear text is mirrored: a client has `client` for its handshake, afterwards the clear
# leg's timeouts decide, and when that has closed the client has `client-fin` to do so.
defaults tls from base
  mode tcp
  option dontlog-normal
  option dontlognull
  timeout client 10s
  timeout server 10s
  timeout client-fin 30s
  timeout server-fin 30s
  timeout tunnel 25h

# The same where HTTP/2 becomes HTTP/1.1 before the hop.
defaults tls_http from http
  option dontlog-normal
  option dontlognull
  timeout server 25h
  timeout tunnel 25h
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the file depends on besides the services.

    Attributes:
        root: True when it is started by root; its worker then becomes nobody.
        max_files: the hard limit of open files of the process that runs it.
        threads: how many processors it may use.
    """

    root: bool
    max_files: int
    threads: int

    def max_connections(self, services: str) -> int:
        """How many connections HAProxy may hold: each needs a second file for its server.

        A client whose clear text crosses the hop has two: that of the TLS leg, and that of the clear one.
        """
        # A bind is there twice during a reload; HAProxy reserves one for the check of each server.
        own = _OWN_FILES + 2 * services.count("\n  bind ") + services.count(" check inter ")
        return max((min(self.max_files, _MAX_FILES) - own) // 2, 2)


@dataclass(frozen=True, slots=True)
class Generation:
    """All that a worker starts from.

    Attributes:
        text: the whole configuration file.
        files: those that it names, by name.
    """

    text: str
    files: tuple[HaproxyFile, ...] = ()

    @property
    def services(self) -> str:
        """The services in the text."""
        return self.text.partition(_SERVICES)[2]

    @property
    def digest(self) -> str:
        """What all of it says, without what the text says of itself: 32 hexadecimal digits."""
        bare = re.sub(r"^  description .*\n", "", self.text, count=1, flags=re.MULTILINE)
        return hashlib.sha256(bare.encode()).hexdigest()[:32]


def write_file(services: str, machine: Machine, files: Iterable[HaproxyFile] = ()) -> Generation:
    """The whole file; paths in it are relative to the directory that HAProxy runs in."""
    in_order = tuple(sorted(files, key=lambda file: file.name))
    connections = machine.max_connections(services)
    owner = f" uid {NOBODY}" if machine.root else ""
    sections = [
        "\n".join(_global(services, machine, connections, in_order)) + "\n" + _TLS,
        *([_PEERS.replace("{owner}", owner)] if f" peers {PEERS}\n" in services else []),
        _DEFAULTS,
    ]
    text = "\n".join(sections) + _SERVICES + services
    return Generation(text.replace("global\n", f"global\n  description {Generation(text).digest}\n", 1), in_order)


def file_digests(text: str) -> Mapping[str, str]:
    """The files that a text names, with what `file_digest` says of their contents."""
    return dict(re.findall(r"^# file (\S+) (\S+)$", text.partition("\nglobal\n")[0], re.MULTILINE))


def file_digest(content: bytes) -> str:
    """What a file says."""
    return hashlib.sha256(content).hexdigest()


def _global(services: str, machine: Machine, connections: int, files: Sequence[HaproxyFile]) -> list[str]:
    lines = [
        "# Written by hsadc: what is changed here by hand is lost.",
        *(f"# file {file.name} {file_digest(file.content)}" for file in files),
        "global",
        f"  log stdout len {_LONGEST_LINE} format raw local0",
        f"  stats socket unix@{STATS_SOCKET} mode 600 level admin expose-fd listeners",
        f"  server-state-file {SERVER_STATE}",
        f"  localpeer {PEERS}",
        f"  maxconn {connections}",
        f"  nbthread {machine.threads}",
        f"  setenv {HOP_CONNECTIONS} {_hop_connections(services, connections)}",
        "  hard-stop-after 10m",
        "  tune.bufsize 65536",
    ]
    if machine.root:
        lines += [f"  uid {NOBODY}", f"  gid {NOBODY}"]
        if needs_capability(services):
            lines.append("  setcap cap_net_raw")
    return lines


def clear_legs(services: str) -> Mapping[int, tuple[Listener, ...]]:
    """Where virtual servers listen on the hop, by their number."""
    found: dict[int, tuple[Listener, ...]] = {}
    number = 0
    for line in services.split("\n"):
        if (frontend := re.match(r"frontend vs(\d+)_", line)) is not None:
            number = int(frontend[1])
        elif (bind := re.match(r"  bind \[?([^]\s]+?)\]?:(\d+) namespace ", line)) is not None:
            found[number] = (*found.get(number, ()), Listener(ip_address(bind[1]), int(bind[2])))
    return found


def _hop_connections(services: str, connections: int) -> int:
    """As many TLS legs may cross the hop to one port: of all connections as many must be left for the clear legs."""
    return max(connections // 2 // max(services.count("\nbackend hop"), 1), 1)


def needs_capability(services: str) -> bool:
    """Whether connections leave from addresses that are not ours, or by a device, or are taken in another network namespace."""
    return re.search(r"^  (source .* usesrc|bind .* namespace) ", services, re.MULTILINE) is not None
