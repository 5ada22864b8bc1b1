"""A function of one number and its derivative, at a million points."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numba import njit

import dualgrad as dg
from bench.common import Target, Workload, into
from bench.peers import Problem, peers

HAND, FAST = "analytic loop", "fastmath=True"


@njit
def wave(x):
    """A wave under an envelope."""
    return np.exp(-0.5 * x * x) * np.sin(3.0 * x)


@njit
def waves(x, out):
    for i in range(x.size):
        out[i] = wave(x[i])
    return out


def by_hand(x, value, slope):
    for i in range(x.size):
        envelope, phase = np.exp(-0.5 * x[i] * x[i]), 3.0 * x[i]
        s, c = np.sin(phase), np.cos(phase)
        value[i] = envelope * s
        slope[i] = envelope * (3.0 * c - x[i] * s)
    return value, slope


analytic, approximate = njit(by_hand), njit(fastmath=True)(by_hand)


def d_wave(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x * x) * (3.0 * np.cos(3.0 * x) - x * np.sin(3.0 * x))


def workloads(smoke: bool) -> Iterator[Workload]:
    count = 1000 if smoke else 10**6
    x = np.linspace(-3.0, 3.0, count)
    both = dg.vmap(dg.value_and_derivative(wave, cache=False), cache=False)
    along = dg.jvp(wave, cache=False)
    fast = njit(fastmath=True)(wave.py_func)
    both_fast = dg.vmap(dg.value_and_derivative(fast, cache=False), cache=False)
    results = np.full(count, np.nan), np.full(count, np.nan)
    yield Workload(
        f"elementwise value and derivative, {count} points",
        {"primal": into(waves, x, shape=x.shape)},
        {
            HAND: lambda: analytic(x, np.empty(count), np.empty(count)),
            f"{HAND}, out=": lambda: analytic(x, *results),
            "dualgrad": partial(both, x, out=(np.full(count, np.nan), np.full(count, np.nan))),
            f"{HAND}, out=, {FAST}": lambda: approximate(x, *results),
            f"dualgrad, {FAST}": partial(both_fast, x, out=tuple(np.full((2, count), np.nan))),
            "dualgrad, without out=": lambda: both(x),
            "dualgrad, jvp of the array": lambda: along((x,), (np.ones(count),)),
            **peers(Problem("elementwise", wave, x)),
        },
        (np.exp(-0.5 * x * x) * np.sin(3.0 * x), d_wave(x)),
        (
            Target("dualgrad", 0.6, of=f"{HAND}, out="),
            Target(f"dualgrad, {FAST}", 0.6, of=f"{HAND}, out=, {FAST}"),
        ),
    )
