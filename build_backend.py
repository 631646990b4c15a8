"""PEP 517 build backend: setuptools, after what is derived has been made in place: the BPF programs and the grammar's tables.

Of hsadc only what does this is imported: at this moment neither it nor what it requires is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from hsadc.dataplane.bpf.compiler import compile_programs, compiler_requirement
from hsadc.syntax.grammar import grammar_text
from hsadc.syntax.tables import keep_tables

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ConfigSettings = Mapping[str, str | list[str] | None] | None

# By name: some releases of setuptools are typed and some are not.
build_meta: Any = import_module("setuptools.build_meta")
build_sdist = build_meta.build_sdist
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel


def get_requires_for_build_wheel(config_settings: ConfigSettings = None) -> list[str]:
    """What pip installs for the build besides what pyproject.toml names."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *compiler_requirement()]


def get_requires_for_build_editable(config_settings: ConfigSettings = None) -> list[str]:
    """What pip installs for the build besides what pyproject.toml names."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *compiler_requirement()]


def build_wheel(wheel_directory: str, config_settings: ConfigSettings = None, metadata_directory: str | None = None) -> str:
    """Derive, then build the wheel; returns its file name."""
    _derive()
    return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_editable(wheel_directory: str, config_settings: ConfigSettings = None, metadata_directory: str | None = None) -> str:
    """Derive in place, then build the editable wheel; returns its file name."""
    _derive()
    return str(build_meta.build_editable(wheel_directory, config_settings, metadata_directory))


def _derive() -> None:
    compile_programs()
    keep_tables(grammar_text())
