"""Aligned text tables."""

from __future__ import annotations

from collections.abc import Sequence


def table(align: str, rows: Sequence[Sequence[str]]) -> str:
    """Lay out `rows`, the first being the header, in columns two spaces apart.

    `align` has one letter for each column, `<` or `>`.

    >>> print(table("<>", [["name", "value"], ["pi", "3.14"]]))
    name  value
    pi     3.14
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(f"{cell:{a}{w}}" for cell, a, w in zip(row, align, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def section(title: str, *paragraphs: str) -> str:
    """A title, underlined, and what stands below it."""
    return "\n".join([title, "-" * len(title), *paragraphs, ""])
