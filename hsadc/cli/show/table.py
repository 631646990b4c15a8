"""Columns of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hsadc.syntax.width import cells as width_of


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines of a table: a head, a rule, and a line for each row; numbers stand on the right of their column."""
    cells = [list(head), *([("-" if c is None else str(c)) for c in row] for row in rows)]
    widths = [max(width_of(line[n]) for line in cells) for n in range(len(head))]
    numbers = [
        len(cells) > 1 and all(line[n].lstrip("-").isdigit() or line[n] == "-" for line in cells[1:]) for n in range(len(head))
    ]
    for index, line in enumerate(cells):
        padded = (_pad(c, w, right) for c, w, right in zip(line, widths, numbers, strict=True))
        yield "  ".join(padded).rstrip()
        if index == 0:
            yield "-" * (sum(widths) + 2 * (len(widths) - 1))


def _pad(cell: str, width: int, right: bool) -> str:
    blanks = " " * (width - width_of(cell))
    return blanks + cell if right else cell + blanks
