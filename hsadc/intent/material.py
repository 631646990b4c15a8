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
        names: the DNS names and IP addresses that it is for: its subject alternative names, without any its common name.
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
        identity: the certificate, those of its issuers and the key, as PEM without blank lines; a secret, which no text of this
            object shows. Empty without a certificate, or when it cannot be used.
        authorities: the certificates of the authorities, as PEM.
        authority: the first of them, for `show`.
        problem: what is wrong with the files, a line that names one; None when all is well.
        newer_problem: what is wrong with files that came in the place of those that are described here; None when these are
            what is there.
    """

    certificate: Certificate | None = None
    identity: bytes = field(default=b"", repr=False)
    authorities: bytes = field(default=b"", repr=False)
    authority: Certificate | None = None
    problem: str | None = None
    newer_problem: str | None = None
