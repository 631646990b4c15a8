"""HAProxy's configuration file around the services: what the machine decides, and reading the file back; pure.

The file carries a digest of itself as HAProxy's `description`. A worker tells it (`show info`), so that what is in force is
known from the worker and not guessed from the file, whatever was interrupted in between.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from hsadc.intent.haproxy_word import decode_name

CONFIG = "haproxy.cfg"
STATS_SOCKET = "stats.sock"

_NOBODY = 65534  # Linux's own overflow user and group: there without any entry in /etc/passwd
_MAX_FILES = 200_000  # with 64 KB buffers the memory is gone long before
_OWN_FILES = 256  # threads' pollers, sockets, log, checks; two more for each bind, which is there twice during a reload
_SERVICES = "\n# services\n"

_DEFAULTS = """\
defaults base
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout queue 10s
  timeout http-request 10s
  timeout http-keep-alive 15s
  timeout tunnel 1h
  option redispatch
  retries 2

defaults http from base
  mode http
  # Without it a reload closes idle connections under a client that is just sending its next request.
  option idle-close-on-response
  option abortonclose

defaults tcp from base
  mode tcp
  option clitcpka

# The TLS leg of a virtual server whose clear text is mirrored: a client has `client` for its handshake, afterwards the clear leg's
# timeouts decide.
defaults tls from base
  mode tcp
  option dontlog-normal
  option dontlognull
  timeout client 10s
  timeout server 10s
  timeout tunnel 25h
  error-log-format "%ci:%cp [%t] %ft %{+Q}[ssl_fc_err_str] sni=%{+Q}[ssl_fc_sni]"
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
        """How many client connections HAProxy may hold: each needs a second file for its server."""
        own = _OWN_FILES + 2 * services.count("\n  bind ")
        return max((min(self.max_files, _MAX_FILES) - own) // 2, 1)


def write_file(services: str, machine: Machine) -> str:
    """The whole file; paths in it are relative to the directory that HAProxy runs in."""
    lines = [
        "# Written by hsadc: what is changed here by hand is lost.",
        "global",
        "  log stdout len 8192 format raw local0",
        f"  stats socket unix@{STATS_SOCKET} mode 600 level admin expose-fd listeners",
        f"  maxconn {machine.max_connections(services)}",
        f"  nbthread {machine.threads}",
        "  hard-stop-after 10m",
        "  tune.bufsize 65536",
    ]
    if machine.root:
        lines += [f"  uid {_NOBODY}", f"  gid {_NOBODY}"]
    text = "\n".join(lines) + "\n\n" + _DEFAULTS + _SERVICES + services
    return text.replace("global\n", f"global\n  description {digest(text)}\n", 1)


def digest(text: str) -> str:
    """What the file says, without what it says of itself: 32 hexadecimal digits."""
    bare = re.sub(r"^  description .*\n", "", text, count=1, flags=re.MULTILINE)
    return hashlib.sha256(bare.encode()).hexdigest()[:32]


def services_of(text: str) -> str:
    """The services in a file of `write_file`."""
    return text.partition(_SERVICES)[2]


def explain(words: str, text: str) -> str:
    """What HAProxy said, in one line and in the operator's terms.

    Args:
        words: HAProxy's log lines, the last ones of a failure.
        text: the file that it read: the comments above its sections name the operator's objects.

    Returns:
        The first alert, with how many more there are; without alerts the last line.
    """
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    alerts = [
        line for line in lines if "[ALERT]" in line and not re.search(r"(Fatal errors|Error\(s\)) found|haproxy\.main\(\)", line)
    ]
    if not alerts:
        return lines[-1] if lines else "HAProxy said nothing"
    more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    return _in_operators_terms(alerts[0], text) + more


def _in_operators_terms(alert: str, text: str) -> str:
    alert = re.sub(r"^\[ALERT\]\s*\(\d+\) : (config : )?", "", alert).rstrip(".")
    alert = re.sub(r"'server [^'/]+/([^']+)'", lambda m: f'real-server "{decode_name(m[1])}"', alert)
    line = re.search(r"(?:parsing |Binding )?\[[^\]:]*:(\d+)\](?: for frontend \S+)?( :|:)? *", alert)
    if line is not None:
        where = next((s.path for s in reversed(_sections(text)) if s.line <= int(line[1])), CONFIG)
        return f"{where}: {alert[: line.start()]}{alert[line.end() :]}"
    for section in _sections(text):
        alert = alert.replace(f"Proxy '{section.name}'", section.path)
    return alert


@dataclass(frozen=True, slots=True)
class _Section:
    """A frontend or backend: the number of its first line, its name, and the object that the comment above it names."""

    line: int
    name: str
    path: str


def _sections(text: str) -> list[_Section]:
    lines = text.split("\n")
    return [
        _Section(number, line.split()[1], lines[number - 2].removeprefix("# "))
        for number, line in enumerate(lines, start=1)
        if line.startswith(("frontend ", "backend "))
    ]
