"""PEM files taken apart: certificates and private keys; pure.

Supported standards: PEM (RFC 7468; RFC 1421 for keys that OpenSSL encrypted of old), certificates (RFC 5280), keys as PKCS #8
(RFC 5958) and as PKCS #1 and SEC 1 (RFC 8017, RFC 5915).

What is written again is made anew from the parsed bytes: no comments, attributes or blank lines of a file get any further.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from hsadc.errors import ConfigError
from hsadc.intent.material import Certificate

SIZE_LIMIT_BYTES = 1 << 20
"""The largest file: all authorities that browsers believe have 220 KiB together."""

_LINE = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]+)-----")
_CERTIFICATES = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
_ENCRYPTED = "ENCRYPTED PRIVATE KEY"
_KEYS = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", _ENCRYPTED})
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_DAMAGED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography says of a certificate that is none."""

RSA_BITS = 2048
"""The shortest RSA key: fewer are refused by the OpenSSL of most distributions, and by clients."""

_ROW = 64  # RFC 7468, section 2
_WORDS = 80


class Encrypted(ConfigError):
    """A key cannot be read without a passphrase."""


class WrongPassphrase(ConfigError):
    """A key cannot be decrypted with this passphrase."""


@dataclass(frozen=True, slots=True)
class KeyBlock:
    """A private key as it stands in a file.

    Attributes:
        label: what stands behind `BEGIN`.
        body: the lines between `BEGIN` and `END`.
        encrypted: whether it needs a passphrase.
    """

    label: str
    body: bytes = field(repr=False)
    encrypted: bool


@dataclass(frozen=True, slots=True)
class Key:
    """A private key.

    Attributes:
        pem: the key as PEM, not encrypted.
        public: its public key as DER (SubjectPublicKeyInfo), which tells whether a certificate is for it.
        kind: kind and size, such as `RSA 2048`.
    """

    pem: bytes = field(repr=False)
    public: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Pem:
    """What is in a file, in its order."""

    certificates: tuple[x509.Certificate, ...] = ()
    keys: tuple[KeyBlock, ...] = ()


def read_pem(name: str, data: bytes) -> Pem:
    """Take a file apart; what is neither a certificate nor a private key is passed over.

    Args:
        name: the file's, for messages.
        data: its content.

    Raises:
        ConfigError: it is no PEM, is cut off, or a certificate is damaged.
    """
    if b"-----BEGIN " not in data:
        raise ConfigError(name, _not_pem(data))
    certificates: list[x509.Certificate] = []
    keys: list[KeyBlock] = []
    for label, body in _blocks(name, data):
        if label in _CERTIFICATES:
            certificates.append(_certificate(name, len(certificates) + 1, body))
        elif label in _KEYS:
            keys.append(KeyBlock(label, body, label == _ENCRYPTED or b"ENCRYPTED" in body))
        elif label == "OPENSSH PRIVATE KEY":
            raise ConfigError(name, "it has a key of SSH, which is not for certificates")
    return Pem(tuple(certificates), tuple(keys))


def _not_pem(data: bytes) -> str:
    if data[:1] == b"\x30":  # a SEQUENCE of ASN.1
        return "it is not PEM but DER: `openssl` converts it, and `import pki pkcs12` takes PKCS #12"
    return "it is not PEM, which has a line `-----BEGIN CERTIFICATE-----` or the like" if data.strip() else "it is empty"


def _blocks(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    label: str | None = None
    lines: list[bytes] = []
    for line in map(bytes.strip, data.splitlines()):
        match = _LINE.fullmatch(line)
        if match is None:
            lines.append(line)
        elif match[1] == b"BEGIN" and label is None:
            label, lines = match[2].decode(), []
        elif match[1] == b"END" and label is not None and label == match[2].decode():
            yield label, b"\n".join(lines)
            label = None
        else:
            raise ConfigError(name, f"it is damaged at the line `{line.decode()}`")
    if label is not None:
        raise ConfigError(name, f"it is cut off: `-----END {label}-----` is missing")


def _certificate(name: str, number: int, body: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(b64decode(body))
        describe(certificate)  # some mistakes show when it is looked at, and not before
    except _DAMAGED as e:
        raise ConfigError(name, f"its certificate number {number} is damaged: {_words(e)}") from e
    return certificate


def load_key(name: str, block: KeyBlock, passphrase: str | None = None, *, thorough: bool = False) -> Key:
    """Read a private key.

    Args:
        name: the file's, for messages.
        block: the key.
        passphrase: for one that is encrypted.
        thorough: whether the primes of an RSA key are tested, which takes about 75 ms.

    Raises:
        Encrypted: it is encrypted and there is no passphrase.
        WrongPassphrase: it is encrypted with another one.
        ConfigError: it is damaged.
    """
    if block.encrypted and passphrase is None:
        raise Encrypted(name, "its key is encrypted: `import pki key` asks for its passphrase")
    given = encode_passphrase(passphrase) if block.encrypted else None
    try:
        key = load_pem_private_key(_framed(block.label, block.body), given, unsafe_skip_rsa_key_validation=not thorough)
        # As it is where it can be: to write it anew would turn a key of RSASSA-PSS into one of plain RSA.
        pem = clear_pem(key) if block.encrypted else _framed(block.label, _rows(b64decode(block.body)))
        return Key(pem, public_bytes(key.public_key()), kind_of(key.public_key()))
    except UnsupportedAlgorithm as e:
        raise ConfigError(name, f"its key is of an unknown kind: {_words(e)}") from e
    except (ValueError, TypeError) as e:
        if block.encrypted:
            raise WrongPassphrase(name, "its key cannot be decrypted with this passphrase") from None
        raise ConfigError(name, f"its key is damaged: {_words(e)}") from e


def describe(certificate: x509.Certificate) -> Certificate:
    """What people want to know of a certificate.

    Raises:
        ValueError and others: it is damaged; what `read_pem` gives is not.
    """
    return Certificate(
        subject=_text(certificate.subject.rfc4514_string()),
        issuer=_text(certificate.issuer.rfc4514_string()),
        names=_names(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        serial=f"{certificate.serial_number:x}",
        key=kind_of(certificate.public_key()),
        fingerprint=certificate.fingerprint(SHA256()).hex(),
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return tuple(_text(str(attribute.value)) for attribute in common)
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return tuple(map(_text, (*names.get_values_for_type(x509.DNSName), *addresses)))


def encode_passphrase(text: str | None) -> bytes | None:
    """A passphrase as bytes, whatever was typed; None for none."""
    return None if text is None else text.encode("utf-8", "surrogatepass")


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def clear_pem(key: PrivateKeyTypes) -> bytes:
    """A private key as PEM, PKCS #8, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_bytes(key: PublicKeyTypes) -> bytes:
    """A public key as DER (SubjectPublicKeyInfo): equal for equal keys."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def kind_of(key: PublicKeyTypes) -> str:
    """Kind and size of a key, such as `RSA 2048` or `EC P-256`."""
    match key:
        case rsa.RSAPublicKey() | dsa.DSAPublicKey():
            return f"{'RSA' if isinstance(key, rsa.RSAPublicKey) else 'DSA'} {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
    return type(key).__name__.lstrip("_").removesuffix("PublicKey")


def unusable(kind: str) -> str | None:
    """Why no server can use a key of this kind (as `kind_of` names it) in TLS; None when one can."""
    family, _, size = kind.partition(" ")
    if family == "RSA":
        return None if int(size) >= RSA_BITS else f"its key has {size} bits, RSA needs {RSA_BITS} at least"
    if size in _CURVES.values() or family in ("Ed25519", "Ed448"):
        return None
    return f"no TLS is spoken with a key of kind {kind}, use RSA {RSA_BITS} or EC P-256"


def refused_in_tls(certificate: x509.Certificate) -> str | None:
    """Why OpenSSL sends no such certificate, be it a server's or that of an issuer (SSL_CTX_set_security_level(3), level 2).

    None when it does.
    """
    kind = kind_of(certificate.public_key())
    if kind.startswith("RSA") and (why := unusable(kind)) is not None:
        return why
    signed = certificate.signature_hash_algorithm
    if isinstance(signed, SHA1 | MD5) and certificate.issuer != certificate.subject:  # one's own signature proves nothing anyway
        return f"it is signed with {signed.name.upper()}, which is broken"
    return None


def _framed(label: str, body: bytes) -> bytes:
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label.encode(), body, label.encode())


def _rows(der: bytes) -> bytes:
    text = b64encode(der)
    return b"\n".join(text[at : at + _ROW] for at in range(0, len(text), _ROW))


def _text(text: str) -> str:
    """Without anything that would drive a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _words(error: Exception) -> str:
    """The library's words, in one line and not too many."""
    return " ".join(str(error).split())[:_WORDS] or type(error).__name__
