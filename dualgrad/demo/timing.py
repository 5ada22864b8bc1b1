"""How long a Jacobian takes, beside the function itself and beside finite differences."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

import dualgrad as dg
from dualgrad.demo import thurber
from dualgrad.demo.differences import finite_differences
from dualgrad.demo.table import section, table

Array = NDArray[np.float64]


@njit
def chebyquad(x: Array) -> Array:
    """Mean of each Chebyshev polynomial over the points, less its integral (on [0, 1])."""
    n = len(x)
    y = np.zeros(n)
    for j in range(n):
        t = 2 * x[j] - 1
        before, now = 1.0, t
        for i in range(n):
            y[i] += now / n
            before, now = now, 2 * t * now - before
    for i in range(1, n, 2):
        y[i] += 1 / ((i + 1) ** 2 - 1)
    return y


def chebyquad_closed_form(x: Array) -> Array:
    """The Jacobian of `chebyquad`: NumPy's own derivatives of the polynomials."""
    n = len(x)
    slopes = chebyshev.chebder(np.eye(n + 1)[:, 1:])
    return np.asarray(chebyshev.chebval(2 * x - 1, slopes) * (2 / n), np.float64)


@njit
def rosenbrock(x: Array) -> float:
    """The banana valley."""
    s = 0.0
    for i in range(len(x) - 1):
        s += 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return s


def rosenbrock_closed_form(x: Array) -> Array:
    """The gradient of `rosenbrock`."""
    g = np.zeros_like(x)
    bend = x[1:] - x[:-1] ** 2
    g[:-1] = -400 * bend * x[:-1] - 2 * (1 - x[:-1])
    g[1:] += 200 * bend
    return g


class Case(NamedTuple):
    """A function, where it is differentiated, by which transform, and its closed form."""

    name: str
    transform: Callable[..., Any]
    f: Callable[..., Any]
    closed_form: Callable[..., Any]
    args: tuple[Array, ...]


def cases() -> list[Case]:
    """The functions that are timed."""
    n = 100
    uniform = np.arange(1, n + 1) / (n + 1)
    fit = (thurber.START1, thurber.X, thurber.Y)
    return [
        Case("Thurber residuals", dg.jacobian, thurber.residuals, thurber.closed_form, fit),
        Case("chebyquad", dg.jacobian, chebyquad, chebyquad_closed_form, (uniform,)),
        Case("Rosenbrock", dg.grad, rosenbrock, rosenbrock_closed_form, (uniform,)),
    ]


def median_seconds(call: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> float:
    """The median time of a call, in blocks long enough for the clock, after one to warm up."""
    call(*args)
    start = perf_counter()
    call(*args)
    once = max(perf_counter() - start, 1e-7)
    loops = max(1, round(2e-4 / once))
    blocks: list[float] = []
    while sum(blocks) * loops < seconds or len(blocks) < 5:
        start = perf_counter()
        for _ in range(loops):
            call(*args)
        blocks.append((perf_counter() - start) / loops)
    return statistics.median(blocks)


def report(seconds: float = 0.1) -> str:
    """Times and errors as a table; `seconds` is spent on each entry."""
    rows = [["", "result", "f", "dualgrad", "2-point", "error: dualgrad", "2-point"]]
    for case in cases():
        exact = case.closed_form(*case.args)
        row = [case.name, " x ".join(map(str, exact.shape))]
        base = median_seconds(case.f, case.args, seconds)
        row.append(f"{base * 1e6:.1f} us")
        errors = []
        for derivative in (
            case.transform(case.f),
            partial(finite_differences, case.f),
        ):
            time = median_seconds(derivative, case.args, seconds)
            row.append(f"{time * 1e6:.1f} us = {time / base:5.1f} f")
            error = np.max(np.abs(derivative(*case.args) - exact)) / np.max(np.abs(exact))
            errors.append(f"{error:.0e}")
        rows.append(row + errors)
    return section(
        "What a derivative costs",
        "Medians, called from Python. Beside dualgrad: SciPy's two-point differences. Error:",
        "the largest, against the closed form, in units of the largest entry.\n",
        table("<<>>>>>", rows),
    )
