"""Imports: what goes in is checked, lies where nobody else reads it, and is there whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hsadc.config import store
from hsadc.config.files import Files
from hsadc.config.pki import Imports
from hsadc.dataplane.pem import SIZE_LIMIT_BYTES, Encrypted, WrongPassphrase
from hsadc.errors import ApplyError, ConfigError, DanglingReference
from hsadc.model.config import Config
from hsadc.model.trust_domain import TrustDomain
from tests import pki

CA = pki.authority()
INTERMEDIATE = CA.issue("Intermediate", authority=True)
WEB = INTERMEDIATE.issue("www.example.com")
OTHER = CA.issue("other.example.com", kind="rsa")


class Bench:
    """The operators' files and the imported ones."""

    def __init__(self, folder: Path) -> None:
        self.uploads = Files(folder / "files")
        self.imports = Imports(self.uploads, folder / "pki")
        self.uploads.prepare()

    def upload(self, name: str, data: str | bytes) -> str:
        (self.uploads.folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return name

    def imported(self, name: str) -> str:
        return (self.imports.files.folder / name).read_text()

    def wrong(self, kind: str, data: str | bytes, *more: str) -> str:
        """What is said of it; then nothing has changed."""
        self.upload("x.pem", data)
        with pytest.raises(ConfigError) as caught:
            getattr(self.imports, kind)("x.pem", *more)
        assert self.imports.files.names() == []
        assert self.uploads.names() == ["x.pem"]
        assert caught.value.path == "x.pem"
        return caught.value.why


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


class TestRight:
    def test_a_certificate_with_its_issuers(self, bench):
        certificate = bench.imports.certificate(bench.upload("web.crt", f"a note\n\n{WEB.chain}"))
        assert certificate.subject == "CN=www.example.com"
        assert bench.imported("web.crt") == WEB.chain
        assert bench.uploads.names() == ["web.crt"]

    def test_a_certificate_with_its_key(self, bench):
        bench.imports.certificate(bench.upload("both.pem", WEB.key_pem + WEB.chain))
        assert bench.imported("both.pem") == WEB.chain + WEB.key_pem
        assert bench.uploads.names() == []

    @pytest.mark.parametrize("text", [WEB.key_pem, WEB.pem + WEB.key_pem], ids=["alone", "with its certificate"])
    def test_a_key(self, bench, text):
        assert bench.imports.key(bench.upload("web.key", text)).kind == "EC P-256"
        assert bench.imported("web.key") == WEB.key_pem
        assert bench.uploads.names() == []

    def test_an_encrypted_key_is_kept_decrypted(self, bench):
        bench.upload("web.key", WEB.encrypted("geheim"))
        with pytest.raises(Encrypted):
            bench.imports.key("web.key")
        with pytest.raises(WrongPassphrase):
            bench.imports.key("web.key", "Geheim")
        assert (bench.imports.files.names(), bench.uploads.names()) == ([], ["web.key"])
        bench.imports.key("web.key", "geheim")
        assert bench.imported("web.key") == WEB.key_pem

    def test_authorities(self, bench):
        told = bench.imports.authorities(bench.upload("ca.crt", CA.pem + INTERMEDIATE.pem))
        assert [c.subject for c in told] == ["CN=Test CA", "CN=Intermediate"]
        assert bench.imported("ca.crt") == CA.pem + INTERMEDIATE.pem

    def test_pkcs12(self, bench):
        made = bench.imports.pkcs12(bench.upload("my.web.p12", WEB.pkcs12("pw")), "pw")
        assert (made.certificate_file, made.key_file) == ("my.web.crt", "my.web.key")
        assert bench.imported("my.web.crt") == WEB.pem + INTERMEDIATE.pem + CA.pem
        assert bench.imported("my.web.key") == WEB.key_pem
        assert bench.uploads.names() == []

    def test_nobody_else_can_read_it_whatever_the_umask(self, bench):
        before = os.umask(0)
        try:
            bench.imports.key(bench.upload("web.key", WEB.key_pem))
        finally:
            os.umask(before)
        assert stat.S_IMODE(bench.imports.files.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((bench.imports.files.folder / "web.key").stat().st_mode) == 0o600

    def test_it_takes_the_place_of_another(self, bench):
        for pair in (WEB, OTHER):
            bench.imports.key(bench.upload("web.key", pair.key_pem))
        assert bench.imported("web.key") == OTHER.key_pem

    def test_what_the_files_hold(self, bench):
        bench.imports.certificate(bench.upload("both.pem", WEB.key_pem + WEB.chain))
        bench.imports.certificate(bench.upload("web.crt", WEB.pem))
        bench.imports.key(bench.upload("web.key", WEB.key_pem))
        (bench.imports.files.folder / "broken").write_text("-----BEGIN X-----\n-----END X-----\n")
        (bench.imports.files.folder / "empty").write_text("")
        assert {h.name: h.holds for h in bench.imports.holdings()} == {
            "both.pem": "2 certificates, key",
            "broken": "nothing",
            "empty": "it is empty",
            "web.crt": "1 certificate",
            "web.key": "key",
        }


class TestWrong:
    @pytest.mark.parametrize(
        ("kind", "data", "why"),
        [
            ("certificate", WEB.key_pem, "there is no certificate in it"),
            ("certificate", "", "it is empty"),
            ("certificate", WEB.pem[:300], "it is cut off: `-----END CERTIFICATE-----` is missing"),
            ("certificate", WEB.pem + OTHER.key_pem, "its key does not belong to the certificate in it"),
            ("certificate", CA.pem + WEB.pem + WEB.key_pem, "the certificate of the key is number 2 in it and must be the first"),
            ("certificate", WEB.pem + WEB.encrypted("x"), "its key is encrypted: `import pki key` asks for its passphrase"),
            ("certificate", CA.issue("x", kind="rsa1024").pem, "its key has 1024 bits, RSA needs 2048 at least"),
            ("certificate", b" " * (SIZE_LIMIT_BYTES + 1), "it has 1048577 bytes, at most 1048576 are possible"),
            ("key", WEB.pem, "there is no private key in it"),
            ("key", WEB.key_pem + OTHER.key_pem, "it has 2 private keys, one is wanted"),
            (
                "key",
                CA.issue("x", kind="secp256k1").key_pem,
                "no TLS is spoken with a key of kind EC secp256k1, use RSA 2048 or EC P-256",
            ),
            ("authorities", WEB.key_pem, "there is no certificate in it"),
            ("pkcs12", WEB.pem, "it is not PKCS #12"),
            ("pkcs12", CA.issue("x", kind="rsa1024").pkcs12(), "its key has 1024 bits, RSA needs 2048 at least"),
        ],
    )
    def test_contents(self, bench, kind, data, why):
        assert bench.wrong(kind, data) == why

    @pytest.mark.parametrize("kind", ["certificate", "key", "authorities", "pkcs12"])
    def test_what_is_not_there(self, bench, kind):
        for name in ("no", "../pki/web.key", "", ".", "/etc/passwd"):
            with pytest.raises(DanglingReference, match="there is no such file, `show files` lists them"):
                getattr(bench.imports, kind)(name)

    def test_a_name_that_becomes_too_long(self, bench):
        name = "x" * 62
        bench.upload(name, WEB.pkcs12())
        with pytest.raises(ConfigError, match="a file's name has 1 to 63 printable characters"):
            bench.imports.pkcs12(name)

    @pytest.mark.parametrize("at", ["write", "fsync", "replace", "folder"])
    def test_the_disk_refuses(self, bench, at, monkeypatch):
        bench.imports.key(bench.upload("web.key", OTHER.key_pem))
        bench.upload("web.key", WEB.key_pem)

        def refuse(*_, **__):
            raise OSError(28, "No space left on device")

        target = {
            "write": (os, "fdopen"),
            "fsync": (os, "fsync"),
            "replace": (Path, "replace"),
            "folder": (store, "flush_folder"),
        }
        monkeypatch.setattr(*target[at], refuse)
        with pytest.raises(ApplyError, match="No space left on device"):
            bench.imports.key("web.key")
        monkeypatch.undo()
        assert bench.imported("web.key") == (WEB if at == "folder" else OTHER).key_pem
        assert bench.uploads.names() == ["web.key"], "it can be tried again"
        assert [f.name for f in bench.imports.files.folder.iterdir()] == ["web.key"]

    @pytest.mark.parametrize("at", ["fdopen", "fsync"])
    def test_the_disk_is_full_between_the_two_files_of_a_pair(self, bench, at, monkeypatch):
        bench.imports.pkcs12(bench.upload("web.p12", OTHER.pkcs12()))
        bench.upload("web.p12", WEB.pkcs12())
        real, calls = getattr(os, at), []

        def refuse_the_second(*a, **k):
            calls.append(a)
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
            return real(*a, **k)

        monkeypatch.setattr(os, at, refuse_the_second)
        with pytest.raises(ApplyError, match="No space left on device"):
            bench.imports.pkcs12("web.p12")
        monkeypatch.undo()
        assert bench.imported("web.key") == OTHER.key_pem
        assert bench.imported("web.crt").startswith(OTHER.pem)
        assert bench.uploads.names() == ["web.p12"], "it can be tried again"
        assert sorted(f.name for f in bench.imports.files.folder.iterdir()) == ["web.crt", "web.key"]


class TestNothingTakesThePlaceOfAKey:
    WHY = (
        'pki file "{}": it holds a private key, and the new one has none: '
        "import it under another name, or certificate and key in one file, or `delete pki file` first"
    )

    @pytest.mark.parametrize("kind", ["certificate", "authorities"])
    @pytest.mark.parametrize("damage", ["", "cut off"])
    def test_without_one(self, bench, kind, damage):
        bench.imports.certificate(bench.upload("www.pem", WEB.chain + WEB.key_pem))
        kept = (WEB.chain + WEB.key_pem)[: -5 if damage else None]
        (bench.imports.files.folder / "www.pem").write_text(kept)
        bench.upload("www.pem", WEB.chain)
        with pytest.raises(ConfigError) as caught:
            getattr(bench.imports, kind)("www.pem")
        assert str(caught.value) == self.WHY.format("www.pem")
        assert bench.imported("www.pem") == kept
        bench.imports.delete("www.pem", ())
        getattr(bench.imports, kind)("www.pem")
        assert bench.imported("www.pem") == WEB.chain

    def test_of_a_bundle(self, bench):
        bench.imports.certificate(bench.upload("www.crt", WEB.chain + WEB.key_pem))
        bench.upload("www.p12", OTHER.pkcs12())
        with pytest.raises(ConfigError) as caught:
            bench.imports.pkcs12("www.p12")
        assert str(caught.value) == self.WHY.format("www.crt")
        assert bench.imports.files.names() == ["www.crt"]
        assert bench.uploads.names() == ["www.p12"]

    def test_another_key_does(self, bench):
        for pair in (WEB, OTHER):
            bench.imports.certificate(bench.upload("www.pem", pair.chain + pair.key_pem))
        bench.imports.key(bench.upload("www.pem", WEB.key_pem))
        assert bench.imported("www.pem") == WEB.key_pem
        for pair in (WEB, OTHER):
            bench.imports.pkcs12(bench.upload("www.p12", pair.pkcs12()))
        assert bench.imported("www.key") == OTHER.key_pem

    def test_certificates_do_of_certificates(self, bench):
        for pair in (WEB, OTHER):
            bench.imports.certificate(bench.upload("www.crt", pair.pem))
        assert bench.imported("www.crt") == OTHER.pem


class TestDelete:
    def test_one_that_is_used_is_kept(self, bench):
        bench.imports.key(bench.upload("web.key", WEB.key_pem))
        used = Config(trust_domain={"x": TrustDomain("x", key="web.key")})
        with pytest.raises(DanglingReference) as caught:
            bench.imports.delete("web.key", (Config(), used))
        assert str(caught.value) == 'pki file "web.key": it is used by pki trust-domain "x" and cannot be deleted'
        bench.imports.delete("web.key", (Config(),))
        assert bench.imports.files.names() == []
        with pytest.raises(DanglingReference, match="there is no such file, `show pki files` lists them"):
            bench.imports.delete("web.key", ())

    @pytest.mark.parametrize("name", ["../files/web.key", "/etc/passwd", ".", ""])
    def test_nothing_outside_is_deleted(self, bench, name):
        bench.upload("web.key", WEB.key_pem)
        with pytest.raises(DanglingReference):
            bench.imports.delete(name, ())
        assert bench.uploads.names() == ["web.key"]


KILLED = """
import os, sys
from pathlib import Path
from hsadc.config.files import Files
from hsadc.config.pki import Imports
folder, step = Path(sys.argv[1]), int(sys.argv[2])
real, count = {}, [0]
def counted(name, call):
    def inner(*a, **k):
        if count[0] == step:
            os.kill(os.getpid(), 9)
        count[0] += 1
        return call(*a, **k)
    return inner
os.fsync = counted("fsync", os.fsync)
Path.replace = counted("replace", Path.replace)
Path.unlink = counted("unlink", Path.unlink)
os.open = counted("open", os.open)
imports = Imports(Files(folder / "files"), folder / "pki")
getattr(imports, sys.argv[3])(sys.argv[4])
print("done")
"""


def killed(folder: Path, step: int, *what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", KILLED, str(folder), str(step), *what], capture_output=True, text=True)


def test_killed_at_any_step_it_is_the_old_key_or_the_new_one(bench, tmp_path):
    bench.imports.key(bench.upload("web.key", OTHER.key_pem))
    seen = []
    for step in range(100):
        bench.upload("web.key", WEB.key_pem)
        done = killed(tmp_path, step, "key", "web.key")
        seen.append("new" if bench.imported("web.key") == WEB.key_pem else "old")
        assert bench.imported("web.key") in (WEB.key_pem, OTHER.key_pem)
        assert (bench.uploads.names() == ["web.key"]) or seen[-1] == "new", "the upload goes last"
        bench.imports.files.prepare()
        assert bench.imports.files.names() == ["web.key"] == [f.name for f in bench.imports.files.folder.iterdir()]
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        bench.imports.files.write("web.key", OTHER.key_pem)
    assert done.stdout == "done\n"
    assert {"old", "new"} <= set(seen[:-1])


def test_killed_at_any_step_but_between_two_renames_a_pair_is_whole(bench, tmp_path):
    seen = []
    for step in range(100):
        bench.imports.pkcs12(bench.upload("web.p12", OTHER.pkcs12()))
        bench.upload("web.p12", WEB.pkcs12())
        done = killed(tmp_path, step, "pkcs12", "web.p12")
        seen.append((bench.imported("web.crt").startswith(WEB.pem), bench.imported("web.key") == WEB.key_pem))
        assert bench.uploads.names() == ["web.p12"] or seen[-1] == (True, True), "the upload goes last"
        bench.imports.files.prepare()
        assert [f.name for f in bench.imports.files.list()] == ["web.crt", "web.key"]
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert done.stdout == "done\n"
    assert seen == sorted(seen), "the certificate first: the old key is lost last"
    assert seen.count((True, False)) == 1
