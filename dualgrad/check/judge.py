"""The verdict on a derivative: which entries are wrong, and what else there is to say."""

from __future__ import annotations

import numpy as np

from dualgrad.check.compare import compare, entries, score
from dualgrad.check.guesses import guess
from dualgrad.check.kinks import on_kinks
from dualgrad.check.problem import Problem
from dualgrad.check.references.finite import difference
from dualgrad.check.references.reference import Reference
from dualgrad.check.report import CheckReport, Remark


def judged(
    name: str, problem: Problem, arrays: list[np.ndarray], reference: Reference,
    rtol: float | None, remarks: list[Remark], lines: list[Problem] | None = None,
) -> CheckReport:  # fmt: skip
    """The report on several readings of a derivative; with `lines` on its products with them."""
    want = reference.values
    arrays = [array for array in arrays if array.shape == want.shape]
    if not arrays:
        return _without_entries(name, reference, remarks, want)
    # Of several readings each entry is as wrong as the worst.
    worst = np.argmax([score(array, want) for array in arrays], axis=0)
    given = np.choose(worst, arrays) if len(arrays) > 1 else arrays[0]
    eps = max(problem.eps, *(_eps(array) for array in arrays))
    y_ndim = len(problem.y_shape) + (lines is not None)
    typical = problem.typical if lines is None else np.stack([line.typical for line in lines])
    found = compare(given, reference, eps, y_ndim, rtol, typical)
    doubtful = found.bad | found.undecided
    kinked, inside, said = on_kinks(doubtful, problem, lines, given, reference.method)
    found = found._replace(
        bad=np.where(kinked, doubtful & ~inside, found.bad), undecided=found.undecided & ~kinked
    )
    reference = reference._replace(error=np.where(kinked, 0.0, reference.error))
    remarks = remarks + said
    if np.any(found.undecided):
        if np.all(found.undecided):
            raise ValueError(
                f"dg.check_{name}: could not be checked: the error of the reference "
                f"({reference.method}) is as large as its values"
            )
        count = np.sum(found.undecided)
        text = f"{count} of {given.size} entries, for which the reference is too uncertain"
        remarks = remarks + [Remark("undecided", text)]
    if _eps(given) > problem.eps:
        text = f"{given.dtype}, and the function computes in more digits"
        remarks = remarks + [Remark("dtype", text)]
    bad = entries(found, given, want, found.bad)
    top = found.score == np.max(found.score, initial=0.0)
    first = bad or entries(found, given, want, top & (np.cumsum(top).reshape(top.shape) == 1))
    return CheckReport(
        name, reference.method, given, want, reference.error, bad,
        first[0] if first else None, _estimate(reference), remarks,
        guess(given, reference, found, eps, y_ndim) if lines is None else "",
        None if lines else lambda index, step: difference(problem, index, step),
    )  # fmt: skip


def _without_entries(
    name: str, reference: Reference, remarks: list[Remark], want: np.ndarray
) -> CheckReport:
    return CheckReport(
        name, reference.method, np.full(want.shape, np.nan), want, reference.error, [], None,
        _estimate(reference), remarks,
    )  # fmt: skip


def _estimate(reference: Reference) -> float:
    sizes = np.maximum(1.0, 2 * np.abs(reference.values))
    known = np.isfinite(reference.error) & np.isfinite(sizes)
    return float(np.max(reference.error / sizes, initial=0.0, where=known))


def _eps(array: np.ndarray) -> float:
    return float(np.finfo(array.dtype).eps) if array.dtype.kind in "fc" else 0.0
