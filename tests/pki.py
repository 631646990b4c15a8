"""Certificates and keys, made in a test: an authority and what it signs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate with its key.

    Attributes:
        certificate: the certificate.
        key: its private key.
        issuer: who signed it; None for one that signed itself.
    """

    certificate: x509.Certificate
    key: Key = field(repr=False)
    issuer: Pair | None = None

    @property
    def pem(self) -> str:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def chain(self) -> str:
        """The certificate, then those of its issuers, without the root's."""
        above = self.issuer
        return self.pem + (above.chain if above is not None and above.issuer is not None else "")

    @property
    def key_pem(self) -> str:
        """The key, PKCS #8, not encrypted."""
        return self._key(NoEncryption())

    def encrypted(self, passphrase: str) -> str:
        """The key, PKCS #8, encrypted."""
        return self._key(BestAvailableEncryption(passphrase.encode()))

    def traditional(self, passphrase: str | None = None) -> str:
        """The key as OpenSSL wrote it of old (`BEGIN RSA PRIVATE KEY`, `BEGIN EC PRIVATE KEY`)."""
        how = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, how).decode()

    def pkcs12(self, passphrase: str | None = None) -> bytes:
        """Certificate, issuers and key in one PKCS #12 file."""
        how = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
        issuers = []
        above = self.issuer
        while above is not None:
            issuers.append(above.certificate)
            above = above.issuer
        return pkcs12.serialize_key_and_certificates(b"hsadc", self.key, self.certificate, issuers, how)

    def _key(self, how: KeySerializationEncryption) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()

    def issue(
        self, *names: str, kind: str = "ec", start: datetime | None = None, days: float = 90, authority: bool = False
    ) -> Pair:
        """A certificate that this one signs.

        Args:
            names: DNS names and IP addresses; the first one is its common name too.
            kind: `ec` (P-256), `rsa` (2048 bits), `ed25519`, `rsa1024` or `secp256k1`.
            start: valid from then; from yesterday unless given.
            days: valid for so many.
            authority: True for one that signs others.
        """
        return _make(names, kind, start, days, authority, self)


def authority(name: str = "Test CA", *, kind: str = "ec", start: datetime | None = None, days: float = 3650) -> Pair:
    """An authority that signs itself."""
    return _make((name,), kind, start, days, True, None)


def self_signed(*names: str, kind: str = "ec", start: datetime | None = None, days: float = 90) -> Pair:
    """A server's certificate that signs itself; arguments as those of `issue`."""
    return _make(names, kind, start, days, False, None)


def expired(*names: str, by: Pair | None = None) -> Pair:
    """A certificate that was valid until yesterday."""
    return _make(names, "ec", datetime.now(UTC) - timedelta(days=91), 90, False, by)


def make_key(kind: str = "ec") -> Key:
    """A new key; RSA keys, which take long to make, are from a small stock of different ones."""
    match kind:
        case "ec":
            return ec.generate_private_key(ec.SECP256R1())
        case "secp256k1":
            return ec.generate_private_key(ec.SECP256K1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "rsa" | "rsa1024":
            _made[kind] = _made.get(kind, 0) + 1
            return _rsa(2048 if kind == "rsa" else 1024, _made[kind] % 3)
    raise ValueError(kind)


_made: dict[str, int] = {}
_SIGNS = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # certificates and lists of revoked ones


@cache
def _rsa(bits: int, _number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def _make(names: tuple[str, ...], kind: str, start: datetime | None, days: float, signs: bool, by: Pair | None) -> Pair:
    key = make_key(kind)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    begin = start or datetime.now(UTC) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if by is not None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if signs:
        builder = builder.add_extension(_SIGNS, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    signer = by.key if by is not None else key
    return Pair(builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else SHA256()), key, by)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
