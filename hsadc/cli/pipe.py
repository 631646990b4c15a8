"""`show ... | include X | count`: what stands behind a command, and what it does to the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hsadc.cli.search import Test, make_test
from hsadc.errors import BadValue, CommandError
from hsadc.syntax.match import match, match_in, understand
from hsadc.syntax.nodes import Command, Form, Node
from hsadc.syntax.words import column_of

_BAR = re.compile(r'(?<!\S)"(?:[^"\\]|\\.)*"(?=\s|$)|(?<!\S)"[^"]*$|(?P<alone>(?<=\s)\|(?=\s|$))|(?P<glued>\|)')

MOST_PIPES = 16
LIVE = ("capture",)
"""Rules of commands whose answer goes on; it has lines and no data."""

Filter = Callable[[Sequence[str]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What becomes of the answer of a show command.

    Attributes:
        filters: applied to its lines, in order.
        as_json: True prints its data instead of its lines.
        file: where it goes instead of the terminal.
        refresh_s: seconds after which the command is carried out again, as long as nobody presses a key; 0 for once.
        by_line: True when all filters judge each line by itself.
    """

    filters: tuple[Filter, ...] = ()
    as_json: bool = False
    file: str | None = None
    refresh_s: int = 0
    by_line: bool = True

    def filter(self, lines: Sequence[str]) -> Sequence[str]:
        """What is left of the lines."""
        for step in self.filters:
            lines = step(lines)
        return lines


def split_pipes(modes: Sequence[Node], line: str) -> tuple[str, ...]:
    """A line as its command and what stands behind each bar, each behind as many blanks as make its columns the line's.

    Only what shows something has pipes: in a description a bar is text. A bar is a pipe when blanks are around it, or when the
    line is no command otherwise, as in `show run|include x`.
    """
    if "|" not in line:
        return (line,)
    anywhere = [m for m in _BAR.finditer(line) if m.lastgroup]
    bars = [m.start() for m in anywhere if m["alone"]]
    if not (bars and shows(modes, line[: bars[0]])):
        # Of those without blanks only the first is looked at: a line full of bars must not take minutes.
        first = anywhere[0].start() if anywhere else 0
        if not shows(modes, line[:first]) or _rule(modes, line) is not None:
            return (line,)
        bars = [first, *(at for at in bars if at > first)]
    bars = bars[: MOST_PIPES + 1]  # one too many is enough to be refused; each costs as much as the line is long
    starts = [0, *(at + 1 for at in bars)]
    return tuple(" " * start + line[start:end] for start, end in zip(starts, [*bars, len(line)], strict=True))


def shows(modes: Sequence[Node], head: str) -> bool:
    """Whether this is the whole of a command that shows something, once or live."""
    return (_rule(modes, head) or "").startswith(("show_", *LIVE))


def _rule(modes: Sequence[Node], line: str) -> str | None:
    """The rule of a whole command; None when it is none."""
    try:
        form = match_in(modes, line, understand)[1][0]
    except CommandError:
        return None
    inner = form.slots[0] if form.name == "do_exec" else form
    return inner.name if isinstance(inner, Form) else None


def read_pipeline(root: Node, stages: Sequence[str]) -> Pipeline:
    """What the parts of a line behind its bars say.

    Raises:
        CommandError: a part is not right, or does not fit the ones before it.
    """
    if len(stages) > MOST_PIPES:
        raise BadValue(f"at most {MOST_PIPES} pipes are possible", column_of(stages[MOST_PIPES], 0))
    pipeline = Pipeline()
    for stage in stages:
        command = match(root, stage)
        word = command.name.removeprefix("pipe_")
        if (why := _misplaced(pipeline, word)) is not None:
            raise BadValue(why, column_of(stage, 0))
        pipeline = _extend(pipeline, word, command, stage)
    return pipeline


def _misplaced(before: Pipeline, word: str) -> str | None:
    if before.file is not None or before.refresh_s:
        return f"nothing can follow {'redirect' if before.file is not None else 'refresh'}"
    if before.as_json and word != "redirect":
        return "only redirect can follow json"
    return "json must be the first behind the command" if word == "json" and before.filters else None


def _extend(pipeline: Pipeline, word: str, command: Command, stage: str) -> Pipeline:
    value: Any = command.args[0] if command.args else None
    if word == "json":
        return replace(pipeline, as_json=True)
    if word == "redirect":
        return replace(pipeline, file=value)
    if word == "refresh":
        return replace(pipeline, refresh_s=value)
    test = make_test(value, column_of(stage, 1))
    by_line = pipeline.by_line and word in ("include", "exclude")
    return replace(pipeline, filters=(*pipeline.filters, lambda lines: _FILTERS[word](test, lines)), by_line=by_line)


def _include(test: Test, lines: Sequence[str]) -> Sequence[str]:
    return [line for line in lines if test(line)]


def _exclude(test: Test, lines: Sequence[str]) -> Sequence[str]:
    return [line for line in lines if not test(line)]


def _begin(test: Test, lines: Sequence[str]) -> Sequence[str]:
    return lines[next((n for n, line in enumerate(lines) if test(line)), len(lines)) :]


def _section(test: Test, lines: Sequence[str]) -> Sequence[str]:
    return [line for block in _blocks(lines) if any(map(test, block)) for line in block]


def _count(test: Test, lines: Sequence[str]) -> Sequence[str]:
    return (f"Count: {sum(map(test, lines))} lines",)


_FILTERS = {"include": _include, "exclude": _exclude, "begin": _begin, "section": _section, "count": _count}


def _blocks(lines: Iterable[str]) -> Iterable[list[str]]:
    """Each line with those that are indented below it, and with the `exit` that closes it."""
    block: list[str] = []
    for line in lines:
        if block and not line.startswith(" ") and line != "exit":
            yield block
            block = []
        block.append(line)
    if block:
        yield block
