"""The files that HAProxy's configuration refers to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HaproxyFile:
    """A file beside the configuration.

    Attributes:
        name: relative to HAProxy's directory, such as `pki/www.pem`.
        content: may be a secret, which no text of this object shows.
    """

    name: str
    content: bytes = field(repr=False)
