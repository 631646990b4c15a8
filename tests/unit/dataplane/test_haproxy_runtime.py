from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsadc.dataplane.haproxy_file import Machine, write_file
from hsadc.dataplane.haproxy_runtime import Change, ServerLine, Settings, changes, servers_of
from hsadc.dataplane.haproxy_socket import batches
from hsadc.dataplane.haproxy_state import handed_over
from hsadc.intent.haproxy_file import HaproxyFile

MACHINE = Machine(root=True, max_files=20000, threads=2)
PEM = HaproxyFile("pki/www.pem", b"-----BEGIN X-----\n\na\n-----END X-----\n")


def generation(*lines: str, files: tuple[HaproxyFile, ...] = (), more: str = ""):
    servers = "".join(f"  server {line}\n" for line in lines)
    return write_file(f"frontend vs1_v from http\n{more}backend pool1.1_p from http\n{servers}backend other\n", MACHINE, files)


def commands(old, new) -> list[str] | None:
    steps = changes(old, new)
    return None if steps is None else [command for step in steps for command in step.commands]


@pytest.mark.parametrize(
    ("line", "server"),
    [
        ("a 1.2.3.4:80", ServerLine("pool1.1_p", "a", "1.2.3.4:80", "", Settings())),
        (
            "r:20:1 [::1]:80 check inter 1s weight 0 maxconn 7 disabled",
            ServerLine("pool1.1_p", "r:20:1", "[::1]:80", " check inter 1s", Settings(0, 7, True)),
        ),
        ("weight 1.2.3.4:80 maxconn 7", ServerLine("pool1.1_p", "weight", "1.2.3.4:80", "", Settings(1, 7))),
        # Settings in the middle of a line are none that can be changed.
        ("a 1.2.3.4:80 weight 5 check", ServerLine("pool1.1_p", "a", "1.2.3.4:80", " weight 5 check", Settings())),
        (
            "a 1.2.3.4:80 sni str(weight) weight 3",
            ServerLine("pool1.1_p", "a", "1.2.3.4:80", " sni str(weight)", Settings(3)),
        ),
    ],
)
def test_a_server_line(line: str, server: ServerLine) -> None:
    assert list(servers_of(generation(line).text)) == [server]
    assert server.path == f"pool1.1_p/{server.name}"


SETTINGS = st.builds(Settings, st.integers(0, 256), st.integers(0, 9), st.booleans())


def words(settings: Settings) -> str:
    most = f" maxconn {settings.most}" if settings.most else ""
    return f"a 1.2.3.4:80 check weight {settings.weight}{most}{' disabled' * settings.disabled}"


@given(SETTINGS, SETTINGS)
def test_what_is_sent_leads_from_one_to_the_other(old: Settings, new: Settings) -> None:
    found = commands(generation(words(old)), generation(words(new)))
    expected = []
    if old.weight != new.weight:
        expected.append(f"set server pool1.1_p/a weight {new.weight}")
    if old.most != new.most:
        expected.append(f"set maxconn server pool1.1_p/a {new.most}")
    if old.disabled != new.disabled:
        expected.append(f"set server pool1.1_p/a state {'maint' if new.disabled else 'ready'}")
    assert found == expected


@pytest.mark.parametrize(
    "other",
    [
        generation("a 1.2.3.4:80 check"),
        generation("a 1.2.3.4:81"),
        generation("b 1.2.3.4:80"),
        generation("a 1.2.3.4:80", "b 1.2.3.4:80"),
        generation(),
        generation("a 1.2.3.4:80", more="  maxconn 7\n"),
        generation("a 1.2.3.4:80", files=(PEM,)),
        write_file(generation("a 1.2.3.4:80").services, Machine(True, 20000, 3)),
    ],
)
def test_all_else_needs_another_worker(other) -> None:
    old = generation("a 1.2.3.4:80")
    assert changes(old, other) is None
    assert changes(other, old) is None


def test_a_certificate_goes_in_one_piece() -> None:
    old = generation(files=(HaproxyFile("pki/www.pem", b"old"), HaproxyFile("pki/p.list", b"pki/www.pem")))
    new = generation(files=(PEM, HaproxyFile("pki/p.list", b"pki/www.pem")))
    assert changes(old, new) == [
        Change(
            ("set ssl cert pki/www.pem <<\n-----BEGIN X-----\na\n-----END X-----\n", "commit ssl cert pki/www.pem"),
            "Success!",
            "abort ssl cert pki/www.pem",
        )
    ]


@pytest.mark.parametrize(
    "file",
    [
        HaproxyFile("pages/sorry", b"new"),
        HaproxyFile("pki/p.list", b"new"),
        HaproxyFile("pki/p.ca", b"new"),
        HaproxyFile("pki/x.pem", b"n" * 40_000),
    ],
    ids=lambda file: file.name,
)
def test_files_that_need_another_worker(file: HaproxyFile) -> None:
    old = generation(files=(PEM, HaproxyFile(file.name, b"old")))
    assert changes(old, generation(files=(PEM, file))) is None
    assert changes(old, generation(files=(HaproxyFile(PEM.name, b"new"), file))) is None


@given(st.lists(st.text("ab", min_size=1, max_size=5000)))
def test_lines_of_commands_are_short(sent: list[str]) -> None:
    lines = list(batches(sent))
    assert "; ".join(lines).split("; ") == (sent or [""])
    assert all(len(line) < 15_000 for line in lines)
    assert len(lines) <= len(sent)


HEAD = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change"
    " srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn"
    " srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port"
)


def row(name: str, address: str = "1.2.3.4", port: int = 80, admin: int = 0, ssl: int = 0, backend: str = "pool1.1_p") -> str:
    return f"3 {backend} 1 {name} {address} 0 {admin} 9 10 5 6 3 0 6 0 0 0 - {port} - {ssl} 99 9.9.9.9 - 0"


def handed(text: str, *rows: str, probed: tuple[str, ...] = ()) -> list[str]:
    version, head, *found, last = handed_over("\n".join(["1", f"# {HEAD}", *rows, "", ""]), text, probed).split("\n")
    assert (version, head, last) == ("1", f"# {HEAD}", "")
    return found


def test_the_health_alone_is_handed_over() -> None:
    text = generation("a 1.2.3.4:80 ssl verify none check weight 77").text
    assert handed(text, row("a")) == ["3 pool1.1_p 1 a 1.2.3.4 0 0 77 77 5 6 3 0 6 0 0 0 - 80 - 1 0 - - 0"]
    plain = generation("a 1.2.3.4:80 check").text
    assert handed(plain, row("a", ssl=1)) == ["3 pool1.1_p 1 a 1.2.3.4 0 0 1 1 5 6 3 0 6 0 0 0 - 80 - 0 0 - - 0"]


def test_ipv6() -> None:
    assert handed(generation("a [2001:db8::1]:80 check").text, row("a", "2001:db8::1"))


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("a 1.2.3.4:81 check", row("a")),
        ("a 1.2.3.5:80 check", row("a")),
        ("a 1.2.3.4:80", row("a")),
        ("a 1.2.3.4:80 no-check-ssl", row("a")),
        ("a 1.2.3.4:80 check disabled", row("a")),
        ("a 1.2.3.4:80 check", row("b")),
        ("a 1.2.3.4:80 check", row("a", backend="other")),
        ("a 1.2.3.4:80 check", row("a", admin=1)),
        ("a 1.2.3.4:80 check", row("a", admin=5)),
        ("a 1.2.3.4:80 check", "3 pool1.1_p 1 a"),
        ("a 1.2.3.4:80 check", "# 3"),
    ],
)
def test_what_says_nothing_of_the_next_workers_server(line: str, known: str) -> None:
    assert handed(generation(line).text, known) == []


def test_a_server_that_was_enabled_at_run_time_is_one() -> None:
    assert len(handed(generation("a 1.2.3.4:80 check").text, row("a", admin=4))) == 1


def test_what_is_probed_by_us_is_checked() -> None:
    text = generation("a 1.2.3.4:80", "b 1.2.3.4:80").text
    assert len(handed(text, row("a"), row("b"), probed=("pool1.1_p/b",))) == 1
