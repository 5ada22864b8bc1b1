"""Draws the pictures of the guide: `python docs/pictures/make.py` with the extra `plot`.

All but the times in `scaling.svg` come out the same on every machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from numba import njit

import dualgrad as dg
from dualgrad.sparse import report

HERE = Path(__file__).parent
STYLE = {
    "svg.hashsalt": "dualgrad",  # the same picture is the same file
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "lines.linewidth": 1.8,
    "figure.constrained_layout.use": True,
}
BLUE, ORANGE, GREEN, GREY = "#0b63b0", "#c8500b", "#23803b", "#666666"


# ------------------------------------------------------------------------------------- sparsity


@njit
def brusselator(y):
    """Two species on a periodic grid of n x n cells: a cell sees itself and its four sides."""
    n = int(np.sqrt(y.size // 2))
    c = y.copy().reshape(n, n, 2)
    dc = np.empty_like(c)
    for i in range(n):
        for j in range(n):
            sides = c[i - 1, j] + c[(i + 1) % n, j] + c[i, j - 1] + c[i, (j + 1) % n]
            u, v = c[i, j]
            dc[i, j] = 0.02 * n * n * (sides - 4.0 * c[i, j])
            dc[i, j, 0] += 1.0 + u * u * v - 4.4 * u
            dc[i, j, 1] += 3.4 * u - u * u * v
    return dc.ravel()


def sparsity() -> Any:
    """A Jacobian with its columns in their colours, and what is computed of it."""
    n = 6
    y = np.linspace(1.0, 2.0, 2 * n * n)
    jacobian = dg.sparse_jacobian(brusselator)
    colours = jacobian.colors(y)
    entries = jacobian.pattern(y).tocoo()
    count = colours.max() + 1
    figure, (whole, packed) = plt.subplots(
        1, 2, figsize=(6.4, 4.6), width_ratios=(y.size, count + 14)
    )
    report.spy(jacobian.pattern(y), colours, ax=whole)
    whole.set_xlabel("inputs")
    whole.set_ylabel("outputs")
    size = whole.collections[0].get_sizes()
    packed.scatter(
        colours[entries.col], entries.row, s=size, c=colours[entries.col], cmap="tab10",
        marker="s", linewidths=0,
    )  # fmt: skip
    packed.set(
        xlim=(-0.5, count - 0.5), ylim=(y.size - 0.5, -0.5), aspect="equal",
        title="computed", xlabel="colours", xticks=[0, count - 1], yticks=[],
    )  # fmt: skip
    return figure


# -------------------------------------------------------------------------------------- scaling


@njit
def rosenbrock(x):
    total = 0.0
    for i in range(x.size - 1):
        total += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


@njit
def rosenbrock_terms(x):
    return 100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2


@njit
def differences(x):
    """The gradient by forward differences, compiled too."""
    x, base, g = x.copy(), rosenbrock(x), np.empty_like(x)
    for i in range(x.size):
        kept = x[i]
        step = 1.5e-8 * max(1.0, abs(kept))
        x[i] = kept + step
        g[i] = (rosenbrock(x) - base) / step
        x[i] = kept
    return g


def seconds(call: Callable[[np.ndarray], Any], x: np.ndarray) -> float:
    """The shortest time of a call among many."""
    call(x)
    best, until = math.inf, time.perf_counter() + 0.3
    while time.perf_counter() < until:
        begin = time.perf_counter()
        call(x)
        best = min(best, time.perf_counter() - begin)
    return best


def scaling() -> Any:
    """What a gradient costs, in evaluations of the function."""
    ways = {
        "finite differences": (differences, ORANGE),
        "dg.grad(f)": (dg.grad(rosenbrock), BLUE),
        "dg.grad(f, terms=True)": (dg.grad(rosenbrock_terms, terms=True), GREEN),
    }
    counts = [2**k for k in range(8, 15)]
    figure, ax = plt.subplots(figsize=(6.0, 3.6))
    points = [np.linspace(-1.0, 1.0, n) for n in counts]
    primal = [seconds(rosenbrock, x) for x in points]
    for name, (way, colour) in ways.items():
        costs = [seconds(way, x) / p for x, p in zip(points, primal, strict=True)]
        ax.plot(counts, costs, color=colour, marker="o", markersize=3.5)
        ax.annotate(
            name, (counts[-1], costs[-1]), (6, 0), textcoords="offset points", va="center",
            color=colour,
        )  # fmt: skip
    ax.set(
        xscale="log", yscale="log", xlabel="inputs", title="time of a gradient, in evaluations of f"
    )
    return figure


# --------------------------------------------------------------------------------------- Greeks


@njit
def call_price(spot, maturity, strike, rate, volatility):
    spread = volatility * math.sqrt(maturity)
    d1 = (math.log(spot / strike) + (rate + 0.5 * volatility**2) * maturity) / spread
    d2 = d1 - spread
    below1, below2 = 0.5 * math.erfc(-d1 / math.sqrt(2)), 0.5 * math.erfc(-d2 / math.sqrt(2))
    return spot * below1 - strike * math.exp(-rate * maturity) * below2


def greeks() -> Any:
    """Gamma and vega of a call over spot and maturity."""
    spot, maturity = np.meshgrid(np.linspace(60.0, 140.0, 33), np.linspace(0.1, 1.5, 29))
    everywhere = (0, 0, None, None, None)
    given = spot.ravel(), maturity.ravel(), 100.0, 0.02, 0.25
    gamma = dg.vmap(dg.hessian(call_price), in_axes=everywhere)(*given)
    vega = dg.vmap(dg.derivative(call_price, argnums=4), in_axes=everywhere)(*given)
    figure, axes = plt.subplots(1, 2, figsize=(7.0, 3.3), sharey=True)
    surfaces = {"gamma: second, by the spot": gamma, "vega: by the volatility": vega}
    for ax, (name, surface) in zip(axes, surfaces.items(), strict=True):
        z = surface.reshape(spot.shape)
        filled = ax.contourf(spot, maturity, z, 10, cmap="viridis")
        filled.set_edgecolor("face")  # or the page shines through between the colours
        figure.colorbar(filled, ax=ax, shrink=0.9)
        ax.axvline(100.0, color="white", linewidth=0.8, linestyle=":")
        ax.set(title=name, xlabel="spot (the strike is 100)")
    axes[0].set_ylabel("years to maturity")
    return figure


# --------------------------------------------------------------------------------------- Newton


@njit
def equations(x):
    """Broyden's tridiagonal equations, with a cubic term."""
    y = (3.0 - 2.0 * x) * x + 1.0 + 0.5 * x**3
    y[1:] -= x[:-1]
    y[:-1] -= 2.0 * x[1:]
    return y


def by_differences(step: float) -> Callable[[np.ndarray], np.ndarray]:
    """The Jacobian by forward differences with a fixed step."""

    def jacobian(x: np.ndarray) -> np.ndarray:
        rows = [(equations(x + step * unit) - equations(x)) / step for unit in np.eye(x.size)]
        return np.stack(rows, axis=-1)

    return jacobian


def newton() -> Any:
    """The residual from step to step."""
    ways = {
        "exact": (dg.jacobian(equations), BLUE, "-"),
        "differences, step 1e-3": (by_differences(1e-3), ORANGE, "-"),
        "differences, step 1e-7": (by_differences(1e-7), GREEN, "--"),
        "differences, step 1e-14": (by_differences(1e-14), GREY, "-."),
    }
    figure, ax = plt.subplots(figsize=(6.0, 3.6))
    for name, (jacobian, colour, line) in ways.items():
        x, norms = np.full(10, -1.0), []
        for _ in range(9):
            y = equations(x)
            norms.append(max(float(np.linalg.norm(y)), 1e-16))
            x = x - np.linalg.solve(jacobian(x), y)
        ax.plot(norms, line, color=colour, marker="o", markersize=3.5, label=name)
    ax.set(yscale="log", xlabel="step of Newton's method", title="norm of the residual")
    ax.legend(title="Jacobian", frameon=False)
    return figure


def main() -> None:
    matplotlib.use("Agg")
    with plt.rc_context(STYLE):
        for draw in (sparsity, scaling, greeks, newton):
            figure = draw()
            figure.savefig(HERE / f"{draw.__name__}.svg", metadata={"Date": None})
            plt.close(figure)


if __name__ == "__main__":
    main()
