"""Which entries of a derivative are wrong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualgrad.check.references.reference import Reference
from dualgrad.check.report import Entry


class Comparison(NamedTuple):
    """Entry by entry: what is wrong, and what cannot be told."""

    score: np.ndarray
    excess: np.ndarray  # the difference in units of what is allowed
    bad: np.ndarray
    undecided: np.ndarray


def score(given: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """``|a - b| / max(1, |a| + |b|)``: relative for large entries, absolute for small ones."""
    difference = np.abs(_minus(given, reference))
    sizes = np.maximum(1.0, np.abs(given) + np.abs(reference))
    with np.errstate(invalid="ignore"):  # of infinite ones, which count as one or nothing
        relative = difference / sizes
    return np.where(np.isfinite(difference), relative, np.where(difference == 0, 0.0, 1))


def compare(
    given: np.ndarray, reference: Reference, eps: float, y_ndim: int, rtol: float | None,
    typical: np.ndarray | float = 0.0,
) -> Comparison:  # fmt: skip
    """An entry is wrong where neither the reference's error nor rounding explains it.

    Rounding may take the second half of the digits, and in absolute terms a few units of the
    largest entry of the same output. What cannot be told is told from the largest entry, too, and
    from what is `typical` of an entry.
    """
    want, error = reference.values, 8 * reference.error
    if reference.method == "finite-difference":
        error = reference.error  # which has its margin
    x_axes = tuple(range(y_ndim, want.ndim))
    finite = np.where(np.isfinite(want), np.abs(want), 0.0)
    row = np.max(finite, axis=x_axes, keepdims=True, initial=0.0)
    size = np.maximum(finite, np.where(np.isfinite(given), np.abs(given), 0.0))
    allowed = (np.sqrt(eps) if rtol is None else rtol) * finite + 8 * eps * np.minimum(1.0, row)
    difference = np.abs(_minus(given, want))
    bad = ~(difference <= allowed + error) & ~np.isnan(error)
    enough = np.maximum(0.1 * np.maximum(row, size), 1e-6 * typical)
    vague = (difference > 0) & ~(error <= enough)
    undecided = ~bad & (vague | np.isnan(want))
    with np.errstate(all="ignore"):
        excess = np.nan_to_num(difference / (allowed + error))
    return Comparison(score(given, want), excess, bad, undecided)


def entries(
    comparison: Comparison, given: np.ndarray, want: np.ndarray, chosen: np.ndarray
) -> list[Entry]:
    """The chosen entries, the worst first."""
    indices = np.argwhere(chosen)
    order = np.lexsort((-comparison.excess[chosen], -comparison.score[chosen]))
    return [
        Entry(index, given[index].item(), want[index].item(), float(comparison.score[index]))
        for index in (tuple(map(int, indices[k])) for k in order)
    ]


def _minus(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The difference; equal infinities, and nan and nan, differ by nothing; else nan is far."""
    with np.errstate(all="ignore"):
        difference = a - b
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))
