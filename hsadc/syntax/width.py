"""How wide text is on a terminal: for carets below words, and for columns."""

from __future__ import annotations


def cells(text: str) -> int:
    """Columns that the text takes; Chinese takes two a character, a character without a width none."""
    if text.isascii() and text.isprintable():
        return len(text)
    from wcwidth import wcswidth, wcwidth  # its tables take as long to read as the rest of a start

    return int(wcswidth("".join(c for c in text if wcwidth(c) >= 0)))


def blank(text: str) -> str:
    """Blanks as wide as the text: what is written behind them stands below what comes after the text. Tabs stay tabs."""
    return "\t".join(" " * cells(part) for part in text.split("\t"))
