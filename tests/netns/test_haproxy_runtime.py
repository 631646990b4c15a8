"""Settings that are changed while a worker serves, with a real HAProxy."""

from __future__ import annotations

import csv
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.dataplane.haproxy_socket import ask
from hsadc.errors import ApplyError
from hsadc.intent.haproxy import HaproxyIntent
from hsadc.intent.haproxy_file import HaproxyFile
from tests.netns.certificates import authority
from tests.netns.haproxy_lab import Site, site, until

pytestmark = pytest.mark.netns

HALF = """
import os, signal, sys
from pathlib import Path
from hsadc.dataplane import haproxy
from hsadc.dataplane.haproxy_socket import ask
from hsadc.intent.haproxy import HaproxyIntent

def half(socket, steps, new):
    ask(socket, steps[0].commands[0])
    os.kill(os.getpid(), signal.SIGKILL)

haproxy.carry_out = half
driver = haproxy.HaproxyDriver(Path(sys.argv[1]))
driver.change(None, HaproxyIntent(sys.stdin.read()))
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[Site, HaproxyDriver]]:
    with site(tmp_path) as it:
        yield it


def pool(here: Site, *settings: str, balance: str = "roundrobin", check: str = "") -> HaproxyIntent:
    """A virtual server whose real servers a, b, ... (all the same machine) have these settings."""
    servers = "".join(
        f"  server {name} {here.real.ip}:{here.real.port}{check}{words}\n"
        for name, words in zip("abcdefgh", settings, strict=False)
    )
    return HaproxyIntent(
        f'# slb virtual-server "v"\nfrontend vs1_v from http\n  bind {here.address}:{here.port}\n  default_backend pool1.1_p\n'
        f'# slb virtual-server "v", slb server-pool "p"\nbackend pool1.1_p from http\n  balance {balance}\n{servers}'
    )


def stand(here: Site) -> dict[str, tuple[str, int, int]]:
    """What HAProxy says of each server: status, weight, limit."""
    rows = csv.DictReader(ask(here.state_dir / "haproxy" / "stats.sock", "show stat").removeprefix("# ").splitlines())
    return {
        r["svname"]: (r["status"], int(r["uweight"]), int(r["slim"] or 0))
        for r in rows
        if r["svname"] not in ("FRONTEND", "BACKEND")
    }


def test_weight_limit_and_state_are_changed_in_the_worker_that_serves(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    old = pool(here, " weight 1", " weight 10 maxconn 5", " weight 3", " weight 3 disabled", "")
    new = pool(here, " weight 256 maxconn 7", " weight 0", " weight 3 disabled", " weight 4", " weight 1")
    driver.create(old)
    workers = here.workers
    driver.change(old, new)
    assert here.workers == workers
    expected = {
        "a": ("no check", 256, 7),
        "b": ("no check", 0, 0),
        "c": ("MAINT", 3, 0),
        "d": ("no check", 4, 0),
        "e": ("no check", 1, 0),
    }
    assert stand(here) == expected
    assert (driver.work.reloads, driver.work.changed) == (0, 7)
    assert driver.observe({}) == {new.key: new}
    # A later daemon sees the same, and so does what is started from the disk.
    assert HaproxyDriver(here.state_dir).observe({}) == {new.key: new}
    driver.change(new, new)
    assert here.workers == workers
    os.kill(here.masters[0], signal.SIGKILL)
    until(lambda: not here.processes())
    until(driver.restart)
    assert stand(here) == expected
    driver.change(new, old)
    assert driver.observe({}) == {old.key: old}
    assert stand(here)["b"] == ("no check", 10, 5)


def test_another_worker_starts_from_what_was_changed(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    old, new = pool(here, " weight 1", " weight 2"), pool(here, " weight 5", " weight 2 disabled")
    driver.create(old)
    driver.change(old, new)
    workers = here.workers
    # Back to the very text that the worker started from, and something that needs another one.
    last = replace(old, services=old.services.replace("balance roundrobin", "balance leastconn"))
    driver.change(new, last)
    assert not set(here.workers) <= set(workers)
    assert stand(here) == {"a": ("no check", 1, 0), "b": ("no check", 2, 0)}
    assert (driver.work.reloads, driver.work.changed) == (1, 2)


def test_a_worker_that_started_from_the_same_text_is_another_one(lab: tuple[Site, HaproxyDriver]) -> None:
    """Its digest alone does not tell a worker that was changed from the one that takes its place."""
    here, driver = lab
    old, new = pool(here, " weight 1", balance="static-rr"), pool(here, " weight 1 disabled", balance="static-rr")
    driver.create(old)
    driver.change(old, new)
    assert stand(here) == {"a": ("MAINT", 1, 0)}
    # The weight is refused, so that the text which the worker started from needs a new one.
    driver.change(new, pool(here, " weight 7", balance="static-rr"))
    driver.change(new, old)
    assert stand(here) == {"a": ("no check", 1, 0)}
    assert driver.observe({}) == {old.key: old}


def test_what_haproxy_refuses_to_change_needs_another_worker(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    old = pool(here, " weight 1", " weight 1", balance="static-rr")
    new = pool(here, " weight 5 disabled", " weight 9", balance="static-rr")
    driver.create(old)
    workers = here.workers
    driver.change(old, new)
    assert not set(here.workers) <= set(workers)
    assert stand(here) == {"a": ("MAINT", 5, 0), "b": ("no check", 9, 0)}
    assert (driver.work.reloads, driver.work.changed) == (1, 0)
    assert driver.observe({}) == {new.key: new}


@pytest.mark.parametrize("afterwards", ["old", "new"])
def test_a_daemon_that_is_killed_half_way_is_put_right_by_the_next(lab: tuple[Site, HaproxyDriver], afterwards: str) -> None:
    here, driver = lab
    intents = {"old": pool(here, " weight 1", " weight 2"), "new": pool(here, " weight 5", " weight 6")}
    driver.create(intents["old"])
    words = [sys.executable, "-c", HALF, str(here.state_dir)]
    done = subprocess.run(words, input=intents["new"].services, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert stand(here) == {"a": ("no check", 5, 0), "b": ("no check", 2, 0)}
    second = HaproxyDriver(here.state_dir)
    (seen,) = second.observe({}).values()
    assert seen not in intents.values()
    wanted = intents[afterwards]
    second.change(seen, wanted)
    assert stand(here) == {
        name: ("no check", weight, 0) for name, weight in zip("ab", (1, 2) if wanted == intents["old"] else (5, 6), strict=True)
    }
    assert second.observe({}) == {wanted.key: wanted}


def test_slow_start_does_not_hide_a_weight(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    intents = [
        pool(here, f" weight {n}{off}", check=" check inter 100ms slowstart 60s")
        for n, off in ((0, ""), (200, ""), (200, " disabled"))
    ]
    driver.create(intents[0])
    workers = here.workers
    for old, new in ((0, 1), (1, 2), (2, 1), (1, 0), (0, 2)):
        driver.change(intents[old], intents[new])
        assert stand(here)["a"][1] == (0 if new == 0 else 200)
    assert here.workers == workers
    assert driver.work.reloads == 0


def tls(here: Site, identity: bytes, authorities: bytes = b"", name: str = "www") -> HaproxyIntent:
    """The same inside TLS; with authorities clients must show a certificate of theirs."""
    ask_for = " verify required ca-file pki/p.ca" if authorities else ""
    plain = pool(here, " weight 1")
    services = plain.services.replace(f":{here.port}\n", f":{here.port} ssl crt-list pki/p.list alpn http/1.1{ask_for}\n")
    files = [HaproxyFile(f"pki/{name}.pem", identity), HaproxyFile("pki/p.list", f"pki/{name}.pem\n".encode())]
    if authorities:
        files.append(HaproxyFile("pki/p.ca", authorities))
    return HaproxyIntent(services, tuple(sorted(files, key=lambda file: file.name)))


def served(here: Site, trusted: bytes, identity: Path | None = None) -> bytes:
    """What a client that trusts an authority is answered."""
    context = ssl.create_default_context(cadata=trusted.decode())
    if identity is not None:
        context.load_cert_chain(identity)
    with (
        socket.create_connection((str(here.address), here.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="www.test") as s,
    ):
        s.sendall(b"GET / HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: s.recv(4096), b""))


def test_a_certificate_is_changed_in_the_worker_that_serves(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    first, second = authority("first"), authority("second")
    old = tls(here, first.issue("www.test"))
    # A blank line would end what HAProxy is sent.
    new = tls(here, second.issue("www.test").replace(b"-----BEGIN", b"\n\n-----BEGIN"))
    driver.create(old)
    workers = here.workers
    assert served(here, first.pem).startswith(b"HTTP/1.1 200")
    driver.change(old, new)
    assert here.workers == workers
    assert served(here, second.pem).startswith(b"HTTP/1.1 200")
    with pytest.raises(ssl.SSLCertVerificationError):
        served(here, first.pem)
    assert driver.observe({}) == {new.key: new}
    assert (here.state_dir / "haproxy" / "pki" / "www.pem").read_bytes() == new.files[1].content
    driver.restart()
    os.kill(here.masters[0], signal.SIGKILL)
    until(lambda: not here.processes())
    until(driver.restart)
    assert served(here, second.pem).startswith(b"HTTP/1.1 200")


def test_other_authorities_need_another_worker_which_knows_nobody_of_the_old_ones(
    lab: tuple[Site, HaproxyDriver], tmp_path: Path
) -> None:
    here, driver = lab
    ours, first, second = authority("ours"), authority("first"), authority("second")
    identity = ours.issue("www.test")
    old, new = tls(here, identity, first.pem), tls(here, identity, first.pem + second.pem)
    mine = tmp_path / "client.pem"
    mine.write_bytes(second.issue("client"))
    driver.create(old)
    with pytest.raises(OSError):  # noqa: PT011 TLS 1.3 clients are told by an alert or by a reset
        served(here, ours.pem, mine)
    driver.change(old, new)
    assert served(here, ours.pem, mine).startswith(b"HTTP/1.1 200")
    driver.change(new, old)
    with pytest.raises(OSError):  # noqa: PT011 TLS 1.3 clients are told by an alert or by a reset
        served(here, ours.pem, mine)
    assert driver.work.reloads == 2


def test_a_certificate_of_another_name_needs_another_worker(lab: tuple[Site, HaproxyDriver]) -> None:
    here, driver = lab
    ours = authority("ours")
    old, new = tls(here, ours.issue("www.test")), tls(here, ours.issue("www.test"), name="other")
    driver.create(old)
    driver.change(old, new)
    assert driver.work.reloads == 1
    assert sorted(path.name for path in (here.state_dir / "haproxy" / "pki").iterdir()) == ["other.pem", "p.list"]
    assert served(here, ours.pem).startswith(b"HTTP/1.1 200")
    plain = pool(here, " weight 1")
    driver.change(new, plain)
    assert not (here.state_dir / "haproxy" / "pki").exists()
    assert driver.observe({}) == {plain.key: plain}


@pytest.mark.parametrize(
    "spoil", [lambda pem: pem.replace(b"PRIVATE KEY", b"NO KEY"), lambda pem: b"nonsense\n"], ids=["key", "all"]
)
def test_a_bad_certificate_is_refused_and_the_old_one_goes_on(lab: tuple[Site, HaproxyDriver], spoil) -> None:
    here, driver = lab
    ours = authority("ours")
    identity = ours.issue("www.test")
    old = tls(here, identity)
    bad = tls(here, spoil(identity))
    driver.create(old)
    with pytest.raises(ApplyError, match=r'^check haproxy: slb virtual-server "v": .*pki trust-domain "www".* OpenSSL reads'):
        driver.prepare({bad.key: bad})
    with pytest.raises(
        ApplyError, match=r'^reload haproxy: slb virtual-server "v": .*pki trust-domain "www".* OpenSSL reads'
    ) as caught:
        driver.change(old, bad)
    assert caught.value.rolled_back
    assert driver.observe({}) == {old.key: old}
    assert served(here, ours.pem).startswith(b"HTTP/1.1 200")
    assert (here.state_dir / "haproxy" / "pki" / "www.pem").read_bytes() == identity


def test_a_full_disk_undoes_a_change(lab: tuple[Site, HaproxyDriver]) -> None:
    """The worker has its new settings already when they cannot be written down."""
    here, driver = lab
    old, new = pool(here, " weight 1"), pool(here, " weight 2")
    driver.create(old)
    folder = here.state_dir / "haproxy"
    kept = (folder / "haproxy.cfg").read_bytes()
    put = driver._folder._put
    driver._folder._put = lambda g: (_ for _ in ()).throw(OSError(28, "No space left on device"))  # type: ignore[method-assign]
    try:
        with pytest.raises(OSError, match="No space"):
            driver.change(old, new)
    finally:
        driver._folder._put = put  # type: ignore[method-assign]
    assert (folder / "haproxy.cfg").read_bytes() == kept
    (seen,) = driver.observe({}).values()
    assert seen not in (old, new)
    driver.change(seen, old)
    assert stand(here)["a"] == ("no check", 1, 0)
