"""The build backend: what it needs, and what is made before anything is packed."""

from __future__ import annotations

import pytest

import build_backend


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_a_build_needs_what_setuptools_needs_and_a_compiler(kind, monkeypatch):
    monkeypatch.setattr(build_backend.build_meta, f"get_requires_for_build_{kind}", lambda _settings: ["wheel"])
    monkeypatch.setattr(build_backend, "compiler_requirement", lambda: ["a compiler"])
    assert getattr(build_backend, f"get_requires_for_build_{kind}")() == ["wheel", "a compiler"]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_what_is_derived_is_made_before_it_is_packed(kind, monkeypatch):
    done = []
    monkeypatch.setattr(build_backend, "compile_programs", lambda: done.append("compile"))
    monkeypatch.setattr(build_backend, "keep_tables", lambda grammar: done.append(grammar[:2]))
    monkeypatch.setattr(build_backend.build_meta, f"build_{kind}", lambda *arguments: done.append(arguments) or "hsadc.whl")
    assert getattr(build_backend, f"build_{kind}")("dist") == "hsadc.whl"
    assert done == ["compile", "//", ("dist", None, None)]
