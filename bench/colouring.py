"""Colourings of matrices with a million entries, which are then read from sums of columns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from bench.common import Target, Workload
from dualgrad.sparse import colouring
from tests.patterns import brusselator


def compressed(matrix: Any, colours: np.ndarray) -> np.ndarray:
    """The sums of the columns of each colour. None is empty here."""
    return matrix @ np.eye(colours.max() + 1)[colours]


def by_columns(matrix: Any) -> np.ndarray:
    colours = colouring.of_columns(matrix)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return compressed(matrix, colours)[rows, colours[matrix.indices]]


def by_star(matrix: Any) -> np.ndarray:
    colours = colouring.star(matrix)
    return compressed(matrix, colours)[colouring.recovery(matrix, colours)]


def symmetric(rows: np.ndarray, columns: np.ndarray, n: int) -> Any:
    """A full diagonal, entries in these places, and their mirror images."""
    half = sparse.coo_array((np.ones(rows.size), (rows, columns)), shape=(n, n))
    matrix = sparse.csr_array(half + half.T + sparse.eye_array(n))
    places = matrix.tocoo()
    matrix.data = 2.0 + np.cos(places.row + places.col)
    return matrix


def workloads(smoke: bool) -> Iterator[Workload]:
    n = 1000 if smoke else 100_000
    line, random = np.arange(5 * n), np.random.default_rng(0)
    grid = brusselator(8 if smoke else 289).tocoo()
    matrices = {
        "tridiagonal": symmetric(line[:-1], line[1:], line.size),
        "Brusselator": symmetric(grid.row, grid.col, grid.shape[0]),
        "at random": symmetric(*random.integers(n, size=(2, 4 * n)), n),
        "arrow": symmetric(np.zeros(n, int), np.arange(n), n),
    }
    for name, matrix in matrices.items():
        ways = {"star": partial(by_star, matrix)}
        if name != "arrow":  # each column would have a colour of its own
            ways["of columns"] = partial(by_columns, matrix)
        yield Workload(
            f"colours, {name}, {matrix.nnz} entries",
            {"product with a vector": partial(matrix.__matmul__, np.ones(matrix.shape[1]))},
            ways,
            matrix.data,
            tuple(Target(way, 1.0) for way in ways),
        )
