"""A check, from the values of a derivative to the report."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.check import given as under_test
from dualgrad.check.judge import judged
from dualgrad.check.problem import Problem
from dualgrad.check.references import find
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
    arrays: list[np.ndarray] = []
    remarks: list[Remark] = []
    for value in values:
        array, said = under_test.dense(value, problem)
        arrays.append(array)
        remarks += [it for it in said if it not in remarks]
    remarks += _repeatable(problem)
    reference, reasons = find(problem, method)
    return judged(name, problem, arrays, reference, rtol, remarks + _reasons(reasons))


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
    return judged(name, problem, products, whole, rtol, remarks, lines)


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
        expected = under_test.matrix_shape(problem)
        if value.shape != expected:
            text = f"{value.shape}, and {expected} is expected"
            return np.zeros(line.shape), [Remark("shape", text, fails=True)]
        left = problem.shape[: len(problem.shape) - np.ndim(line.v)]
        array, said = np.asarray(value @ np.ravel(line.v)).reshape(left), list[Remark]()
        products = problem.order - 1
    else:
        array, said = under_test.in_shape(value, problem.shape)
        products = 0 if problem.v is not None else problem.order
    if said:
        return np.zeros(line.shape), said
    for _ in range(products):
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
