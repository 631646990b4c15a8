"""Values: what a typed word becomes in the model, and how it is written again.

A terminal's placeholder (a //? comment in the grammar) says what kind of value it is: `<1-65535>` a number in that range,
`A.B.C.D` an address, `WORD` a name, `LINE` text up to the end of the line. Reading and writing are twins: what `render` gives,
`parse` takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from hsadc.errors import BadValue
from hsadc.syntax.public_key import is_public_key
from hsadc.syntax.words import quote, unquote

NAME_LENGTH = 63
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_RANGE = re.compile(r"<(\d+)-(\d+)>")
_STEM = re.compile(r"[a-z]{3,}(?=\\d|\(\?:\[)")


class Terminal:
    """One kind of value; this class: a word that stands for itself, such as an interface's name.

    Attributes:
        name: as the grammar names it.
        pattern: a regular expression for a whole word.
        placeholder: what `?` shows for it.
        live: which live names complete it; empty for none.
        rest: True when it takes the rest of the line, not a word.
        free: True for names, which stand back behind keywords and typed values.
        stem: the letters that begin every such word, for abbreviation (`e0/0`); empty when there are none.
    """

    def __init__(self, name: str, pattern: str, priority: int, placeholder: str, live: str) -> None:
        self.name = name
        self.pattern = pattern
        self.placeholder = placeholder
        self.live = live
        self.rest = priority == -2
        self.free = priority < 0
        stem = _STEM.match(pattern)
        self.stem = stem[0] if stem else ""
        # A typed value is ASCII: other digits would make names that look alike, such as two interfaces ethernet0/1.
        self._flags = re.DOTALL | re.ASCII if priority == 2 else re.DOTALL

    @cached_property
    def matches(self) -> Callable[[str], Any]:
        """Whether a whole word is such a value; compiled when it is asked for, as one run uses few commands."""
        return re.compile(self.pattern, self._flags).fullmatch

    def parse(self, word: str) -> Any:
        """The word's value.

        Raises:
            BadValue: it has the form of such a value, but cannot be one.
        """
        return word

    def render(self, value: Any) -> str | None:
        """The word for a value, None when the value is of another kind."""
        return value if isinstance(value, str) and self.matches(value) else None


class Number(Terminal):
    """A whole number in the range that the placeholder gives."""

    def __init__(self, name: str, pattern: str, priority: int, placeholder: str, live: str) -> None:
        super().__init__(name, pattern, priority, placeholder, live)
        self._low, self._high = map(int, placeholder[1:-1].split("-"))

    def parse(self, word: str) -> int:
        """As in Terminal."""
        if not self._low <= (number := int(word)) <= self._high:
            raise BadValue(f"{word} is out of range, it must be {self._low} to {self._high}")
        return number

    def render(self, value: Any) -> str | None:
        """As in Terminal."""
        return str(value) if type(value) is int and self._low <= value <= self._high else None


class Name(Terminal):
    """A name, bare or quoted."""

    def parse(self, word: str) -> str:
        """As in Terminal."""
        name = unquote(word)
        if not 0 < len(name) <= NAME_LENGTH:
            raise BadValue(f"a name has 1 to {NAME_LENGTH} characters, this one has {len(name)}")
        return name if name.isprintable() else _printable(name)

    def render(self, value: Any) -> str | None:
        """As in Terminal."""
        return quote(value) if isinstance(value, str) else None


class Text(Terminal):
    """Text up to the end of the line; quoted as a whole, or as it stands."""

    def parse(self, word: str) -> str:
        """As in Terminal."""
        text = word.strip()
        text = _printable(unquote(text) if _QUOTED.fullmatch(text) else text)
        if (check := _CHECKS.get(self.name)) is not None:
            check(text)
        return text

    def render(self, value: Any) -> str | None:
        """As in Terminal."""
        return quote(value) if isinstance(value, str) else None


class Address(Terminal):
    """An IPv4 address, alone or with a prefix length, as the class that `ipaddress` has for it."""

    def __init__(self, name: str, pattern: str, priority: int, placeholder: str, live: str) -> None:
        super().__init__(name, pattern, priority, placeholder, live)
        self._kind = _ADDRESSES[name]

    def parse(self, word: str) -> Any:
        """As in Terminal."""
        try:
            value = self._kind(word)
        except ValueError as e:
            raise BadValue(_address_error(word, e)) from None
        return _with_prefix(value) if self._kind is IPv4Interface else value

    def render(self, value: Any) -> str | None:
        """As in Terminal."""
        return (
            str(value) if type(value) is self._kind else None
        )  # IPv4Interface is an IPv4Address by inheritance: types must be equal


_ADDRESSES: Mapping[str, Callable[[str], Any]] = {
    "IPV4": IPv4Address,
    "MASK": IPv4Address,
    "PREFIX": IPv4Interface,
    "NETWORK": IPv4Network,
}
_TEXTS: Mapping[str, type[Terminal]] = {"WORD": Name, "LINE": Text}


def make_terminal(name: str, pattern: str, priority: int, placeholder: str, live: str) -> Terminal:
    """The value behind a terminal of the grammar, whose regular expression matches a whole word of this kind."""
    kind = Number if _RANGE.fullmatch(placeholder) else Address if name in _ADDRESSES else _TEXTS.get(placeholder, Terminal)
    return kind(name, pattern, priority, placeholder, live)


def _address_error(word: str, error: ValueError) -> str:
    if "host bits" in str(error):
        return f"{word} is not a network, did you mean {IPv4Interface(word).network}?"
    return f"{word} is not valid: {error}"


def _with_prefix(address: IPv4Interface) -> IPv4Interface:
    if address.network.prefixlen == 0:
        raise BadValue(f"{address} has no network, the prefix length of an interface is 1 to 32")
    return address


def _printable(text: str) -> str:
    if bad := _CONTROL.search(text):  # what Python takes for unprintable is more, and harmless
        raise BadValue(f"the character {bad[0]!a} cannot be part of a configuration")
    return text


def _check_hash(text: str) -> None:
    from hsadc.syntax.password import is_hash

    if not is_hash(text):
        raise BadValue("this is not a hash as show running-config prints it ($scrypt$...); a password stands without 'hashed'")


def _check_public_key(text: str) -> None:
    if not is_public_key(text):
        raise BadValue("this is not a public key, it must be a line as in id_ed25519.pub: TYPE BASE64 [COMMENT]")


_CHECKS: Mapping[str, Callable[[str], None]] = {"HASH": _check_hash, "SSH_KEY": _check_public_key}


def _address_mask(address: IPv4Address, mask: IPv4Address) -> IPv4Interface:
    return _with_prefix(IPv4Interface(f"{address}/{_prefix_length(mask)}"))


def _new_password(text: str) -> str:
    from hsadc.syntax.password import hash_password

    return hash_password(text)


def _network_mask(address: IPv4Address, mask: IPv4Address) -> IPv4Network:
    length = _prefix_length(mask)
    try:
        return IPv4Network(f"{address}/{length}")
    except ValueError:
        right = IPv4Interface(f"{address}/{length}").network.network_address
        raise BadValue(f"{address} {mask} is not a network, did you mean {right} {mask}?") from None


def _prefix_length(mask: IPv4Address) -> int:
    bits = f"{int(mask):032b}"
    if "01" in bits:
        raise BadValue(f"{mask} is not a network mask, it must be ones and then zeros, such as 255.255.255.0")
    return bits.count("1")


VALUE_RULES: Mapping[str, Callable[..., Any]] = {
    "address_mask": _address_mask,
    "network_mask": _network_mask,
    "new_password": _new_password,
}
"""Rules of the grammar that are a value of several words, and what they make of their parts."""
