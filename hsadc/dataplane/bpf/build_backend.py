"""PEP 517 build backend: setuptools, after the BPF programs beside this file were compiled.

Users of a wheel need no compiler. Where the system has no clang, pip fetches zig's for the time of the build. Nothing of hsadc is
imported here: at this moment it is not installed. Developers compile in place with `python hsadc/dataplane/bpf/build_backend.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

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

# v3 has the atomic operations that return a value; kernels since 5.12 take it, and clang since 12.
_FLAGS = ["-O2", "-mcpu=v3", "-Wall", "-Wextra", "-Werror", "-c"]
_ZIG = "ziglang>=0.13,<1"

# By name: some releases of setuptools are typed and some are not.
build_meta: Any = import_module("setuptools.build_meta")
build_sdist = build_meta.build_sdist
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel


def get_requires_for_build_wheel(config_settings: ConfigSettings = None) -> list[str]:
    """What pip installs for the build besides what pyproject.toml names."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_compiler_requirement()]


def get_requires_for_build_editable(config_settings: ConfigSettings = None) -> list[str]:
    """What pip installs for the build besides what pyproject.toml names."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_compiler_requirement()]


def build_wheel(wheel_directory: str, config_settings: ConfigSettings = None, metadata_directory: str | None = None) -> str:
    """Compile, then build the wheel; returns its file name."""
    compile_programs()
    return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_editable(wheel_directory: str, config_settings: ConfigSettings = None, metadata_directory: str | None = None) -> str:
    """Compile in place, then build the editable wheel; returns its file name."""
    compile_programs()
    return str(build_meta.build_editable(wheel_directory, config_settings, metadata_directory))


def compile_programs() -> list[Path]:
    """Compile each *.bpf.c beside this file.

    Returns:
        The objects made, each beside its source.

    Raises:
        subprocess.CalledProcessError: the compiler refuses; it has said why on standard error.
    """
    objects = []
    for source in sorted(Path(__file__).parent.glob("*.bpf.c")):
        target = source.with_suffix(".o")
        with tempfile.TemporaryDirectory() as cache:
            environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
            subprocess.run(
                [*_compiler(), *_FLAGS, source.name, "-o", target.name], check=True, cwd=source.parent, env=environment
            )
        objects.append(target)
    return objects


def _compiler_requirement() -> list[str]:
    return [] if shutil.which("clang") else [_ZIG]


def _compiler() -> list[str]:
    if clang := shutil.which("clang"):
        return [clang, "-target", "bpf"]
    return [sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding"]


if __name__ == "__main__":
    compile_programs()
