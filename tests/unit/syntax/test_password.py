from __future__ import annotations

import base64
import re

import pytest

from hsadc.syntax.password import hash_password, is_hash, verify_password

# RFC 7914, section 12, third vector: scrypt(P="pleaseletmein", S="SodiumChloride", N=16384, r=8, p=1, dkLen=64).
RFC_DIGEST = bytes.fromhex(
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
)


def phc(log_cost: int, salt: bytes, digest: bytes, block_size: int = 8, parallelization: int = 1) -> str:
    encoded = [base64.b64encode(part).decode().rstrip("=") for part in (salt, digest)]
    return f"$scrypt$ln={log_cost},r={block_size},p={parallelization}${encoded[0]}${encoded[1]}"


def test_the_vector_of_the_rfc_verifies():
    hashed = phc(14, b"SodiumChloride", RFC_DIGEST)
    assert verify_password(hashed, "pleaseletmein")
    assert not verify_password(hashed, "pleaseletmeout")


def test_a_hash_of_passlib_verifies():
    hashed = "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
    assert verify_password(hashed, "password")
    assert not verify_password(hashed, "Password")


def test_the_text_form():
    hashed = hash_password("correct horse")
    assert re.fullmatch(r"\$scrypt\$ln=14,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", hashed)
    assert is_hash(hashed)
    assert "horse" not in hashed


@pytest.mark.parametrize("password", ["hsadc", "", "密码", "a\0b", "x" * 1000])
def test_only_the_password_itself_verifies(password):
    hashed = hash_password(password)
    assert verify_password(hashed, password)
    assert not verify_password(hashed, password + " ")


def test_each_hash_has_a_salt_of_its_own():
    assert hash_password("same") != hash_password("same")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hsadc",
        "$scrypt$",
        "$scrypt$ln=14,r=8,p=1$c2FsdA$",
        phc(14, b"salt", bytes(8)),  # cut off
        phc(14, b"salt", bytes(32))[:-1] + "=",
        "$scrypt$ln=14,r=8,p=1$aaaaa$" + "A" * 43,  # no base64 has a length of 4n + 1
        phc(0, b"salt", bytes(32)),
        phc(30, b"salt", bytes(32)),  # 1 TiB
        phc(17, b"salt", bytes(32)),  # 128 MiB
        phc(20, b"salt", bytes(32), block_size=1),  # N is not less than 2^(128 r / 8)
        phc(14, b"salt", bytes(32), parallelization=9),
        phc(14, b"salt", bytes(32)) + "\n",
        "$scrypt$ln=１4,r=8,p=1$c2FsdA$" + "A" * 43,  # noqa: RUF001
        "$2b$12$" + "A" * 53,
    ],
)
def test_what_is_no_hash_verifies_nothing(text):
    assert not is_hash(text)
    assert not verify_password(text, "hsadc")
