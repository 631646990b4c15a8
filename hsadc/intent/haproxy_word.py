"""Words of HAProxy's configuration file: names, quoting, and where the files lie that it refers to.

What an operator names freely becomes a HAProxy name by `encode_name`, which never maps two names to one and can be turned
back: statistics and error messages speak of the operator's objects.
"""

from __future__ import annotations

import re
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address
from string import ascii_letters, digits

from hsadc.model.title import title

_PLAIN = frozenset(ascii_letters + digits + "._-")
"""What HAProxy allows in names, without the colon, which is the escape here."""

_LONGEST_FILE = 200
"""Bytes; a file's name may have 255, and its suffix needs some."""


def encode_name(name: str) -> str:
    """A name that HAProxy accepts: each other character as its code point in hexadecimal between colons; one to one."""
    return "".join(c if c in _PLAIN else f":{ord(c):x}:" for c in name)


def decode_name(name: str) -> str:
    """The name that `encode_name` was given."""
    return re.sub(r":([0-9a-f]+):", lambda m: chr(int(m[1], 16)), name)


def file_name(folder: str, name: str, suffix: str) -> str:
    """The file of an object that the operator named, relative to HAProxy's directory: `pki/www.pem`; one to one."""
    encoded = encode_name(name)
    if len(encoded) > _LONGEST_FILE or encoded.startswith("."):
        encoded = f":{sha256(name.encode()).hexdigest()}"
    return f"{folder}/{encoded}{suffix}"


def quote(text: str) -> str:
    """One word, whatever is in it; nothing in it is replaced (HAProxy's strong quotes)."""
    return "'" + text.replace("'", r"'\''") + "'"


def literal(text: str) -> str:
    """The same where HAProxy expects a format (`%[src]`): the text says itself."""
    return quote(text.replace("%", "%%"))


def endpoint(address: IPv4Address | IPv6Address, port: int) -> str:
    """`192.0.2.1:80`, `[2001:db8::1]:80`."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def path(section: str, name: str) -> str:
    """An object as the operator types it, for comments, which end with their line.

    What cannot be printed is written as its code point.
    """
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in title(section, name))
