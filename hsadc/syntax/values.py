"""Values: what a typed word becomes in the model, and how it is written again.

A terminal's placeholder (a //? comment in the grammar) says what kind of value it is: `<1-65535>` a number in that range,
`A.B.C.D` an address, `WORD` a name, `LINE` text up to the end of the line. Reading and writing are twins: what `render` gives,
`parse` takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from hsadc.errors import BadValue
from hsadc.syntax.password import hash_password
from hsadc.syntax.words import quote, split_words, unquote

NAME_LENGTH = 63
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Terminal:
    """One kind of value.

    Attributes:
        name: as the grammar names it.
        placeholder: what `?` shows for it.
        live: which live names complete it; empty for none.
        matches: whether a whole word is such a value.
        parse: the word's value; raises BadValue.
        render: the word for a value, None when the value is of another kind.
        rest: True when it takes the rest of the line, not a word.
        free: True for names, which stand back behind keywords and typed values.
        stem: the letters that begin every such word, for abbreviation (`e0/0`); empty when there are none.
    """

    name: str
    placeholder: str
    live: str
    matches: Callable[[str], Any]
    parse: Callable[[str], Any]
    render: Callable[[Any], str | None]
    rest: bool
    free: bool
    stem: str


def make_terminal(name: str, pattern: str, priority: int, placeholder: str, live: str) -> Terminal:
    """The value behind a terminal of the grammar."""
    # A typed value is ASCII: other digits would make names that look alike, such as two interfaces ethernet0/1.
    matches = re.compile(pattern, re.DOTALL | (re.ASCII if priority == 2 else 0)).fullmatch
    parse: Callable[[str], Any]
    render: Callable[[Any], str | None]
    if bounds := re.fullmatch(r"<(\d+)-(\d+)>", placeholder):
        low, high = int(bounds[1]), int(bounds[2])
        parse, render = _number(low, high)
    elif placeholder == "WORD":
        parse, render = _parse_name, _render_text
    elif placeholder == "LINE":
        parse, render = _parse_text, _render_text
    elif name in _ADDRESSES:
        parse, render = _address(_ADDRESSES[name])
    else:
        parse, render = str, _matching(matches)
    stem = re.match(r"[a-z]{3,}(?=\\d|\(\?:\[)", pattern)
    return Terminal(name, placeholder, live, matches, parse, render, priority == -2, priority < 0, stem[0] if stem else "")


def _number(low: int, high: int) -> tuple[Callable[[str], int], Callable[[Any], str | None]]:
    def parse(word: str) -> int:
        if not low <= (number := int(word)) <= high:
            raise BadValue(f"{word} is out of range, it must be {low} to {high}")
        return number

    def render(value: Any) -> str | None:
        return str(value) if type(value) is int and low <= value <= high else None

    return parse, render


_ADDRESSES: Mapping[str, type] = {"IPV4": IPv4Address, "MASK": IPv4Address, "PREFIX": IPv4Interface, "NETWORK": IPv4Network}


def _address(kind: Callable[[str], Any]) -> tuple[Callable[[str], Any], Callable[[Any], str | None]]:
    def parse(word: str) -> Any:
        try:
            return kind(word)
        except ValueError as e:
            raise BadValue(_address_error(word, e)) from None

    def render(value: Any) -> str | None:
        return str(value) if type(value) is kind else None  # IPv4Interface is an IPv4Address by inheritance: types must be equal

    return parse, render


def _address_error(word: str, error: ValueError) -> str:
    if "host bits" in str(error):
        return f"{word} is not a network, did you mean {IPv4Interface(word).network}?"
    return f"{word} is not valid: {error}"


def _parse_name(word: str) -> str:
    name = unquote(word)
    if not name or len(name) > NAME_LENGTH:
        raise BadValue(f"a name has 1 to {NAME_LENGTH} characters, this one has {len(name)}")
    return _printable(name)


def _parse_text(rest: str) -> str:
    text = rest.strip()
    return _printable(unquote(text) if len(split_words(text)) == 1 and re.fullmatch(r'"(?:[^"\\]|\\.)*"', text) else text)


def _printable(text: str) -> str:
    if bad := _CONTROL.search(text):
        raise BadValue(f"the character {bad[0]!a} cannot be part of a configuration")
    return text


def _render_text(value: Any) -> str | None:
    return quote(value) if isinstance(value, str) else None


def _matching(matches: Callable[[str], Any]) -> Callable[[Any], str | None]:
    return lambda value: value if isinstance(value, str) and matches(value) else None


def _address_mask(address: IPv4Address, mask: IPv4Address) -> IPv4Interface:
    return IPv4Interface(f"{address}/{_prefix_length(mask)}")


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
    "new_password": hash_password,
}
"""Rules of the grammar that are a value of several words, and what they make of their parts."""
