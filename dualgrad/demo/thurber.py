"""Nonlinear regression on a data set whose answer is certified.

"Thurber" of NIST's Statistical Reference Datasets (NIST/ITL StRD, Nonlinear Regression, level of
difficulty: higher). The data come from a NIST study of semiconductor electron mobility: y is a
measure of the mobility and x the natural logarithm of the density. The certified values are
those that NIST computed in extended precision; they carry eleven digits.

https://www.itl.nist.gov/div898/strd/nls/data/thurber.shtml
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import least_squares

import dualgrad as dg
from dualgrad.demo.differences import finite_differences
from dualgrad.demo.table import section, table

Array = NDArray[np.float64]

#    x        y
OBSERVATIONS = """
    -3.067    80.574
    -2.981    84.248
    -2.921    87.264
    -2.912    87.195
    -2.840    89.076
    -2.797    89.608
    -2.702    89.868
    -2.699    90.101
    -2.633    92.405
    -2.481    95.854
    -2.363   100.696
    -2.322   101.060
    -1.501   401.672
    -1.460   390.724
    -1.274   567.534
    -1.212   635.316
    -1.100   733.054
    -1.046   759.087
    -0.915   894.206
    -0.714   990.785
    -0.566  1090.109
    -0.545  1080.914
    -0.400  1122.643
    -0.309  1178.351
    -0.109  1260.531
    -0.103  1273.514
     0.010  1288.339
     0.119  1327.543
     0.377  1353.863
     0.790  1414.509
     0.963  1425.208
     1.006  1421.384
     1.115  1442.962
     1.572  1464.350
     1.841  1468.705
     2.047  1447.894
     2.200  1457.628
"""
#   start 1  start 2         certified   standard deviation
PARAMETERS = """
    1000     1300     1.2881396800E+03     4.6647963344E+00
    1000     1500     1.4910792535E+03     3.9571156086E+01
     400      500     5.8323836877E+02     2.8698696102E+01
      40       75     7.5416644291E+01     5.5675370270E+00
       0.7      1     9.6629502864E-01     3.1333340687E-02
       0.3      0.4   3.9797285797E-01     1.4984928198E-02
       0.03     0.05  4.9727297349E-02     6.5842344623E-03
"""
CERTIFIED_SUM_OF_SQUARES = 5.6427082397e03


def _columns(text: str) -> Array:
    """The columns of a table of numbers."""
    return np.array([line.split() for line in text.strip().splitlines()], dtype=float).T.copy()


X, Y = _columns(OBSERVATIONS)
START1, START2, CERTIFIED, CERTIFIED_DEVIATIONS = _columns(PARAMETERS)


@njit
def residuals(b: Array, x: Array, y: Array) -> Array:
    """A ratio of two cubics in x, less the observations."""
    top = b[0] + x * (b[1] + x * (b[2] + x * b[3]))
    bottom = 1 + x * (b[4] + x * (b[5] + x * b[6]))
    return top / bottom - y


def closed_form(b: Array, x: Array, y: Array) -> Array:
    """The Jacobian of `residuals` in `b`, by hand."""
    powers = x[:, None] ** np.arange(4)
    bottom = powers @ np.array([1.0, *b[4:]])
    top = powers @ b[:4]
    return np.hstack([powers, powers[:, 1:] * -(top / bottom)[:, None]]) / bottom[:, None]


class Fit(NamedTuple):
    """A fit: parameters, their standard deviations, sum of squares, number of Jacobians."""

    parameters: Array
    deviations: Array
    sum_of_squares: float
    jacobians: int


def fit(start: Array, jacobian: Callable[..., Array]) -> Fit:
    """Fit by MINPACK's Levenberg-Marquardt, then by Gauss-Newton until the steps stop shrinking.

    The sum of squares cannot tell apart parameters that agree in half of their digits, and
    Levenberg-Marquardt stops there. A Gauss-Newton step is zero where J^T r is: with an exact
    J that gives the other half.
    """
    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
    found = least_squares(
        residuals, start, jac=jacobian, method="lm", x_scale="jac", args=(X, Y), **tight
    )
    b, jacobians = found.x, found.njev
    last, size = np.inf, 1.0
    while size < last:
        j, r = jacobian(b, X, Y), residuals(b, X, Y)
        step = np.linalg.lstsq(j, r)[0]
        b, jacobians = b - step, jacobians + 1
        last, size = size, np.max(np.abs(step / b))
    # Standard deviations by the linearised model, as NIST defines them.
    sum_of_squares = np.sum(residuals(b, X, Y) ** 2)
    variance = sum_of_squares / (len(X) - len(b))
    return Fit(b, np.sqrt(variance * np.diag(np.linalg.inv(j.T @ j))), sum_of_squares, jacobians)


def digits(computed: float, certified: float) -> float:
    """How many leading digits agree: all eleven where `computed` rounds to `certified`."""
    if f"{computed:.10e}" == f"{certified:.10e}":
        return 11.0
    return min(11.0, max(0.0, -math.log10(abs(computed / certified - 1))))


def report() -> str:
    """The certified parameters, a fit, and the digits that agree, as a table."""
    exact = dg.jacobian(residuals)
    fits = {
        "start 1": fit(START1, exact),
        "start 2": fit(START2, exact),
        "2-point": fit(START1, partial(finite_differences, residuals)),
    }
    rows = [["", "NIST certified", "fitted", *fits]]
    named = [(f"b{i + 1}", value, i) for i, value in enumerate(CERTIFIED)]
    for name, certified, i in [*named, ("sum of squares", CERTIFIED_SUM_OF_SQUARES, -1)]:
        values = [[*it.parameters, it.sum_of_squares][i] for it in fits.values()]
        agree = [f"{digits(value, certified):.1f}" for value in values]
        rows.append([name, f"{certified:.10e}", f"{values[0]:.10e}", *agree])
    rows.append(["Jacobians taken", "", "", *(str(it.jacobians) for it in fits.values())])
    worst = min(map(digits, fits["start 1"].deviations, CERTIFIED_DEVIATIONS))
    return section(
        "A fit beside its certified answer",
        f"Thurber (NIST StRD): {len(X)} observations, {len(CERTIFIED)} parameters, a ratio of two"
        " cubics. On the right: how",
        "many digits agree, of eleven, from both of NIST's starting points, and with two-point",
        "differences in place of dualgrad.\n",
        table("<>>>>>", rows),
        f"\nThe standard deviations agree with the certified ones to {worst:.1f} digits or more.",
    )
