"""What HAProxy says when it refuses something, in the operator's terms; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hsadc.dataplane.haproxy_file import CONFIG
from hsadc.intent.haproxy_word import decode_name
from hsadc.model.title import title

_SUMMARY = re.compile(r"(Fatal errors|Error\(s\)) found|haproxy\.main\(\)")
_PLACE = re.compile(r"(?:parsing |Binding )?(?: at )?\[[^\]:]*:(\d+)\](?: for frontend \S+)?(?: :|:)? *")
_OURS = re.compile(r"'bind [^']*' in section 'frontend' : | for bind '[^']*'|'(?:crt-list|crt|ca-file)' : | ?\(use 'crt'\)")
"""Words that name the line's own, which the place says already."""

_PLAIN_WORDS = (
    (
        r".*Cannot raise FD limit to (\d+), limit is (\d+)",
        r"\1 open files are needed and \2 are allowed: raise the daemon's limit (ulimit -n)",
    ),
    (r"cannot bind socket \(Address already in use\) for \[(.*)\]", r"another program uses \1"),
    (r"cannot bind socket \(Cannot assign requested address\) for \[(.*)\]", r"\1 is not an address of this device"),
    (r".*unable to set TLS 1\.3 cipher suites to '(.*?)'", r"OpenSSL knows no such cipher suites: \1"),
    (r".*unable to set SSL cipher list to '(.*?)'", r"OpenSSL knows no such ciphers: \1"),
    (r".*all SSL/TLS versions are disabled", "its max-version is below its min-version"),
    (r"no SSL certificate specified", "no trust domain of its ssl-profile has a certificate"),
    (r"inconsistencies between private key and certificate loaded '(.*)'", r"the key of \1 is not its certificate's"),
    (r"unable to load certificate from file '(.*?)'.*", r"the certificate of \1 is none that OpenSSL reads"),
    (r"No Private Key found in '(.*)\.key'", r"\1 has no key that OpenSSL reads"),
    (r"unable to load (\S+\.ca)", r"the authorities of \1 are none that OpenSSL reads"),
    (r".*Cannot open namespace '(.*)'", r"there is no network namespace \1"),
)
"""Alerts that an operator meets, and what they mean."""

_FILES = {".pem": "trust_domain", ".ca": "ssl_profile", ".list": "ssl_profile"}
"""Whose the files of the folder `pki` are, by suffix."""


def explain(words: str, text: str) -> str:
    """What HAProxy said, in one line and in the operator's terms.

    Args:
        words: HAProxy's log lines, the last ones of a failure.
        text: the configuration file that it read: the comments above its sections name the operator's objects.

    Returns:
        The first alert that says where, or the first, with how many more there are; without alerts the last line.
    """
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    alerts = [line for line in lines if "[ALERT]" in line and not _SUMMARY.search(line)]
    if not alerts:
        return lines[-1] if lines else "HAProxy said nothing"
    bare = [re.sub(r"^.*?\[ALERT\]\s*\(\d+\) : (config : )?", "", alert).rstrip(".") for alert in alerts]
    told = next((alert for alert in bare if _PLACE.search(alert)), bare[0])
    more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    return _in_operators_terms(told, text) + more


def _in_operators_terms(alert: str, text: str) -> str:
    sections = _sections(text)
    place = _PLACE.search(alert)
    if place is not None:
        where = section_of(text, int(place[1]))
        alert = alert[: place.start()] + alert[place.end() :]
    else:
        where = next((s.path for s in sections if f"roxy '{s.name}'" in alert), "")
    alert = re.sub(r"^[Pp]roxy '[^']*': ", "", alert)
    server = re.match(r"'server [^'/]+/([^']+)' : ", alert)
    if server is not None:
        where += f', real-server "{decode_name(server[1])}"'
        alert = alert[server.end() :]
    words = _named(_plain(_OURS.sub("", alert)))
    return f"{where}: {words}" if where else words


def section_of(text: str, line: int) -> str:
    """The operator's object that a line of the configuration file belongs to."""
    return next((s.path for s in reversed(_sections(text)) if s.line <= line), CONFIG)


def _plain(alert: str) -> str:
    for pattern, meaning in _PLAIN_WORDS:
        if re.match(pattern, alert):
            return re.sub(pattern, meaning, alert)
    return alert


def _named(words: str) -> str:
    """The operator's objects in the place of our files; one whose name is too long for a file keeps that."""
    return re.sub(
        r"'?pki/([\w.:-]+?)(\.pem|\.ca|\.list)\b'?",
        lambda m: title(_FILES[m[2]], decode_name(m[1])) if not m[1].startswith(":") else m[0],
        words,
    )


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
