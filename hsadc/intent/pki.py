"""Certificates that virtual servers in force use: whether they can, and what the operator should know in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hsadc.intent.inventory import Inventory
from hsadc.intent.material import Certificate, Material
from hsadc.intent.refusal import Refusal
from hsadc.model.config import Config
from hsadc.model.ssl_profile import SslProfile
from hsadc.model.title import number_of, title
from hsadc.model.trust_domain import TrustDomain
from hsadc.model.virtual_server import VirtualServer

SOON = timedelta(days=30)
"""A certificate that expires within this time is warned of."""


@dataclass(frozen=True, slots=True)
class _Use:
    """A profile that a virtual server in force uses, and its trust domains with what they hold; None where nobody looked."""

    server: VirtualServer
    profile: SslProfile
    domains: Sequence[tuple[TrustDomain, Material | None]]
    serves: bool

    @property
    def used(self) -> Iterator[tuple[TrustDomain, Material]]:
        """The trust domains that were looked at."""
        return ((domain, material) for domain, material in self.domains if material is not None)

    @property
    def why_believes(self) -> str | None:
        """The setting that needs authorities; None when there is none."""
        if self.serves:
            return None if self.profile.client_auth == "none" else f"client-auth {self.profile.client_auth}"
        return "verify-server" if self.profile.verify_server else None


def check_materials(config: Config, inventory: Inventory, served: Iterable[VirtualServer]) -> tuple[Refusal, ...]:
    """What is wrong with the certificates that virtual servers use.

    Args:
        config: its references are right.
        inventory: a trust domain that is missing in its materials is taken for right.
        served: the virtual servers in force.
    """
    refusals: dict[tuple[str, ...], Refusal] = {}
    for use in _uses(config, inventory, served):
        for refusal in (*_missing(use), *_problems(use), *_out_of_time(use, inventory.now)):
            refusals.setdefault(refusal.key, refusal)
    return tuple(refusals.values())


def pki_warnings(config: Config, inventory: Inventory, served: Iterable[VirtualServer]) -> list[str]:
    """What the operator should know of the certificates that virtual servers use, a line each.

    Args: as those of `check_materials`.
    """
    lines: dict[str, None] = {}
    for use in _uses(config, inventory, served):
        for domain, material in use.used:
            path = title("trust_domain", domain.name)
            if material.newer_problem is not None:
                lines[f"{path}: {material.newer_problem}; what was there before stays in force"] = None
            certificate = material.certificate
            if certificate is not None and state_of(certificate, inventory.now) == "expires soon":
                lines[f"{path}: its certificate {_expiry(certificate, inventory.now)}"] = None
        if use.serves:
            lines |= dict.fromkeys(_same_names(use))
    return list(lines)


def state_of(certificate: Certificate, now: datetime) -> str:
    """Where a certificate is in its time: `not yet valid`, `ok`, `expires soon` or `expired`."""
    if now < certificate.not_before:
        return "not yet valid"
    if now > certificate.not_after:
        return "expired"
    return "expires soon" if certificate.not_after - now < SOON else "ok"


def _uses(config: Config, inventory: Inventory, served: Iterable[VirtualServer]) -> Iterator[_Use]:
    for server in served:
        for name, serves in ((server.ssl_profile, True), (server.server_ssl_profile, False)):
            if name is not None:
                profile = config.ssl_profile[name]
                domains = [(config.trust_domain[n], inventory.materials.get(n)) for n in profile.trust_domains]
                yield _Use(server, profile, domains, serves)


def _missing(use: _Use) -> Iterator[Refusal]:
    """What no trust domain of the profile has been given."""
    path, needs = title("ssl_profile", use.profile.name), f"and {title('virtual_server', use.server.name)} needs one"
    key = use.profile.name, use.server.name
    if use.serves and all(domain.certificate is None for domain, _ in use.domains):
        why = f"it has no trust-domain with a certificate and key, {needs}"
        yield Refusal((*key, "certificate"), path, why, use.server.name)
    if use.why_believes is not None and all(domain.ca_certificate is None for domain, _ in use.domains):
        why = f"{use.why_believes} needs a trust-domain with a ca-certificate, and it has none"
        yield Refusal((*key, use.why_believes), path, why, use.server.name)


def _problems(use: _Use) -> Iterator[Refusal]:
    """Files that are wrong. A virtual server does without them as long as another trust domain has what it needs."""
    materials = [material for _, material in use.domains]
    shown = [m for d, m in use.domains if d.certificate is not None]
    if not use.serves:
        shown = shown[:1]  # real servers are shown that of the first one that has any
    lacks_identity = bool(shown) and all(m is not None and not m.identity for m in shown)
    lacks_authorities = use.why_believes is not None and all(m is not None and not m.authorities for m in materials)
    for domain, material in use.used:
        if material.problem is not None:
            key = domain.name, material.problem, use.server.name
            out = use.server.name if lacks_identity or lacks_authorities else None
            yield Refusal(key, title("trust_domain", domain.name), material.problem, out)


def _out_of_time(use: _Use, now: datetime) -> Iterator[Refusal]:
    for domain, material in use.used:
        certificate = material.certificate
        if certificate is None or (state := state_of(certificate, now)) in ("ok", "expires soon"):
            continue
        when = _expiry(certificate, now) if state == "expired" else f"is not valid before {_utc(certificate.not_before)}"
        key = domain.name, state, certificate.fingerprint
        yield Refusal(key, title("trust_domain", domain.name), f"its certificate {when}")


def _same_names(use: _Use) -> Iterator[str]:
    """Two certificates for one name; but of an RSA and an EC key each client is shown the one that it can read."""
    owners: dict[tuple[str, str], str] = {}
    for domain, material in use.used:
        certificate = material.certificate
        for name in certificate.names if certificate is not None and material.identity else ():
            family = certificate.key.partition(" ")[0] if certificate is not None else ""
            if (owner := owners.setdefault((name.lower(), family), domain.name)) != domain.name:
                yield (
                    f"{title('ssl_profile', use.profile.name)}: the certificates of the trust-domains "
                    f'"{owner}" and "{domain.name}" are both for {name}, clients are shown that of "{owner}"'
                )


def _expiry(certificate: Certificate, now: datetime) -> str:
    left = certificate.not_after - now
    at = f"at {_utc(certificate.not_after)}"
    if left < timedelta(0):
        return f"has expired {_span(-left)} ago, {at}"
    return f"expires in {_span(left)}, {at}"


def _span(span: timedelta) -> str:
    return number_of(span.days, "day") if span.days else number_of(span.seconds // 3600, "hour")


def _utc(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
