"""The derivative under test: a function or a value; dense, sparse or an operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.check.problem import Problem, copied
from dualgrad.check.report import Remark


def is_operator(value: Any) -> bool:
    """Whether it is a linear operator, as SciPy and PyLops have them."""
    return hasattr(value, "matmat") and not hasattr(value, "toarray")


def is_sparse(value: Any) -> bool:
    """Whether it is one of SciPy's sparse arrays or matrices."""
    return hasattr(value, "toarray")


def readings(given: Any, x: Any, args: tuple[Any, ...]) -> tuple[list[Any], list[Remark]]:
    """The derivative, twice where it is a function, and what the calls showed."""
    if not callable(given) or is_operator(given):
        return [_numbers(given)], []
    remarks = []
    values = []
    for _ in range(2):
        own = [copied(it) for it in (x, *args)]
        values.append(copied(_numbers(given(*own))))  # it may return one buffer each time
    for k, (before, after) in enumerate(zip((x, *args), own, strict=True)):
        if isinstance(before, np.ndarray) and not np.array_equal(before, after, equal_nan=True):
            remarks.append(
                Remark("mutation", f"the derivative writes to its argument {k}", fails=True)
            )
    if not _equal(*values):
        remarks.append(
            Remark("nondeterministic", "two calls at the same point return different results")
        )
        return values, remarks
    return values[:1], remarks


def dense(value: Any, problem: Problem) -> tuple[np.ndarray, list[Remark]]:
    """The value as an array, in the shape of the derivative if it can be."""
    if is_operator(value):
        array = np.asarray(value.matmat(np.eye(value.shape[1], dtype=np.asarray(problem.x).dtype)))
    elif is_sparse(value):
        array = value.toarray()
    else:
        return in_shape(value, problem.shape)
    if array.shape == matrix_shape(problem):  # two axes, whatever f has
        array = array.reshape(problem.shape)
    return in_shape(array, problem.shape)


def matrix_shape(problem: Problem) -> tuple[int, int]:
    """The shape of the derivative as a matrix: a row for each output, or each first derivative."""
    columns = np.size(problem.x)
    return int(np.prod(problem.shape)) // max(columns, 1), columns


def _numbers(value: Any) -> Any:
    """The value as an array, unless it is sparse or an operator."""
    if is_operator(value) or is_sparse(value):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise TypeError(
            "dg.check: the derivative must be numbers, or a function that returns them, not "
            f"{type(value).__name__}"
        )
    return array


def adjoint(value: Any) -> list[Remark]:
    """Whether the adjoint of an operator, if it has one, is that of its products.

    The dot-product test: Claerbout, *Earth Soundings Analysis*, Blackwell 1992, section 5.1.
    """
    if not is_operator(value):
        return []
    rng = np.random.default_rng(0)
    u, v = (rng.standard_normal(n) for n in value.shape)
    forward = np.asarray(value.matvec(v))
    try:
        back = np.asarray(value.rmatvec(u))
    except (AttributeError, NotImplementedError, TypeError):  # SciPy calls a None
        return []
    eps = max(float(np.finfo(it.dtype).eps) for it in (forward, back))
    size = np.linalg.norm(u) * np.linalg.norm(forward) + np.linalg.norm(back) * np.linalg.norm(v)
    if np.abs(np.vdot(u, forward) - np.vdot(back, v)) <= np.sqrt(eps) * size:
        return []
    return [Remark("adjoint", "rmatvec is not the adjoint of matvec", fails=True)]


def in_shape(array: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, list[Remark]]:
    """The array as one of that shape, and a remark unless it was.

    What does not even have as many entries, or has them in another order, stays as it is.
    """
    if array.shape == shape:
        return array, []
    remark = Remark("shape", f"{array.shape}, and {shape} is expected", fails=True)
    without_ones = tuple(n for n in array.shape if n != 1)
    if without_ones == tuple(n for n in shape if n != 1):
        return array.reshape(shape), [remark]
    return array, [remark]


def _equal(a: Any, b: Any) -> bool:
    if is_operator(a):
        return True
    if is_sparse(a):
        parts = [(matrix.data, matrix.indices, matrix.indptr) for matrix in map(_canonical, (a, b))]
        return all(np.array_equal(p, q, equal_nan=True) for p, q in zip(*parts, strict=True))
    return np.array_equal(a, b, equal_nan=True)


def _canonical(value: Any) -> Any:
    """A sparse copy by rows, sorted, each entry stored once."""
    from scipy import sparse

    matrix = sparse.csr_array(value, copy=True)
    matrix.sum_duplicates()
    return matrix


def outside(value: Any, pattern: Any) -> list[Remark]:
    """What is stored outside of a declared sparsity pattern."""
    if is_operator(value):
        return []  # it stores nothing
    stored, allowed = _canonical(value), _canonical(pattern)
    if stored.shape != allowed.shape:
        text = f"the declared pattern has the shape {allowed.shape}, and the entries {stored.shape}"
        return [Remark("pattern", text)]
    allowed.eliminate_zeros()
    stored.data, allowed.data = np.ones(stored.nnz), np.ones(allowed.nnz)
    rows, columns = (stored - stored * allowed).nonzero()
    if not rows.size:
        return []
    first = ", ".join(f"({i}, {j})" for i, j in zip(rows[:3], columns[:3], strict=True))
    more = f" and {rows.size - 3} more" if rows.size > 3 else ""
    return [Remark("pattern", f"stored outside of the declared one: {first}{more}")]
