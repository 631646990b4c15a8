"""Columns of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hsadc.syntax.width import cells as width_of

Row = Mapping[str, Any]
Columns = Mapping[str, str | Callable[[Row], object]]
"""From the head of each column to the key of its value in a row, or to what makes its text of the row."""

_CUT = "~"


def table(columns: Columns, rows: Iterable[Row], width: int = 0) -> Iterator[str]:
    """Lines of a table: a head, a rule, and a line for each row; numbers stand on the right of their column.

    Args:
        columns: what is shown, from left to right.
        rows: what `| json` has, too; None is shown as `-`, a list with blanks between its parts.
        width: cells that a line may take; text in the last column is cut to fit, and ends with `~` then. 0 cuts nothing.
    """
    cells = [list(columns), *([_text(row[c] if isinstance(c, str) else c(row)) for c in columns.values()] for row in rows)]
    numbers = [_has_numbers(column[1:]) for column in zip(*cells, strict=True)]
    widths = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
    if width and not numbers[-1]:
        widths[-1] = min(widths[-1], max(width - sum(widths[:-1]) - 2 * (len(widths) - 1), width_of(cells[0][-1])))
    for index, line in enumerate(cells):
        padded = (_pad(_cut(c, w), w, right) for c, w, right in zip(line, widths, numbers, strict=True))
        yield "  ".join(padded).rstrip()
        if index == 0:
            yield "-" * (sum(widths) + 2 * (len(widths) - 1))


def counters_table(keys: Columns, counters: Mapping[str, str], rows: Sequence[Row], width: int = 0) -> Iterator[str]:
    """A table of counters that loses nothing: columns that are all 0 are left out, and those that do not fit follow below.

    Args:
        keys: the columns that say whose counters they are.
        counters: head and key of each counter.
        rows: as `table` has them.
        width: cells that a line may take; 0 for any. A table has one column of counters at least.
    """
    left = {head: key for head, key in counters.items() if any(row[key] for row in rows)} or dict(list(counters.items())[:1])
    first = True
    while left:
        number = next((n for n in range(len(left), 1, -1) if _fits({**keys, **_first(left, n)}, rows, width)), 1)
        if not first:
            yield ""
        yield from table({**keys, **_first(left, number)}, rows, width)
        left, first = dict(list(left.items())[number:]), False


def _first(columns: Mapping[str, str], number: int) -> Mapping[str, str]:
    return dict(list(columns.items())[:number])


def _fits(columns: Columns, rows: Sequence[Row], width: int) -> bool:
    return not width or max(map(width_of, table(columns, rows))) <= width


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        value = " ".join(map(str, value))
    return "-" if value in (None, "") else str(value)


def _has_numbers(column: Sequence[str]) -> bool:
    values = [cell for cell in column if cell != "-"]
    return bool(values) and all(map(str.isdecimal, values))


def _cut(cell: str, width: int) -> str:
    if width_of(cell) <= width:
        return cell
    while width_of(cell + _CUT) > width:
        cell = cell[:-1]
    return cell + _CUT


def _pad(cell: str, width: int, right: bool) -> str:
    blanks = " " * (width - width_of(cell))
    return blanks + cell if right else cell + blanks
