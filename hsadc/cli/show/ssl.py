"""Certificates of the trust domains, and the files that were imported for them; no key is ever shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hsadc.cli.show.shown import Shown, shown_table, timestamp
from hsadc.cli.show.table import Columns, Row, table
from hsadc.config.pki import users_of
from hsadc.errors import ConfigError
from hsadc.intent.material import Certificate, Material
from hsadc.intent.pki import state_of
from hsadc.model.config import Config
from hsadc.model.title import title
from hsadc.model.trust_domain import TrustDomain

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_ssl_certificate(session: Session, name: str | None = None) -> Shown:
    """The certificates of the trust domains as they are in force; one of them with all that is known of it.

    Data: `{"certificates": [...]}`, an object for each trust domain: `state` is `ok`, `expires soon` (within 30 days), `expired`,
    `not yet valid` or `problem`, `problem` says what is wrong with its files, `virtual_servers` names those that use it. What
    there is not, such as the certificate of a trust domain of authorities alone, is null.
    """
    config = session.device.running
    if name is not None and name not in config.trust_domain:
        raise ConfigError(title("trust_domain", name), "there is no such object")
    domains = config.trust_domain.values() if name is None else (config.trust_domain[name],)
    users = _users(config)
    now = session.device.clock.now()
    rows = [_row(d, session.device.materials.get(d.name), now, users.get(d.name, [])) for d in domains]
    lines = table(_COLUMNS, rows, session.width) if name is None else _details(rows[0])
    return Shown({"certificates": rows}, lines)


_COLUMNS: Columns = {
    "Trust domain": "trust_domain",
    "Names": "names",
    "Key": "key",
    "Valid until": "not_after",
    "Days left": "days_left",
    "Virtual servers": "virtual_servers",
    "State": lambda row: row["problem"] or row["state"],
}

_DETAILS: Mapping[str, str] = {
    "Subject": "subject",
    "Names": "names",
    "Issuer": "issuer",
    "Serial number": "serial",
    "Key": "key",
    "SHA-256": "fingerprint",
    "Valid from": "not_before",
    "Valid until": "not_after",
    "Days left": "days_left",
    "Authority": "authority",
    "State": "state",
    "Problem": "problem",
    "Virtual servers": "virtual_servers",
}


def _details(row: Row) -> Iterable[str]:
    yield title("trust_domain", row["trust_domain"])
    width = max(map(len, _DETAILS))
    for head, key in _DETAILS.items():
        value = row[key]
        if value not in (None, []):
            yield f"  {head:<{width}}  {' '.join(value) if isinstance(value, list) else value}"


def _row(domain: TrustDomain, material: Material | None, now: datetime, users: list[str]) -> dict[str, Any]:
    material = material or Material()
    certificate = material.certificate
    problem = material.problem
    if material.newer_problem is not None:
        problem = f"{material.newer_problem}; what was there before is in force"
    state = state_of(certificate, now) if certificate is not None else None
    return {
        "trust_domain": domain.name,
        **_certificate(certificate, now),
        "authority": material.authority.subject if material.authority is not None else None,
        "state": "problem" if problem is not None else state,
        "problem": problem,
        "virtual_servers": users,
    }


def _certificate(certificate: Certificate | None, now: datetime) -> dict[str, Any]:
    if certificate is None:
        keys = ("subject", "names", "issuer", "serial", "key", "fingerprint", "not_before", "not_after", "days_left")
        return {**dict.fromkeys(keys), "names": []}
    return {
        "subject": certificate.subject,
        "names": list(certificate.names),
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "key": certificate.key,
        "fingerprint": certificate.fingerprint,
        "not_before": timestamp(certificate.not_before),
        "not_after": timestamp(certificate.not_after),
        "days_left": max((certificate.not_after - now).days, 0),
    }


def _users(config: Config) -> Mapping[str, list[str]]:
    """The names of the virtual servers that use each trust domain, with clients or with real servers."""
    found: dict[str, list[str]] = {}
    for server in config.virtual_server.values():
        names = (server.ssl_profile, server.server_ssl_profile)
        domains = [domain for name in names if name is not None for domain in config.ssl_profile[name].trust_domains]
        for domain in dict.fromkeys(domains):
            found.setdefault(domain, []).append(server.name)
    return found


def do_show_pki_files(session: Session) -> Shown:
    """The imported files.

    Data: `{"pki_files": [{"name": ..., "holds": "1 certificate", "size_bytes": 120, "modified": ..., "trust_domains": [...]}]}`.
    """
    imports, config = session.device.imports, session.device.running
    holds = {h.name: h.holds for h in imports.holdings()}
    rows = [
        {
            "name": file.name,
            "holds": holds.get(file.name, ""),
            "size_bytes": file.size_bytes,
            "modified": timestamp(file.modified),
            "trust_domains": users_of(config, file.name),
        }
        for file in imports.files.list()
    ]
    columns = {"File": "name", "Holds": "holds", "Bytes": "size_bytes", "Modified": "modified", "Trust domains": "trust_domains"}
    return shown_table("pki_files", columns, rows, session.width)
