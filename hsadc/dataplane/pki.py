"""The files of the trust domains: read, checked, and kept until they change.

A file is named as it was imported, and is in the folder of imported files then, or by its absolute path.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from hsadc.dataplane.pem import (
    SIZE_LIMIT_BYTES,
    Key,
    Pem,
    certificate_pem,
    describe,
    load_key,
    public_bytes,
    read_pem,
    refused_in_tls,
    unusable,
)
from hsadc.errors import ConfigError
from hsadc.intent.material import Material
from hsadc.model.trust_domain import TrustDomain

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SETTLED_NS = 10**9  # two writes within one tick of the kernel's clock leave the same times

_Stamp = tuple[int, int, int, int, int, int]


class TooLarge(ConfigError):
    """A file has more bytes than can be used."""


@dataclass(frozen=True, slots=True, eq=False)
class _Content:
    """A file as it was at some time; equal to itself alone.

    Attributes:
        name: as it is configured.
        pem: what is in it.
        key: its private key, if there is one.
        error: why it cannot be read; then there is nothing in it.
    """

    name: str
    pem: Pem = field(default_factory=Pem)
    key: Key | None = None
    error: ConfigError | None = None

    def checked(self) -> _Content:
        """Itself; raises ConfigError when it cannot be read."""
        if self.error is not None:
            raise self.error
        return self


_Files = tuple[_Content | None, _Content | None, _Content | None]


class PkiReader:
    """What trust domains hold; a file is read again only when its inode says that it has changed. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        """`folder`: that of the imported files; need not exist."""
        self._folder = folder
        self._mutex = threading.Lock()
        self._contents: dict[str, tuple[_Stamp | None, _Content]] = {}
        self._materials: dict[_Files, Material] = {}

    def materials(self, domains: Iterable[TrustDomain]) -> Mapping[str, Material]:
        """What each of them holds now, by name; nothing of what others hold is kept."""
        with self._mutex:
            before, self._contents = self._contents, {}
            known, self._materials = self._materials, {}
            found = {}
            for domain in domains:
                names = (domain.certificate, domain.key, domain.ca_certificate)
                certificate, key, authorities = (self._content(name, before) for name in names)
                files = certificate, key, authorities
                if files not in self._materials:
                    self._materials[files] = known.get(files) or _material(*files)
                found[domain.name] = self._materials[files]
        return found

    def _content(self, name: str | None, before: Mapping[str, tuple[_Stamp | None, _Content]]) -> _Content | None:
        if name is None:
            return None
        if name not in self._contents:
            stamp, content = before.get(name, (None, None))
            if content is None or stamp is None or stamp != _stamp(self._path(name)):
                stamp, content = self._read(name)
            self._contents[name] = stamp, content
        return self._contents[name][1]

    def _path(self, name: str) -> Path | str:
        return name if name.startswith("/") else f"{self._folder}/{name}"

    def _read(self, name: str) -> tuple[_Stamp | None, _Content]:
        """What is in a file, and its stamp; None when it may not be relied on yet."""
        if "/" in name and not name.startswith("/"):
            return None, _Content(name, error=ConfigError(name, "name an imported file, or an absolute path"))
        try:
            stamp, data = read_file(name, self._path(name))
        except ConfigError as e:
            return None, _Content(name, error=e)
        settled = time.time_ns() - stamp[1] > _SETTLED_NS  # each write sets it, and nobody can set it to another time
        return stamp if settled else None, _parse(name, data, stamp[-1])


def read_file(name: str, path: Path | str, limit_bytes: int = SIZE_LIMIT_BYTES) -> tuple[_Stamp, bytes]:
    """A file's content, and its stamp: times of change and of change of the inode, size, inode, device and mode.

    Raises:
        TooLarge: it has more than `limit_bytes`.
        ConfigError: it cannot be read, or is no plain file; this and the other name it as `name`.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            stamp = _stamp_of(os.fstat(file.fileno()))
            if not stat.S_ISREG(stamp[-1]):
                raise ConfigError(name, "it is no plain file")
            data = file.read(limit_bytes + 1)
    except FileNotFoundError as e:
        hint = "" if name.startswith("/") else ", `show pki files` lists those that were imported"
        raise ConfigError(name, f"there is no such file{hint}") from e
    except (OSError, ValueError) as e:  # ValueError: a name that no file can have
        raise ConfigError(name, f"it cannot be read: {getattr(e, 'strerror', None) or e}") from e
    if len(data) > limit_bytes:
        raise TooLarge(name, f"it has {max(stamp[2], len(data))} bytes, at most {limit_bytes} are possible")
    return stamp, data


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would wait for somebody who writes to it


def _stamp(path: Path | str) -> _Stamp | None:
    try:
        return _stamp_of(os.stat(path))  # noqa: PTH116  many of them at each commit
    except (OSError, ValueError):
        return None


def _stamp_of(status: os.stat_result) -> _Stamp:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev, status.st_mode


def _parse(name: str, data: bytes, mode: int) -> _Content:
    try:
        pem = read_pem(name, data)
        key = load_key(name, pem.keys[0]) if pem.keys else None
        if len(pem.keys) > 1:
            raise ConfigError(name, f"it has {len(pem.keys)} private keys, one is wanted")
        if key is not None and mode & _OTHERS:
            raise ConfigError(
                name, f"others than its owner can read this key, `chmod 600` it (its mode is {stat.S_IMODE(mode):o})"
            )
    except ConfigError as e:
        return _Content(name, error=e)
    return _Content(name, pem, key)


def _material(certificate: _Content | None, key: _Content | None, authorities: _Content | None) -> Material:
    """What the files of a trust domain make together; the first thing that is wrong is the problem."""
    problem = leaf = None
    identity = believed = b""
    try:
        if certificate is not None and certificate.checked().pem.certificates:
            leaf = certificate.pem.certificates[0]
        identity = _identity(certificate, key)
    except ConfigError as e:
        problem = str(e)
    known: tuple[x509.Certificate, ...] = ()
    try:
        known = _authorities(authorities)
        believed = b"".join(map(certificate_pem, known))
    except ConfigError as e:
        problem = problem or str(e)
    return Material(
        certificate=describe(leaf) if leaf is not None else None,
        identity=identity,
        authorities=believed,
        authority=describe(known[0]) if known else None,
        problem=problem,
    )


def _identity(certificate: _Content | None, key: _Content | None) -> bytes:
    """The certificate, those of its issuers in the file's order, and the key.

    Raises:
        ConfigError: something is missing, or they do not belong together.
    """
    if certificate is None:
        if key is not None:
            raise ConfigError(key.name, "this key has no certificate: the trust-domain has no `certificate file`")
        return b""
    chain = certificate.checked().pem.certificates
    if not chain:
        raise ConfigError(certificate.name, "there is no certificate in it")
    found = key.checked() if key is not None else certificate
    if found.key is None:
        hint = "" if key is not None else ", and the trust-domain has no `key file`"
        raise ConfigError(found.name, f"there is no private key in it{hint}")
    check_pair(certificate.name, chain, found.name, found.key)
    check_chain(certificate.name, chain)
    return b"".join((*map(certificate_pem, chain), found.key.pem))


def check_chain(name: str, chain: tuple[x509.Certificate, ...]) -> None:
    """Refuse certificates that TLS does not take: HAProxy would not start with them.

    Raises:
        ConfigError: names the file and the certificate.
    """
    for number, certificate in enumerate(chain, start=1):
        if (why := refused_in_tls(certificate)) is not None:
            raise ConfigError(name, f"its certificate number {number} cannot be used: {why}")


def check_pair(certificate: str, chain: tuple[x509.Certificate, ...], name: str, key: Key) -> None:
    """Refuse a key that is of a kind that cannot be used, or is not that of the first certificate.

    Args:
        certificate: the name of the certificates' file.
        chain: the certificates in it.
        name: the name of the key's file.
        key: the key.

    Raises:
        ConfigError: says which file is wrong, and how.
    """
    if (why := unusable(key.kind)) is not None:
        raise ConfigError(name, why)
    place = next((n for n, c in enumerate(chain, start=1) if public_bytes(c.public_key()) == key.public), None)
    if place is None:
        other = "the certificate in it" if certificate == name else f"the certificate in {certificate}"
        raise ConfigError(name, f"its key does not belong to {other}")
    if place > 1:
        raise ConfigError(certificate, f"the certificate of the key is number {place} in it and must be the first")


def _authorities(content: _Content | None) -> tuple[x509.Certificate, ...]:
    if content is None:
        return ()
    if not content.checked().pem.certificates:
        raise ConfigError(content.name, "there is no certificate in it")
    return content.pem.certificates
