"""SSL profiles: how TLS is spoken, with clients or with real servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True)
class SslProfile:
    """`ssl-profile NAME`.

    Attributes:
        name: as the operator wrote it.
        description: free text for people.
        trust_domains: names of trust domains, keyed by themselves. To a client the certificate is shown that fits the name it
            asks for (SNI, RFC 6066 section 3), the first one when none does; to a real server the first one that has a key.
        min_version: the oldest version that is spoken, `tlsv1.0` to `tlsv1.3`.
        max_version: the newest one; None sets no limit.
        cipher: OpenSSL's list of ciphers for TLS 1.2 and older; None takes those with forward secrecy and AEAD.
        cipher_suites: OpenSSL's list of cipher suites of TLS 1.3; None takes OpenSSL's own.
        client_auth: `none`, `optional` or `require`: whether clients must show a certificate of one of the trust domains'
            authorities.
        verify_server: True checks the certificates of real servers against the trust domains' authorities.
        server_name: the name that real servers are asked for (SNI) and must prove; None takes the Host of the request.
    """

    name: str
    description: str | None = None
    trust_domains: Mapping[str, str] = field(default_factory=dict)
    min_version: str = "tlsv1.2"
    max_version: str | None = None
    cipher: str | None = None
    cipher_suites: str | None = None
    client_auth: str = "none"
    verify_server: bool = False
    server_name: str | None = None

    def __eq__(self, other: object) -> bool:
        """The order of the trust domains counts, as that of a mapping does not."""
        return isinstance(other, SslProfile) and _in_order(self) == _in_order(other)

    __hash__ = None  # type: ignore[assignment]  # a mapping has none


def _in_order(profile: SslProfile) -> list[object]:
    values = [getattr(profile, f.name) for f in fields(profile)]
    return [list(value) if isinstance(value, Mapping) else value for value in values]
