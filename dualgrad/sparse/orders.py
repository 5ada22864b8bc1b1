"""Orders in which a greedy colouring may take the columns of a sparse matrix.

Two columns are neighbours where they share a row. The graph of neighbours is never built: a row
with k entries would have k² / 2 edges in it. Columns that share several rows count as often as
that, which keeps degrees cheap and orders as good.

The orders are those of Coleman and Moré, "Estimation of sparse Jacobian matrices and graph
coloring problems", SIAM J. Numer. Anal. 20 (1983).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit

#: The dynamic orders visit each neighbour of each column. They are left out where these are more
#: than so many for each entry of the matrix: some dense rows are enough to make that last for ever.
_VISITS = 50


def compiled(function: Any) -> Any:
    """Compiled by Numba; kept on disk, if there is any place that can be written to."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no such place
        return njit(nogil=True)(function)


def orders(by_row: Any, by_column: Any) -> Iterator[np.ndarray]:
    """Natural, largest first, smallest last, incidence degree; columns without entries left out.

    Parameters
    ----------
    by_row, by_column : csr_array, csc_array
        The same matrix twice, without duplicates.

    Yields
    ------
    ndarray of int64
        Columns in some order.
    """
    lengths = np.diff(by_row.indptr).astype(np.int64)
    present = np.flatnonzero(np.diff(by_column.indptr))
    yield present

    weights = np.append(0, np.cumsum((lengths - 1)[by_column.indices]))
    degrees = np.diff(weights[by_column.indptr])
    largest_first = present[np.argsort(-degrees[present], kind="stable")]
    yield largest_first

    if present.size == 0 or np.dot(lengths, lengths) > _VISITS * by_row.nnz:
        return
    structure = by_row.indptr, by_row.indices, by_column.indptr, by_column.indices
    yield _peel(degrees, present, *structure)[::-1].copy()  # Numba compiles for strides again
    yield _peel(np.full_like(degrees, degrees.max()), largest_first[::-1].copy(), *structure)


@compiled
def _peel(
    keys: Any, columns: Any, row_starts: Any, row_items: Any, column_starts: Any, column_items: Any
) -> Any:
    """Take away, again and again, a column of the smallest key; those of its neighbours fall by 1.

    With degrees as keys the order is "smallest last" backwards. With keys that are all the same it
    is "incidence degree": who has lost most has most neighbours that are taken. Of columns with
    equal keys the one is taken whose key fell last, at first the last in `columns`.
    """
    keys = keys.copy()  # what is left of them; -1 where the column is taken
    head = np.full(keys.max() + 1, -1, np.int64)  # of the doubly linked list of each key
    after = np.full(keys.size, -1, np.int64)
    before = np.full(keys.size, -1, np.int64)
    for j in columns:
        after[j] = head[keys[j]]
        if after[j] >= 0:
            before[after[j]] = j
        head[keys[j]] = j

    order = np.empty(columns.size, np.int64)
    smallest = 0
    for place in range(columns.size):
        while head[smallest] < 0:
            smallest += 1
        taken = head[smallest]
        order[place] = taken
        head[smallest] = after[taken]
        if after[taken] >= 0:
            before[after[taken]] = -1
        keys[taken] = -1
        for entry in range(column_starts[taken], column_starts[taken + 1]):
            row = column_items[entry]
            for item in range(row_starts[row], row_starts[row + 1]):
                j = row_items[item]
                key = keys[j]
                if key < 0:
                    continue
                if before[j] >= 0:
                    after[before[j]] = after[j]
                else:
                    head[key] = after[j]
                if after[j] >= 0:
                    before[after[j]] = before[j]
                keys[j] = key - 1
                before[j], after[j] = -1, head[key - 1]
                if after[j] >= 0:
                    before[after[j]] = j
                head[key - 1] = j
                smallest = min(smallest, key - 1)
    return order
