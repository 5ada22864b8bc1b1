"""The loss of one neuron over a thousand samples, by its weights and its bias.

As in section 6 of Parr and Howard, *The Matrix Calculus You Need For Deep Learning*.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numba import njit

import dualgrad as dg
from bench.common import JAX, Target, Workload, into_out
from bench.peers import Problem, peers

LEFT_OUT = ("CasADi, C",)


@njit
def loss(theta, features, labels):
    """Of the weights, and the bias after them."""
    activation = np.maximum(features @ theta[:-1] + theta[-1], 0.0)
    return np.mean((labels - activation) ** 2)


@njit
def loss_of_two(w, b, features, labels):
    return np.mean((labels - np.maximum(features @ w + b, 0.0)) ** 2)


@njit
def loss_in_a_loop(theta, features, labels):
    total = 0.0
    for i in range(labels.size):
        z = theta[-1]
        for j in range(theta.size - 1):
            z += features[i, j] * theta[j]
        total += (labels[i] - max(z, 0.0)) ** 2
    return total / labels.size


def d_loss(theta: np.ndarray, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    z = features @ theta[:-1] + theta[-1]
    slopes = np.where(z > 0.0, 2.0 * (z - labels), 0.0) / labels.size
    return np.append(slopes @ features, slopes.sum())


def workloads(smoke: bool) -> Iterator[Workload]:
    samples, n = (20, 5) if smoke else (1000, 50)
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(samples, n)), random.normal(size=samples)
    theta = random.normal(size=n + 1)
    args = theta, features, labels
    by_both = dg.grad(loss_of_two, argnums=(0, 1), cache=False)
    yield Workload(
        f"neuron loss gradient, {samples} samples, {n} features",
        {"primal": partial(loss, *args), "primal, loop": partial(loss_in_a_loop, *args)},
        {
            "dualgrad": into_out(dg.grad(loss, cache=False), *args, shape=theta.shape),
            "dualgrad, argnums=(0, 1)": partial(by_both, theta[:-1], theta[-1], features, labels),
            "dualgrad, loop": into_out(
                dg.grad(loss_in_a_loop, cache=False), *args, shape=theta.shape
            ),
            **peers(Problem("grad", loss, theta, (features, labels)), LEFT_OUT),
        },
        d_loss(*args),
        (Target("dualgrad", 0.6, of=JAX),),
        left_out=LEFT_OUT,
    )
