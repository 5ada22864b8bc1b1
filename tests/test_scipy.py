"""SciPy's solvers with derivatives from dualgrad, on problems whose answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit
from scipy import integrate, optimize

import dualgrad as dg
from dualgrad.demo import thurber

# ------------------------------------------------------------------------------------ minimize


@njit
def rosenbrock(x):
    """More, Garbow and Hillstrom 1981, problem 21: its minimum is zero, at ones."""
    return np.sum(100 * (x[1::2] - x[::2] ** 2) ** 2 + (1 - x[::2]) ** 2)


START = np.array([-1.2, 1.0, -1.2, 1.0])
second_order = dg.hvp(rosenbrock)


def hessian_times(x: np.ndarray, v: np.ndarray) -> np.ndarray:
    return second_order((x,), (v,))


@pytest.mark.parametrize(
    "method, second",
    [
        ("BFGS", {}),
        ("L-BFGS-B", {}),
        ("SLSQP", {}),
        ("Newton-CG", {"hess": dg.hessian(rosenbrock)}),
        ("Newton-CG", {"hessp": hessian_times}),
        ("dogleg", None),
        ("trust-exact", {"hess": dg.hessian(rosenbrock)}),
        ("trust-krylov", {"hessp": hessian_times}),
        ("trust-ncg", {"hessp": hessian_times}),
        ("trust-constr", {"hess": dg.hessian(rosenbrock)}),
    ],
)
def test_minimize(method: str, second: dict[str, Any] | None) -> None:
    if second is None:  # for convex functions: from a point near the minimum
        start, second = np.full(4, 1.1), {"hess": dg.hessian(rosenbrock)}
    else:
        start = START
    found = optimize.minimize(rosenbrock, start, method=method, jac=dg.grad(rosenbrock), **second)
    np.testing.assert_allclose(found.x, np.ones(4), atol=2e-3)
    assert found.fun < 1e-6


def test_minimize_with_the_value_from_the_same_sweep() -> None:
    found = optimize.minimize(dg.value_and_grad(rosenbrock), START, jac=True, tol=1e-10)
    np.testing.assert_allclose(found.x, np.ones(4), rtol=1e-7)
    assert found.nfev == found.njev


@njit
def on_the_circle(x):
    return np.array([x[0] ** 2 + x[1] ** 2 - 2.0])


def test_minimize_with_a_nonlinear_constraint() -> None:
    """The minimum of x + y on a circle of radius sqrt(2) is at (-1, -1)."""
    total = njit(lambda x: x[0] + x[1])
    constraint = {"type": "eq", "fun": on_the_circle, "jac": dg.jacobian(on_the_circle)}
    found = optimize.minimize(
        total, [-2.0, -0.5], method="SLSQP", jac=dg.grad(total), constraints=[constraint]
    )
    np.testing.assert_allclose(found.x, [-1, -1], rtol=1e-6)


# ------------------------------------------------------------------------- regression and roots


@pytest.mark.parametrize("method", ["trf", "lm", "dogbox"])
def test_least_squares_on_certified_data(method: str) -> None:
    found = optimize.least_squares(
        thurber.residuals, thurber.START2, jac=dg.jacobian(thurber.residuals), method=method,
        x_scale="jac", args=(thurber.X, thurber.Y), xtol=1e-15, ftol=1e-15, gtol=1e-15,
        max_nfev=1000,
    )  # fmt: skip
    np.testing.assert_allclose(found.x, thurber.CERTIFIED, rtol=1e-7)
    assert 2 * found.cost == pytest.approx(thurber.CERTIFIED_SUM_OF_SQUARES, rel=1e-10)


# NIST/ITL StRD, Nonlinear Regression, "Misra1a" (Misra 1978, dental research in monomolecular
# adsorption): y is the volume, x the pressure.
# https://www.itl.nist.gov/div898/strd/nls/data/misra1a.shtml
MISRA_X = np.array([
    77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0,
])  # fmt: skip
MISRA_Y = np.array([
    10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47,
    81.78,
])  # fmt: skip
MISRA_CERTIFIED = np.array([2.3894212918e02, 5.5015643181e-04])
MISRA_DEVIATIONS = np.array([2.7070075241e00, 7.2668688436e-06])


@njit
def misra(x, b1, b2):
    return b1 * (1 - np.exp(-b2 * x))


by_parameters = dg.jacobian(lambda b, x: misra(x, b[0], b[1]))


@pytest.mark.parametrize("start", [[500.0, 0.0001], [250.0, 0.0005]])
def test_curve_fit_on_certified_data(start: list[float]) -> None:
    def jacobian(x: np.ndarray, *b: float) -> np.ndarray:
        return by_parameters(np.array(b), x)

    found, covariance = optimize.curve_fit(
        misra, MISRA_X, MISRA_Y, start, jac=jacobian, xtol=1e-15, ftol=1e-15, gtol=0.0
    )
    np.testing.assert_allclose(found, MISRA_CERTIFIED, rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), MISRA_DEVIATIONS, rtol=1e-7)


@njit
def broyden_tridiagonal(x):
    """More, Garbow and Hillstrom 1981, problem 30."""
    y = (3 - 2 * x) * x + 1
    y[1:] -= x[:-1]
    y[:-1] -= 2 * x[1:]
    return y


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root(method: str) -> None:
    start = -np.ones(10)
    found = optimize.root(
        broyden_tridiagonal, start, method=method, jac=dg.jacobian(broyden_tridiagonal), tol=1e-13
    )
    assert found.success
    np.testing.assert_allclose(broyden_tridiagonal(found.x), 0, atol=1e-12)
    both = optimize.root(
        dg.value_and_jacobian(broyden_tridiagonal), start, method=method, jac=True, tol=1e-13
    )
    np.testing.assert_allclose(both.x, found.x, rtol=1e-12)


@njit
def kepler(e, mean_anomaly, eccentricity):
    return e - eccentricity * np.sin(e) - mean_anomaly


@pytest.mark.parametrize("order", [1, 2])
def test_newton_and_halley(order: int) -> None:
    slope = dg.derivative(kepler)
    bend = dg.derivative(slope) if order == 2 else None
    args = 1.0, 0.9
    e, report = optimize.newton(
        kepler, 1.5, fprime=slope, fprime2=bend, args=args, tol=1e-15, full_output=True
    )
    assert report.converged
    assert kepler(e, *args) == pytest.approx(0, abs=1e-15)
    bracketed = optimize.root_scalar(kepler, bracket=[0, 3], args=args, xtol=1e-15)
    assert e == pytest.approx(bracketed.root, rel=1e-14)
    assert optimize.root_scalar(kepler, x0=1.5, fprime=slope, args=args).root == pytest.approx(e)


def test_newton_at_many_points() -> None:
    anomalies = np.linspace(0.1, 3.0, 20)
    slope = dg.vmap(dg.derivative(kepler), in_axes=(0, 0, None))
    e = optimize.newton(kepler, anomalies + 0.1, fprime=slope, args=(anomalies, 0.3), tol=1e-14)
    np.testing.assert_allclose(kepler(e, anomalies, 0.3), 0, atol=1e-14)


# --------------------------------------------------------------- stiff initial value problems


@njit
def robertson(t, y):
    """Robertson 1966: three reactions whose rates lie nine powers of ten apart."""
    a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
    return np.array([b - a, a - b - c, c])


@njit
def hires(t, y):
    """High Irradiance REsponse of plants: Schaefer 1975, eight species."""
    rate = 280.0 * y[5] * y[7]
    return np.array([
        -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007,
        1.71 * y[0] - 8.75 * y[1],
        -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4],
        8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3],
        -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6],
        -rate + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6],
        rate - 1.81 * y[6],
        -rate + 1.81 * y[6],
    ])  # fmt: skip


# The reference solutions of F. Mazzia and C. Magherini, Test Set for Initial Value Problem
# Solvers, release 2.4, University of Bari 2008.
PROBLEMS: dict[str, tuple[Any, float, list[float], list[float]]] = {
    "Robertson": (
        robertson, 1e11, [1.0, 0.0, 0.0],
        [0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050],
    ),
    "HIRES": (
        hires, 321.8122, [1.0, 0, 0, 0, 0, 0, 0, 0.0057],
        [
            0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4,
            0.1175651343283149e-2, 0.2386356198831331e-2, 0.6238968252742796e-2,
            0.2849998395185769e-2, 0.2850001604814231e-2,
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_solve_ivp(problem: str, method: str) -> None:
    f, end, start, expected = PROBLEMS[problem]
    jacobian = dg.jacobian(f, argnums=1)
    with_jacobian = integrate.solve_ivp(
        f, (0, end), start, method=method, jac=jacobian, rtol=1e-9, atol=1e-18
    )
    assert with_jacobian.success
    np.testing.assert_allclose(with_jacobian.y[:, -1], expected, rtol=2e-5)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_odeint(problem: str) -> None:
    f, end, start, expected = PROBLEMS[problem]
    jacobian = dg.jacobian(f, argnums=1)
    y = integrate.odeint(
        f, start, [0, end], Dfun=jacobian, tfirst=True, rtol=1e-10, atol=1e-18, mxstep=100_000
    )
    np.testing.assert_allclose(y[-1], expected, rtol=2e-5)


def test_the_jacobians_are_those_of_the_literature() -> None:
    """Robertson's by hand, and of HIRES the entries of its one product."""
    y = np.array([0.9, 2e-5, 0.1])
    expected = [
        [-0.04, 1e4 * y[2], 1e4 * y[1]],
        [0.04, -1e4 * y[2] - 6e7 * y[1], -1e4 * y[1]],
        [0, 6e7 * y[1], 0],
    ]
    np.testing.assert_allclose(dg.jacobian(robertson, argnums=1)(0.0, y), expected, rtol=1e-15)
    z = np.arange(1.0, 9.0)
    products = dg.jacobian(hires, argnums=1)(0.0, z)[5:, [5, 7]]
    by_sixth, by_eighth = 280.0 * z[7], 280.0 * z[5]
    by_hand = [[-by_sixth - 0.43, -by_eighth], [by_sixth, by_eighth], [-by_sixth, -by_eighth]]
    np.testing.assert_allclose(products, by_hand, rtol=1e-15)
