"""Which entries of a Jacobian or a Hessian can be nonzero."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from dualgrad.sparse.plans import PatternPlan, sweep
from dualgrad.transforms import arguments


class Pattern(NamedTuple):
    """A pattern, and whether a comparison of numbers that depend on the inputs has led there."""

    matrix: Any  # csr_array of bool
    is_local: bool


def jacobian(
    function: Any, args: tuple[Any, ...], argnum: int, out_argnum: int | None, cache: bool = True
) -> Pattern:
    """The pattern of a Jacobian; `function` is a dispatcher, and `args` are all its arguments."""
    from dualgrad.sparse.detection import detected
    from dualgrad.sparse.kernels import WORDS

    plan = PatternPlan(
        function, arguments.parameters(function), argnum, out_argnum, False, "jacobian_pattern"
    )
    kernel, n = sweep(plan, cache), np.size(args[argnum])
    with Watch() as watch:
        found = detected(lambda seeds: kernel(seeds, *args), n, WORDS)
    return Pattern(found, watch.is_local)


def hessian(
    function: Any, args: tuple[Any, ...], argnum: int, out_argnum: int | None,
    terms: bool = False, cache: bool = True,
) -> Pattern:  # fmt: skip
    """The pattern of the Hessian of a number, or of the sum of an array of terms."""
    from dualgrad.sparse.detection import detected
    from dualgrad.sparse.kernels import WORDS_OF_PAIRS

    plan = PatternPlan(
        function, arguments.parameters(function), argnum, out_argnum, True, "hessian_pattern"
    )
    kernel, n = sweep(plan, cache), np.size(args[argnum])
    if terms:
        return _of_terms(kernel, jacobian(function, args, argnum, out_argnum, cache), args)
    if n == 0:
        return Pattern(_empty(0, 0), False)
    each = np.arange(n)

    def words_of(seeds: np.ndarray) -> np.ndarray:
        words: np.ndarray = kernel((seeds, each, n), *args)
        if words.shape[1] != 1:
            raise TypeError(
                "dg.hessian_pattern: the function must return a number; if it returns the terms "
                "of a sum, say so with terms=True"
            )
        return words[:, 0]

    with Watch() as watch:
        found = detected(words_of, n, WORDS_OF_PAIRS)
    return Pattern(_symmetric(found), watch.is_local)


def _of_terms(kernel: Any, terms: Pattern, args: tuple[Any, ...]) -> Pattern:
    from dualgrad.sets import BITS
    from dualgrad.sparse.colouring import of_columns
    from dualgrad.sparse.detection import matrix, pairs_of_terms, sets_in
    from dualgrad.sparse.kernels import WORDS_OF_PAIRS

    pattern, n = terms.matrix, terms.matrix.shape[1]
    colours = of_columns(pattern)
    count = int(colours.max(initial=-1)) + 1
    found, sets = [], sets_in(WORDS_OF_PAIRS)
    with Watch() as watch:
        for first in range(0, count, sets):
            seeds = np.zeros((n, WORDS_OF_PAIRS), np.uint32)
            bits = colours - first
            [here] = np.nonzero((bits >= 0) & (bits < sets))
            seeds[here, bits[here] // BITS] = np.uint32(1) << (bits[here] % BITS).astype(np.uint32)
            words = kernel((seeds, colours, count), *args)
            found.append(pairs_of_terms(words, pattern.indptr, pattern.indices, colours, first))
    if not found:
        return Pattern(_empty(n, n), terms.is_local)
    return Pattern(_symmetric(matrix(found, (n, n))), terms.is_local or watch.is_local)


def _symmetric(pattern: Any) -> Any:
    """The union with the transpose: a pair may be ruled out in one order alone."""
    result = (pattern + pattern.T).tocsr()
    result.sort_indices()
    return result


def _empty(m: int, n: int) -> Any:
    import scipy.sparse as sp

    return sp.csr_array((m, n), dtype=bool)


class Watch:
    """Whether a comparison has steered the runs inside of a `with` block.

    There is one note for all threads: they take turns. A run may itself look for a pattern.
    """

    def __init__(self) -> None:
        self.is_local = False

    def __enter__(self) -> Watch:
        from dualgrad import steering

        _turn.acquire()
        self._outside = steering.exchange(False)
        return self

    def __exit__(self, *_: object) -> None:
        from dualgrad import steering

        self.is_local = steering.exchange(self._outside)
        _turn.release()


_turn = threading.RLock()
