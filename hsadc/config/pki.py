"""Imported certificates and keys: from the operators' files, checked, into a folder that nobody but the device reads.

A key is kept decrypted: after a start HAProxy needs it and nobody is there to type a passphrase. Its uploaded file, which every
operator could read, is removed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from hsadc.config.files import Files
from hsadc.dataplane.pem import Key, Pem, certificate_pem, describe, load_key, read_pem, unusable
from hsadc.dataplane.pkcs12 import read_pkcs12
from hsadc.dataplane.pki import check_chain, check_pair, read_file
from hsadc.errors import ConfigError, DanglingReference
from hsadc.intent.material import Certificate
from hsadc.model.config import Config
from hsadc.model.title import number_of, title

_MOST = 10_000


class Pair(NamedTuple):
    """The files that were made of one that has both.

    Attributes:
        certificate_file: name of the certificate's.
        key_file: name of the key's.
        certificate: the certificate.
    """

    certificate_file: str
    key_file: str
    certificate: Certificate


class Holding(NamedTuple):
    """An imported file and what is in it, for people."""

    name: str
    holds: str


class Imports:
    """The imported files, and the way in. Threads may share it.

    Attributes:
        files: the folder of imported files.
    """

    def __init__(self, uploads: Files, folder: Path) -> None:
        """Nothing is touched yet.

        Args:
            uploads: the operators' files.
            folder: that of the imported files, which is made when it is needed.
        """
        self._uploads = uploads
        self.files = Files(folder, "pki file", _MOST)
        self._mutex = threading.Lock()

    def certificate(self, name: str) -> Certificate:
        """Import a certificate with those of its issuers, and its key where the file has that, too.

        Raises:
            ConfigError: there is no such file, or it is not right, or would take the place of a key.
            ApplyError: the disk refused.
        """
        pem = self._read(name)
        if not pem.certificates:
            raise ConfigError(name, "there is no certificate in it")
        described = describe(pem.certificates[0])
        if (why := unusable(described.key)) is not None:
            raise ConfigError(name, why)
        check_chain(name, pem.certificates)
        key = _only_key(name, pem) if pem.keys else None
        if key is not None:
            check_pair(name, pem.certificates, name, key)
        self._keep({name: _text(pem.certificates, key)})
        if key is not None:
            self._uploads.delete(name)
        return described

    def key(self, name: str, passphrase: str | None = None) -> Key:
        """Import a private key.

        Raises:
            Encrypted: it needs a passphrase.
            WrongPassphrase: it needs another one.
            ConfigError: there is no such file, or it is not right.
            ApplyError: the disk refused.
        """
        pem = self._read(name)
        if not pem.keys:
            raise ConfigError(name, "there is no private key in it")
        key = _only_key(name, pem, passphrase)
        if (why := unusable(key.kind)) is not None:
            raise ConfigError(name, why)
        self._keep({name: _text((), key)})
        self._uploads.delete(name)
        return key

    def authorities(self, name: str) -> tuple[Certificate, ...]:
        """Import certificates of authorities.

        Raises:
            ConfigError: there is no such file, or it is not right, or would take the place of a key.
            ApplyError: the disk refused.
        """
        pem = self._read(name)
        if not pem.certificates:
            raise ConfigError(name, "there is no certificate in it")
        self._keep({name: _text(pem.certificates)})
        return tuple(map(describe, pem.certificates))

    def pkcs12(self, name: str, passphrase: str | None = None) -> Pair:
        """Import a certificate with its issuers, and its key, into two files: both are there, or neither.

        Raises:
            As `key`, and ConfigError when the certificate would take the place of a key.
        """
        bundle = read_pkcs12(name, read_file(name, self._uploads.path(name))[1], passphrase)
        check_pair(name, bundle.chain, name, bundle.key)
        check_chain(name, bundle.chain)
        described = describe(bundle.chain[0])
        names = f"{Path(name).stem}.crt", f"{Path(name).stem}.key"
        self._keep({names[0]: _text(bundle.chain), names[1]: _text((), bundle.key)})
        self._uploads.delete(name)
        return Pair(*names, described)

    def holdings(self) -> Iterator[Holding]:
        """The imported files in their order, and what is in them."""
        for name in self.files.names():
            try:
                pem = read_pem(name, read_file(name, self.files.path(name))[1])
            except ConfigError as e:
                yield Holding(name, e.why)
                continue
            parts = [number_of(len(pem.certificates), "certificate")] if pem.certificates else []
            yield Holding(name, ", ".join([*parts, *(["key"] if pem.keys else [])]) or "nothing")

    def delete(self, name: str, configs: Iterable[Config]) -> None:
        """Delete an imported file.

        Args:
            name: the file's.
            configs: whose trust domains must not lose it.

        Raises:
            DanglingReference: one of them uses it, or there is no such file.
            ApplyError: the disk refused.
        """
        path = self.files.title(name)
        for config in configs:
            if users := users_of(config, name):
                raise DanglingReference(path, f"it is used by {title('trust_domain', users[0])} and cannot be deleted")
        with self._mutex:
            self.files.delete(name)

    def _read(self, name: str) -> Pem:
        return read_pem(name, read_file(name, self._uploads.path(name))[1])

    def _keep(self, texts: Mapping[str, str]) -> None:
        """Write the files, unless one of them would take the place of a key, of which there may be no other copy."""
        with self._mutex:
            kept = self.files.names()
            for name, text in texts.items():
                if name in kept and not _has_key(text.encode()) and _has_key(read_file(name, self.files.path(name))[1]):
                    why = "import it under another name, or certificate and key in one file, or `delete pki file` first"
                    raise ConfigError(self.files.title(name), f"it holds a private key, and the new one has none: {why}")
            self.files.write_all(texts)


def users_of(config: Config, name: str) -> list[str]:
    """The names of the trust domains that use a file."""
    return [d.name for d in config.trust_domain.values() if name in (d.certificate, d.key, d.ca_certificate)]


def _text(certificates: Iterable[x509.Certificate], key: Key | None = None) -> str:
    return b"".join((*map(certificate_pem, certificates), key.pem if key is not None else b"")).decode()


def _has_key(data: bytes) -> bool:
    """Whether there is a private key in it, be it damaged."""
    return b"PRIVATE KEY-----" in data


def _only_key(name: str, pem: Pem, passphrase: str | None = None) -> Key:
    if len(pem.keys) > 1:
        raise ConfigError(name, f"it has {len(pem.keys)} private keys, one is wanted")
    return load_key(name, pem.keys[0], passphrase, thorough=True)
