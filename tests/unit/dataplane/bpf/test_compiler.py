"""Compiling the BPF programs: with which compiler, and who brings it."""

import subprocess
import sys

import pytest

from hsadc.dataplane.bpf import compiler


def test_a_system_with_clang_needs_no_other_compiler(monkeypatch):
    monkeypatch.setattr(compiler.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert compiler.compiler_requirement() == []
    assert compiler._compiler() == ["/usr/bin/clang", "-target", "bpf"]


def test_zig_is_fetched_where_there_is_no_clang(monkeypatch):
    monkeypatch.setattr(compiler.shutil, "which", lambda _name: None)
    assert compiler.compiler_requirement() == ["ziglang>=0.13,<1"]
    assert compiler._compiler() == [sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding"]


def test_each_program_is_compiled_beside_its_source(tmp_path, monkeypatch):
    (tmp_path / "a.bpf.c").touch()
    monkeypatch.setattr(compiler, "__file__", str(tmp_path / "compiler.py"))
    monkeypatch.setattr(compiler, "_compiler", lambda: [sys.executable, "-c", "open('a.bpf.o', 'w')"])
    assert compiler.compile_programs() == [tmp_path / "a.bpf.o"]
    assert (tmp_path / "a.bpf.o").exists()


def test_a_failing_compiler_fails_the_build(tmp_path, monkeypatch):
    (tmp_path / "a.bpf.c").touch()
    monkeypatch.setattr(compiler, "__file__", str(tmp_path / "compiler.py"))
    monkeypatch.setattr(compiler, "_compiler", lambda: [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(subprocess.CalledProcessError):
        compiler.compile_programs()
