"""Certificates of virtual servers: what no change may bring about, what is warned of, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hsadc.intent.compile import certificate_lines, compile_config, refusals_of
from hsadc.intent.material import Certificate, Material
from hsadc.intent.pki import state_of
from tests.unit.intent.words import MACHINE, config

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = timedelta(days=1)

SERVED = """
slb real-server r; ip 10.1.0.33; port 80; exit
slb server-pool p; real-server r; exit
pki trust-domain web; certificate file web.crt; key file web.key; exit
pki trust-domain second; certificate file second.crt; key file second.key; exit
pki trust-domain ca; ca-certificate file ca.crt; exit
ssl-profile tls; trust-domain web; exit
slb virtual-server y type https id 1; server-pool p; ssl-profile tls; ip 10.0.0.1 port 443; exit
"""


def certificate(*names: str, left: timedelta = 90 * DAY, since: timedelta = DAY, key: str = "EC P-256") -> Certificate:
    text = f"CN={names[0]}"
    return Certificate(text, "CN=CA", names, NOW - since, NOW + left, "1", key, f"{names}{left}")


def good(*names: str, **more) -> Material:
    return Material(certificate(*(names or ("www.example.com",)), **more), b"identity")


CA = Material(authorities=b"CA", authority=certificate("CA"))
MATERIALS = {"web": good(), "second": good("second.example.com"), "ca": CA}
BROKEN = Material(problem="web.crt: there is no certificate in it")


def judged(text: str = "", **materials: Material):
    """The refusals and warnings of certificates, and the ids of the virtual servers that are left."""
    made = config(SERVED + text)
    inventory = replace(MACHINE, materials=MATERIALS | materials, now=NOW)
    compiled = compile_config(made, inventory)
    assert compiled.refusals == refusals_of(made, inventory)
    lines = [w for w in compiled.warnings if w.startswith(("pki", "ssl-profile"))]
    assert certificate_lines(made, inventory) == [*lines, *(r.warning for r in compiled.refusals)]
    served = "".join(h.services for h in compiled.intent.haproxy)
    left = [v.name for v in made.virtual_server.values() if f'# slb virtual-server "{v.name}"' in served]
    return [str(r.error) for r in compiled.refusals], lines, left


def test_all_is_well():
    assert judged() == ([], [], ["y"])


def test_without_any_tls_nothing_is_asked():
    assert judged("slb virtual-server y; shutdown", web=BROKEN) == ([], [], [])


def test_what_nobody_looked_at_is_taken_for_right():
    made = config(SERVED + "ssl-profile tls; client-auth require; trust-domain ca; exit")
    assert compile_config(made, MACHINE).refusals == ()


class TestMissing:
    @pytest.mark.parametrize(
        "text", ["ssl-profile tls; no trust-domain web; exit", "pki trust-domain web; no certificate file; exit"]
    )
    def test_a_certificate(self, text):
        why = 'ssl-profile "tls": it has no trust-domain with a certificate and key, and slb virtual-server "y" needs one'
        assert judged(text, web=Material()) == ([why], [], [])

    @pytest.mark.parametrize("how", ["optional", "require"])
    def test_an_authority_for_clients(self, how):
        why = f'ssl-profile "tls": client-auth {how} needs a trust-domain with a ca-certificate, and it has none'
        assert judged(f"ssl-profile tls; client-auth {how}; exit") == ([why], [], [])
        assert judged(f"ssl-profile tls; client-auth {how}; trust-domain ca; exit") == ([], [], ["y"])

    def test_an_authority_for_real_servers(self):
        text = "ssl-profile to-servers; verify-server; exit; slb virtual-server y; server-ssl-profile to-servers; exit;"
        why = 'ssl-profile "to-servers": verify-server needs a trust-domain with a ca-certificate, and it has none'
        assert judged(text) == ([why], [], [])
        assert judged(text + "ssl-profile to-servers; trust-domain ca; exit") == ([], [], ["y"])

    def test_nothing_for_real_servers_that_are_not_checked(self):
        text = "ssl-profile to-servers; client-auth require; exit; slb virtual-server y; server-ssl-profile to-servers; exit"
        assert judged(text) == ([], [], ["y"])

    def test_verify_server_of_a_profile_for_clients_means_nothing(self):
        assert judged("ssl-profile tls; verify-server; exit") == ([], [], ["y"])


class TestProblem:
    WHY = 'pki trust-domain "web": web.crt: there is no certificate in it'

    def test_a_virtual_server_that_cannot_do_without_is_left_out(self):
        refusals, lines, left = judged(web=BROKEN)
        assert (refusals, lines, left) == ([self.WHY], [], [])
        made = config(SERVED)
        (refusal,) = refusals_of(made, replace(MACHINE, materials=MATERIALS | {"web": BROKEN}, now=NOW))
        assert refusal.warning == f'{self.WHY}; slb virtual-server "y" is not in force'

    def test_others_are_not(self):
        other = "slb virtual-server z type http id 2; server-pool p; ip 10.0.0.1 port 80; exit"
        assert judged(other, web=BROKEN) == ([self.WHY], [], ["z"])

    def test_one_that_has_another_certificate_is_in_force_with_that(self):
        assert judged("ssl-profile tls; trust-domain second; exit", web=BROKEN) == ([self.WHY], [], ["y"])

    def test_one_refusal_for_each_virtual_server(self):
        other = "slb virtual-server z type https id 2; server-pool p; ssl-profile tls; ip 10.0.0.1 port 8443; exit"
        assert judged(other, web=BROKEN) == ([self.WHY] * 2, [], [])

    def test_clients_are_not_let_in_for_want_of_an_authority(self):
        broken = Material(problem="ca.crt: it is empty")
        text = "ssl-profile tls; client-auth require; trust-domain ca; exit"
        assert judged(text, ca=broken) == (['pki trust-domain "ca": ca.crt: it is empty'], [], [])

    def test_nor_are_real_servers_believed(self):
        broken = Material(problem="ca.crt: it is empty")
        text = "ssl-profile to; verify-server; trust-domain ca; exit; slb virtual-server y; server-ssl-profile to; exit"
        assert judged(text, ca=broken) == (['pki trust-domain "ca": ca.crt: it is empty'], [], [])

    def test_the_first_certificate_is_the_one_for_real_servers(self):
        to = "ssl-profile to; trust-domain second; trust-domain web; exit; slb virtual-server y; server-ssl-profile to; exit;"
        assert judged(to, second=Material(problem="second.key: it is empty"))[2] == []
        other = "ssl-profile tls; no trust-domain web; trust-domain second; exit"
        assert judged(to + other, web=BROKEN) == ([self.WHY], [], ["y"])

    def test_what_was_there_before_serves(self):
        kept = replace(good(), newer_problem="web.crt: it is empty")
        warning = 'pki trust-domain "web": web.crt: it is empty; what was there before stays in force'
        assert judged(web=kept) == ([], [warning], ["y"])


class TestTime:
    @pytest.mark.parametrize(
        ("left", "text"),
        [
            (30 * DAY, None),
            (30 * DAY - timedelta(seconds=1), "29 days, at 2026-12-26 11:59:59 UTC"),
            (12 * DAY + timedelta(hours=23), "12 days, at 2026-12-09 11:00:00 UTC"),
            (DAY, "1 day, at 2026-11-27 12:00:00 UTC"),
            (timedelta(hours=5, minutes=59), "5 hours, at 2026-11-26 17:59:00 UTC"),
            (timedelta(0), "0 hours, at 2026-11-26 12:00:00 UTC"),
        ],
    )
    def test_soon(self, left, text):
        warnings = [] if text is None else [f'pki trust-domain "web": its certificate expires in {text}']
        assert judged(web=good(left=left)) == ([], warnings, ["y"])

    def test_expired_is_refused_and_serves_all_the_same(self):
        why = 'pki trust-domain "web": its certificate has expired 3 days ago, at 2026-11-23 12:00:00 UTC'
        assert judged(web=good(left=-3 * DAY, since=90 * DAY)) == ([why], [], ["y"])

    def test_not_yet_valid(self):
        why = 'pki trust-domain "web": its certificate is not valid before 2026-11-28 12:00:00 UTC'
        assert judged(web=good(since=-2 * DAY)) == ([why], [], ["y"])

    def test_the_key_is_the_certificate_and_not_the_wording(self):
        material = good(left=-DAY)
        made = config(SERVED)
        keys = {
            r.key for now in (NOW, NOW + DAY) for r in refusals_of(made, replace(MACHINE, materials={"web": material}, now=now))
        }
        assert keys == {("web", "expired", material.certificate.fingerprint)}

    def test_states(self):
        assert state_of(certificate("x"), NOW) == "ok"
        assert state_of(certificate("x"), NOW - 2 * DAY) == "not yet valid"
        assert state_of(certificate("x"), NOW + 61 * DAY) == "expires soon"
        assert state_of(certificate("x"), NOW + 91 * DAY) == "expired"


class TestSameName:
    BOTH = "ssl-profile tls; trust-domain second; exit"

    def test_the_first_is_shown(self):
        warning = (
            'ssl-profile "tls": the certificates of the trust-domains "web" and "second" are both for www.example.com, '
            'clients are shown that of "web"'
        )
        assert judged(self.BOTH, second=good("WWW.example.com", "x")) == ([], [warning.replace("www", "WWW", 1)], ["y"])
        assert judged(self.BOTH, second=good("x", "www.example.com")) == ([], [warning], ["y"])

    def test_of_two_kinds_of_keys_each_client_gets_its_own(self):
        assert judged(self.BOTH, second=good(key="RSA 2048")) == ([], [], ["y"])

    def test_a_name_that_stands_twice_in_one(self):
        assert judged(web=good("a", "a")) == ([], [], ["y"])

    def test_authorities_have_no_names_for_clients(self):
        assert judged("ssl-profile tls; trust-domain ca; exit") == ([], [], ["y"])
        nothing = Material(certificate("www.example.com"), problem="second.key: it is empty")
        assert judged(self.BOTH, second=nothing)[1] == []

    def test_real_servers_are_shown_one_only(self):
        text = "ssl-profile to; trust-domain web; trust-domain second; exit; slb virtual-server y; server-ssl-profile to; exit"
        assert judged(text, second=good()) == ([], [], ["y"])
