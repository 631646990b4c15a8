"""What the files of a trust domain hold: observed by the dataplane, plain values here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """An X.509 certificate (RFC 5280), as far as people want to know it.

    Attributes:
        subject: its subject as text (RFC 4514).
        issuer: its issuer as text.
        names: the DNS names and IP addresses that it is for (subject alternative names).
        not_before: valid from, UTC.
        not_after: valid until, UTC.
        serial: its serial number in hexadecimal.
        key: kind and size of its key, such as `RSA 2048` or `EC P-256`.
        fingerprint: SHA-256 of its DER form, in hexadecimal.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    serial: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Material:
    """A trust domain's files, read and checked.

    Attributes:
        certificate: the first of the certificate's file; None when no certificate is configured, or it cannot be read.
        identity: the certificate, those of its issuers and the key, as PEM; a secret, which no text of this object shows.
        authorities: the certificates of the authorities, as PEM.
        authority: the first of them, for `show`.
        problem: why it cannot be used, a line that names the file; None when all is well.
    """

    certificate: Certificate | None = None
    identity: bytes = field(default=b"", repr=False)
    authorities: bytes = field(default=b"", repr=False)
    authority: Certificate | None = None
    problem: str | None = None
