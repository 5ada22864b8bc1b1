"""What was measured, as text: tables for a terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator

from bench.common import CHUNKED, Target
from bench.timing import Table

REACHED, MISSED = "reached", "MISSED"


def digits(number: float) -> str:
    """Three significant digits, more where the whole part has more."""
    return f"{number:.0f}" if abs(number) >= 99.95 else f"{number:#.3g}"


def duration(seconds: float) -> str:
    """Likewise, with a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(seconds) >= size:
            return f"{digits(seconds / size)} {unit}"
    return f"{digits(seconds * 1e9)} ns"


def verdict(target: Target, table: Table) -> tuple[str, str, str]:
    """What is expected, what was measured, and whether that will do."""
    measured = target.measured(table.medians())
    if target.of:
        bound, found = f"{target.at_most:.3g} x {target.of}", digits(measured)
    else:
        bound, found = duration(target.at_most), duration(measured)
    beyond = f" beyond {target.beyond}" if target.beyond else ""
    word = REACHED if measured <= target.at_most else MISSED
    return f"{target.variant} <= {bound}{beyond}", found, word


def header_and_rows(table: Table) -> Iterator[list[str]]:
    """The cells of a table, a list for each line; the header comes first."""
    bases = [base for base in (table.ours(), table.primal, CHUNKED) if base in table.rows]
    yield ["", "median", *(f"/ {base}" for base in bases), "compile", "error"]
    for name, row in table.rows.items():
        ratios = [digits(row.seconds / table.rows[base].seconds) for base in bases]
        compiled = "" if row.compile is None else duration(row.compile)
        error = "" if row.error is None else f"{row.error:.0e}"
        yield [name, duration(row.seconds), *ratios, compiled, error]


def text(table: Table) -> str:
    """Aligned columns, then the targets, then what else there is to say."""
    cells = list(header_and_rows(table))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [table.name]
    for first, *others in cells:
        aligned = [f"{it:>{width}}" for it, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([f"  {first:{widths[0]}}", *aligned]).rstrip())
    for target in table.targets:
        expected, found, word = verdict(target, table)
        lines.append(f"  target: {expected}; measured {found}: {word}")
    return "\n".join([*lines, *(f"  {it}" for it in table.remarks), ""])


def markdown(table: Table) -> str:
    """The same for the page."""
    header, *rows = header_and_rows(table)
    lines = [row_of(header), "| --- |" + " ---: |" * (len(header) - 1), *map(row_of, rows)]
    return "\n".join([f"## {table.name}", "", *lines, *(f"\n{it}" for it in table.remarks)])


def row_of(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
