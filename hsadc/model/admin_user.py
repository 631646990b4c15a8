"""Administrators of the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AdminUser:
    """`admin user NAME`.

    Attributes:
        name: the login name.
        password: the password's scrypt hash in text form (`$scrypt$...`), never the password; None allows keys only.
        ssh_keys: public keys in OpenSSH's one-line form, keyed by themselves.
    """

    name: str
    password: str | None = None
    ssh_keys: Mapping[str, str] = field(default_factory=dict)
