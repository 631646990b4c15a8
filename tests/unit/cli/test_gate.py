from __future__ import annotations

import asyncio

import pytest

from hsadc.cli.gate import Gate, refuse_default_password
from hsadc.errors import ConfigError
from hsadc.model.admin_user import AdminUser
from hsadc.syntax.password import hash_password

USERS = {"ops": AdminUser("ops", hash_password("secret"))}


class TestGate:
    @pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
    def test_the_default_account_from_loopback(self, peer):
        assert Gate(dict, peer).check("admin", "hsadc")
        assert not Gate(dict, peer).check("admin", "other")
        assert not Gate(dict, peer).check("root", "hsadc")

    @pytest.mark.parametrize("peer", ["192.0.2.1", "::", "0.0.0.0", "fe80::1%eth0", "::ffff:192.0.2.1", "2001:db8::1", ""])
    def test_from_nowhere_else(self, peer):
        assert not Gate(dict, peer).check("admin", "hsadc")

    def test_an_attempt_that_was_not_awaited_counts(self):
        async def pipelined() -> list[object]:
            gate = Gate(lambda: USERS, "192.0.2.1")
            attempts = [gate.password("ops", guess) for guess in ("a", "b", "c", "secret")]
            return await asyncio.gather(*attempts, return_exceptions=True)

        *_, last = asyncio.run(pipelined())
        assert isinstance(last, PermissionError)


class TestRefuseDefaultPassword:
    @pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "", "adc.example"])
    def test_refuses_the_default_password_for_all_the_world(self, address):
        with pytest.raises(ConfigError, match="configure an administrator first"):
            refuse_default_password(address, {})
        refuse_default_password(address, USERS)

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
    def test_takes_it_for_loopback(self, address):
        refuse_default_password(address, {})
