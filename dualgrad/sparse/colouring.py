"""Colourings of a sparse matrix: columns of one colour are computed in one sweep, as their sum.

The greedy colourings give a column the first colour that is free. They look at 64 colours at a
time, which are the bits of a number kept for each row, so that time is linear in the entries
(times the number of colours / 64) even where rows are dense. The theory is that of Gebremedhin,
Manne and Pothen, "What color is your Jacobian?", SIAM Review 47 (2005).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.sparse.orders import compiled, orders

_ALL = np.uint64(2**64 - 1)
_ONE = np.uint64(1)


def of_columns(pattern: Any) -> np.ndarray:
    """Colours of columns such that no two columns with an entry in the same row share one.

    The columns of one colour can be told apart in their sum: each row has an entry of one of them
    at most. It is a distance-2 colouring of the columns of the bipartite graph, the best that is
    found greedily in several orders.

    Parameters
    ----------
    pattern : csr_array, shape (m, n)
        The structure of the matrix. Stored entries count, whatever their values.

    Returns
    -------
    ndarray of int64, shape (n,)
        The colour of each column, from 0; -1 where a column has no entries.

    Notes
    -----
    The largest number of entries in a row is a lower bound of the number of colours; no further
    order is tried once it is met.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from dualgrad.sparse import colouring
    >>> colouring.of_columns(sp.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(6, 6)))
    array([0, 1, 2, 0, 1, 2])
    """
    by_row = _structure(pattern)
    by_column = by_row.tocsc()
    present = np.diff(by_column.indptr) > 0
    bound = np.diff(by_row.indptr).max(initial=0)
    if bound == np.count_nonzero(present):
        return np.where(present, np.cumsum(present) - 1, -1)

    structure = by_column.indptr, by_column.indices, by_row.shape[0]
    best = np.empty(0, np.int64)
    for order in orders(by_row, by_column):
        found = _first_fit(order, *structure)
        if best.size == 0 or found.max() < best.max():
            best = found
        if best.max() + 1 == bound:
            return best
    return _improved(best, lambda order: _first_fit(order, *structure))


def _improved(colours: np.ndarray, colour: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Colour once more, class by class from the last to the first, while colours are saved.

    That takes no more colours than before: Culberson, "Iterated greedy graph coloring and the
    difficulty landscape" (1992).
    """
    classes = np.argsort(-colours, kind="stable")
    again = colour(classes[: np.count_nonzero(colours >= 0)])
    return _improved(again, colour) if again.max() < colours.max() else colours


def _structure(pattern: Any) -> Any:
    """The pattern in rows, each sorted and without duplicates, with numbers of one type."""
    from scipy import sparse

    given = sparse.csr_array(pattern)
    dtype = np.int32 if max(*given.shape, given.nnz) < 2**31 else np.int64
    indices, starts = (np.array(part, dtype) for part in (given.indices, given.indptr))
    result = sparse.csr_array((np.ones(indices.size, np.int8), indices, starts), given.shape)
    result.sum_duplicates()
    return result


@compiled
def _first_fit(order: Any, starts: Any, rows: Any, height: Any) -> Any:
    """The greedy colouring in this order, of a matrix given by its columns."""
    colours = np.full(starts.size - 1, -1, np.int64)
    waiting = order.copy()
    first = 0  # of the 64 colours looked at; columns that find none free wait for the next 64
    while waiting.size > 0:
        used = np.zeros(height, np.uint64)  # which of them each row has
        left = 0
        for j in waiting:
            taken = np.uint64(0)
            for entry in range(starts[j], starts[j + 1]):
                taken |= used[rows[entry]]
            if taken == _ALL:
                waiting[left] = j
                left += 1
                continue
            bit = np.uint64(0)
            while (taken >> bit) & _ONE:
                bit += _ONE
            colours[j] = first + np.int64(bit)
            for entry in range(starts[j], starts[j + 1]):
                used[rows[entry]] |= _ONE << bit
        waiting = waiting[:left]
        first += 64
    return colours
