"""PEM and PKCS #12: what is right, whoever wrote it, and what is wrong, told in one line that names the file."""

from __future__ import annotations

import subprocess
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ed448, rsa

from hsadc.dataplane.pem import Encrypted, WrongPassphrase, describe, kind_of, load_key, read_pem, unusable
from hsadc.dataplane.pkcs12 import read_pkcs12
from hsadc.errors import ConfigError
from tests import pki

CA = pki.authority()
INTERMEDIATE = CA.issue("Intermediate", authority=True)
START = datetime(2026, 11, 1, 12, tzinfo=UTC)
WEB = INTERMEDIATE.issue("www.example.com", "*.example.com", "10.0.0.1", "2001:db8::1", kind="rsa", start=START, days=90)


def read(text):
    return read_pem("web.pem", text if isinstance(text, bytes) else text.encode())


def wrong(action, *arguments):
    with pytest.raises(ConfigError) as caught:
        action(*arguments)
    assert str(caught.value).startswith(("web.pem: ", "web.p12: "))
    assert "\n" not in str(caught.value)
    return caught.value.why


def openssl(*arguments, given=b""):
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


class TestReading:
    def test_certificates_and_keys_in_their_order(self):
        pem = read(f"subject=/CN=x\n{WEB.key_pem}# a note\r\n{WEB.chain}")
        assert pem.certificates == (WEB.certificate, INTERMEDIATE.certificate)
        assert [load_key("web.pem", key).kind for key in pem.keys] == ["RSA 2048"]

    def test_what_other_programs_put_around_it_does_not_matter(self):
        text = "\ufeffBag Attributes\n  friendlyName: x\n" + WEB.pem.replace("\n", "\r\n  ")
        assert read(text).certificates == (WEB.certificate,)

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "it is empty"),
            ("\n \n", "it is empty"),
            ("hello", "it is not PEM, which has a line `-----BEGIN CERTIFICATE-----` or the like"),
            (WEB.pem[: len(WEB.pem) // 2], "it is cut off: `-----END CERTIFICATE-----` is missing"),
            (WEB.pem.replace("END", "BEGIN"), "it is damaged at the line `-----BEGIN CERTIFICATE-----`"),
            (WEB.pem.replace("END CERTIFICATE", "END PRIVATE KEY"), "it is damaged at the line `-----END PRIVATE KEY-----`"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
                "it has a key of SSH, which is not",
            ),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "its certificate number 1 is damaged: "),
            (WEB.pem + "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "its certificate number 2 is damaged: "),
        ],
    )
    def test_what_is_wrong(self, text, why):
        assert wrong(read, text).startswith(why)

    def test_der(self):
        assert wrong(read, b64decode("".join(WEB.pem.splitlines()[1:-1]))).startswith("it is not PEM but DER: ")

    def test_every_cut_of_a_file_is_refused_or_holds_nothing_false(self):
        text = WEB.chain + WEB.key_pem
        for length in range(0, len(text), 61):
            try:
                pem = read(text[:length])
            except ConfigError:
                continue
            assert pem.certificates == (WEB.certificate, INTERMEDIATE.certificate)[: len(pem.certificates)]

    @pytest.mark.parametrize("at", range(40, 1000, 97))
    def test_a_byte_that_is_another_is_never_a_bug(self, at):
        der = bytearray(b64decode("".join(WEB.pem.splitlines()[1:-1])))
        der[at % len(der)] ^= 0x55
        text = f"-----BEGIN CERTIFICATE-----\n{b64encode(der).decode()}\n-----END CERTIFICATE-----\n"
        with suppress(ConfigError):
            read(text)


class TestCertificate:
    def test_what_is_told(self):
        told = describe(WEB.certificate)
        assert (told.subject, told.issuer, told.key) == ("CN=www.example.com", "CN=Intermediate", "RSA 2048")
        assert told.names == ("www.example.com", "*.example.com", "10.0.0.1", "2001:db8::1")
        assert (told.not_before, told.not_after) == (START, datetime(2027, 1, 30, 12, tzinfo=UTC))
        shown = openssl("x509", "-noout", "-serial", "-fingerprint", "-sha256", given=WEB.pem.encode()).decode().lower()
        serial, fingerprint = (line.partition("=")[2].replace(":", "") for line in shown.splitlines())
        assert (int(told.serial, 16), told.fingerprint) == (int(serial, 16), fingerprint)

    def test_without_alternative_names_the_common_name_counts(self):
        assert describe(CA.certificate).names == ("Test CA",)

    def test_nothing_in_it_drives_a_terminal(self):
        evil = pki.authority("a\x1b[2Jb\n% Error")
        assert describe(evil.certificate).subject == "CN=a?[2Jb?% Error"
        assert describe(evil.certificate).names == ("a?[2Jb?% Error",)


class TestKey:
    @pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
    @pytest.mark.parametrize("made", ["key_pem", "encrypted", "traditional", "traditional encrypted"])
    def test_openssl_reads_the_same_key(self, kind, made):
        pair = pki.self_signed("x", kind=kind)
        if made.startswith("traditional") and kind == "ed25519":
            return  # there was no such form any more
        secret = "geheim ü" if "encrypted" in made else None
        text = {"key_pem": pair.key_pem, "encrypted": pair.encrypted("geheim ü")}.get(made) or pair.traditional(secret)
        (block,) = read(text).keys
        assert block.encrypted == (secret is not None)
        key = load_key("web.pem", block, secret)
        assert b"ENCRYPTED" not in key.pem
        assert openssl("pkey", "-pubout", "-outform", "DER", given=key.pem) == key.public
        assert key.public == openssl("pkey", "-pubout", "-outform", "DER", given=pair.key_pem.encode())
        assert b"\n\n" not in key.pem

    def test_a_passphrase_for_a_key_that_needs_none_is_passed_over(self):
        (block,) = read(WEB.key_pem).keys
        assert load_key("web.pem", block, "x") == load_key("web.pem", block)

    @pytest.mark.parametrize("text", [WEB.encrypted("right"), WEB.traditional("right")])
    def test_the_wrong_passphrase(self, text):
        (block,) = read(text).keys
        with pytest.raises(Encrypted, match="its key is encrypted: `import pki key` asks for its passphrase"):
            load_key("web.pem", block)
        for passphrase in ("wrong", "", "right ", "x" * 5000, "\ud800"):
            with pytest.raises(WrongPassphrase, match="its key cannot be decrypted with this passphrase"):
                load_key("web.pem", block, passphrase)

    def test_a_damaged_key(self):
        (block,) = read("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").keys
        assert wrong(load_key, "web.pem", block).startswith("its key is damaged: ")

    def test_an_rsa_key_that_does_not_work_is_found_where_somebody_looks(self):
        n = WEB.key.private_numbers()
        odd = rsa.RSAPrivateNumbers(n.p, n.q, n.d + 2, n.dmp1, n.dmq1, n.iqmp, n.public_numbers)
        text = replace(WEB, key=odd.private_key(unsafe_skip_rsa_key_validation=True)).traditional()
        (block,) = read(text).keys
        load_key("web.pem", block)
        assert wrong(lambda: load_key("web.pem", block, thorough=True)).startswith("its key is damaged: ")

    def test_no_text_of_a_key_shows_it(self):
        (block,) = read(WEB.key_pem).keys
        secret = WEB.key_pem.splitlines()[5]
        for thing in (block, load_key("web.pem", block), read(WEB.key_pem)):
            assert secret not in repr(thing)

    def test_kinds_that_openssl_serves(self):
        for kind in ("ec", "rsa", "ed25519"):
            assert unusable(kind_of(pki.make_key(kind).public_key())) is None
        assert unusable(kind_of(ed448.Ed448PrivateKey.generate().public_key())) is None
        assert unusable("EC P-384") is unusable("EC P-521") is None

    @pytest.mark.parametrize(
        ("key", "why"),
        [
            (pki.make_key("rsa1024"), "its key has 1024 bits, RSA needs 2048 at least"),
            (pki.make_key("secp256k1"), "no TLS is spoken with a key of kind EC secp256k1, use RSA 2048 or EC P-256"),
            (dsa.generate_private_key(1024), "no TLS is spoken with a key of kind DSA 1024, use RSA 2048 or EC P-256"),
        ],
        ids=["short", "curve", "DSA"],
    )
    def test_kinds_that_it_does_not(self, key, why):
        assert unusable(kind_of(key.public_key())) == why


class TestPkcs12:
    def test_a_chain_is_put_in_order(self):
        bundle = read_pkcs12("web.p12", WEB.pkcs12("pw"), "pw")
        assert bundle.chain == (WEB.certificate, INTERMEDIATE.certificate, CA.certificate)
        assert all(a.issuer == b.subject for a, b in pairwise(bundle.chain))
        assert bundle.key == load_key("web.pem", read(WEB.key_pem).keys[0])

    def test_one_that_openssl_wrote(self, tmp_path):
        for name, text in (("k", WEB.key_pem), ("c", WEB.pem), ("i", CA.pem + INTERMEDIATE.pem)):
            (tmp_path / name).write_text(text)
        files = ("-inkey", str(tmp_path / "k"), "-in", str(tmp_path / "c"), "-certfile", str(tmp_path / "i"))
        data = openssl("pkcs12", "-export", *files, "-passout", "pass:pw")
        assert read_pkcs12("web.p12", data, "pw") == read_pkcs12("web.p12", WEB.pkcs12("pw"), "pw")
        empty = openssl("pkcs12", "-export", *files, "-passout", "pass:")
        assert read_pkcs12("web.p12", empty) == read_pkcs12("web.p12", WEB.pkcs12())

    def test_passphrases(self):
        with pytest.raises(Encrypted):
            read_pkcs12("web.p12", WEB.pkcs12("pw"))
        for passphrase in ("", "PW"):
            with pytest.raises(WrongPassphrase):
                read_pkcs12("web.p12", WEB.pkcs12("pw"), passphrase)

    def test_what_is_none(self, tmp_path):
        assert wrong(read_pkcs12, "web.p12", WEB.pem.encode()) == "it is not PKCS #12"
        assert wrong(read_pkcs12, "web.p12", b"") == "it is not PKCS #12"
        assert wrong(read_pkcs12, "web.p12", WEB.pkcs12("pw")[:-9], "pw") == "it cannot be decrypted with this passphrase"
        (tmp_path / "c").write_text(WEB.pem)
        without_key = openssl("pkcs12", "-export", "-nokeys", "-in", str(tmp_path / "c"), "-passout", "pass:pw")
        assert wrong(read_pkcs12, "web.p12", without_key, "pw") == "there is no private key in it"
