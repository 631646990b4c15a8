"""TLS with clients and with real servers: certificates by name, versions and ciphers, client certificates, HTTP/2, WebSocket."""

from __future__ import annotations

import json
import ssl
import sys
from pathlib import Path

import pytest

from tests.external.slb.client import trust
from tests.external.slb.device import pool, real_servers, virtual
from tests.external.slb.identity import SHOP, SITE
from tests.external.slb.network import BACK, address
from tests.external.slb.websocket import echoes

pytestmark = pytest.mark.netns

VIP = address("adc")
SSLYZE = Path(sys.prefix) / "sslyze"


def configure(
    site, profile: str = "", settings: str = "", *, port: int = 80, app: str = "", more: str = "", kind: str = "https"
) -> None:
    """A virtual server with the site's certificate."""
    lines = ["auto-snat", "ssl-profile clients", settings, "app-profile p" if app else ""]
    text = real_servers() + pool(port=port) + more + site.identities.profile(profile)
    text += f'app-profile "p" type http\n{app}\nexit\n' if app else ""
    site.device.configure(text + virtual(kind, "\n".join(lines), port=443))


def options(site, name: str = SITE) -> tuple[object, ...]:
    """Of curl: where the name leads to, and whom to believe."""
    return "--resolve", f"{name}:443:{VIP}", "--cacert", site.identities.file("root.pem", site.identities.root.pem)


def get(site, *more: object, path: str = "/", name: str = SITE):
    return site.client.curl(f"https://{name}{path}", *options(site, name), *more)


def handshake(site, context: ssl.SSLContext, name: str = SITE) -> ssl.SSLSocket:
    return site.client.connect(VIP, 443, context, name)


def test_a_client_that_believes_the_authority_is_served(site):
    configure(site)
    answer = get(site)
    assert (answer.status, answer.facts["ssl_verify_result"], answer.json["scheme"]) == (200, 0, "http")
    assert answer.json["client"] == BACK[4]


def test_the_certificate_is_the_one_of_the_name_that_is_asked_for(site):
    shop = site.identities.trust_domain("shop", site.identities.shop)
    configure(site, 'trust-domain "shop"', more=shop)
    believed = trust(site.identities.root.pem)

    def shown(name: str) -> set[str]:
        with handshake(site, believed, name) as link:
            return {value for _, value in link.getpeercert()["subjectAltName"]}

    assert SHOP in shown(SHOP)
    assert SHOP in shown("a.shop.test")
    assert SITE in shown(SITE)
    assert SITE in shown("www2.test")
    anybody = trust()
    with handshake(site, anybody, "unknown.test") as link:
        assert SITE.encode() in link.getpeercert(binary_form=True)


def test_intermediate_certificates_are_sent_along(site):
    configure(site)
    said = site.client.openssl(f"{VIP}:443", "-servername", SITE, "-showcerts")
    assert said.count("BEGIN CERTIFICATE") >= 2


@pytest.mark.parametrize(
    ("settings", "spoken"),
    [
        ("", {"TLSv1.2", "TLSv1.3"}),
        ("min-version tlsv1.3", {"TLSv1.3"}),
        ("max-version tlsv1.2", {"TLSv1.2"}),
    ],
)
def test_versions_are_those_of_the_profile(site, settings, spoken):
    configure(site, settings)
    found = set()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trust(site.identities.root.pem)
        context.minimum_version = context.maximum_version = version
        try:
            with handshake(site, context) as link:
                found.add(link.version())
        except ssl.SSLError:
            pass
    assert found == spoken


def test_ciphers_are_those_of_the_profile(site):
    configure(site, "cipher ECDHE-ECDSA-AES256-GCM-SHA384\nmax-version tlsv1.2")
    with handshake(site, trust(site.identities.root.pem)) as link:
        assert link.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    weak = trust(site.identities.root.pem)
    weak.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with pytest.raises(ssl.SSLError):
        handshake(site, weak)


def test_cipher_suites_are_those_of_the_profile(site):
    configure(site, "cipher-suites TLS_CHACHA20_POLY1305_SHA256")
    with handshake(site, trust(site.identities.root.pem)) as link:
        assert link.cipher()[0] == "TLS_CHACHA20_POLY1305_SHA256"


@pytest.mark.parametrize("auth", ["none", "optional", "require"])
def test_client_certificates(site, auth):
    """None is asked for; or who shows one must show a good one; or nobody gets in without."""
    people = site.identities.people
    believes = site.identities.trust_domain("people", site.identities.shop, people.pem)
    configure(site, f'trust-domain "people"\nclient-auth {auth}', more=believes)
    stranger = site.certificates.authority.issue("stranger")

    def shown(pair) -> int:
        file = site.identities.file(f"{auth}.pem", pair.chain + pair.key_pem)
        return get(site, "--cert", file).status

    assert get(site).status == (0 if auth == "require" else 200)
    assert shown(site.identities.employee) == 200
    assert shown(stranger) == (200 if auth == "none" else 0)


def test_real_servers_are_spoken_to_by_tls(site):
    configure(site, settings="server-ssl-profile origin", port=443, more=site.identities.origin(site.certificates.authority.pem))
    seen = get(site).json
    assert (seen["scheme"], seen["sni"]) == ("https", "origin.test")


def test_real_servers_whose_certificate_is_of_a_stranger_are_not(site):
    configure(site, settings="server-ssl-profile origin", port=443, more=site.identities.origin(site.identities.people.pem))
    assert get(site).status == 503


def test_real_servers_that_prove_another_name_are_not(site):
    profile = site.identities.origin(site.certificates.authority.pem, "verify-server\nserver-name other.test")
    configure(site, settings="server-ssl-profile origin", port=443, more=profile)
    assert get(site).status == 503


def test_without_verification_and_name_real_servers_are_asked_for_the_host(site):
    profile = site.identities.origin(site.certificates.authority.pem, "")
    configure(site, settings="server-ssl-profile origin", port=443, more=profile)
    assert get(site).json["sni"] == SITE


def test_real_servers_are_told_that_it_was_https(site):
    configure(site, app="x-forwarded-for insert")
    seen = get(site).json
    assert (seen["forwarded_for"], seen["forwarded_proto"]) == (address("client1"), "https")


def test_http2_is_offered_where_the_profile_says_so(site):
    configure(site, app="http2")
    answer = get(site, "--http2")
    assert (answer.status, answer.facts["http_version"]) == (200, "2")
    assert get(site, "--http1.1").facts["http_version"] == "1.1"
    said = site.network.run("client1", "h2load", "-n", 200, "-c", 4, "-m", 10, f"https://{VIP}/files/1k")
    assert "200 succeeded, 0 failed" in said.stdout


def test_http2_is_not_offered_otherwise(site):
    configure(site, app="x-forwarded-for insert")
    assert get(site, "--http2").facts["http_version"] == "1.1"


def test_a_websocket_echoes_inside_tls(site):
    configure(site, port=8082)
    believed = trust(site.identities.root.pem)
    assert echoes(site.client, VIP, 443, ["hello", b"\1" * 100_000], believed, SITE) == ["hello", b"\1" * 100_000]


def test_a_cookie_of_https_is_for_https_alone(site):
    site.device.configure(
        real_servers()
        + pool("persistence cookie")
        + site.identities.profile()
        + virtual("https", "auto-snat\nssl-profile clients", port=443)
    )
    assert "secure" in get(site).header("set-cookie").lower()


def test_a_client_that_speaks_no_tls_is_turned_away_and_others_are_served(site):
    configure(site)
    with site.client.connect(VIP, 443) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" not in link.recv(4096)
    assert get(site).status == 200


def test_an_independent_scanner_finds_no_weakness(site):
    configure(site)
    code = f"import sys; sys.path.insert(0, {str(SSLYZE)!r}); from sslyze.__main__ import main; main()"
    out = site.folder / "sslyze.json"
    scan = [
        "--sslv2",
        "--sslv3",
        "--tlsv1",
        "--tlsv1_1",
        "--tlsv1_2",
        "--tlsv1_3",
        "--heartbleed",
        "--openssl_ccs",
        "--reneg",
        "--robot",
    ]
    scan += ["--compression", "--fallback", f"--json_out={out}", f"{VIP}:443"]
    said = site.network.run("client1", sys.executable, "-c", code, *scan, timeout_s=100, check=False)
    assert out.exists(), said.stdout + said.stderr
    (server,) = json.loads(out.read_text())["server_scan_results"]
    found = {name: attempt["result"] for name, attempt in server["scan_result"].items() if attempt["status"] == "COMPLETED"}
    accepted = {
        name: [suite["cipher_suite"]["name"] for suite in found[f"{name}_cipher_suites"]["accepted_cipher_suites"]]
        for name in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")
    }
    assert [name for name, suites in accepted.items() if suites] == ["tls_1_2", "tls_1_3"]
    assert all("ECDHE" in suite and ("GCM" in suite or "POLY1305" in suite) for suite in accepted["tls_1_2"]), accepted
    assert not found["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert not found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert not found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    assert not found["tls_compression"]["supports_compression"]


def test_a_client_writes_no_lines_of_its_own_into_the_log(site):
    """The name that it asks for is a client's words, and is logged where its handshake fails."""
    configure(site, settings="log enable")
    forged = "198.51.100.6:666 [26/Nov/2026:12:00:00.000] vs1_v pool1.1_web/rs1 0/0/0/0/0 200 9 - - ---- 1/1/0/0/0 0/0"
    site.client.openssl(f"{VIP}:443", "-servername", f"x\n{forged}", "-tls1_2", "-cipher", "AES128-SHA")
    site.eventually(lambda: any("handshake failure" in line for line in site.device.say("show slb log")))
    lines = site.device.say("show slb log")
    assert not [line for line in lines if line.startswith("198.51.100.6")]
    assert r'sni="x\n198.51.100.6' in lines[-1]
