"""Values: what a typed word becomes in the model, and how it is written again.

A terminal's placeholder (a //? comment in the grammar) says what kind of value it is: `<1-65535>` a number in that range,
`A.B.C.D` an address, `WORD` a name, `LINE` text up to the end of the line. Reading and writing are twins: what `render` gives,
`parse` takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_interface
from typing import Any, NamedTuple

from hsadc.errors import BadValue
from hsadc.model.access_list import PortRange
from hsadc.syntax.public_key import is_public_key
from hsadc.syntax.words import quote, unquote

NAME_LENGTH = 63
REST_OF_LINE = -2
"""The priority of a terminal that takes the rest of the line."""

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
        written: False when its values are typed so, but written in another way.
        free: True for names, which stand back behind keywords and typed values.
        stem: the letters that begin every such word, for abbreviation (`e0/0`); empty when there are none.
    """

    def __init__(self, name: str, pattern: str, priority: int, placeholder: str, live: str) -> None:
        self.name = name
        self.pattern = pattern
        self.placeholder = placeholder
        self.live = live
        self.written = name not in _READ_ONLY
        self.rest = priority == REST_OF_LINE
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
    """An address, alone or with a prefix length, as the class that `ipaddress` has for it."""

    def __init__(self, name: str, pattern: str, priority: int, placeholder: str, live: str) -> None:
        super().__init__(name, pattern, priority, placeholder, live)
        self._kinds = _ADDRESSES[name]

    def parse(self, word: str) -> Any:
        """As in Terminal."""
        try:
            value = self._kinds[-1 if ":" in word else 0](word)
        except ValueError as e:
            raise BadValue(_address_error(word, e)) from None
        if isinstance(value, IPv4Interface | IPv6Interface):
            _check_prefix(value)
        return value

    def render(self, value: Any) -> str | None:
        """As in Terminal."""
        # IPv4Interface is an IPv4Address by inheritance: types must be equal.
        return str(value) if type(value) in self._kinds else None


_ADDRESSES: Mapping[str, Sequence[type]] = {
    "IPV4": (IPv4Address,),
    "IPV6": (IPv6Address,),
    "MASK": (IPv4Address,),
    "PREFIX": (IPv4Interface,),
    "PREFIX6": (IPv6Interface,),
    "NETWORK": (IPv4Network,),
    "END": (IPv4Network, IPv6Network),
    "END_HOST": (IPv4Network, IPv6Network),
}
"""What addresses are; where they may be of both families, IPv4's class and IPv6's."""

_READ_ONLY = ("END_HOST", "MASK")
"""What is written in another way: `host A` as the network of the one address, a mask as the length of the prefix."""

_TEXTS: Mapping[str, type[Terminal]] = {"WORD": Name, "LINE": Text}


def make_terminal(name: str, pattern: str, priority: int, placeholder: str, live: str) -> Terminal:
    """The value behind a terminal of the grammar, whose regular expression matches a whole word of this kind."""
    kind = Number if _RANGE.fullmatch(placeholder) else Address if name in _ADDRESSES else _TEXTS.get(placeholder, Terminal)
    return kind(name, pattern, priority, placeholder, live)


def _address_error(word: str, error: ValueError) -> str:
    if "host bits" in str(error):
        return f"{word} is not a network, did you mean {ip_interface(word).network}?"
    return f"{word} is not valid: {error}"


def _check_prefix(address: IPv4Interface | IPv6Interface) -> None:
    if address.network.prefixlen == 0:
        raise BadValue(f"{address} has no network, the prefix length of an interface is 1 to {address.max_prefixlen}")


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
    interface = IPv4Interface(f"{address}/{_prefix_length(mask)}")
    _check_prefix(interface)
    return interface


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


def _port_range(first: int, last: int) -> PortRange:
    if first > last:
        raise BadValue(f"no port is in range {first} {last}, did you mean range {last} {first}?")
    return PortRange(first, last)


def _as_range(ports: PortRange | None) -> tuple[int, int] | None:
    return None if ports is None else (ports.first, ports.last)


def _as_one_port(ports: PortRange | None) -> tuple[int] | None:
    return None if ports is None or ports.first != ports.last else (ports.first,)


class ValueRule(NamedTuple):
    """A rule of the grammar that is a value of several words.

    Attributes:
        build: makes the value of its parts.
        parts: the parts that a value, or None, is written with; None when it is not written in this way.
    """

    build: Callable[..., Any]
    parts: Callable[[Any], tuple[Any, ...] | None] = lambda _: None


VALUE_RULES: Mapping[str, ValueRule] = {
    "address_mask": ValueRule(_address_mask),
    "network_mask": ValueRule(_network_mask),
    "new_password": ValueRule(_new_password),
    "flow_end": ValueRule(lambda end: None if end == "any" else end, lambda end: ("any" if end is None else end,)),
    "one_port": ValueRule(lambda port: PortRange(port, port), _as_one_port),
    "port_range": ValueRule(_port_range, _as_range),
}
"""By the rule's name."""
