"""Greeks of European calls: price by spot, strike, time, rate and volatility, for 100,000 options.

F. Black and M. Scholes, *The Pricing of Options and Corporate Liabilities*, Journal of Political
Economy 81, 1973. The derivatives by hand are the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import erf

import numpy as np
from numba import njit
from scipy.stats import norm

import dualgrad as dg
from bench.common import Workload, into, into_out
from bench.peers import Problem, peers

HAND, ROOT_2 = "analytic loop", 2.0**0.5
FAST = {"fastmath": True, "error_model": "numpy"}
LEFT_OUT = ("SciPy, differentiate",)


def option(x):
    """The price of a call; `x` is spot, strike, time, rate and volatility."""
    spot, strike, time, rate, volatility = x[0], x[1], x[2], x[3], x[4]
    spread = volatility * np.sqrt(time)
    d1 = (np.log(spot / strike) + (rate + 0.5 * volatility * volatility) * time) / spread
    return spot * below(d1) - strike * np.exp(-rate * time) * below(d1 - spread)


@njit
def below(d):
    """The normal distribution."""
    return 0.5 * (1.0 + erf(d / ROOT_2))


price, fast = njit(option), njit(**FAST)(option)


@njit
def prices(xs, out):
    for i in range(len(xs)):
        out[i] = price(xs[i])
    return out


def by_hand(xs, out):
    for i in range(len(xs)):
        spot, strike, time, rate, volatility = xs[i]
        root = np.sqrt(time)
        spread = volatility * root
        d1 = (np.log(spot / strike) + (rate + 0.5 * volatility * volatility) * time) / spread
        discount, n1, n2 = np.exp(-rate * time), below(d1), below(d1 - spread)
        density = np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
        out[i, 0] = n1
        out[i, 1] = -discount * n2
        out[i, 2] = 0.5 * spot * density * volatility / root + rate * strike * discount * n2
        out[i, 3] = strike * time * discount * n2
        out[i, 4] = spot * density * root
    return out


analytic, approximate = njit(by_hand), njit(**FAST)(by_hand)


def greeks(xs: np.ndarray) -> np.ndarray:
    """The derivatives, with SciPy's normal distribution."""
    spot, strike, time, rate, volatility = xs.T
    root, discount = np.sqrt(time), np.exp(-rate * time)
    d1 = (np.log(spot / strike) + (rate + 0.5 * volatility**2) * time) / (volatility * root)
    paid = strike * discount * norm.cdf(d1 - volatility * root)
    vega = spot * norm.pdf(d1) * root
    by_time = 0.5 * vega * volatility / time + rate * paid
    return np.stack([norm.cdf(d1), -paid / strike, by_time, time * paid, vega], -1)


def options(count: int) -> np.ndarray:
    random = np.random.default_rng(0)
    low, high = np.array([[50, 50, 0.1, 0.0, 0.1], [150, 150, 2.0, 0.1, 0.6]])
    return random.uniform(low, high, size=(count, 5))


def workloads(smoke: bool) -> Iterator[Workload]:
    count = 100 if smoke else 100_000
    xs = options(count)
    mapped = dg.vmap(dg.grad(price, cache=False), cache=False)
    mapped_fast = dg.vmap(dg.grad(fast, cache=False), cache=False)
    yield Workload(
        f"Black-Scholes Greeks, {count} options",
        {"primal": into(prices, xs, shape=(count,))},
        {
            HAND: into(analytic, xs, shape=xs.shape),
            "dualgrad": into_out(mapped, xs, shape=xs.shape),
            f"{HAND}, fastmath=True": into(approximate, xs, shape=xs.shape),
            "dualgrad, fastmath=True": into_out(mapped_fast, xs, shape=xs.shape),
            **peers(Problem("grad", price, xs, mapped=True), LEFT_OUT),
        },
        greeks(xs),
        left_out=LEFT_OUT,
    )
