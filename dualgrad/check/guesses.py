"""What mistake would make just the difference that is seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dualgrad.check.compare import Comparison, compare
from dualgrad.check.references.reference import Reference

FACTORS = {-1.0: "the wrong sign", 2.0: "a factor 2 too much", 0.5: "a factor 2 is missing"}


def guess(
    given: np.ndarray, reference: Reference, comparison: Comparison, eps: float, y_ndim: int
) -> str:
    """The mistake in words, or nothing if the difference has no known form."""
    bad, want = comparison.bad, reference.values
    if not np.any(bad):
        return ""

    def fits(repaired: np.ndarray, where: np.ndarray | None = None) -> bool:
        wrong = compare(repaired, reference, eps, y_ndim, rtol=None).bad
        return not np.any(wrong if where is None else wrong & where)

    parts = list(_place(bad, y_ndim))
    known = bad & (np.abs(want) > 10 * reference.error) & np.isfinite(want)
    if np.any(known):
        with np.errstate(all="ignore"):
            ratio = np.median(np.real(given[known] / want[known]))
        if ratio == 0 and np.all(given[bad] == 0):
            parts.append("the entries are zero where they should not be")
        elif np.isfinite(ratio) and ratio != 0 and fits(np.where(bad, given / ratio, want)):
            near = [c for c in FACTORS if abs(ratio / c - 1) < 1e-3]
            if near:
                parts.append(FACTORS[near[0]])
            elif np.sum(bad) > 1:
                parts.append(f"all by the same factor, {ratio:.6g}")
    if np.sum(bad) > 1 and given.ndim == 2 and given.shape[0] == given.shape[1] and fits(given.T):
        return "it is transposed"
    for axis, shift in np.ndindex(given.ndim, 2) if np.sum(bad) > 1 else ():
        moved = np.roll(given, 2 * shift - 1, axis)
        # What a shift moves in at the border is anything.
        inside = np.ones(given.shape, bool)
        np.moveaxis(inside, axis, 0)[shift - 1] = False
        if np.any(bad & inside) and fits(moved, inside):
            return f"off by one index along axis {axis}"
    return "; ".join(parts)


def _place(bad: np.ndarray, y_ndim: int) -> Iterator[str]:
    """The one row or column that all wrong entries are in."""
    if bad.ndim != 2 or np.sum(bad) < 2:
        return
    for axis, word in ((0, "row"), (1, "column")):
        numbers = np.flatnonzero(np.any(bad, axis=1 - axis))
        if numbers.size == 1 and bad.shape[axis] > 1:
            yield f"only {word} {numbers[0]} is wrong"
