"""Commands that bring in certificates and keys, and delete them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from hsadc.cli.ask import Ask
from hsadc.cli.show.shown import timestamp
from hsadc.dataplane.pem import Encrypted, WrongPassphrase
from hsadc.errors import ConfigError
from hsadc.model.title import number_of

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.intent.material import Certificate

TRIES = 3
"""How often a passphrase may be typed."""

_REMOVED = "the uploaded file is removed"

log = logging.getLogger(__name__)


def do_import_pki_certificate(session: Session, file: str) -> Iterable[str]:
    """A certificate, with those of its issuers."""
    certificate = session.device.imports.certificate(file)
    return _done(session, file, f'Certificate "{file}" is imported: {_told(certificate)}')


def do_import_pki_ca_certificate(session: Session, file: str) -> Iterable[str]:
    """Certificates of authorities."""
    authorities = session.device.imports.authorities(file)
    return _done(session, file, f'{number_of(len(authorities), "CA certificate")} of "{file}" imported: {_told(authorities[0])}')


def do_import_pki_key(session: Session, file: str, passphrase: str | None = None) -> Iterable[str] | Ask:
    """A private key; for one that is encrypted its passphrase is asked for where somebody can answer."""

    def bring_in(secret: str | None) -> Iterable[str]:
        key = session.device.imports.key(file, secret)
        return _done(session, file, f'Key "{file}" is imported ({key.kind}), {_REMOVED}')

    return _with_passphrase(session, bring_in, passphrase)


def do_import_pki_pkcs12(session: Session, file: str, passphrase: str | None = None) -> Iterable[str] | Ask:
    """A certificate with its key; the passphrase as with a key."""

    def bring_in(secret: str | None) -> Iterable[str]:
        made = session.device.imports.pkcs12(file, secret)
        files = f'Certificate "{made.certificate_file}" and key "{made.key_file}"'
        return _done(session, file, f"{files} are imported: {_told(made.certificate)}; {_REMOVED}")

    return _with_passphrase(session, bring_in, passphrase)


def do_delete_pki_file(session: Session, file: str) -> Iterable[str]:
    """An imported file that no trust domain uses."""
    session.device.delete_pki_file(file)
    log.info("pki file %r deleted by %s", file, session.author)
    return (f'PKI file "{file}" is deleted',)


def _with_passphrase(
    session: Session, bring_in: Callable[[str | None], Iterable[str]], passphrase: str | None
) -> Iterable[str] | Ask:
    """Bring it in; where a passphrase is missing, ask for it, and again when it is wrong, but not for ever."""
    try:
        return bring_in(passphrase)
    except Encrypted as e:
        if session.login.batch:
            why = "it is encrypted, and nobody can be asked here: `passphrase ...` at the end of the line gives its passphrase"
            raise ConfigError(e.path, why) from None
    return _ask(bring_in, TRIES)


def _ask(bring_in: Callable[[str | None], Iterable[str]], tries: int, lines: tuple[str, ...] = ()) -> Ask:
    def take(secret: str) -> Iterable[str] | Ask:
        try:
            return bring_in(secret)
        except WrongPassphrase as e:
            if tries == 1:
                raise
            return _ask(bring_in, tries - 1, (f"% Error: {e}",))

    return Ask("Passphrase: ", take, "no passphrase was given, nothing was imported", lines)


def _done(session: Session, file: str, text: str) -> Iterable[str]:
    """Use it at once where it is in use already; what is to be printed."""
    log.info("file %r imported by %s", file, session.author)
    return (text, *(f"Warning: {warning}" for warning in session.device.refresh()))


def _told(certificate: Certificate) -> str:
    return f"{certificate.subject}, valid until {timestamp(certificate.not_after)}"
