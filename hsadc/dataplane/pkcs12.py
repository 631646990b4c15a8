"""PKCS #12 files taken apart; pure.

Supported standards: PKCS #12 (RFC 7292) with a password, as `openssl pkcs12` and Windows write it.
"""

from __future__ import annotations

from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs12

from hsadc.dataplane.pem import Encrypted, Key, WrongPassphrase, clear_pem, encode_passphrase, kind_of, public_bytes
from hsadc.errors import ConfigError

_SEQUENCE = 0x30


class Bundle(NamedTuple):
    """What is in a file.

    Attributes:
        chain: the key's certificate, then that of its issuer and so on, as far as they are there.
        key: the private key.
    """

    chain: tuple[x509.Certificate, ...]
    key: Key


def read_pkcs12(name: str, data: bytes, passphrase: str | None = None) -> Bundle:
    """Take a file apart.

    Args:
        name: the file's, for messages.
        data: its content.
        passphrase: None tries without one.

    Raises:
        Encrypted: it needs a passphrase.
        WrongPassphrase: it needs another one.
        ConfigError: it is no PKCS #12, or has no certificate or no key.
    """
    if data[:1] != bytes([_SEQUENCE]):
        raise ConfigError(name, "it is not PKCS #12")
    try:
        found = pkcs12.load_pkcs12(data, encode_passphrase(passphrase or None))
    except (UnsupportedAlgorithm, TypeError) as e:
        raise ConfigError(name, f"it cannot be read: {e}") from None
    except ValueError:  # it does not tell a wrong password from a damaged file
        if passphrase is None:
            raise Encrypted(name, "it is encrypted, or is not PKCS #12: a passphrase is needed") from None
        raise WrongPassphrase(name, "it cannot be decrypted with this passphrase") from None
    if found.key is None or found.cert is None:
        raise ConfigError(name, f"there is no {'private key' if found.key is None else 'certificate of its key'} in it")
    key = Key(clear_pem(found.key), public_bytes(found.key.public_key()), kind_of(found.key.public_key()))
    return Bundle(_in_order(found.cert.certificate, [other.certificate for other in found.additional_certs]), key)


def _in_order(leaf: x509.Certificate, others: list[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    chain = [leaf]
    while (issuer := next((c for c in others if c.subject == chain[-1].issuer and c not in chain), None)) is not None:
        chain.append(issuer)
    return tuple(chain)
