"""Trust domains: a certificate with its key, and the authorities that the other side's certificate is checked against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrustDomain:
    """`pki trust-domain NAME`.

    A file is named as it was imported (`import pki`), or by its absolute path.

    Attributes:
        name: as the operator wrote it.
        description: free text for people.
        certificate: PEM file of the certificate, then those of its issuers.
        key: PEM file of the certificate's private key, not encrypted.
        ca_certificate: PEM file of authorities whose certificates are believed.
    """

    name: str
    description: str | None = None
    certificate: str | None = None
    key: str | None = None
    ca_certificate: str | None = None
