"""Who the ADC is for its clients: certificates in files, and the configuration that names them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from tests.external.slb.network import address
from tests.pki import Pair, authority

SITE, SHOP = "www.test", "shop.test"


class Identities:
    """An authority, and what it signs for the ADC and for clients; files are made when they are asked for.

    Attributes:
        root: whom clients believe.
        people: who signs clients' certificates.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root, self.people = authority("Site CA"), authority("People CA")
        between = self.root.issue("Site CA 2", authority=True)
        self.site = between.issue(SITE, "www2.test", address("adc"), address("adc", 6))
        self.shop = self.root.issue(SHOP, "*.shop.test", kind="rsa")
        self.employee = self.people.issue("employee")

    def file(self, name: str, text: str) -> Path:
        """A file that root alone can read; its name tells its content, so that another content is another configuration."""
        stem, _, suffix = name.rpartition(".")
        path = self._folder / f"{stem}-{sha256(text.encode()).hexdigest()[:8]}.{suffix}"
        path.write_text(text)
        path.chmod(0o600)
        return path

    def trust_domain(self, name: str, pair: Pair, authorities: str = "") -> str:
        """The section of a certificate with its key, and of whom it believes."""
        certificate, key = self.file(f"{name}.pem", pair.chain), self.file(f"{name}.key", pair.key_pem)
        believed = f"  ca-certificate file {self.file(f'{name}-ca.pem', authorities)}\n" if authorities else ""
        return f'pki trust-domain "{name}"\n  certificate file {certificate}\n  key file {key}\n{believed}exit\n'

    def profile(self, settings: str = "", *, name: str = "clients") -> str:
        """The SSL profile of the site, each setting on a line, with its trust domain."""
        return self.trust_domain("site", self.site) + f'ssl-profile "{name}"\n  trust-domain "site"\n{settings}\nexit\n'

    def origin(self, authority_pem: str, settings: str = "verify-server\n  server-name origin.test") -> str:
        """The SSL profile `origin`, by which real servers are spoken to, and whom it believes."""
        file = self.file("origin-ca.pem", authority_pem)
        domain = f'pki trust-domain "origin"\n  ca-certificate file {file}\nexit\n'
        return f'{domain}ssl-profile "origin"\n  trust-domain "origin"\n  {settings}\nexit\n'
