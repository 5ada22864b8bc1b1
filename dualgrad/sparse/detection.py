"""Patterns of any size from sweeps with few sets: blocks of inputs, refined until each is one.

The pattern of blocks is coloured like that of a matrix: two blocks that no output depends on
together share sets. So a sweep refines all blocks, and the number of sweeps grows with the number
of colours and the logarithm of the number of inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numba import njit

from dualgrad.sets import BITS
from dualgrad.sparse.colouring import of_columns

Words = np.ndarray  # of uint32, with a row of words for each input or output


@njit(cache=True, nogil=True)
def sets_in(words: Any) -> Any:
    """The sets that so many words hold; their last bit is the kernel's."""
    return words * BITS - 1


def detected(words_of: Callable[[Words], Words], n: int, words: int) -> Any:
    """The pattern of a function of `n` inputs.

    `words_of` sweeps: given the sets of each input, in so many words, it returns those that each
    output depends on.
    """
    sets = sets_in(words)
    starts, stops = np.array([0]), np.array([n])
    colours = np.zeros(1, np.int64)
    blocks: Any = None
    while blocks is None or (stops - starts).max(initial=0) > 1:
        sizes = np.where(colours >= 0, stops - starts, 0)
        count = int(colours.max(initial=-1)) + 1
        parts = min(int(sizes.max(initial=1)), max(2, sets // max(count, 1)))
        parts_of = np.minimum(sizes, parts)
        first_part = np.concatenate(([0], np.cumsum(parts_of)))
        found = []
        for first in range(0, max(count * parts, 1), sets):
            seeds = _seeds(n, words, starts, stops, colours, parts, parts_of, first)
            seen = words_of(seeds)
            if blocks is None:
                blocks = sp.csr_array(np.ones((len(seen), 1), bool))
            found.append(
                _entries(
                    seen, blocks.indptr, blocks.indices, colours, parts, parts_of,
                    first_part, first,
                )
            )  # fmt: skip
        blocks = matrix(found, (blocks.shape[0], first_part[-1]))
        starts, stops = _bounds(starts, stops, parts_of, first_part)
        colours = of_columns(blocks)
    rows, columns = blocks.nonzero()
    return matrix([(rows, starts[columns])], (blocks.shape[0], n))


def matrix(entries: list[tuple[np.ndarray, np.ndarray]], shape: tuple[int, ...]) -> Any:
    """The boolean matrix with these entries, rows and columns, which may come twice."""
    rows, columns = (np.concatenate(it) for it in zip(*entries, strict=True))
    result = sp.csr_array((np.ones(len(rows), bool), (rows, columns)), shape=shape)
    result.sum_duplicates()
    return result


@njit(cache=True, nogil=True)
def _seeds(
    n: Any, count: Any, starts: Any, stops: Any, colours: Any, parts: Any, parts_of: Any,
    first: Any,
) -> Any:  # fmt: skip
    """The sets of each input: one for each part of a block, the same for blocks of one colour."""
    words = np.zeros((n, count), np.uint32)
    for block in range(len(starts)):
        start, size = starts[block], stops[block] - starts[block]
        for part in range(parts_of[block]):
            bit = colours[block] * parts + part - first
            if 0 <= bit < sets_in(count):
                begin = start + part * size // parts_of[block]
                end = start + (part + 1) * size // parts_of[block]
                for i in range(begin, end):
                    words[i, bit // BITS] |= np.uint32(1) << np.uint32(bit % BITS)
    return words


@njit(cache=True, nogil=True)
def has(words: Any, bit: Any) -> Any:
    """Whether a row of words has a bit."""
    return (words[bit // BITS] >> np.uint32(bit % BITS)) & np.uint32(1) != 0


@njit(cache=True, nogil=True)
def _entries(
    words: Any, indptr: Any, blocks: Any, colours: Any, parts: Any, parts_of: Any,
    first_part: Any, first: Any,
) -> Any:  # fmt: skip
    """The outputs and parts of blocks that a sweep has found: first counted, then written."""
    rows, columns = np.empty(0, np.int64), np.empty(0, np.int64)
    sets = sets_in(words.shape[-1])
    for write in (False, True):
        count = 0
        for i in range(len(words)):
            for block in blocks[indptr[i] : indptr[i + 1]]:
                for part in range(parts_of[block]):
                    bit = colours[block] * parts + part - first
                    if 0 <= bit < sets and has(words[i], bit):
                        if write:
                            rows[count], columns[count] = i, first_part[block] + part
                        count += 1
        if not write:
            rows, columns = np.empty(count, np.int64), np.empty(count, np.int64)
    return rows, columns


@njit(cache=True, nogil=True)
def _bounds(starts: Any, stops: Any, parts_of: Any, first_part: Any) -> Any:
    """Where the parts of all blocks begin and end."""
    begins, ends = np.empty(first_part[-1], np.int64), np.empty(first_part[-1], np.int64)
    for block in range(len(starts)):
        start, size, parts = starts[block], stops[block] - starts[block], parts_of[block]
        for part in range(parts):
            begins[first_part[block] + part] = start + part * size // parts
            ends[first_part[block] + part] = start + (part + 1) * size // parts
    return begins, ends


@njit(cache=True, nogil=True)
def pairs_of_terms(words: Any, indptr: Any, inputs: Any, colours: Any, first: Any) -> Any:
    """The pairs of inputs that meet in a term, which depends on one input of each colour at most.

    `words` has a row for each colour and term.
    """
    rows, columns = np.empty(0, np.int64), np.empty(0, np.int64)
    sets = sets_in(words.shape[-1])
    for write in (False, True):
        count = 0
        for term in range(len(indptr) - 1):
            given = inputs[indptr[term] : indptr[term + 1]]
            for i in given:
                for j in given:
                    bit = colours[j] - first
                    if 0 <= bit < sets and has(words[colours[i], term], bit):
                        if write:
                            rows[count], columns[count] = i, j
                        count += 1
        if not write:
            rows, columns = np.empty(count, np.int64), np.empty(count, np.int64)
    return rows, columns
