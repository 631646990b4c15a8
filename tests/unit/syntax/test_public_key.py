"""Public keys: what has their form, and what has not."""

from __future__ import annotations

import pytest

from hsadc.syntax.public_key import is_public_key

ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIEYNiQDdVDQzP3ZXm3sylgzjceSFsE1EObd9f4J4rkqI"
ECDSA = (
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBOF73ChkUtKZsM6SJmMOe4SmTyngzrs4VsEIja6N4kJ3/Ewr"
    "fplywATk7YBRIaqXoK6U5yUWJacmV0z0WvC9oGI="
)


@pytest.mark.parametrize(
    "text", [f"ssh-ed25519 {ED25519}", f"ssh-ed25519 {ED25519} root@box, the old one", f"ecdsa-sha2-nistp256 {ECDSA} x"]
)
def test_a_line_of_ssh_keygen(text):
    assert is_public_key(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        ED25519,
        "ssh-ed25519 ",
        "ssh-ed25519 中文",
        f"ssh-ed\udcff5519 {ED25519}",
        f"ssh-rsa {ED25519}",
        f"ssh-ed25519 {ED25519[:-4]}",
        f"ssh-ed25519 {ED25519[:28]}",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        f"ssh-ed25519 {ED25519}AA==",
    ],
)
def test_what_is_no_key(text):
    assert not is_public_key(text)
