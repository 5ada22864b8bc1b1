"""What colouring saves, in words and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Summary:
    """A sparse derivative in numbers. Printed, it is a short table.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    nonzeros : int
        Entries of the pattern.
    colours : int
        Directions in which the function is differentiated.
    sweeps : int
        Evaluations of the function with dual numbers that this takes; each has many directions.

    Examples
    --------
    >>> from dualgrad.sparse.report import Summary
    >>> print(Summary(shape=(1000, 1000), nonzeros=2998, colours=3, sweeps=1))
    shape        1000 x 1000
    nonzeros     2998 (0.3 %)
    colours      3
    sweeps       1
    compression  333.3 columns to a colour
    """

    shape: tuple[int, int]
    nonzeros: int
    colours: int
    sweeps: int

    @property
    def density(self) -> float:
        """The part of all places that have entries, from 0 to 1."""
        return self.nonzeros / max(1, self.shape[0] * self.shape[1])

    @property
    def compression(self) -> float:
        """Columns to a colour: how many times fewer directions than without colouring."""
        return self.shape[1] / max(1, self.colours)

    def __str__(self) -> str:
        rows, columns = self.shape
        return "\n".join(
            [
                f"shape        {rows} x {columns}",
                f"nonzeros     {self.nonzeros} ({100 * self.density:.3g} %)",
                f"colours      {self.colours}",
                f"sweeps       {self.sweeps}",
                f"compression  {self.compression:.1f} columns to a colour",
            ]
        )


def spy(pattern: Any, colours: np.ndarray, ax: Any = None) -> Any:
    """A picture of a pattern: a square for each entry, in the colour of its column.

    Parameters
    ----------
    pattern : csr_array, shape (m, n)
        The structure of the matrix.
    colours : ndarray of int, shape (n,)
        The colour of each column.
    ax : matplotlib Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    Axes
        Those drawn in.

    Raises
    ------
    ImportError
        Without matplotlib, which `pip install dualgrad[plot]` installs.

    Examples
    --------
    >>> from scipy import sparse
    >>> from dualgrad.sparse import colouring, report
    >>> pattern = sparse.eye_array(9, k=0) + sparse.eye_array(9, k=1)
    >>> report.spy(pattern, colouring.of_columns(pattern))  # doctest: +SKIP
    <Axes: title={'center': '9 x 9, 17 nonzeros, 2 colours'}>
    """
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("a picture needs matplotlib: pip install dualgrad[plot]") from None

    if ax is None:
        ax = pyplot.subplots()[1]
    entries = pattern.tocoo()
    rows, columns = entries.shape
    count = int(np.max(colours, initial=-1)) + 1
    ax.set(
        xlim=(-0.5, max(1, columns) - 0.5),
        ylim=(max(1, rows) - 0.5, -0.5),
        aspect="equal",
        title=f"{rows} x {columns}, {entries.nnz} nonzeros, {count} colours",
    )
    ax.apply_aspect()  # now the size of an entry is known
    points = 72 / ax.figure.dpi * ax.get_window_extent().width / max(1, columns)
    ax.scatter(
        entries.col,
        entries.row,
        s=max(0.5, 0.9 * points) ** 2,
        c=np.asarray(colours)[entries.col],
        cmap="tab10" if count <= 10 else "tab20" if count <= 20 else "turbo",
        marker="s",
        linewidths=0,
        rasterized=True,  # a million squares are no drawing for a PDF
    )
    return ax
