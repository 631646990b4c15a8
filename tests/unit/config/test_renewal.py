"""Files that the configuration names change on disk: what is in force follows them, and what is broken changes nothing."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from pathlib import Path

import pytest

from hsadc.config.running import Refreshed
from hsadc.dataplane.pki import PkiReader
from hsadc.errors import ApplyError, ConfigError
from tests import pki
from tests.unit.config.memory import NOON, ROOT, MemoryClock, MemoryDataplane, adc, configure, edited

DAY = timedelta(days=1)
CA = pki.authority(start=NOON - DAY)
SERVED = """
interface ethernet0/0
  ip address 10.0.0.1/24
exit
pki trust-domain "web"
  certificate file web.crt
  key file web.key
exit
ssl-profile "tls"
  trust-domain "web"
exit
slb real-server "r"
  ip 10.1.0.33
  port 80
exit
slb server-pool "p"
  real-server "r"
exit
slb virtual-server "y" type https id 1
  server-pool "p"
  ssl-profile "tls"
  auto-snat
  ip 10.0.0.1 port 443
exit
"""
EMPTY = 'pki trust-domain "web": web.crt: it is empty'


@pytest.fixture(autouse=True)
def told(caplog):
    """What an operator is told without asking; other tests may have left the log more talkative."""
    caplog.set_level(logging.WARNING)


class Site:
    """A device that serves https, and the files of its certificate."""

    def __init__(self, folder: Path, *, text: str = SERVED, dataplane: MemoryDataplane | None = None) -> None:
        self.folder = folder / "pki"
        self.folder.mkdir(exist_ok=True)
        self.dataplane = dataplane or MemoryDataplane()
        self.dataplane.pki = PkiReader(self.folder)
        self.clock = MemoryClock()
        self.device = adc(folder, self.dataplane, self.clock)
        self.applied = 0
        self.dataplane.before_apply = self._count
        self.text = text

    def _count(self) -> None:
        self.applied += 1

    def write(self, name: str, text: str) -> None:
        file = self.folder / f"new-{name}"
        file.write_text(text)
        file.chmod(0o600)
        file.replace(self.folder / name)

    def issue(self, *names: str, **more) -> pki.Pair:
        """A new certificate and key, in their place."""
        pair = CA.issue(*(names or ("www.example.com",)), start=more.pop("start", NOON - DAY), **more)
        self.write("web.key", pair.key_pem)
        self.write("web.crt", pair.pem)
        return pair

    def configure(self) -> tuple[str, ...]:
        return configure(self.device, self.text)

    @property
    def served(self) -> bytes:
        """What HAProxy is given."""
        return b"".join(f.content for h in self.dataplane.intent.haproxy for f in h.files)

    @property
    def listens(self) -> bool:
        return any("10.0.0.1:443" in h.services for h in self.dataplane.intent.haproxy)


@pytest.fixture
def site(tmp_path) -> Site:
    site = Site(tmp_path)
    site.pair = site.issue()
    site.configure()
    site.applied = 0
    return site


def after(site: Site, span: timedelta) -> None:
    site.dataplane.now = NOON + span


class TestRenewal:
    def test_a_new_certificate_is_in_force_without_hands(self, site, caplog):
        caplog.set_level(logging.INFO)
        assert site.pair.key_pem.encode() in site.served
        new = site.issue()
        site.device.repair()
        assert new.key_pem.encode() in site.served
        assert site.pair.key_pem.encode() not in site.served
        assert [r.getMessage() for r in caplog.records if r.levelno >= logging.INFO] == [
            'pki trust-domain "web": its files have changed, what they hold now is in force'
        ]

    def test_what_has_not_changed_is_not_applied(self, site, caplog):
        for _ in range(3):
            site.device.repair()
        os.utime(site.folder / "web.crt")
        site.device.repair()
        assert (site.applied, caplog.records) == (0, [])

    def test_half_a_renewal_waits_for_the_other_half(self, site, caplog):
        new = CA.issue("www.example.com", start=NOON - DAY)
        site.write("web.crt", new.pem)
        for _ in range(3):
            site.device.repair()
        assert site.pair.pem.encode() in site.served
        why = 'pki trust-domain "web": web.key: its key does not belong to the certificate in web.crt'
        assert caplog.messages == [f"{why}; what was there before stays in force"]
        site.write("web.key", new.key_pem)
        site.device.repair()
        assert new.pem.encode() in site.served
        assert len(caplog.messages) == 1

    @pytest.mark.parametrize("how", ["empty", "gone", "cut", "mode"])
    def test_a_broken_file_changes_nothing_and_is_told_once(self, site, caplog, how):
        before = site.dataplane.intent
        file = site.folder / "web.key"
        match how:
            case "empty":
                file.write_text("")
            case "gone":
                file.unlink()
            case "cut":
                file.write_text(file.read_text()[:90])
            case "mode":
                file.chmod(0o644)
        for _ in range(3):
            site.device.repair()
        assert site.dataplane.intent == before
        assert len(caplog.messages) == 1
        assert caplog.messages[0].startswith('pki trust-domain "web": web.key: ')
        site.write("web.key", site.pair.key_pem)
        site.device.repair()
        assert site.dataplane.intent == before
        assert len(caplog.messages) == 1
        file.write_text("")
        site.device.repair()
        assert len(caplog.messages) == 2, "broken again is news"

    def test_other_changes_are_not_held_up_by_a_broken_file(self, site):
        site.write("web.crt", "")
        assert configure(site.device, 'hostname "edge"') == (f"{EMPTY}; what was there before stays in force",)
        assert configure(site.device, 'slb real-server "r"\n  port 81\nexit') == ()
        assert site.pair.key_pem.encode() in site.served
        assert site.listens

    def test_a_trust_domain_that_names_another_file_must_be_right(self, site):
        site.write("web.crt", "")
        with pytest.raises(ConfigError, match=r"web2.crt: there is no such file"):
            configure(site.device, 'pki trust-domain "web"\n  certificate file web2.crt\nexit')
        with pytest.raises(ConfigError, match=r"web.crt: it is empty"):
            configure(site.device, 'pki trust-domain "web"\n  ca-certificate file ca.crt\nexit')
        assert site.pair.key_pem.encode() in site.served

    def test_the_dataplane_refuses_the_new_one(self, site, caplog):
        before = site.dataplane.intent
        new = site.issue()
        site.dataplane.fail_at = 0
        for _ in range(3):
            site.device.repair()
        assert site.dataplane.intent == before
        assert len(caplog.messages) == 1
        assert caplog.messages[0].startswith("files have changed and cannot be put in force: ")
        site.dataplane.fail_at = None
        site.device.repair()
        assert new.pem.encode() in site.served

    def test_a_hand_that_imports_gets_the_warnings(self, site):
        site.write("web.crt", "")
        assert site.device.refresh() == (f"{EMPTY}; what was there before stays in force",)
        assert site.device.refresh() == ()
        site.device.stop()
        with pytest.raises(ApplyError):
            site.device.refresh()

    def test_a_device_that_only_keeps_configurations(self, tmp_path):
        device = adc(tmp_path)
        configure(device, SERVED)
        assert device.refresh() == ()
        assert device._running.refresh() == Refreshed()
        assert device.materials == {}

    def test_a_page(self, site):
        site.dataplane.pages["sorry.html"] = "<p>one</p>"
        configure(site.device, 'slb server-pool "p"\n  sorry-page file sorry.html\nexit')
        assert b"<p>one</p>" in site.served
        site.dataplane.pages["sorry.html"] = "<p>two</p>"
        site.device.repair()
        assert b"<p>two</p>" in site.served

    def test_a_page_that_is_gone_stays_in_force(self, site, caplog):
        site.dataplane.pages["sorry.html"] = "<p>one</p>"
        configure(site.device, 'slb server-pool "p"\n  sorry-page file sorry.html\nexit')
        del site.dataplane.pages["sorry.html"]
        new = site.issue()
        site.device.repair()
        configure(site.device, 'hostname "edge"')
        assert b"<p>one</p>" in site.served
        assert new.key_pem.encode() in site.served


class TestTime:
    def test_days_are_counted_in_the_log(self, site, caplog):
        for days in (59, 60, 60.5, 61, 61.2, 89.5):
            after(site, days * DAY)
            site.device.repair()
        told = [m.removeprefix('pki trust-domain "web": its certificate ').partition(",")[0] for m in caplog.messages]
        assert told == ["expires in 29 days", "expires in 28 days", "expires in 27 days", "has expired 12 hours ago"]
        assert site.applied == 0

    def test_expired_while_in_force(self, site):
        after(site, 100 * DAY)
        (warning,) = configure(site.device, 'hostname "edge"')
        assert warning.startswith('pki trust-domain "web": its certificate has expired 11 days ago')
        assert configure(site.device, 'hostname "edge2"') == ()
        assert site.listens
        configure(
            site.device, 'slb virtual-server "z" type https id 2\n server-pool "p"\n ssl-profile "tls"\n ip 10.0.0.1 port 444'
        )
        assert "10.0.0.1:444" in site.dataplane.intent.haproxy[0].services

    def test_expired_comes_newly_into_force(self, site):
        after(site, 100 * DAY)
        old = CA.issue("old.example.com", start=NOON - DAY, days=50)
        site.write("old.pem", old.pem + old.key_pem)
        configure(site.device, 'pki trust-domain "old"\n  certificate file old.pem\nexit')
        before = site.device.running
        with pytest.raises(ConfigError, match=r'pki trust-domain "old": its certificate has expired 51 days ago'):
            configure(site.device, 'ssl-profile "tls"\n  trust-domain "old"\nexit')
        assert site.device.running is before
        with pytest.raises(ConfigError, match="has expired"):
            configure(site.device, 'pki trust-domain "web"\n  certificate file old.pem\n  no key file\nexit')

    def test_expired_out_of_force_and_in_again(self, site):
        configure(site.device, 'slb virtual-server "y"\n  shutdown\nexit')
        after(site, 100 * DAY)
        with pytest.raises(ConfigError, match="has expired"):
            configure(site.device, 'slb virtual-server "y"\n  no shutdown\nexit')

    def test_a_renewal_that_has_expired_is_warned_of(self, site, caplog):
        site.issue(start=NOON - 90 * DAY, days=80)
        site.device.repair()
        assert [m.partition(" ago")[0] for m in caplog.messages] == [
            'pki trust-domain "web": its certificate has expired 10 days'
        ]

    def test_the_way_back_is_not_barred(self, site):
        new = CA.issue("www.example.com", start=NOON - DAY, days=900)
        site.write("new.pem", new.pem + new.key_pem)
        lines = 'pki trust-domain "web"\n  certificate file new.pem\n  no key file\nexit'
        site.device.commit(edited(site.device, lines), ROOT, "renewal", confirm_s=60)
        assert new.pem.encode() in site.served
        after(site, 100 * DAY)
        site.clock.wait(61)
        assert site.pair.pem.encode() in site.served


class TestStart:
    def restarted(self, site: Site, tmp_path: Path) -> tuple[Site, tuple[str, ...]]:
        site.device.save(ROOT)
        again = Site(tmp_path)
        again.dataplane.now = site.dataplane.now
        return again, again.device.start()

    def test_with_a_certificate_that_has_expired(self, site, tmp_path):
        after(site, 100 * DAY)
        again, (warning,) = self.restarted(site, tmp_path)
        assert warning.startswith('pki trust-domain "web": its certificate has expired 11 days ago')
        assert again.listens
        assert configure(again.device, 'hostname "edge"') == ()

    def test_with_a_broken_file_all_others_are_served_until_it_is_right(self, site, tmp_path, caplog):
        configure(site.device, 'slb virtual-server "z" type http id 2\n server-pool "p"\n auto-snat\n ip 10.0.0.1 port 80')
        site.write("web.crt", "")
        again, warnings = self.restarted(site, tmp_path)
        assert warnings == (f'{EMPTY}; slb virtual-server "y" is not in force',)
        assert not again.listens
        assert "10.0.0.1:80" in again.dataplane.intent.haproxy[0].services
        assert configure(again.device, 'hostname "edge"') == ()
        with pytest.raises(ConfigError, match="it is empty"):
            configure(
                again.device,
                'slb virtual-server "x" type https id 3\n server-pool "p"\n ssl-profile "tls"\n ip 10.0.0.1 port 444',
            )
        again.device.repair()
        assert not again.listens
        new = again.issue()
        again.device.repair()
        assert again.listens
        assert new.key_pem.encode() in again.served

    def test_with_a_broken_file_what_haproxy_was_given_before_goes_on(self, site, tmp_path):
        before = site.device.materials["web"]
        site.write("web.crt", "")
        site.device.save(ROOT)
        again = Site(tmp_path)
        again.dataplane.left["web"] = before
        (warning,) = again.device.start()
        assert warning == f"{EMPTY}; what was there before stays in force"
        assert again.listens
        assert site.pair.key_pem.encode() in again.served
        again.device.repair()
        new = again.issue()
        again.device.repair()
        assert new.key_pem.encode() in again.served

    def test_without_a_page(self, site, tmp_path):
        site.dataplane.pages["sorry.html"] = "<p>one</p>"
        configure(site.device, 'slb server-pool "p"\n  sorry-page file sorry.html\nexit')
        again, (warning,) = self.restarted(site, tmp_path)
        assert warning.startswith('slb server-pool "p": its sorry-page "sorry.html" is not among this device\'s files')
        assert again.listens
        assert configure(again.device, 'hostname "edge"') == ()
        again.dataplane.pages["sorry.html"] = "<p>two</p>"
        again.device.repair()
        assert b"<p>two</p>" in again.served

    def test_what_a_crash_left_half_written_is_removed(self, site, tmp_path):
        (site.folder / ".web.key.new").write_text(site.pair.key_pem)
        (site.folder / ".part-x").write_text(site.pair.key_pem)
        self.restarted(site, tmp_path)
        assert sorted(f.name for f in site.folder.iterdir()) == ["web.crt", "web.key"]
