"""What the kernels need to know of a pattern: index arrays, built once.

Each way to compute has a `Structure` of its own.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: Lanes of a sweep: a few numbers, so that few kernels are compiled. More colours take several.
LANES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


@dataclass(frozen=True, eq=False)
class Structure:
    """A coloured pattern. Its arrays are read-only, as results share them."""

    matrix: Any  # a csr_array of bool with sorted indices: the pattern of the result
    colours: np.ndarray  # of each column, -1 for an empty one
    calls: dict[Any, Any] = field(default_factory=dict)  # of compiled code, by transform
    _given: dict[Any, tuple[Any, ...]] = field(default_factory=dict)

    @functools.cached_property
    def count(self) -> int:
        """The number of colours."""
        return int(self.colours.max(initial=-1)) + 1

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What the kernel is given to know the pattern, but for colours and their number."""
        raise NotImplementedError

    def arrays_for(self, n: int, compares: bool) -> tuple[Any, ...]:
        """The same and more, for a kernel of `n` lanes that compares or does not."""
        found = self._given.get((n, compares))
        if found is None:
            found = self._given[n, compares] = self._arrays_for(n, compares)
        return found

    def _arrays_for(self, n: int, compares: bool) -> tuple[Any, ...]:
        return self.arrays

    @property
    def compared(self) -> tuple[int, int]:
        """The shape of the array for what comparisons find: two lines for each vector compared."""
        return 2, self.matrix.shape[0]

    @functools.cached_property
    def direction(self) -> np.ndarray:
        """A vector for comparisons, of which no item is small."""
        return _fixed(np.random.default_rng(0).uniform(1.0, 2.0, self.colours.size))

    def with_data(self, data: Any) -> Any:
        """The `csr_array` of this pattern with these items."""
        # as the constructor would make it, which takes longer than many a Jacobian
        result = copy.copy(self._empty)
        result.data = data
        return result

    @functools.cached_property
    def _empty(self) -> Any:
        from scipy.sparse import csr_array

        own = self.matrix
        result = csr_array((own.data, own.indices, own.indptr), shape=own.shape)
        result.indices, result.indptr = own.indices, own.indptr  # not views of them
        result.has_canonical_format = True
        return result

    def is_of(self, matrix: Any) -> bool:
        """Whether a `csr_array` has this pattern."""
        own = self.matrix
        starts, indices = matrix.indptr, matrix.indices
        alike = starts is own.indptr or np.array_equal(starts, own.indptr)
        alike = alike and (indices is own.indices or np.array_equal(indices, own.indices))
        return alike and matrix.shape == own.shape


class ByRows(Structure):
    """A Jacobian that is read row by row."""

    @classmethod
    def of(cls, matrix: Any) -> ByRows:
        """The pattern with its columns coloured."""
        return cls(matrix, _columns_coloured(matrix))

    @functools.cached_property
    def arrays(self) -> tuple[Any, ...]:
        """The number of rows; where each starts; the colours and the columns of its entries."""
        own = self.matrix
        return own.shape[0], own.indptr, _fixed(self.colours[own.indices]), own.indices

    def _arrays_for(self, n: int, compares: bool) -> tuple[Any, ...]:
        """The places too, empty where one sweep does not do or something is compared."""
        return *self.arrays, self._places(0 if compares or self.count > n else n)

    def _places(self, n: int) -> np.ndarray:
        """Which number of the memory of the result each entry is: values have `n` lanes each."""
        rows, slots = self._entries() if n else (np.zeros(0, np.int64), np.zeros(0, np.int64))
        found = rows * (n + 1) + 1 + slots
        is_small = self.arrays[0] * (n + 1) < np.iinfo(np.int32).max
        return _fixed(found.astype(np.int32 if is_small else np.int64))

    def _entries(self) -> tuple[np.ndarray, np.ndarray]:
        """The row and the colour of each entry."""
        _, starts, slots, _ = self.arrays
        return np.repeat(np.arange(len(starts) - 1), np.diff(starts)), slots


class ByColumns(ByRows):
    """One whose columns are added up."""

    @functools.cached_property
    def arrays(self) -> tuple[Any, ...]:
        """The number of rows; where each column starts; nothing; the rows of its entries."""
        own = self.matrix.tocsc()
        starts, rows = _fixed(own.indptr), _fixed(own.indices)
        return own.shape[0], starts, rows[:0], rows

    def _entries(self) -> tuple[np.ndarray, np.ndarray]:
        _, starts, _, rows = self.arrays
        return rows.astype(np.int64), np.repeat(self.colours, np.diff(starts))


class Star(Structure):
    """A Hessian, read from its product with a matrix that adds up columns of one colour."""

    @classmethod
    def of(cls, matrix: Any) -> Star:
        """The pattern with its columns coloured."""
        from dualgrad.sparse import colouring

        return cls(matrix, _fixed(colouring.star(matrix).astype(np.int32)))

    @functools.cached_property
    def arrays(self) -> tuple[Any, ...]:
        """Of the product: where each row starts, colours of the entries read, their places.

        And of the result: where each row starts, and the columns of its entries.
        """
        from dualgrad.sparse import colouring

        own = self.matrix
        rows, slots = colouring.recovery(own, self.colours)
        order = np.argsort(rows, kind="stable")
        starts = np.searchsorted(rows[order], np.arange(own.shape[0] + 1))
        read = (starts, slots[order], order)
        return *(_fixed(it.astype(own.indices.dtype)) for it in read), own.indptr, own.indices


@dataclass(frozen=True, eq=False)
class Pairs(Structure):
    """A Hessian that is the sum of those of terms, each of which is read from pairs of colours."""

    terms: Any = None  # the pattern of the Jacobian of the terms

    @classmethod
    def of_terms(cls, terms: Any, matrix: Any) -> Pairs:
        """The patterns with the columns of the terms coloured."""
        return cls(matrix, _columns_coloured(terms), terms=terms)

    @property
    def compared(self) -> tuple[int, int]:
        """Gradient and Hessian of each term are compared."""
        return 4, self.terms.shape[0]

    @functools.cached_property
    def arrays(self) -> tuple[Any, ...]:
        """Of the terms: number, starts, colours and inputs; of their pairs: starts and places.

        And the number of entries of the result.
        """
        own, terms = self.matrix, self.terms
        starts, inputs = terms.indptr, terms.indices
        sizes = np.diff(starts).astype(np.int64)
        each = np.repeat(sizes, sizes)  # of each entry, how many pairs it begins
        pairs = np.concatenate([[0], np.cumsum(sizes**2)])
        first = np.repeat(np.arange(inputs.size), each)
        second = np.arange(pairs[-1]) - np.repeat(np.cumsum(each) - each, each)
        second += np.repeat(np.repeat(starts[:-1], sizes), each)
        places = _places(own, inputs[first], inputs[second]).astype(own.indices.dtype)
        slots = _fixed(self.colours[inputs])
        return terms.shape[0], starts, slots, inputs, _fixed(pairs), _fixed(places), own.nnz


@dataclass(frozen=True, eq=False)
class DensePairs(Pairs):
    """The same, for a result that is a matrix with all its entries."""

    @functools.cached_property
    def arrays(self) -> tuple[Any, ...]:
        """Those of the terms, and nothing."""
        slots, nothing = _fixed(self.colours[self.terms.indices]), _fixed(np.empty(0, np.int64))
        own = self.terms
        return own.shape[0], own.indptr, slots, own.indices, nothing, own.indices[:0], 0


def _places(matrix: Any, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Where in the data of a sparse matrix entries are, -1 for those that it does not have."""
    width = np.int64(matrix.shape[1])
    keys = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr)) * width
    keys += matrix.indices
    wanted = rows * width + columns
    at = np.searchsorted(keys, wanted)
    found = np.append(keys, -1)[at] == wanted
    return np.where(found, at, -1)


def _columns_coloured(matrix: Any) -> np.ndarray:
    from dualgrad.sparse import colouring

    return _fixed(colouring.of_columns(matrix).astype(np.int32))


@functools.cache
def lanes(count: int) -> int:
    """The lanes of a sweep for so many colours."""
    sweeps = max(1, -(-count // LANES[-1]))
    return next(n for n in LANES if n * sweeps >= count)


def canonical(pattern: Any) -> Any:
    """A pattern of any form as a `csr_array` of bool with sorted indices, read-only.

    Entries of a sparse matrix count whatever their value is.
    """
    from scipy.sparse import csr_array, issparse

    if issparse(pattern):
        matrix = csr_array(pattern, copy=True)
    else:
        dense = np.asarray(pattern)
        if dense.dtype != bool:
            raise TypeError(
                "pattern: expected is a sparse matrix or array of SciPy, an array of bool, or "
                f'"dense"; not {type(pattern).__name__} of {dense.dtype}'
            )
        matrix = csr_array(dense) if dense.ndim == 2 else dense
    if matrix.ndim != 2:
        raise ValueError(f"pattern: it must have two dimensions, not {matrix.ndim}")
    matrix.data = np.ones(matrix.indices.size, bool)
    matrix.sum_duplicates()
    index = np.int32 if max(*matrix.shape, matrix.nnz) < 2**31 else np.int64
    parts = np.ones(matrix.nnz, bool), matrix.indices.astype(index), matrix.indptr.astype(index)
    fixed = csr_array(tuple(map(_fixed, parts)), shape=matrix.shape)
    fixed.has_canonical_format = True
    return fixed


def _fixed(array: Any) -> Any:
    """The array, from now on read-only."""
    array.setflags(write=False)
    return array
