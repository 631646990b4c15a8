"""Certificates for the lab, made when they are needed: nobody outside believes them, and their keys go with the lab."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hsadc.lab.topology import ADC

SITE, ORIGIN = "www.example.com", "origin.example.com"
"""Names of the virtual server and of the real servers."""

CLIENTS_AUTHORITY, ORIGIN_IDENTITY = "ca.pem", "origin.pem"
"""Files of the lab: whom clients believe, and the real servers' certificate with its key."""

_LIFE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate (X.509, RFC 5280) with its key (P-256)."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> str:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The key, PKCS #8, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def make_files(imported: Path, others: Path) -> None:
    """Write what the samples name, and what clients and real servers need.

    Args:
        imported: the device's folder of imported files; made: `www.pem`, `www.key`, `origin-ca.pem`.
        others: a folder that is there: CLIENTS_AUTHORITY and ORIGIN_IDENTITY.
    """
    site_authority, origin_authority = authority("Lab CA"), authority("Lab origin CA")
    site, origin = issue(site_authority, SITE, str(ADC)), issue(origin_authority, ORIGIN)
    imported.mkdir(mode=0o700, exist_ok=True)
    (imported / "www.pem").write_text(site.certificate_pem)
    (imported / "www.key").write_text(site.key_pem)
    (imported / "www.key").chmod(0o600)
    (imported / "origin-ca.pem").write_text(origin_authority.certificate_pem)
    (others / CLIENTS_AUTHORITY).write_text(site_authority.certificate_pem)
    (others / ORIGIN_IDENTITY).write_text(origin.certificate_pem + origin.key_pem)


def authority(name: str) -> Identity:
    """An authority that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = x509.KeyUsage(
        False, False, False, False, False, True, True, False, False
    )  # signs certificates and lists of revoked ones
    return Identity(builder.add_extension(usage, critical=True).sign(key, SHA256()), key)


def issue(by: Identity, *names: str) -> Identity:
    """A server's certificate for these DNS names and IP addresses, signed by an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = by.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    builder = _builder(names[0], str(issuer), key)
    builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False)
    return Identity(builder.sign(by.key, SHA256()), key)


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - timedelta(hours=1)  # no clock of the lab is slow by more
    return x509.CertificateBuilder(
        issuer_name=_common_name(issuer),
        subject_name=_common_name(subject),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=begin,
        not_valid_after=begin + _LIFE,
    ).add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
