"""Sparse structures that are known, for the tests of all that is sparse."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from tests.systems import brusselator_places


def pattern_of(dense: ArrayLike) -> sp.csr_array:
    """A boolean pattern, of anything that has two axes."""
    return sp.csr_array(np.atleast_2d(np.asarray(dense, bool)))


def banded(n: int, below: int, above: int) -> sp.csr_array:
    """All diagonals from `below` below the main one to `above` above it."""
    i, j = np.indices((n, n))
    return pattern_of((j - i <= above) & (i - j <= below))


def arrow(n: int) -> sp.csr_array:
    """The diagonal, the last row and the last column."""
    dense = np.eye(n, dtype=bool)
    dense[-1] = dense[:, -1] = True
    return pattern_of(dense)


def row_arrow(n: int) -> sp.csr_array:
    """The diagonal and the last row."""
    dense = np.eye(n, dtype=bool)
    dense[-1] = True
    return pattern_of(dense)


def blocks(count: int, size: int) -> sp.csr_array:
    """Dense blocks on the diagonal."""
    return pattern_of(np.kron(np.eye(count), np.ones((size, size))))


def crown(n: int) -> sp.csr_array:
    """A row for each pair of an even column and an odd one, other than the next."""
    pairs = [(2 * i, 2 * j + 1) for i in range(n) for j in range(n) if i != j]
    rows = np.repeat(np.arange(len(pairs)), 2)
    return sp.csr_array((np.ones(rows.size, bool), (rows, np.ravel(pairs))), (len(pairs), 2 * n))


def brusselator(n: int) -> sp.csr_array:
    """The Jacobian of `tests.systems.brusselator` on an n x n grid."""
    places = brusselator_places(n)
    return sp.csr_array((np.ones(places[0].size, bool), places), shape=(2 * n * n, 2 * n * n))


RECTANGULAR = {
    "0 x 0": pattern_of(np.zeros((0, 0))),
    "0 x 4": sp.csr_array((0, 4), dtype=bool),
    "4 x 0": sp.csr_array((4, 0), dtype=bool),
    "1 x 1": pattern_of([[1]]),
    "1 x 1, empty": pattern_of([[0]]),
    "no entries": pattern_of(np.zeros((3, 5))),
    "dense": pattern_of(np.ones((4, 7))),
    "dense, many": pattern_of(np.ones((3, 150))),
    "dense row": row_arrow(9),
    "dense column": row_arrow(9).T.tocsr(),
    "empty rows and columns": pattern_of([[0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]]),
}
SYMMETRIC = {
    "diagonal": banded(7, 0, 0),
    "tridiagonal": banded(40, 1, 1),
    "banded": banded(30, 3, 3),
    "blocks": blocks(5, 3),
    "arrow": arrow(12),
    "arrow, backwards": pattern_of(arrow(12).toarray()[::-1, ::-1]),
    "complete but for one": pattern_of(1 - np.eye(9)[::-1]),
    "dense": pattern_of(np.ones((70, 70))),
    "brusselator": brusselator(4),
}  # fmt: skip
