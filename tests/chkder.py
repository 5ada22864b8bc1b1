"""The fourteen systems on which MINPACK's CHKDER is tested, their Jacobians, and planted errors.

From their definitions in Moré, Garbow and Hillstrom, *Testing unconstrained optimization
software*, ACM TOMS 7 (1981), in the form of systems of equations: of Wood's, Watson's and the
variably dimensioned function that is (half of) the gradient. The errors are of the kinds that
CHKDER's own test plants. Five systems stand in `tests/programs.py`; the others follow under their
numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from tests.programs import (
    brown_almost_linear,
    broyden_tridiagonal,
    chebyquad,
    d_brown_almost_linear,
    d_broyden_tridiagonal,
    d_chebyquad,
    d_helical_valley,
    d_trigonometric,
    helical_valley,
    trigonometric,
)


@dataclass(frozen=True, eq=False)
class System:
    """A system, its Jacobian, where MINPACK starts, and the entries that an error spoils."""

    name: str
    f: Callable[[np.ndarray], np.ndarray]
    jacobian: Callable[[np.ndarray], np.ndarray]
    start: np.ndarray
    spoil: Callable[[np.ndarray, np.ndarray], np.ndarray] | None  # of the point and the Jacobian

    @property
    def shifted(self) -> np.ndarray:
        """The point of CHKDER's test: the start, moved by 0.123 up and down."""
        return self.start + 0.123 * (-1.0) ** np.arange(self.start.size)


# --- 1. Rosenbrock ------------------------------------------------------------------------------


@njit
def rosenbrock(x):
    return np.array([1 - x[0], 10 * (x[1] - x[0] ** 2)])


def d_rosenbrock(x):
    return np.array([[-1.0, 0.0], [-20 * x[0], 10.0]])


# --- 2. Powell's singular function ---------------------------------------------------------------


@njit
def powell_singular(x):
    return np.array(
        [
            x[0] + 10 * x[1],
            np.sqrt(5.0) * (x[2] - x[3]),
            (x[1] - 2 * x[2]) ** 2,
            np.sqrt(10.0) * (x[0] - x[3]) ** 2,
        ]
    )


def d_powell_singular(x):
    a, b = 2 * (x[1] - 2 * x[2]), 2 * np.sqrt(10.0) * (x[0] - x[3])
    r = np.sqrt(5.0)
    return np.array([[1, 10, 0, 0], [0, 0, r, -r], [0, a, -2 * a, 0], [b, 0, 0, -b]])


# --- 3. Powell's badly scaled function -----------------------------------------------------------


@njit
def powell_badly_scaled(x):
    return np.array([1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001])


def d_powell_badly_scaled(x):
    return np.array([[1e4 * x[1], 1e4 * x[0]], -np.exp(-x)])


# --- 4. Wood -------------------------------------------------------------------------------------


@njit
def wood(x):
    a, b = x[1] - x[0] ** 2, x[3] - x[2] ** 2
    return np.array(
        [
            -200 * x[0] * a - (1 - x[0]),
            200 * a + 20.2 * (x[1] - 1) + 19.8 * (x[3] - 1),
            -180 * x[2] * b - (1 - x[2]),
            180 * b + 20.2 * (x[3] - 1) + 19.8 * (x[1] - 1),
        ]
    )


def d_wood(x):
    return np.array(
        [
            [600 * x[0] ** 2 - 200 * x[1] + 1, -200 * x[0], 0, 0],
            [-400 * x[0], 220.2, 0, 19.8],
            [0, 0, 540 * x[2] ** 2 - 180 * x[3] + 1, -180 * x[2]],
            [0, 19.8, -360 * x[2], 200.2],
        ]
    )


# --- 6. Watson -----------------------------------------------------------------------------------


@njit
def watson(x):
    n = x.size
    f = np.zeros(n)
    for i in range(1, 30):
        t = i / 29
        slope, value = 0.0, 0.0
        for j in range(n):
            value += x[j] * t**j
            if j:
                slope += j * x[j] * t ** (j - 1)
        residual = slope - value**2 - 1
        for k in range(n):
            f[k] -= 2 * value * t**k * residual
            if k:
                f[k] += k * t ** (k - 1) * residual
    last = x[1] - x[0] ** 2 - 1
    f[0] += x[0] * (1 - 2 * last)
    f[1] += last
    return f


def d_watson(x):
    n = x.size
    t = np.arange(1, 30)[:, None] / 29
    powers = t ** np.arange(n)
    slopes = np.arange(n) * t ** np.maximum(np.arange(n) - 1, 0)
    value = powers @ x
    residual = slopes @ x - value**2 - 1
    rows = slopes - 2 * value[:, None] * powers  # the gradient of each residual
    jac = rows.T @ rows - 2 * (powers.T * residual) @ powers
    jac[0, 0] += 1 - 2 * (x[1] - x[0] ** 2 - 1) + 4 * x[0] ** 2
    jac[0, 1] -= 2 * x[0]
    jac[1, 0] -= 2 * x[0]
    jac[1, 1] += 1
    return jac


# --- 9. Discrete boundary value problem ----------------------------------------------------------


@njit
def boundary_value(x):
    n = x.size
    h = 1 / (n + 1)
    f = np.zeros(n)
    for i in range(n):
        f[i] = 2 * x[i] + h**2 * (x[i] + (i + 1) * h + 1) ** 3 / 2
        if i > 0:
            f[i] -= x[i - 1]
        if i < n - 1:
            f[i] -= x[i + 1]
    return f


def d_boundary_value(x):
    n = x.size
    t = np.arange(1, n + 1) / (n + 1)
    diagonal = 2 + 1.5 * (x + t + 1) ** 2 / (n + 1) ** 2
    return np.diag(diagonal) - np.eye(n, k=1) - np.eye(n, k=-1)


# --- 10. Discrete integral equation --------------------------------------------------------------


@njit
def integral_equation(x):
    n = x.size
    h = 1 / (n + 1)
    f = np.zeros(n)
    for i in range(n):
        t = (i + 1) * h
        total = 0.0
        for j in range(n):
            s = (j + 1) * h
            weight = (1 - t) * s if j <= i else t * (1 - s)
            total += weight * (x[j] + s + 1) ** 3
        f[i] = x[i] + h * total / 2
    return f


def d_integral_equation(x):
    n = x.size
    t = np.arange(1, n + 1) / (n + 1)
    kernel = np.minimum.outer(t, t) - np.outer(t, t)
    return np.eye(n) + 1.5 * kernel * (x + t + 1) ** 2 / (n + 1)


# --- 12. Variably dimensioned --------------------------------------------------------------------


@njit
def variably_dimensioned(x):
    n = x.size
    f = np.zeros(n)
    s = 0.0
    for j in range(n):
        s += (j + 1) * (x[j] - 1)
    for i in range(n):
        f[i] = x[i] - 1 + (i + 1) * s * (1 + 2 * s**2)
    return f


def d_variably_dimensioned(x):
    i = np.arange(1, x.size + 1)
    s = i @ (x - 1)
    return np.eye(x.size) + (1 + 6 * s**2) * np.outer(i, i)


# --- 14. Broyden banded --------------------------------------------------------------------------


@njit
def broyden_banded(x):
    n = x.size
    f = np.zeros(n)
    for i in range(n):
        f[i] = x[i] * (2 + 5 * x[i] ** 2) + 1
        for j in range(max(0, i - 5), min(n, i + 2)):
            if j != i:
                f[i] -= x[j] * (1 + x[j])
    return f


def d_broyden_banded(x):
    n = x.size
    band = np.tri(n, k=1) - np.tri(n, k=-6) - np.eye(n)
    return np.diag(2 + 15 * x**2) - band * (1 + 2 * x)


# --- the planted errors --------------------------------------------------------------------------


def scaled(factor: float, chosen: Callable[[np.ndarray], np.ndarray]) -> Callable[..., np.ndarray]:
    """The entries chosen by a mask are multiplied."""
    return lambda x, jac: np.where(chosen(jac), factor * jac, jac)


def only(*indices: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
    def mask(jac: np.ndarray) -> np.ndarray:
        chosen = np.zeros(jac.shape, bool)
        for index in indices:
            chosen[index] = True
        return chosen

    return mask


def everywhere(jac: np.ndarray) -> np.ndarray:
    return np.ones(jac.shape, bool)


def diagonal(jac: np.ndarray) -> np.ndarray:
    return np.eye(len(jac), dtype=bool)


def off_diagonal(jac: np.ndarray) -> np.ndarray:
    return ~diagonal(jac)


def above_diagonal(jac: np.ndarray) -> np.ndarray:
    return np.triu(everywhere(jac), 1)


def spoilt_watson(x: np.ndarray, jac: np.ndarray) -> np.ndarray:
    """The last residual with a sign turned round."""
    return jac + np.pad(np.diag([2 * 2 * (x[1] - x[0] ** 2 - 1), 0.0]), (0, x.size - 2))


MESH = np.arange(1, 11) / 11
SYSTEMS = [
    System("Rosenbrock", rosenbrock, d_rosenbrock, np.array([-1.2, 1.0]),
           scaled(-1, only((0, 0)))),
    System("Powell singular", powell_singular, d_powell_singular, np.array([3.0, -1, 0, 1]),
           scaled(-1, only((2, 2)))),
    System("Powell badly scaled", powell_badly_scaled, d_powell_badly_scaled,
           np.array([0.0, 1.0]), scaled(-1, everywhere)),
    System("Wood", wood, d_wood, np.array([-3.0, -1, -3, -1]), None),
    System("helical valley", helical_valley, d_helical_valley, np.array([-1.0, 0, 0]),
           scaled(5, only((1, 0), (1, 1)))),
    System("Watson", watson, d_watson, np.zeros(9), spoilt_watson),
    System("Chebyquad", chebyquad, d_chebyquad, np.arange(1, 8) / 8, scaled(2, everywhere)),
    System("Brown almost linear", brown_almost_linear, d_brown_almost_linear,
           np.full(10, 0.5), None),
    System("boundary value", boundary_value, d_boundary_value, MESH * (MESH - 1),
           scaled(2, diagonal)),
    System("integral equation", integral_equation, d_integral_equation, MESH * (MESH - 1),
           lambda x, jac: jac - 2 * np.eye(len(jac)) * (jac - 1)),
    System("trigonometric", trigonometric, d_trigonometric, np.full(10, 0.1),
           scaled(-1, off_diagonal)),
    System("variably dimensioned", variably_dimensioned, d_variably_dimensioned,
           1 - np.arange(1, 11) / 10, scaled(0.5, above_diagonal)),
    System("Broyden tridiagonal", broyden_tridiagonal, d_broyden_tridiagonal,
           np.full(10, -1.0), None),
    System("Broyden banded", broyden_banded, d_broyden_banded, np.full(10, -1.0),
           scaled(-1, diagonal)),
]  # fmt: skip
