"""Compiles the BPF programs beside this file: `python hsadc/dataplane/bpf/compiler.py`.

Users of a wheel need no compiler. Where the system has no clang, pip fetches zig's for the time of the build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# v3 has the atomic operations that return a value; kernels since 5.12 take it, and clang since 12.
# The verifier takes a number in a stack slot that held a pointer for an attack, unless the process has CAP_PERFMON: no sharing.
_FLAGS = ["-O2", "-mcpu=v3", "-mllvm", "-no-stack-slot-sharing", "-fno-unroll-loops", "-Wall", "-Wextra", "-Werror", "-c"]
_ZIG = "ziglang>=0.13,<1"


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


def compiler_requirement() -> list[str]:
    """What pip has to install for compiling; nothing where the system has clang."""
    return [] if shutil.which("clang") else [_ZIG]


def _compiler() -> list[str]:
    if clang := shutil.which("clang"):
        return [clang, "-target", "bpf"]
    return [sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding"]


if __name__ == "__main__":
    compile_programs()
