"""Columns of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hsadc.syntax.width import cells as width_of


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines of a table: a head, a rule, and a line for each row; numbers stand on the right of their column."""
    cells = [list(head), *([("-" if c is None else str(c)) for c in row] for row in rows)]
    columns = list(zip(*cells, strict=True))
    widths = [max(map(width_of, column)) for column in columns]
    numbers = [_has_numbers(column[1:]) for column in columns]
    for index, line in enumerate(cells):
        padded = (_pad(c, w, right) for c, w, right in zip(line, widths, numbers, strict=True))
        yield "  ".join(padded).rstrip()
        if index == 0:
            yield "-" * (sum(widths) + 2 * (len(widths) - 1))


def _has_numbers(column: Sequence[str]) -> bool:
    values = [cell for cell in column if cell != "-"]
    return bool(values) and all(map(str.isdecimal, values))


def _pad(cell: str, width: int, right: bool) -> str:
    blanks = " " * (width - width_of(cell))
    return blanks + cell if right else cell + blanks
