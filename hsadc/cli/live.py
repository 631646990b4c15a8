"""An answer that goes on until it is told to stop: its lines come piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from threading import Event

from hsadc.cli.pipe import Pipeline

Lines = Generator[str | None, None, None]
"""Lines as they come; None, several times a second, when there are no more for the moment."""


@dataclass(frozen=True, slots=True)
class Live:
    """What a command that watches something returns.

    Attributes:
        lines: closed when nobody wants them any more.
        stop: set when the operator has seen enough; the lines then end by themselves, with a summary.
    """

    lines: Lines
    stop: Event = field(default_factory=Event)


def redirected(lines: Lines, write: Callable[[Sequence[str]], str]) -> Lines:
    """All lines handed to a function at the end, in whose words they end; where nobody waits for the end, none are."""
    kept: list[str] = []
    with closing(lines):
        for line in lines:
            if line is None:
                yield None
            else:
                kept.append(line)
    yield write(kept)


def filtered(lines: Lines, pipeline: Pipeline) -> Lines:
    """The lines that are left by a pipeline: as they come where each is judged by itself, else all of them at the end."""
    kept: list[str] = []
    with closing(lines):
        for line in lines:
            if line is None:
                yield None
            elif pipeline.by_line:
                yield from pipeline.filter([line])
            else:
                kept.append(line)
    if not pipeline.by_line:
        yield from pipeline.filter(kept)
