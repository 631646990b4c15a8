"""Many administrators at once, each with a session of his own: nobody sees or loses what another one types."""

from __future__ import annotations

import asyncio

import asyncssh
import pytest

from tests.external.conftest import KeptDevice

pytestmark = pytest.mark.external

SESSIONS = 100
SERVERS = 3
EXEC, CONFIG, BLOCK = "hsadc#", "hsadc(config)#", "hsadc(config-slb-rs)#"


def configured(session: int, server: int) -> str:
    return f'slb real-server "s{session}-{server}"\n  ip 10.{server}.0.{session + 1}\n  port {session + 1}\nexit\n'


class Administrator:
    """One session; what the device says to each line is compared as a whole."""

    def __init__(self, process: asyncssh.SSHClientProcess) -> None:
        self._process = process

    async def type(self, line: str, prompt: str) -> list[str]:
        """The answer, without the echo; raises when anything else was said."""
        self._process.stdin.write(f"{line}\r")
        echo, *answer, last = (await self._process.stdout.readuntil(f"\n{prompt}")).split("\r\n")
        assert (echo, last) == (line, prompt)
        return answer


async def converse(device: KeptDevice, number: int, begun: asyncio.Barrier) -> None:
    login = {"username": "admin", "password": "hsadc", "known_hosts": None, "client_keys": None, "config": None}
    async with asyncssh.connect("127.0.0.1", device.port, **login, login_timeout=60) as connection:
        process = await connection.create_process(term_type="vt100", term_size=(200, 1000))
        await process.stdout.readuntil(EXEC)
        await begun.wait()
        administrator = Administrator(process)
        assert await administrator.type("configure", CONFIG) == []
        for server in range(SERVERS):
            head, *settings, leave = configured(number, server).splitlines()
            for line in (head, *settings):
                assert await administrator.type(line, BLOCK) == []
            assert await administrator.type(leave, CONFIG) == []
            shown = await administrator.type(f'show running-config slb real-server "s{number}-{server}"', CONFIG)
            assert "".join(f"{line}\n" for line in shown) == configured(number, server)
        assert await administrator.type("end", EXEC) == []


def test_a_hundred_administrators(kept_device):
    async def all_of_them() -> None:
        begun = asyncio.Barrier(SESSIONS)
        async with asyncio.timeout(100), asyncio.TaskGroup() as group:
            for number in range(SESSIONS):
                group.create_task(converse(kept_device, number, begun))

    asyncio.run(all_of_them())
    text = kept_device.text()
    blocks = [configured(session, server) for session in range(SESSIONS) for server in range(SERVERS)]
    assert [block for block in blocks if block not in text] == []
    assert len(text) == sum(map(len, blocks))
