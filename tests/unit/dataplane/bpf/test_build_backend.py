"""The build backend: which compiler, and who brings it."""

import subprocess
import sys

import pytest

from hsadc.dataplane.bpf import build_backend


@pytest.fixture(params=["wheel", "editable"])
def requires(request, monkeypatch):
    name = f"get_requires_for_build_{request.param}"
    monkeypatch.setattr(build_backend.build_meta, name, lambda _settings: ["wheel"])
    return getattr(build_backend, name)


def test_a_system_with_clang_needs_no_other_compiler(requires, monkeypatch):
    monkeypatch.setattr(build_backend.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert requires() == ["wheel"]
    assert build_backend._compiler() == ["/usr/bin/clang", "-target", "bpf"]


def test_zig_is_fetched_where_there_is_no_clang(requires, monkeypatch):
    monkeypatch.setattr(build_backend.shutil, "which", lambda _name: None)
    assert requires() == ["wheel", "ziglang>=0.13,<1"]
    assert build_backend._compiler() == [sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding"]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_the_programs_are_compiled_before_they_are_packed(kind, monkeypatch):
    done = []
    monkeypatch.setattr(build_backend, "compile_programs", lambda: done.append("compile"))
    monkeypatch.setattr(build_backend.build_meta, f"build_{kind}", lambda *arguments: done.append(arguments) or "hsadc.whl")
    assert getattr(build_backend, f"build_{kind}")("dist") == "hsadc.whl"
    assert done == ["compile", ("dist", None, None)]


def test_each_program_is_compiled_beside_its_source(tmp_path, monkeypatch):
    (tmp_path / "a.bpf.c").touch()
    monkeypatch.setattr(build_backend, "__file__", str(tmp_path / "build_backend.py"))
    monkeypatch.setattr(build_backend, "_compiler", lambda: [sys.executable, "-c", "open('a.bpf.o', 'w')"])
    assert build_backend.compile_programs() == [tmp_path / "a.bpf.o"]
    assert (tmp_path / "a.bpf.o").exists()


def test_a_failing_compiler_fails_the_build(tmp_path, monkeypatch):
    (tmp_path / "a.bpf.c").touch()
    monkeypatch.setattr(build_backend, "__file__", str(tmp_path / "build_backend.py"))
    monkeypatch.setattr(build_backend, "_compiler", lambda: [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(subprocess.CalledProcessError):
        build_backend.compile_programs()
