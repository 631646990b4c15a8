"""TLS in HAProxy's configuration: the words behind `bind` and `server`, and the files that they name."""

from __future__ import annotations

from collections.abc import Iterator

from hsadc.intent.haproxy_file import HaproxyFile
from hsadc.intent.haproxy_word import file_name
from hsadc.intent.inventory import Inventory
from hsadc.model.config import Config
from hsadc.model.ssl_profile import SslProfile
from hsadc.model.virtual_server import HTTP_TYPES, VirtualServer

_FOLDER = "pki"
_VERSIONS = {"tlsv1.0": "TLSv1.0", "tlsv1.1": "TLSv1.1", "tlsv1.2": "TLSv1.2", "tlsv1.3": "TLSv1.3"}


def bind_words(profile: SslProfile, alpn: str) -> Iterator[str]:
    """How TLS is spoken with clients.

    Args:
        profile: the virtual server's.
        alpn: protocols that are offered (RFC 7301), separated by commas; empty for none.
    """
    yield f"ssl crt-list {_list_file(profile)}"
    if alpn:
        yield f"alpn {alpn}"
    yield from _versions(profile)
    if profile.client_auth != "none":
        how = "required" if profile.client_auth == "require" else "optional"
        yield f"verify {how} ca-file {_authorities_file(profile)}"


def server_words(config: Config, server: VirtualServer) -> Iterator[str]:
    """How TLS is spoken with real servers; nothing where it is not."""
    profile = config.ssl_profile.get(server.server_ssl_profile or "")
    if profile is None:
        return
    yield "ssl"
    if server.type in HTTP_TYPES:
        yield "alpn http/1.1"
    yield from _versions(profile)
    identity = next((name for name in profile.trust_domains if config.trust_domain[name].certificate is not None), None)
    if identity is not None:
        yield f"crt {identity_file(identity)}"
    yield from _name_words(profile, server)
    yield f"verify required ca-file {_authorities_file(profile)}" if profile.verify_server else "verify none"


def _name_words(profile: SslProfile, server: VirtualServer) -> Iterator[str]:
    """The name that a real server is asked for; it is also what its certificate is checked against."""
    if profile.server_name is not None:
        yield f"sni str({profile.server_name})"
        if profile.verify_server:
            yield f"verifyhost {profile.server_name}"
    elif server.type in HTTP_TYPES:
        yield "sni req.hdr(host),host_only"


def _versions(profile: SslProfile) -> Iterator[str]:
    yield f"ssl-min-ver {_VERSIONS[profile.min_version]}"
    if profile.max_version is not None:
        yield f"ssl-max-ver {_VERSIONS[profile.max_version]}"
    if profile.cipher is not None:
        yield f"ciphers {profile.cipher}"
    if profile.cipher_suites is not None:
        yield f"ciphersuites {profile.cipher_suites}"


def tls_files(config: Config, inventory: Inventory, profiles: set[str]) -> Iterator[HaproxyFile]:
    """The files of these SSL profiles: for each its list of certificates and its authorities, and the certificates and keys."""
    identities: dict[str, bytes] = {}
    for name in sorted(profiles):
        profile = config.ssl_profile[name]
        found = {t: m for t in profile.trust_domains if (m := inventory.materials.get(t)) is not None}
        named = {t: m.identity for t, m in found.items() if m.identity}
        identities |= named
        if named:
            yield HaproxyFile(_list_file(profile), "".join(f"{identity_file(t)}\n" for t in named).encode())
        if authorities := b"".join(m.authorities for m in found.values()):
            yield HaproxyFile(_authorities_file(profile), authorities)
    for name, identity in sorted(identities.items()):
        yield HaproxyFile(identity_file(name), identity)


def identity_file(trust_domain: str) -> str:
    """The file with its certificate, those of its issuers and the key, relative to HAProxy's directory."""
    return file_name(_FOLDER, trust_domain, ".pem")


def _list_file(profile: SslProfile) -> str:
    return file_name(_FOLDER, profile.name, ".list")


def _authorities_file(profile: SslProfile) -> str:
    return file_name(_FOLDER, profile.name, ".ca")
