"""`kill -9` of HAProxy's worker, of its master and of the daemon, under load: what clients see, and that all is as before."""

from __future__ import annotations

import pytest

from tests.external.slb.client import Load, trust
from tests.external.slb.device import pool, real_servers, virtual
from tests.external.slb.identity import SITE
from tests.external.slb.network import address
from tests.external.slb.processes import kill, masters, workers

pytestmark = pytest.mark.netns

VIP = address("adc")
MONITOR = 'slb monitor "m" type icmp\ninterval 1\ntimeout 1\nrise 1\nfall 2\nexit\n'


@pytest.fixture(autouse=True)
def alive(site):
    """What a test kills and does not start again, the next one has all the same."""
    yield
    if not site.device.is_running:
        site.device.start()


@pytest.fixture
def loaded(site):
    """Requests by HTTPS that are decrypted, mirrored and sent to servers that hsadc watches."""
    settings = "auto-snat\nssl-profile clients\nmirror-traffic interface tunnel1"
    text = real_servers() + MONITOR + pool("monitor m\npersistence source-ip") + site.identities.profile()
    site.device.configure(text + virtual("https", settings, port=443))
    site.device.say("save")
    with Load(site.client, VIP, 443, tls=trust(site.identities.root.pem), name=SITE) as load:
        load.goes_on()
        yield load


def mirrored(site, load) -> bool:
    with site.mirrored(patience_s=0.5) as capture:
        load.goes_on(50)
    return b"GET /files/1k" in b"".join(capture.copies.raw)


def test_the_worker_is_killed(site, loaded, figure):
    kill(workers(site.device))
    loaded.goes_on(300)
    assert mirrored(site, loaded)
    assert len(masters(site.device)) == 1
    figure(f"kill -9 of HAProxy's worker: {loaded}")


def test_the_master_is_killed(site, loaded, figure):
    kill(masters(site.device))
    loaded.goes_on(300)
    site.eventually(lambda: len(masters(site.device)) == 1)
    assert mirrored(site, loaded)
    figure(f"kill -9 of HAProxy's master: {loaded}")


def test_both_are_killed_again_and_again(site, loaded, figure):
    for _ in range(3):
        kill([*masters(site.device), *workers(site.device)])
        loaded.goes_on(100)
    assert mirrored(site, loaded)
    figure(f"kill -9 of both, three times: {loaded}")


def test_the_daemon_is_killed_and_started_again(site, loaded, figure):
    before = masters(site.device), workers(site.device)
    site.device.kill()
    loaded.goes_on(300)
    assert mirrored(site, loaded)
    site.device.start()
    loaded.goes_on(300)
    assert mirrored(site, loaded)
    figure(f"kill -9 of the daemon, and its start: {loaded}")
    assert loaded.failed == {}
    assert (masters(site.device), workers(site.device)) == before


def test_the_daemon_and_haproxy_are_killed_and_the_daemon_is_started_again(site, loaded, figure):
    site.device.kill()
    kill([*masters(site.device), *workers(site.device)])
    site.device.start()
    loaded.goes_on(300)
    assert mirrored(site, loaded)
    figure(f"kill -9 of all, and a start of the daemon: {loaded}")


def test_a_stop_and_a_start_leave_nothing_and_bring_all_back(site):
    settings = "auto-snat\nssl-profile clients\nmirror-traffic interface tunnel1"
    site.device.configure(real_servers() + pool() + site.identities.profile() + virtual("https", settings, port=443))
    site.device.say("save")
    assert site.device.stop() == 0
    assert not masters(site.device)
    left = [
        site.network.run("adc", *command).stdout
        for command in (("ip", "-br", "link"), ("ip", "rule"), ("nft", "list", "ruleset"))
    ]
    assert sorted(line.split("@")[0].split()[0] for line in left[0].splitlines()) == ["eth0", "eth1", "lo"]
    assert [line.partition(":")[0] for line in left[1].splitlines()] == ["0", "32766", "32767"]
    assert left[2] == ""
    site.device.start()
    assert site.client.curl(f"https://{VIP}/", "-k").status == 200
