"""What a `show` command found: for people as lines, for programs as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer in two forms.

    Attributes:
        data: what `| json` prints: dictionaries, lists, strings, numbers, booleans and None. Its keys are an interface: they are
            documented, lower_case, carry units (`sent_bytes`), and are never renamed.
        lines: the same as text.
    """

    data: Any
    lines: Iterable[str]
