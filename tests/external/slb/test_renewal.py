"""Certificates that are renewed on disk or imported, as clients see them, with a real HAProxy and under load."""

from __future__ import annotations

import ssl
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import pki
from tests.external.slb.client import Load, trust
from tests.external.slb.device import pool, real_servers, virtual
from tests.external.slb.identity import SITE
from tests.external.slb.network import address

pytestmark = pytest.mark.netns

VIP = address("adc")
LINES = "auto-snat\nssl-profile clients"
DOMAIN = """
pki trust-domain "site"
  certificate file site.crt
  key file site.key
exit
ssl-profile "clients"
  trust-domain "site"
exit
"""


def place(site, pair: pki.Pair) -> None:
    """As certbot does: one file after the other, each whole."""
    for name, text in (("site.crt", pair.chain), ("site.key", pair.key_pem)):
        new = site.device.state / "pki" / f"new-{name}"
        new.write_text(text)
        new.chmod(0o600)
        new.replace(new.with_name(name))


def serial(site, port: int = 443) -> int:
    """The serial number of the certificate that a client is shown."""
    with site.client.connect(VIP, port, trust(site.identities.root.pem), SITE) as link:
        return int(link.getpeercert()["serialNumber"], 16)


def issue(site, **more) -> pki.Pair:
    return site.identities.root.issue(SITE, **more)


def serve(site) -> pki.Pair:
    pair = issue(site)
    place(site, pair)
    site.device.configure(real_servers() + pool() + DOMAIN + virtual("https", LINES, port=443))
    site.eventually(lambda: serial(site) == pair.certificate.serial_number, 30)
    return pair


def test_a_renewal_reaches_clients_by_itself_and_no_request_fails(site):
    serve(site)
    new = issue(site, kind="rsa")
    with Load(site.other, VIP, 443, tls=trust(site.identities.root.pem), name=SITE, pause_s=0.01) as load:
        place(site, new)
        site.eventually(lambda: serial(site) == new.certificate.serial_number, 30)
    assert set(load.results) == {"200"}
    assert load.results["200"] > 100
    (row,) = site.device.show("ssl certificate")["certificates"]
    assert (row["state"], int(row["serial"], 16), row["key"]) == ("ok", new.certificate.serial_number, "RSA 2048")


def test_a_broken_file_changes_nothing_for_clients(site):
    old = serve(site)
    log = site.device.log.read_text()
    (site.device.state / "pki" / "site.key").write_text("")
    site.eventually(lambda: "site.key: it is empty; what was there before stays in force" in site.device.log.read_text(), 30)
    assert serial(site) == old.certificate.serial_number
    site.device.configure_lines("hostname edge")
    assert serial(site) == old.certificate.serial_number
    place(site, old)
    site.device.configure_lines("hostname edge2")
    new = issue(site)
    place(site, new)
    site.eventually(lambda: serial(site) == new.certificate.serial_number, 30)
    assert site.device.log.read_text().removeprefix(log).count("it is empty") == 1


def test_an_import_over_what_is_in_use_is_served_at_once(site):
    serve(site)
    new = issue(site)
    bundle = site.device.state / "files" / "site.p12"
    bundle.write_bytes(new.pkcs12("geheim"))
    site.device.say("import pki pkcs12 site.p12 passphrase geheim")
    assert serial(site) == new.certificate.serial_number
    assert not bundle.exists()


def test_after_a_crash_with_an_expired_certificate_and_a_broken_one(site):
    serve(site)
    more = 'pki trust-domain "other"\n  certificate file other.pem\nexit\nssl-profile "other"\n  trust-domain "other"\nexit\n'
    short = issue(site, start=datetime.now(UTC) - timedelta(days=1), days=1 + 12 / 86400)
    place(site, short)
    good = issue(site)
    other = site.device.state / "pki" / "other.pem"
    other.write_text(good.pem + good.key_pem)
    other.chmod(0o600)
    second = virtual("https", "auto-snat\nssl-profile other", port=8443, name="second", number=2)
    site.device.configure(real_servers() + pool() + DOMAIN + more + virtual("https", LINES, port=443) + second)
    assert serial(site, 8443) == good.certificate.serial_number
    site.device.say("save")
    site.device.kill()
    other.write_text("half")
    site.eventually(lambda: datetime.now(UTC) > short.certificate.not_valid_after_utc, 60)
    site.device.start()
    with site.client.connect(VIP, 443, trust(), SITE) as link:
        assert link.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(short.pem)
    assert serial(site, 8443) == good.certificate.serial_number  # as HAProxy was given it before the crash
    rows = {row["trust_domain"]: row["state"] for row in site.device.show("ssl certificate")["certificates"]}
    assert rows == {"site": "expired", "other": "problem"}
    other.write_text(good.pem + good.key_pem)
    new = issue(site)
    place(site, new)
    site.eventually(lambda: site.device.show("ssl certificate")["certificates"][1]["state"] == "ok", 30)
    assert (serial(site), serial(site, 8443)) == (new.certificate.serial_number, good.certificate.serial_number)


def test_no_key_is_where_others_could_read_it(site):
    pair = serve(site)
    part = pair.key_pem.splitlines()[1].encode()
    found = [f for f in site.device.state.rglob("*") if f.is_file() and part in f.read_bytes()]
    assert site.device.state / "pki" / "site.key" in found
    for file in found:
        above = [p for p in file.parents if p.is_relative_to(site.device.state) and p != site.device.state]
        assert not file.stat().st_mode & 0o077
        assert any(not stat.S_IMODE(p.stat().st_mode) & 0o077 for p in above), file
    assert part not in site.device.log.read_bytes()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            assert part not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
