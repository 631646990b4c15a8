"""Trust domains' files: what they make together, what is wrong with them, and how seldom they are read."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from hsadc.dataplane import pki as module
from hsadc.dataplane.pem import SIZE_LIMIT_BYTES
from hsadc.dataplane.pki import PkiReader
from hsadc.model.trust_domain import TrustDomain
from tests import pki

CA = pki.authority()
INTERMEDIATE = CA.issue("Intermediate", authority=True)
WEB = INTERMEDIATE.issue("www.example.com")
RSA_AUTHORITY = pki.authority("RSA", kind="rsa")
OTHER = INTERMEDIATE.issue("other.example.com", kind="rsa")
PAIR = {"certificate": "web.crt", "key": "web.key"}


class Folder:
    """The imported files, and what a trust domain makes of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reader = PkiReader(path)
        self.write("web.crt", WEB.chain)
        self.write("web.key", WEB.key_pem)
        self.write("ca.crt", CA.pem)

    def write(self, name: str, text: str | bytes, mode: int = 0o600) -> Path:
        file = self.path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        file.chmod(mode)
        return file

    def settle(self) -> None:
        """What was written long ago."""
        for file in self.path.iterdir():
            status = file.stat()
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns - 10**10))

    def material(self, **files: str):
        return self.reader.materials([TrustDomain("x", **files)])["x"]

    def problem(self, **files: str) -> str | None:
        material = self.material(**files)
        assert material.problem is None or "\n" not in material.problem
        return material.problem


def sign(folder: Path, authority: pki.Pair, digest: str, name: str) -> str:
    """A certificate that OpenSSL signs with this digest."""
    for file, text in (("ca", authority.pem), ("cakey", authority.key_pem), ("key", WEB.key_pem)):
        (folder / file).write_text(text)
    request = subprocess.run(
        ["openssl", "req", "-new", "-key", "key", "-subj", f"/CN={name}"], cwd=folder, capture_output=True, check=True
    ).stdout
    command = ["openssl", "x509", "-req", "-CA", "ca", "-CAkey", "cakey", "-set_serial", "5", "-days", "9", f"-{digest}"]
    return subprocess.run(command, input=request, cwd=folder, capture_output=True, check=True).stdout.decode()


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


class TestRight:
    def test_certificate_issuers_and_key_are_one_identity(self, folder):
        material = folder.material(**PAIR, ca_certificate="ca.crt")
        assert material.identity.decode() == WEB.chain + WEB.key_pem
        assert material.authorities.decode() == CA.pem
        assert (material.certificate.subject, material.authority.subject) == ("CN=www.example.com", "CN=Test CA")
        assert material.problem is None

    def test_one_file_with_both(self, folder):
        folder.write("both.pem", WEB.key_pem + WEB.chain)
        assert folder.material(certificate="both.pem").identity.decode() == WEB.chain + WEB.key_pem
        assert folder.material(certificate="both.pem", key="web.key").identity.decode() == WEB.chain + WEB.key_pem

    def test_an_absolute_path(self, folder, tmp_path):
        files = {name: str(tmp_path / file) for name, file in PAIR.items()}
        assert folder.material(**files).identity == folder.material(**PAIR).identity != b""

    def test_a_link_as_certbot_makes_it(self, folder, tmp_path):
        (tmp_path / "live.crt").symlink_to("web.crt")
        assert folder.problem(certificate="live.crt", key="web.key") is None

    def test_authorities_alone(self, folder):
        material = folder.material(ca_certificate="ca.crt")
        assert (material.certificate, material.identity, material.problem) == (None, b"", None)

    def test_nothing_at_all(self, folder):
        assert folder.material() == module.Material()

    def test_issuers_may_be_missing_or_out_of_order(self, folder):
        for chain in (WEB.pem, WEB.pem + CA.pem + INTERMEDIATE.pem, WEB.pem + OTHER.pem):
            folder.write("web.crt", chain)
            assert folder.material(**PAIR).identity.decode() == chain + WEB.key_pem

    def test_no_text_of_it_shows_the_key(self, folder):
        material = folder.material(**PAIR)
        assert WEB.key_pem.splitlines()[1] not in repr(material) + str(material)


class TestWrong:
    @pytest.mark.parametrize(
        ("files", "problem"),
        [
            ({**PAIR, "certificate": "no.crt"}, "no.crt: there is no such file, `show pki files` lists those that were imported"),
            ({**PAIR, "certificate": "/no/x.crt"}, "/no/x.crt: there is no such file"),
            ({**PAIR, "key": "no.key"}, "no.key: there is no such file, `show pki files` lists those that were imported"),
            ({**PAIR, "certificate": "a/b"}, "a/b: name an imported file, or an absolute path"),
            ({**PAIR, "certificate": "../pki/web.crt"}, "../pki/web.crt: name an imported file, or an absolute path"),
            ({**PAIR, "certificate": ".."}, "..: it cannot be read: Is a directory"),
            ({**PAIR, "certificate": "/dev/zero"}, "/dev/zero: it is no plain file"),
            ({**PAIR, "certificate": "/"}, "/: it cannot be read: Is a directory"),
            ({**PAIR, "certificate": "a\0b"}, "a\0b: it cannot be read: embedded null byte"),
            ({**PAIR, "certificate": "x" * 300}, "x" * 300 + ": it cannot be read: File name too long"),
            ({**PAIR, "certificate": "web.key"}, "web.key: there is no certificate in it"),
            ({**PAIR, "key": "web.crt"}, "web.crt: there is no private key in it"),
            ({"certificate": "web.crt"}, "web.crt: there is no private key in it, and the trust-domain has no `key file`"),
            ({"key": "web.key"}, "web.key: this key has no certificate: the trust-domain has no `certificate file`"),
            ({"ca_certificate": "web.key"}, "web.key: there is no certificate in it"),
            ({"ca_certificate": "no.crt"}, "no.crt: there is no such file, `show pki files` lists those that were imported"),
        ],
    )
    def test_names(self, folder, files, problem):
        assert folder.problem(**files) == problem

    @pytest.mark.parametrize(
        ("name", "text", "problem"),
        [
            ("web.key", OTHER.key_pem, "web.key: its key does not belong to the certificate in web.crt"),
            ("web.key", WEB.encrypted("x"), "web.key: its key is encrypted: `import pki key` asks for its passphrase"),
            ("web.key", WEB.traditional("x"), "web.key: its key is encrypted: `import pki key` asks for its passphrase"),
            ("web.key", WEB.key_pem + OTHER.key_pem, "web.key: it has 2 private keys, one is wanted"),
            ("web.key", "", "web.key: it is empty"),
            (
                "web.crt",
                INTERMEDIATE.pem + WEB.pem,
                "web.crt: the certificate of the key is number 2 in it and must be the first",
            ),
            ("web.crt", OTHER.chain, "web.key: its key does not belong to the certificate in web.crt"),
            ("web.crt", WEB.pem + OTHER.key_pem, None),
            ("web.crt", b" " * (SIZE_LIMIT_BYTES + 1), "web.crt: it has 1048577 bytes, at most 1048576 are possible"),
        ],
    )
    def test_contents(self, folder, name, text, problem):
        folder.write(name, text)
        assert folder.problem(**PAIR) == problem

    def test_a_key_of_another_certificate_in_one_file(self, folder):
        folder.write("both.pem", WEB.pem + OTHER.key_pem)
        assert folder.problem(certificate="both.pem") == "both.pem: its key does not belong to the certificate in it"

    @pytest.mark.parametrize("kind", ["rsa1024", "secp256k1"])
    def test_a_key_that_nobody_can_use(self, folder, kind):
        pair = CA.issue("x", kind=kind)
        folder.write("web.crt", pair.pem)
        folder.write("web.key", pair.key_pem)
        assert folder.problem(**PAIR).startswith("web.key: ")

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
    def test_a_key_that_others_can_read(self, folder, mode):
        folder.write("web.key", WEB.key_pem, mode)
        assert folder.problem(**PAIR) == (
            f"web.key: others than its owner can read this key, `chmod 600` it (its mode is {mode:o})"
        )
        folder.write("both.pem", WEB.key_pem + WEB.pem, mode)
        assert folder.problem(certificate="both.pem").startswith("both.pem: others than its owner can read this key")

    def test_a_certificate_may_be_read_by_all(self, folder):
        folder.write("web.crt", WEB.chain, 0o644)
        assert folder.problem(**PAIR) is None

    @pytest.mark.parametrize("digest", ["sha1", "md5"])
    def test_a_broken_digest(self, folder, digest):
        """Made by OpenSSL, as cryptography refuses to."""
        weak, between = (sign(folder.path, RSA_AUTHORITY, digest, subject) for subject in ("leaf", "between"))
        why = f"cannot be used: it is signed with {digest.upper()}, which is broken"
        folder.write("web.crt", weak)
        assert folder.problem(**PAIR) == f"web.crt: its certificate number 1 {why}"
        folder.write("web.crt", WEB.pem + between)
        assert folder.problem(**PAIR) == f"web.crt: its certificate number 2 {why}"
        assert folder.problem(ca_certificate="web.crt") is None

    def test_an_issuer_with_a_short_key(self, folder):
        folder.write("web.crt", WEB.pem + CA.issue("short", authority=True, kind="rsa1024").pem)
        why = "web.crt: its certificate number 2 cannot be used: its key has 1024 bits, RSA needs 2048 at least"
        assert folder.problem(**PAIR) == why

    def test_a_pipe_without_a_writer_does_not_hold_it_up(self, folder, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        assert folder.problem(certificate="pipe", key="web.key") == "pipe: it is no plain file"

    def test_what_is_right_is_told_all_the_same(self, folder):
        material = folder.material(certificate="web.crt", key="no.key", ca_certificate="ca.crt")
        assert (material.certificate.subject, material.identity) == ("CN=www.example.com", b"")
        assert material.authorities.decode() == CA.pem


class TestRepeated:
    @pytest.fixture
    def read(self, monkeypatch):
        """The names of what is read."""
        names = []
        real = module.read_file
        monkeypatch.setattr(module, "read_file", lambda name, path: (names.append(name), real(name, path))[1])
        return names

    def test_nothing_is_read_twice(self, folder, read, monkeypatch):
        monkeypatch.setattr(module, "_SETTLED_NS", -1)
        first = folder.material(**PAIR)
        assert (folder.material(**PAIR), read) == (first, ["web.crt", "web.key"])
        assert folder.material(**PAIR) is first

    def test_what_was_written_just_now_is_read_again(self, folder, read):
        folder.material(**PAIR)
        folder.material(**PAIR)
        assert read == ["web.crt", "web.key"] * 2

    def test_a_file_of_several_is_read_once(self, folder, read):
        domains = [TrustDomain(f"d{n}", None, "web.crt", "web.key", "ca.crt") for n in range(5)]
        materials = folder.reader.materials(domains)
        assert read == ["web.crt", "web.key", "ca.crt"]
        assert all(m is materials["d0"] for m in materials.values())

    @pytest.mark.parametrize("how", ["written", "renamed", "mode", "same size and time", "gone"])
    def test_a_change_is_seen(self, folder, how, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "_SETTLED_NS", -1)
        folder.settle()
        before = folder.material(**PAIR)
        file = tmp_path / "web.key"
        if how == "written":
            file.write_text(OTHER.key_pem)
        elif how == "renamed":
            folder.write("new", OTHER.key_pem).replace(file)
        elif how == "mode":
            file.chmod(0o644)
        elif how == "gone":
            file.unlink()
        else:
            status = file.stat()
            new = next(k for k in (pki.self_signed("x").key_pem for _ in range(99)) if len(k) == status.st_size)
            time.sleep(0.01)
            file.write_text(new)
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        after = folder.material(**PAIR)
        assert before.problem is None is not after.problem

    def test_what_no_trust_domain_uses_is_forgotten(self, folder, read):
        folder.settle()
        folder.material(**PAIR)
        folder.material(ca_certificate="ca.crt")
        assert list(folder.reader._contents) == ["ca.crt"]
        assert len(folder.reader._materials) == 1
