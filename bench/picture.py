"""How many times as long as dualgrad others take, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

from bench.timing import Table

#: Names on the picture, the beginnings of the rows that they stand for, and their markers.
SERIES = {
    "by hand": (("analytic",), "k|"),
    "JAX, forward": (("JAX, jacfwd", "JAX, jvp", "JAX, forward", "JAX, coloured"), "C0o"),
    "JAX, reverse": (("JAX, reverse", "JAX, jax.hessian"), "C9o"),
    "PyTorch": (("torch",), "C1s"),
    "CasADi, VM": (("CasADi, VM", "CasADi, sparse VM"), "C2^"),
    "CasADi, C": (("CasADi, C", "CasADi, sparse C"), "C2v"),
    "autograd": (("autograd",), "C4D"),
    "num-dual": (("num-dual",), "C5P"),
    "SciPy's differences": (("SciPy", "differences"), "C3x"),
    "numdifftools": (("numdifftools",), "C7*"),
}


def ratios(table: Table, beginnings: tuple[str, ...]) -> list[float]:
    """Of the fastest of the rows that begin so to ours, if there is one."""
    ours = table.ours()
    if not ours:
        return []
    found = [row.seconds for name, row in table.rows.items() if name.startswith(beginnings)]
    return [min(found) / table.rows[ours].seconds] if found else []


def draw(tables: Sequence[Table], path: Path) -> None:
    """Write the picture of those tables that have a peer in them."""
    peers = [beginnings for beginnings, _ in SERIES.values()]
    shown = [table for table in tables if any(ratios(table, it) for it in peers)]
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.24 * len(shown)), layout="constrained")
    for label, (beginnings, marker) in SERIES.items():
        points = [(x, y) for y, it in enumerate(shown) for x in ratios(it, beginnings)]
        if points:
            axes.plot(*zip(*points, strict=True), marker, label=label, markersize=5, alpha=0.8)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set(xscale="log", xlabel="time, as a multiple of dualgrad's: to the right is slower")
    axes.set_yticks(range(len(shown)), [table.name for table in shown], fontsize=8)
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=5, fontsize=8)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench"}):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
