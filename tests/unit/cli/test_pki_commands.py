"""Certificates and keys at the command line: brought in, asked about, shown, deleted."""

from __future__ import annotations

import json
import logging
import re
from datetime import timedelta

import pytest

from hsadc.cli.batch import run_batch
from hsadc.cli.session import Session
from hsadc.cli.shell import Login, holds_secret, masked
from hsadc.dataplane.pki import PkiReader
from tests import pki
from tests.unit.config.memory import NOON, ROOT, MemoryDataplane, adc, configure, edited

DAY = timedelta(days=1)
CA = pki.authority(start=NOON - DAY)
WEB = CA.issue("www.example.com", "10.0.0.1", start=NOON - DAY)
WRONG = "% Error: web.key: its key cannot be decrypted with this passphrase"
SERVED = """
interface ethernet0/0
  ip address 10.0.0.1/24
exit
pki trust-domain "web"
  certificate file web.crt
  key file web.key
exit
pki trust-domain "ca"
  ca-certificate file ca.crt
exit
ssl-profile "tls"
  trust-domain "web"
  trust-domain "ca"
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
  server-ssl-profile "tls"
  auto-snat
  ip 10.0.0.1 port 443
exit
"""


@pytest.fixture
def dataplane(tmp_path):
    dataplane = MemoryDataplane()
    dataplane.pki = PkiReader(tmp_path / "pki")
    return dataplane


@pytest.fixture
def device(tmp_path, dataplane, clock):
    return adc(tmp_path, dataplane, clock)


@pytest.fixture
def upload(device):
    def put(name: str, data: str | bytes) -> None:
        device.files.prepare()
        (device.files.folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())

    return put


@pytest.fixture
def serving(device, upload):
    """A device that serves https."""
    upload("web.key", WEB.key_pem)
    upload("web.crt", WEB.pem)
    upload("ca.crt", CA.pem)
    for what in ("key web.key", "certificate web.crt", "ca-certificate ca.crt"):
        assert Session(device).run(f"import pki {what}").ok
    configure(device, SERVED)
    return device


def lines(session, line):
    reply = session.run(line)
    assert reply.ok, reply.lines
    return list(reply.lines)


def refused(session, line):
    reply = session.run(line)
    assert not reply.ok
    return reply.lines[-1]


def data(session, line):
    return json.loads("\n".join(lines(session, f"{line} | json")))


class TestImport:
    def test_what_is_said(self, session, upload):
        upload("web.crt", WEB.pem)
        upload("web.key", WEB.key_pem)
        upload("ca.crt", CA.pem * 2)
        upload("b.p12", WEB.pkcs12())
        until = "valid until 2027-02-20T12:00:00Z"
        assert lines(session, "import pki certificate web.crt") == [
            f'Certificate "web.crt" is imported: CN=www.example.com, {until}'
        ]
        assert lines(session, "import pki key web.key") == ['Key "web.key" is imported (EC P-256), the uploaded file is removed']
        (said,) = lines(session, 'import pki ca-certificate "ca.crt"')
        assert said.startswith('2 CA certificates of "ca.crt" imported: CN=Test CA, valid until 2036-')
        assert lines(session, "im pk pk b.p12") == [
            f'Certificate "b.crt" and key "b.key" are imported: CN=www.example.com, {until}; the uploaded file is removed'
        ]

    def test_it_works_in_every_mode(self, session, upload):
        upload("web.crt", WEB.pem)
        lines(session, "configure")
        lines(session, "pki trust-domain x")
        lines(session, "import pki certificate web.crt")
        assert session.mode == "config-trust-domain"
        lines(session, "do import pki certificate web.crt")

    def test_a_device_that_only_keeps_configurations(self, tmp_path):
        device = adc(tmp_path)
        device.files.write("web.crt", WEB.pem)
        lines(Session(device), "import pki certificate web.crt")
        assert (tmp_path / "pki" / "web.crt").read_text() == WEB.pem

    def test_names_are_completed(self, session, upload):
        upload("web.crt", WEB.pem)
        assert session.complete("import pki certificate w").insert == '"web.crt" '
        lines(session, "import pki certificate web.crt")
        assert session.complete("delete pki file ").insert == '"web.crt" '
        lines(session, "configure")
        lines(session, "pki trust-domain x")
        assert session.complete("certificate file w").insert == "web.crt "
        assert [c.word for c in session.choices("key file ")] == ["web.crt", "LINE"]

    @pytest.mark.parametrize("kind", ["certificate", "key", "ca-certificate", "pkcs12"])
    def test_what_is_not_there(self, session, kind):
        assert refused(session, f"import pki {kind} no.pem") == (
            '% Error: file "no.pem": there is no such file, `show files` lists them'
        )

    def test_over_one_that_is_in_use(self, serving, dataplane, upload):
        session = Session(serving)
        new = CA.issue("www.example.com", start=NOON - DAY)
        upload("web.crt", new.pem)
        said = lines(session, "import pki certificate web.crt")
        why = 'pki trust-domain "web": web.key: its key does not belong to the certificate in web.crt'
        assert said[1:] == [f"Warning: {why}; what was there before stays in force"]
        upload("web.key", new.key_pem)
        assert len(lines(session, "import pki key web.key")) == 1
        assert serving.materials["web"].identity.decode() == new.pem + new.key_pem


class TestPassphrase:
    @pytest.fixture
    def session(self, device, upload):
        upload("web.key", WEB.encrypted("geheim"))
        return Session(device, Login("admin", "ssh"))

    def test_it_is_asked_for(self, session, device):
        reply = session.run("import pki key web.key")
        assert (reply.lines, reply.ok, reply.ask) == ((), True, "Passphrase: ")
        reply = session.answer("geheim")
        assert (reply.ok, reply.ask) == (True, "")
        assert device.imports.files.names() == ["web.key"]
        assert session.answer("geheim").lines == ()

    def test_three_tries(self, session, device):
        session.run("import pki key web.key")
        replies = [session.answer(guess) for guess in ("", "Geheim", "geheim ")]
        assert [r.lines for r in replies] == [(WRONG,)] * 3
        assert [bool(r.ask) for r in replies] == [True, True, False]
        assert [r.ok for r in replies] == [True, True, False]
        assert device.imports.files.names() == []
        assert device.files.names() == ["web.key"]

    def test_nobody_answers(self, session, device):
        session.run("import pki key web.key")
        reply = session.answer(None)
        assert (reply.lines, reply.ok, reply.ask) == (("% Error: no passphrase was given, nothing was imported",), False, "")

    @pytest.mark.parametrize("instead", ["show clock", "", "nonsense"])
    def test_another_line_ends_the_question(self, session, device, instead):
        session.run("import pki key web.key")
        session.run(instead)
        assert session.answer("geheim").lines == ()
        assert device.imports.files.names() == []

    def test_the_end_of_the_login_ends_it(self, session, device):
        session.run("import pki key web.key")
        session.close()
        assert session.answer("geheim").lines == ()

    def test_the_file_is_gone_meanwhile(self, session, device):
        session.run("import pki key web.key")
        device.files.delete("web.key")
        reply = session.answer("geheim")
        assert (reply.lines[-1], reply.ask) == ('% Error: file "web.key": there is no such file, `show files` lists them', "")

    def test_in_the_line(self, session, device):
        assert refused(session, "import pki key web.key passphrase x") == WRONG
        assert session.run("import pki key web.key passphrase x").ask == ""
        lines(session, "import pki key web.key pass geheim")
        assert session.history == ()

    def test_one_with_blanks_or_in_quotes(self, session, device, upload):
        upload("web.key", WEB.encrypted('a | b "c"'))
        lines(session, 'import pki key web.key passphrase "a | b \\"c\\""')

    def test_one_that_is_not_needed(self, session, upload):
        upload("web.key", WEB.key_pem)
        lines(session, "import pki key web.key passphrase geheim")

    def test_a_script_is_never_asked(self, device, session):
        script = Session(device, Login("admin", "ssh", batch=True))
        assert "nobody can be asked here" in refused(script, "import pki key web.key")
        assert script.run("import pki key web.key").ask == ""
        lines(script, "import pki key web.key passphrase geheim")

    def test_pkcs12(self, session, device, upload):
        upload("b.p12", WEB.pkcs12("pw"))
        assert session.run("import pki pkcs12 b.p12").ask == "Passphrase: "
        assert session.answer("PW").ask == "Passphrase: "
        assert session.answer("pw").ok
        assert device.imports.files.names() == ["b.crt", "b.key"]

    def test_a_bug_does_not_log_it(self, session, device, caplog, monkeypatch):
        monkeypatch.setattr(device, "refresh", lambda: 1 / 0)
        with caplog.at_level(logging.DEBUG):
            assert not session.run("import pki key web.key passphrase geheim").ok
            device.files.write("web.key", WEB.encrypted("geheim"))
            session.run("import pki key web.key")
            assert not session.answer("geheim").ok
        assert caplog.text.count("ZeroDivisionError") == 2
        assert "geheim" not in caplog.text

    def test_lines_that_may_hold_one(self):
        assert all(map(holds_secret, ("import pki key a passphrase x", "imp pki key a pas x", "import pki key a p x")))
        assert not any(map(holds_secret, ("import pki key a", "show pki files", "pki trust-domain a")))

    @pytest.mark.parametrize(
        ("line", "shown"),
        [
            ("import pki key a passphrase x y", "import pki key a passphrase ***"),
            ("import pki key a p geheim", "import pki key a p ***"),
            ("  i p k a PA geheim", "  i p ***"),
            ("import pki key a passp geheim", "import pki key a pass***"),
            ("import pki key a pasphrase geheim", "import pki key a pas***"),
            ("import pki key a p:geheim", "import pki key a p***"),
            ('import pki key a "p" geheim', 'import pki key a "p" ***'),
            ("passwordgeheim", "password***"),
            ("admin user a password x", "admin user a password ***"),
            ("import pki key a", "import pki key a"),
            ('slb server-pool "p"', 'slb server-pool "p"'),
            ("import pki key p", "import pki key p"),
        ],
    )
    def test_others_are_not_shown_it(self, line, shown):
        assert masked(line) == shown
        assert holds_secret(line) or line == shown

    @pytest.mark.parametrize("word", ["passphrase"[:n] for n in range(1, 11)])
    def test_nor_by_a_script_that_fails(self, device, word):
        for line in (f"import pki key no.key {word} geheim", f"s {word} geheim"):
            printed: list[str] = []
            assert run_batch(Session(device, Login("admin", "ssh", batch=True)), [line], printed.append) == 1
            assert printed[0].startswith("line 1: ")
            assert "geheim" not in "".join(printed)


class TestDelete:
    def test_one_that_is_used(self, serving):
        session = Session(serving)
        assert refused(session, "delete pki file web.key") == (
            '% Error: pki file "web.key": it is used by pki trust-domain "web" and cannot be deleted'
        )
        assert refused(session, "delete pki file no") == (
            '% Error: pki file "no": there is no such file, `show pki files` lists them'
        )
        configure(serving, "no slb virtual-server y\nno ssl-profile tls\nno pki trust-domain web")
        assert lines(session, "delete pki file web.key") == ['PKI file "web.key" is deleted']

    def test_one_that_a_commit_may_need_again(self, serving, clock):
        text = "no slb virtual-server y\nno ssl-profile tls\nno pki trust-domain web"
        serving.commit(edited(serving, text), ROOT, "trial", confirm_s=60)
        assert "it is used by" in refused(Session(serving), "delete pki file web.key")
        clock.wait(61)
        assert serving.materials["web"].problem is None


class TestShow:
    def test_all(self, serving):
        assert lines(Session(serving), "show ssl certificate") == [
            "Trust domain  Names                     Key       Valid until           Days left  Virtual servers  State",
            "---------------------------------------------------------------------------------------------------------",
            "web           www.example.com 10.0.0.1  EC P-256  2027-02-20T12:00:00Z         89  y                ok",
            "ca            -                         -         -                             -  y                -",
        ]

    def test_one(self, serving):
        shown = lines(Session(serving), "show ssl certificate web")
        certificate = serving.materials["web"].certificate
        assert shown == [
            'pki trust-domain "web"',
            "  Subject          CN=www.example.com",
            "  Names            www.example.com 10.0.0.1",
            "  Issuer           CN=Test CA",
            f"  Serial number    {certificate.serial}",
            "  Key              EC P-256",
            f"  SHA-256          {certificate.fingerprint}",
            "  Valid from       2026-11-22T12:00:00Z",
            "  Valid until      2027-02-20T12:00:00Z",
            "  Days left        89",
            "  State            ok",
            "  Virtual servers  y",
        ]
        assert "  Authority        CN=Test CA" in lines(Session(serving), "show ssl certificate ca")

    def test_states(self, serving, clock):
        session = Session(serving)
        for days, state, left in ((0, "ok", 89), (70, "expires soon", 19), (90, "expired", 0), (-2, "not yet valid", 91)):
            clock.seconds = days * 86400
            (row, _) = data(session, "show ssl certificate")["certificates"]
            assert (row["state"], row["days_left"], row["problem"]) == (state, left, None)

    def test_a_problem(self, serving):
        (serving.imports.files.folder / "web.key").chmod(0o644)
        serving.repair()
        why = "web.key: others than its owner can read this key, `chmod 600` it (its mode is 644)"
        why += "; what was there before is in force"
        assert lines(Session(serving), "show ssl certificate")[2].endswith(f"  {why}")
        (row,) = data(Session(serving), "show ssl certificate web")["certificates"]
        assert (row["state"], row["problem"], row["subject"]) == ("problem", why, "CN=www.example.com")
        assert f"  Problem          {why}" in lines(Session(serving), "show ssl certificate web")

    def test_one_that_was_never_right(self, device):
        configure(device, "pki trust-domain x\n  certificate file no.crt\n  key file no.key\nexit")
        (row,) = data(Session(device), "show ssl certificate")["certificates"]
        assert (row["state"], row["subject"], row["virtual_servers"]) == ("problem", None, [])
        assert row["problem"].startswith("no.crt: there is no such file")

    def test_one_that_is_not_there(self, device):
        assert refused(Session(device), "show ssl certificate x") == '% Error: pki trust-domain "x": there is no such object'

    def test_files(self, serving):
        rows = data(Session(serving), "show pki files")["pki_files"]
        assert [(r["name"], r["holds"], r["trust_domains"]) for r in rows] == [
            ("ca.crt", "1 certificate", ["ca"]),
            ("web.crt", "1 certificate", ["web"]),
            ("web.key", "key", ["web"]),
        ]
        assert all(r["size_bytes"] > 100 and re.fullmatch(r"20\d\d-.*Z", r["modified"]) for r in rows)

    def test_no_key_anywhere(self, serving):
        session = Session(serving)
        secret = WEB.key_pem.splitlines()[1][:40]
        for line in (
            "show ssl certificate",
            "show ssl certificate web",
            "show pki files",
            "show tech-support",
            "show running-config",
        ):
            for more in ("", " | json"):
                assert secret not in "\n".join(lines(session, line + more))
        assert secret not in repr(serving.materials) + repr(serving._running._inventory) + repr(serving.dataplane.intent)
