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
from scipy import sparse

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
    bound = int(np.diff(by_row.indptr).max(initial=0))
    if bound == np.count_nonzero(present):
        return np.where(present, np.cumsum(present) - 1, -1)
    structure = by_column.indptr, by_column.indices, by_row.shape[0]
    return _best(by_row, by_column, lambda order: _first_fit(order, *structure), bound)


def star(pattern: Any) -> np.ndarray:
    """Colours of columns from which a symmetric matrix, a Hessian, can be recovered.

    Of an entry (i, j) and its mirror image (j, i) one at least is alone in its row with the colour
    of its column; `recovery` tells which. Fewer colours are needed than by `of_columns`: for a
    matrix in the form of an arrow two, whatever its size. It is a star colouring of the graph with
    an edge for each such pair: neighbours differ, and each path of four vertices has three colours.

    Parameters
    ----------
    pattern : csr_array, shape (n, n)
        The structure of a symmetric matrix. Stored entries count, whatever their values.

    Returns
    -------
    ndarray of int64, shape (n,)
        The colour of each column, from 0; -1 where a column has no entries.

    Raises
    ------
    ValueError
        If the structure is not symmetric.

    Notes
    -----
    See Gebremedhin, Tarafdar, Manne and Pothen, "New acyclic and star coloring algorithms with
    application to computing Hessians", SIAM J. Sci. Comput. 29 (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from dualgrad.sparse import colouring
    >>> arrow = np.eye(5, dtype=bool)
    >>> arrow[0] = arrow[:, 0] = True
    >>> colouring.star(arrow)
    array([0, 1, 1, 1, 1])
    """
    whole = _symmetric(_structure(pattern))
    above = sparse.triu(whole, k=1).tocoo()
    pairs = np.tile(np.arange(above.nnz), 2), np.concatenate([above.row, above.col])
    edges = _of_places(*pairs, (above.nnz, whole.shape[0]))
    neighbours = _structure(above + above.T)
    structure = neighbours.indptr, neighbours.indices
    branches = np.diff(neighbours.indptr) > 1
    bound = 3 if np.any(branches[above.row] & branches[above.col]) else 2
    colours = _best(edges, edges.tocsc(), lambda order: _first_fit_star(order, *structure), bound)
    colours[(colours < 0) & (whole.diagonal() != 0)] = 0  # alone

    # What is right for columns is right here too, if the diagonal is full; now and then it is less.
    present = np.flatnonzero(colours >= 0)
    full = whole + _of_places(present, present, whole.shape)
    if np.diff(full.indptr).max(initial=0) <= colours.max(initial=-1):
        other = of_columns(full)
        if other.max() < colours.max():
            return other
    return colours


def recovery(pattern: Any, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the entries of a symmetric matrix `h` are found in `h @ seeds`.

    Column c of `seeds` is the sum of the unit vectors of colour c. An entry and its mirror image
    are read from the same place, so that what is recovered is symmetric to the last bit.

    Parameters
    ----------
    pattern : csr_array, shape (n, n)
        The structure of the matrix, in canonical format (sorted, without duplicates).
    colours : ndarray of int64, shape (n,)
        A star colouring of it, or one by `of_columns`.

    Returns
    -------
    rows, columns : ndarray of int64, shape (nnz,)
        Places in the product, for the stored entries in their order.

    Raises
    ------
    ValueError
        If the pattern is not symmetric or not in canonical format, or if it cannot be recovered
        from these colours.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from dualgrad.sparse import colouring
    >>> h = sparse.csr_array([[2.0, 5.0, 7.0], [5.0, 3.0, 0.0], [7.0, 0.0, 4.0]])
    >>> colours = colouring.star(h)
    >>> product = h @ np.eye(2)[colours]
    >>> product[colouring.recovery(h, colours)], h.data
    (array([2., 5., 7., 5., 3., 7., 4.]), array([2., 5., 7., 5., 3., 7., 4.]))
    """
    given = sparse.csr_array(pattern)
    if not given.has_canonical_format:
        raise ValueError("a pattern in canonical format is expected: call its sum_duplicates()")
    whole = _symmetric(_structure(given))
    numbers = np.arange(whole.nnz)
    mirror = sparse.csr_array((numbers, whole.indices, whole.indptr), whole.shape).tocsc().data
    colours = np.asarray(colours, np.int64)
    if colours.shape != whole.shape[1:] or np.any(colours[whole.indices] < 0):
        raise ValueError("each column with entries must have a colour")

    alone = _alone(whole.indptr, whole.indices, colours)
    upper, lower = np.minimum(numbers, mirror), np.maximum(numbers, mirror)
    if not np.all(alone[upper] | alone[lower]):
        raise ValueError("the matrix cannot be recovered from these colours: no star colouring")
    source = np.where(alone[upper], upper, lower)
    rows = np.repeat(np.arange(whole.shape[0]), np.diff(whole.indptr))
    return rows[source], colours[whole.indices[source]]


def _structure(pattern: Any) -> Any:
    """The pattern in rows, each sorted and without duplicates, with numbers of one type."""
    given = sparse.csr_array(pattern)
    dtype = np.int32 if max(*given.shape, given.nnz) < 2**31 else np.int64
    indices, starts = (np.array(part, dtype) for part in (given.indices, given.indptr))
    result = sparse.csr_array((np.ones(indices.size, np.int8), indices, starts), given.shape)
    result.sum_duplicates()
    return result


def _of_places(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> Any:
    """Likewise, of a matrix with entries in these places."""
    return _structure(sparse.coo_array((np.ones(rows.size, np.int8), (rows, columns)), shape))


def _symmetric(structure: Any) -> Any:
    """The same, if it is symmetric: its columns are then its rows."""
    if structure.shape[0] == structure.shape[1]:
        by_column = structure.tocsc()
        if np.array_equal(by_column.indptr, structure.indptr) and np.array_equal(
            by_column.indices, structure.indices
        ):
            return structure
    raise ValueError("a symmetric pattern is expected")


def _best(
    by_row: Any, by_column: Any, colour: Callable[[np.ndarray], np.ndarray], bound: int
) -> np.ndarray:
    """The colouring with the fewest colours over all orders of the columns."""
    best = np.full(by_row.shape[1], -1)
    for order in orders(by_row, by_column):
        found = colour(order)
        if best.max(initial=-1) < 0 or found.max() < best.max():
            best = found
        if best.max(initial=-1) + 1 <= bound:
            return best
    return _improved(best, colour)


def _improved(colours: np.ndarray, colour: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Colour once more, class by class from the last to the first, while colours are saved.

    By columns that takes no more colours than before, and often fewer: Culberson, "Iterated greedy
    graph coloring and the difficulty landscape" (1992).
    """
    classes = np.argsort(-colours, kind="stable")
    again = colour(classes[: np.count_nonzero(colours >= 0)])
    return _improved(again, colour) if again.max() < colours.max() else colours


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


@compiled
def _first_fit_star(order: Any, starts: Any, neighbours: Any) -> Any:
    """The greedy star colouring in this order, of a graph given by its adjacency.

    A vertex v must not have the colour of

    1. a neighbour;
    2. a neighbour of its neighbour w, where v has another neighbour of w's colour;
    3. a neighbour x of its neighbour w, where x has another neighbour of w's colour,

    as there would be a path of four vertices in two colours. Sets of colours are kept as bits, as
    above, and the third one is kept up to date: else it would take the neighbours of neighbours.
    """
    n = starts.size - 1
    colours = np.full(n, -1, np.int64)
    count = np.zeros(n + 1, np.int64)  # of the neighbours of v, by colour; of those without, last
    waiting = order.copy()
    first = 0
    while waiting.size > 0:
        around = np.zeros(n, np.uint64)  # colours of neighbours
        third = np.zeros(n, np.uint64)  # colours of neighbours x in the third case
        told = np.zeros(n, np.uint64)  # colours of neighbours that know this vertex for an x
        left = 0
        for v in waiting:
            ring = neighbours[starts[v] : starts[v + 1]]
            for w in ring:
                count[colours[w]] += 1
            count[-1] = 0
            taken = around[v]
            for w in ring:
                if colours[w] >= 0:
                    taken |= third[w]
                    if count[colours[w]] > 1:
                        taken |= around[w]

            if taken == _ALL:
                waiting[left] = v
                left += 1
            else:
                bit = np.uint64(0)
                while (taken >> bit) & _ONE:
                    bit += _ONE
                mine = _ONE << bit
                colours[v] = first + np.int64(bit)
                for w in ring:
                    if count[colours[w]] > 1:  # v is an x of w
                        third[w] |= mine
                    if around[w] & mine and colours[w] >= first:  # w is an x of v, and of others
                        its = _ONE << np.uint64(colours[w] - first)
                        third[v] |= its
                        if not told[w] & mine:
                            told[w] |= mine
                            for u in neighbours[starts[w] : starts[w + 1]]:
                                if colours[u] == colours[v]:
                                    third[u] |= its
                    around[w] |= mine
            for w in ring:
                count[colours[w]] = 0
        waiting = waiting[:left]
        first += 64
    return colours


@compiled
def _alone(starts: Any, columns: Any, colours: Any) -> Any:
    """Whether each entry is the only one in its row with the colour of its column."""
    alone = np.empty(columns.size, np.bool_)
    count = np.zeros(colours.max() + 1 if colours.size > 0 else 0, np.int64)
    for i in range(starts.size - 1):
        for entry in range(starts[i], starts[i + 1]):
            count[colours[columns[entry]]] += 1
        for entry in range(starts[i], starts[i + 1]):
            alone[entry] = count[colours[columns[entry]]] == 1
        for entry in range(starts[i], starts[i + 1]):
            count[colours[columns[entry]]] = 0
    return alone
