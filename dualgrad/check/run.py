"""A check, from the values of a derivative to the report."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from dualgrad.check import given as under_test
from dualgrad.check.compare import Comparison, compare, entries, score
from dualgrad.check.guesses import guess
from dualgrad.check.kinks import kinks
from dualgrad.check.problem import Problem
from dualgrad.check.references import find
from dualgrad.check.references.finite import difference
from dualgrad.check.references.reference import Method, Reference
from dualgrad.check.report import CheckReport, Remark
from dualgrad.check.taylor import slope

#: Above so many entries products with random directions are compared.
LARGE = 2**22
DIRECTIONS = 3


def full(
    name: str, problem: Problem, values: list[Any], method: Method, rtol: float | None
) -> CheckReport:
    """Every entry."""
    arrays, remarks = [], []
    for value in values:
        found, said = under_test.dense(value, problem)
        arrays += found
        remarks += [it for it in said if it not in remarks]
    remarks += _repeatable(problem)
    reference, reasons = find(problem, method)
    return _judged(name, problem, arrays, reference, rtol, remarks + _reasons(reasons))


def fast(
    name: str, problem: Problem, values: list[Any], method: Method, rtol: float | None
) -> CheckReport:
    """Products with random directions, and the remainder that the derivative leaves."""
    rng = np.random.default_rng(0)
    shape, dtype = np.shape(problem.x), np.asarray(problem.x).dtype
    if problem.v is not None:
        lines = [problem]
    else:
        scale = problem.scale.reshape(shape)
        draws = [np.asarray(scale * rng.standard_normal(shape), dtype) for _ in range(DIRECTIONS)]
        lines = [problem.along(v if shape else v[()]) for v in draws]
    remarks: list[Remark] = _repeatable(problem)
    products: list[np.ndarray] = []
    references: list[Reference] = []
    reasons: list[str] = []
    for line in lines:
        chosen = references[0].method if references else method
        reference, said_of = find(line, chosen)
        references.append(reference)
        reasons += said_of
    for value in values:
        rows = []
        for line in lines:
            row, said = _product(value, problem, line)
            remarks += [it for it in said if it not in remarks]
            rows.append(row)
        products.append(np.stack(rows))
    if any(it.topic == "shape" for it in remarks):
        products = [np.zeros(0)]  # nothing to compare
    whole = Reference(
        references[0].method,
        np.stack([it.values for it in references]),
        np.stack([it.error for it in references]),
    )
    slopes = [
        slope(line, row) for line, row in zip(lines, products[0], strict=False)
    ] if products[0].size else []  # fmt: skip
    remarks += _taylor(slopes, 2 if problem.order == 1 else 4) + _reasons(reasons)
    return _judged(name, problem, products, whole, rtol, remarks, lines)


def _judged(
    name: str, problem: Problem, arrays: list[np.ndarray], reference: Reference,
    rtol: float | None, remarks: list[Remark], lines: list[Problem] | None = None,
) -> CheckReport:  # fmt: skip
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
    kinked, inside, said = _kinks(found, problem, lines, given, reference.method)
    doubtful = found.bad | found.undecided
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


def _repeatable(problem: Problem) -> list[Remark]:
    """Whether the function itself is one."""
    if np.array_equal(np.asarray(problem.call(problem.x)), problem.y, equal_nan=True):
        return []
    text = "two calls of the function itself differ at the same point"
    return [Remark("nondeterministic", text)]


def _reasons(reasons: list[str]) -> list[Remark]:
    return [Remark("not used", reason) for reason in reasons]


def _product(value: Any, problem: Problem, line: Problem) -> tuple[np.ndarray, list[Remark]]:
    """What a derivative says of a line."""
    if under_test.is_operator(value) or under_test.is_sparse(value):
        rows = int(np.prod(problem.y_shape))
        if value.shape != (rows, np.size(problem.x)):
            text = f"{value.shape}, and {(rows, np.size(problem.x))} is expected"
            return np.zeros(line.shape), [Remark("shape", text, fails=True)]
        result = np.asarray(value @ np.ravel(line.v))
        return (result if problem.order == 1 else np.ravel(line.v) @ result).reshape(line.shape), []
    array, said = under_test.in_shape(value, problem.shape)
    if array.shape != problem.shape:
        return np.zeros(line.shape), said
    for _ in range(problem.order if problem.v is None else 0):
        array = np.tensordot(array, line.v, axes=np.ndim(line.v))
    return array, said


def _taylor(slopes: list[float], right: int) -> list[Remark]:
    known = [it for it in slopes if np.isfinite(it)]
    if not slopes:
        return []
    if not known:
        return [Remark("Taylor test", "the remainder is rounding alone")]
    text = f"the remainder falls with slope {min(known):.2f}; {right} where right"
    return [Remark("Taylor test", text)]


def _kinks(
    found: Comparison, problem: Problem, lines: list[Problem] | None, given: np.ndarray,
    method: Method,
) -> tuple[np.ndarray, np.ndarray, list[Remark]]:  # fmt: skip
    """The entries that lie on a kink, those that are among its slopes, and the kinks by name."""
    if lines is None:
        return _slopes(found.bad | found.undecided, problem, given, method)
    parts = [
        _slopes((found.bad | found.undecided)[k], line, given[k], method)
        for k, line in enumerate(lines)
    ]
    kinked, inside, said = zip(*parts, strict=True)
    return np.stack(kinked), np.stack(inside), list(dict.fromkeys(chain(*said)))


def _slopes(
    suspects: np.ndarray, problem: Problem, given: np.ndarray, method: Method
) -> tuple[np.ndarray, np.ndarray, list[Remark]]:
    """Between two one-sided derivatives any value is as good as another."""
    smooth = _first_order(problem, method)
    columns = smooth.origin.size if smooth else 1
    claims = given.reshape(-1, max(columns, 1))
    kinked, inside = np.zeros(claims.shape, bool), np.zeros(claims.shape, bool)
    remarks = []
    found = kinks(smooth, np.any(suspects.reshape(claims.shape), axis=0)) if smooth else {}
    for j, (left, right) in found.items():
        low, high = np.minimum(left, right), np.maximum(left, right)
        slack = 1e-6 * (high - low)
        kinked[:, j] = high - low > 1e-5 * (np.abs(left) + np.abs(right))
        inside[:, j] = (low - slack <= claims[:, j]) & (claims[:, j] <= high + slack)
        i = int(np.argmax(high - low))
        where = "on a line" if problem.v is not None else f"along entry {j} of x"
        text = f"{where}: output {i} has the slopes {left[i]:.6g} and {right[i]:.6g}"
        remarks.append(Remark("kink", text))
    return kinked.reshape(given.shape), inside.reshape(given.shape), remarks


def _first_order(problem: Problem, method: Method) -> Problem | None:
    """The problem, or that of the first derivatives for second ones."""
    if np.iscomplexobj(problem.y) or (problem.order == 2 and method != "dual"):
        return None
    if problem.order == 1:
        return problem
    from dualgrad.check.references.dual import first_derivative

    return (
        Problem(first_derivative(problem), problem.x, problem.args) if problem.v is None else None
    )
