"""The driver with a real HAProxy."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hsadc.dataplane import haproxy
from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.dataplane.haproxy_binary import Binary
from hsadc.dataplane.haproxy_check import check
from hsadc.dataplane.haproxy_file import Machine, write_file
from hsadc.dataplane.reconcile import reconcile
from hsadc.errors import ApplyError, Unsupported
from hsadc.intent.haproxy import HaproxyIntent
from tests.netns.haproxy_lab import Site, new_address, request, site, until

pytestmark = pytest.mark.netns

DAEMON = """
import sys
from pathlib import Path
from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.intent.haproxy import HaproxyIntent
driver = HaproxyDriver(Path(sys.argv[1]))
driver.create(HaproxyIntent(Path(sys.argv[2]).read_text(encoding="utf-8")))
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[Site, HaproxyDriver]]:
    with site(tmp_path / ("long" * 40)) as it:
        yield it


def test_from_nothing_to_nothing(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    intent = here.intent(app_profile="xff")
    assert driver.observe({}) == {}
    driver.prepare({intent.key: intent})
    assert here.processes() == {}
    driver.create(intent)
    assert driver.observe({}) == {intent.key: intent}
    assert here.get() == "127.0.0.1 127.0.0.1"
    driver.delete(intent)
    assert driver.observe({}) == {}
    assert here.processes() == {}
    assert [path.name for path in (here.state_dir / "haproxy").iterdir()] == ["log.pipe"]
    with pytest.raises(ConnectionRefusedError):
        here.get()
    driver.delete(intent)


def test_only_our_user_may_look_in(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    driver.create(here.intent())
    for path in (here.state_dir, here.state_dir / "log"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    folder = here.state_dir / "haproxy"
    assert (stat.S_IMODE(folder.stat().st_mode), folder.stat().st_uid, folder.stat().st_gid) == (0o710, 0, 65534)
    for path in folder.rglob("*"):
        mode = 0o644 if path.name == "haproxy.pid" else 0o600
        assert (path.name, stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) == (path.name, mode, 0)


def test_the_worker_is_not_root(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    driver.create(here.intent())
    (worker,) = here.workers
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker}/status").read_text().splitlines())
    assert status["Uid"].split() == ["65534"] * 4
    assert int(status["CapEff"], 16) == 0


@pytest.mark.parametrize("line", ["source 0.0.0.0 usesrc clientip", "# usesrc"])
def test_the_worker_keeps_what_it_needs_for_clients_addresses(lab: tuple[Site, HaproxyDriver], line: str) -> None:
    here, driver = lab
    intent = here.intent()
    services = intent.services.replace("  balance roundrobin\n", f"  balance roundrobin\n  {line}\n")
    driver.create(HaproxyIntent(services))
    (worker,) = here.workers
    status = dict(row.split(":\t", 1) for row in Path(f"/proc/{worker}/status").read_text().splitlines())
    assert status["Uid"].split() == ["65534"] * 4
    assert int(status["CapEff"], 16) == (1 << 13 if "clientip" in line else 0)  # CAP_NET_RAW
    assert here.get()


def test_an_older_haproxy_cannot_keep_clients_addresses(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    intent = here.intent()
    old = Binary(Path("/nowhere/haproxy"), (2, 6, 12))
    for line in ("source 0.0.0.0 usesrc clientip", "source :: usesrc client interface x"):
        services = intent.services.replace("  balance roundrobin\n", f"  balance roundrobin\n  {line}\n")
        new = write_file(services, Machine(True, 20000, 2))
        with pytest.raises(Unsupported, match=r"^check haproxy: HAProxy 2\.6\.12 cannot connect from clients' addresses .*2\.8"):
            check(old, driver._folder, new)


def test_a_network_namespace_that_is_made_later_is_no_mistake(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    intent = here.intent()
    hop = f"{here.address}:{here.port} namespace hsadc-not-yet-there transparent"
    new = HaproxyIntent(intent.services.replace(f"{here.address}:{here.port} mss 1400", hop))
    driver.prepare({new.key: new})
    with pytest.raises(ApplyError, match="error encountered while processing 'namespace'"):
        driver.create(new)


def test_its_own_log_does_not_grow_for_ever(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    driver.create(here.intent())
    with (here.state_dir / "log" / "haproxy.log").open("a") as log:
        log.writelines(f"line {n:08}\n" for n in range(1_300_000))
    driver.observe({})
    assert here.notices.endswith("line 01299999\n")
    assert re.match(r"line \d{8}\n", here.notices)
    assert len(here.notices) < 1 << 20
    driver.change(here.intent(), here.intent(mss=1300))
    assert "Reloading HAProxy" in here.notices
    assert "\0" not in here.notices


def test_change_replaces_the_worker_and_keeps_the_master(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    old, new = here.intent(mss=1400), here.intent(mss=1300)
    driver.create(old)
    before = here.processes()
    driver.change(old, new)
    assert driver.observe({}) == {new.key: new}
    assert here.get()
    until(lambda: len(here.workers) == 1)
    assert here.masters == [pid for pid, parent in before.items() if parent not in before]
    assert not set(here.workers) & set(before)


def segment_size(here: Site) -> int:
    """Bytes of payload that a client may send at once to the virtual server."""
    with socket.create_connection((str(here.address), here.port)) as client:
        return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


def test_segments_are_as_large_as_ever_when_they_need_not_be_small_any_more(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    clamped, free = here.intent(), here.intent(mss=None)
    driver.create(free)
    before = segment_size(here)
    driver.change(free, clamped)
    assert segment_size(here) <= 1400 < before
    driver.change(clamped, free)
    assert segment_size(here) == before


def test_the_log_has_requests_of_all_workers(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    old, new = here.intent(log_enable=True), here.intent(mss=1300, log_enable=True)
    driver.create(old)
    here.get()
    driver.change(old, new)
    here.get()
    driver.delete(new)
    until(lambda: len(here.log) == 2)
    for line in here.log:
        assert re.fullmatch(r'127\.0\.0\.1:\d+ \[\S+\] "l7 网" "web"/"r 1" \S+ 200 .* "GET / HTTP/1.1"', line)


def test_without_log_enable_requests_leave_no_line(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    driver.create(here.intent())
    here.get()
    driver.delete(here.intent())
    assert here.log == []
    assert "pool7" not in here.notices.replace("Proxy pool7.1_web stopped", "")


def test_statistics(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    assert driver.statistics() == {}
    driver.create(here.intent())
    for _ in range(3):
        here.get()
    (found,) = driver.statistics().values()
    assert found.id == 7
    assert (found.clients.requests_total, found.clients.responses_5xx, found.tls) == (3, 0, None)
    assert found.pool.requests_total == 3
    (server,) = found.servers
    assert (server.server_pool, server.real_server, server.tier, server.health.state) == ("web", "r 1", 1, "up")
    assert server.counters.sessions_total == 3
    assert server.counters.bytes_out > 0
    driver.clear_statistics()
    (found,) = driver.statistics().values()
    assert (found.clients.requests_total, found.pool.requests_total, found.servers[0].counters.bytes_out) == (0, 0, 0)


def test_there_is_nothing_to_clear_while_haproxy_does_not_run(lab: tuple[Site, HaproxyDriver]) -> None:
    _, driver = lab
    driver.clear_statistics()


def test_prepare_refuses_what_haproxy_refuses(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    bad = HaproxyIntent(here.intent(weight=3).services.replace("weight 3", "wait 3"))
    with pytest.raises(ApplyError) as caught:
        driver.prepare({bad.key: bad})
    assert caught.value.cause == (
        'slb virtual-server "l7 网", slb server-pool "web", real-server "r 1": unknown keyword \'wait\''
    )
    assert [path.name for path in (here.state_dir / "haproxy").iterdir()] == ["log.pipe"]


def test_a_port_in_use_leaves_nothing(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    with socket.create_server((str(here.address), here.port)):
        with pytest.raises(ApplyError) as caught:
            driver.create(here.intent())
        assert caught.value.cause == (f'slb virtual-server "l7 网": another program uses {here.address}:{here.port}')
        assert caught.value.rolled_back
        assert here.processes() == {}
        assert [path.name for path in (here.state_dir / "haproxy").iterdir()] == ["log.pipe"]
    driver.create(here.intent())
    assert here.get()


def test_a_process_whose_number_cannot_be_kept_is_stopped(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    number = here.state_dir / "haproxy" / "haproxy.pid"
    number.symlink_to(here.state_dir / "nowhere" / "at all")
    with pytest.raises(ApplyError, match=r"start haproxy: .*haproxy\.pid: No such file or directory") as caught:
        driver.create(here.intent())
    assert caught.value.rolled_back
    assert here.processes() == {}
    driver.create(here.intent())
    assert here.get()


def test_a_refused_change_leaves_the_old_worker(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    old, other = here.intent(), new_address()
    driver.create(old)
    before = here.processes()
    with socket.create_server((str(other), here.port)):
        with pytest.raises(ApplyError, match="another program uses") as caught:
            driver.change(old, here.intent(address=other))
        assert caught.value.rolled_back
        assert here.processes() == before
        assert driver.observe({}) == {old.key: old}
        assert here.get()
    driver.change(old, here.intent(address=other))
    assert request(other, here.port)
    with pytest.raises(ConnectionRefusedError):
        here.get()


def test_a_daemon_that_is_killed_loses_nothing(lab: tuple[Site, HaproxyDriver], tmp_path: Path) -> None:
    here, driver = lab
    intent = here.intent(log_enable=True)
    services = tmp_path / "services"
    services.write_text(intent.services, encoding="utf-8")
    words = [sys.executable, "-c", DAEMON, str(here.state_dir), str(services)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"up\n"
        before = here.processes()
        daemon.kill()
    assert here.get()
    assert driver.observe({}) == {intent.key: intent}
    assert set(here.processes()) == set(before)
    assert len(before) == 2
    driver.change(intent, here.intent(weight=2, log_enable=True))
    assert here.get()
    assert len(here.masters) == 1
    driver.delete(intent)
    assert here.processes() == {}
    assert sum('"web"/"r 1"' in line for line in here.log) == 2


def test_a_file_that_was_written_but_not_reloaded_is_not_in_force(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    old, new = here.intent(mss=1400), here.intent(mss=1300)
    driver.create(old)
    # As a daemon leaves it that is killed between writing and reloading.
    folder = here.state_dir / "haproxy"
    text = (folder / "haproxy.cfg").read_text()
    (folder / "previous").mkdir()
    (folder / "previous" / "haproxy.cfg").write_text(text)
    (folder / "haproxy.cfg").write_text(text.replace("mss 1400", "mss 1300"))
    assert driver.observe({}) == {old.key: old}
    driver.change(old, new)
    assert driver.observe({}) == {new.key: new}
    assert not (folder / "previous").exists()


def test_what_runs_an_unknown_file_is_changed(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    intent = here.intent()
    driver.create(intent)
    (here.state_dir / "haproxy" / "haproxy.cfg").write_text("# by hand\n")
    (seen,) = driver.observe({}).values()
    assert seen != intent
    driver.change(seen, intent)
    assert driver.observe({}) == {intent.key: intent}


class Stuck:
    """The driver of one object that nothing removes."""

    kind = "stuck"

    def observe(self, wanted: object) -> dict[str, SimpleNamespace]:
        return {"it": SimpleNamespace(key="it")}

    def prepare(self, wanted: object) -> None:
        """Nothing."""

    def create(self, new: object) -> None:
        """Nothing."""

    def delete(self, old: object) -> None:
        raise ApplyError("delete it", "it is stuck")


def test_what_another_release_has_written_is_put_back_when_a_later_step_fails(
    lab: tuple[Site, HaproxyDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, driver = lab
    with monkeypatch.context() as other:
        other.setattr(haproxy, "_MOST_THREADS", 1)
        driver.create(here.intent(app_profile="xff"))
    (before,) = driver.observe({}).values()
    with pytest.raises(ApplyError, match="nothing was changed"):
        reconcile([(Stuck(), []), (driver, [here.intent(mss=1000)])])  # type: ignore[list-item]
    assert here.get() == "127.0.0.1 127.0.0.1"
    assert list(driver.observe({}).values()) == [before]


def test_what_nobody_knows_cannot_be_put_back(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    driver.create(here.intent())
    (here.state_dir / "haproxy" / "haproxy.cfg").write_text("# by hand\n")
    (seen,) = driver.observe({}).values()
    driver.change(seen, here.intent(app_profile="xff"))
    with pytest.raises(ApplyError, match="was not known"):
        driver.change(here.intent(app_profile="xff"), seen)
    assert here.get() == "127.0.0.1 127.0.0.1"


@pytest.mark.parametrize("number", ["1\n", "", "x"])
def test_it_is_found_again_without_its_number(lab: tuple[Site, HaproxyDriver], number: str) -> None:
    here, driver = lab
    intent = here.intent()
    driver.create(intent)
    before = here.masters
    (here.state_dir / "haproxy" / "haproxy.pid").write_text(number)
    second = HaproxyDriver(here.state_dir)
    assert second.observe({}) == {intent.key: intent}
    second.change(intent, here.intent(weight=2))
    assert here.masters == before
    second.delete(intent)
    assert here.processes() == {}


def test_a_number_that_another_process_has_now_is_not_adopted(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as other:
        (here.state_dir / "haproxy" / "haproxy.pid").write_text(f"{other.pid}\n")
        assert driver.observe({}) == {}
        driver.create(here.intent())
        driver.delete(here.intent())
        other.communicate(b"\n")
        assert other.returncode == 0


def test_open_connections_may_finish_but_not_for_ever(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    driver.create(here.intent())
    with socket.create_connection((str(here.address), here.port), timeout=10) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        while driver.statistics()[7].clients.sessions_current == 0:
            pass
        driver.delete(here.intent())
        assert here.processes() == {}
        assert slow.recv(1) == b""


def test_a_worker_that_hangs_is_killed(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    driver.create(here.intent())
    for pid in here.processes():
        os.kill(pid, signal.SIGSTOP)
    driver.delete(here.intent())
    assert here.processes() == {}
