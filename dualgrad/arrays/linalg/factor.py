"""Cholesky and QR factorisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.arrays.borrow import dual_overload
from dualgrad.arrays.linalg import recurrences
from dualgrad.arrays.linalg.parts import (
    adjoint,
    epsilon,
    from_lower,
    matrix_level,
    plain,
    with_values,
)
from dualgrad.arrays.products import value_part
from dualgrad.types import SeriesType


@dual_overload(np.linalg.cholesky)
def _cholesky(a: Any) -> Any:
    """``dL = L low(L**-1 dA L**-H)``, `low` the lower triangle with half its diagonal."""
    level: Any = matrix_level("cholesky", a, of_series=True)
    if level is None:
        return None
    if isinstance(level, SeriesType):
        return recurrences.cholesky(level)

    def cholesky(a: Any) -> Any:
        factor = np.linalg.cholesky(value_part(a, level))
        inverse = np.linalg.inv(factor)
        slope = np.dot(np.dot(inverse, from_lower(a)), adjoint(inverse))
        for i in range(len(factor)):
            slope[i, i] = slope[i, i] * 0.5
            slope[i, i + 1 :] = slope[i, i + 1 :] * 0.0
        return with_values(np.dot(factor, slope), factor)

    return cholesky


@dual_overload(np.linalg.qr)
def _qr(a: Any) -> Any:
    """From the leading square of R: ``X = dA R**-1``, ``dQ = Q W + (1 - Q Q.H) X``, W the
    antihermitian matrix with the lower triangle of ``Q.H X``, as R has a real diagonal; then
    ``dR = Q.H dA - W R``.
    """
    level: Any = matrix_level("qr", a)
    if level is None:
        return None
    eps = epsilon(level)

    def qr(a: Any) -> Any:
        q, r = np.linalg.qr(value_part(a, level))
        k = q.shape[1]
        largest = 0.0
        for i in range(k):
            largest = max(largest, abs(plain(r[i, i])))
        for i in range(k):
            if abs(plain(r[i, i])) <= largest * max(a.shape) * eps:
                raise ValueError(
                    "qr() has no derivative here: the leading columns are linearly dependent; "
                    "drop or reorder columns"
                )
        x = np.dot(a[:, :k], np.linalg.inv(r[:, :k].copy()))
        p = np.dot(adjoint(q), x)
        w = p.copy()
        for i in range(k):
            w[i, i] = w[i, i] - w[i, i].real
            for j in range(i + 1, k):
                w[i, j] = -np.conj(w[j, i])
        dq = np.dot(q, w - p) + x
        dr = np.dot(adjoint(q), a) - np.dot(w, r)
        for i in range(k):
            dr[i, :i] = dr[i, :i] * 0.0
        return with_values(dq, q), with_values(dr, r)

    return qr
