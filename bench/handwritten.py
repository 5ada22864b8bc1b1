"""What a careful Numba user writes by hand: analytic derivatives, and chunked dual loops.

The dual loops carry a value and `LANES` partials through the program, one chunk of the inputs
after the other, as forward mode does. They use none of the structure of their problem.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 8


@njit
def seed(dx, start, tangent):
    """Set (1) or clear (0) the seeds of the chunk at `start`; returns how many lanes it fills."""
    lanes = min(LANES, dx.shape[0] - start)
    for k in range(lanes):
        dx[start + k, k] = tangent
    return lanes


# --- Rosenbrock -----------------------------------------------------------------------------


@njit
def rosenbrock_analytic(x, out):
    out[0] = 0.0
    for i in range(x.size - 1):
        a = x[i + 1] - x[i] * x[i]
        out[i] += -400.0 * x[i] * a - 2.0 * (1.0 - x[i])
        out[i + 1] = 200.0 * a
    return out


@njit
def rosenbrock_chunked(x, out):
    n = x.size
    dx = np.zeros((n, LANES))
    ds = np.empty(LANES)
    for start in range(0, n, LANES):
        lanes = seed(dx, start, 1.0)
        ds[:] = 0.0
        for i in range(n - 1):
            a = x[i + 1] - x[i] * x[i]
            b = 1.0 - x[i]
            for k in range(LANES):
                da = dx[i + 1, k] - 2.0 * x[i] * dx[i, k]
                ds[k] += 200.0 * a * da - 2.0 * b * dx[i, k]
        out[start : start + lanes] = ds[:lanes]
        seed(dx, start, 0.0)
    return out


# --- Ackley ---------------------------------------------------------------------------------


@njit
def ackley_analytic(x, out):
    n = x.size
    squares = 0.0
    cosines = 0.0
    for i in range(n):
        squares += x[i] * x[i]
        cosines += np.cos(2.0 * np.pi * x[i])
    r = np.sqrt(squares / n)
    radial = 4.0 * np.exp(-0.2 * r) / (r * n)
    steep = np.exp(cosines / n) * 2.0 * np.pi / n
    for i in range(n):
        out[i] = radial * x[i] + steep * np.sin(2.0 * np.pi * x[i])
    return out


@njit
def ackley_chunked(x, out):
    n = x.size
    dx = np.zeros((n, LANES))
    dsquares = np.empty(LANES)
    dcosines = np.empty(LANES)
    for start in range(0, n, LANES):
        lanes = seed(dx, start, 1.0)
        squares = 0.0
        cosines = 0.0
        dsquares[:] = 0.0
        dcosines[:] = 0.0
        for i in range(n):
            w = 2.0 * np.pi * x[i]
            squares += x[i] * x[i]
            cosines += np.cos(w)
            slope = -2.0 * np.pi * np.sin(w)
            for k in range(LANES):
                dsquares[k] += 2.0 * x[i] * dx[i, k]
                dcosines[k] += slope * dx[i, k]
        r = np.sqrt(squares / n)
        radial = 2.0 * np.exp(-0.2 * r) / (r * n)
        steep = np.exp(cosines / n) / n
        for k in range(lanes):
            out[start + k] = radial * dsquares[k] - steep * dcosines[k]
        seed(dx, start, 0.0)
    return out


# --- Chebyquad ------------------------------------------------------------------------------


@njit
def chebyquad_analytic(x, out):
    n = x.size
    for j in range(n):
        t0, t1 = 1.0, 2.0 * x[j] - 1.0
        d0, d1 = 0.0, 2.0
        twice = 2.0 * t1
        for i in range(n):
            out[i, j] = d1 / n
            d0, d1 = d1, 4.0 * t1 + twice * d1 - d0
            t0, t1 = t1, twice * t1 - t0
    return out


@njit
def chebyquad_chunked(x, out):
    n = x.size
    dx = np.zeros((n, LANES))
    df = np.empty((n, LANES))
    d0 = np.empty(LANES)
    d1 = np.empty(LANES)
    for start in range(0, n, LANES):
        lanes = seed(dx, start, 1.0)
        df[:] = 0.0
        for j in range(n):
            t0, t1 = 1.0, 2.0 * x[j] - 1.0
            twice = 2.0 * t1
            for k in range(LANES):
                d0[k] = 0.0
                d1[k] = 2.0 * dx[j, k]
            for i in range(n):
                for k in range(LANES):
                    df[i, k] += d1[k]
                    d2 = 4.0 * dx[j, k] * t1 + twice * d1[k] - d0[k]
                    d0[k] = d1[k]
                    d1[k] = d2
                t0, t1 = t1, twice * t1 - t0
        for i in range(n):
            for k in range(lanes):
                out[i, start + k] = df[i, k] / n
        seed(dx, start, 0.0)
    return out


# --- A dense layer, relu(w @ x + b) -----------------------------------------------------------


@njit
def dense_layer_analytic(x, w, b, out):
    z = np.dot(w, x) + b
    for i in range(z.size):
        for j in range(x.size):
            out[i, j] = w[i, j] if z[i] > 0.0 else 0.0
    return out


@njit
def dense_layer_chunked(x, w, b, out):
    n = x.size
    dx = np.zeros((n, LANES))
    dz = np.empty(LANES)
    for start in range(0, n, LANES):
        lanes = seed(dx, start, 1.0)
        for i in range(b.size):
            z = b[i]
            dz[:] = 0.0
            for j in range(n):
                z += w[i, j] * x[j]
                for k in range(LANES):
                    dz[k] += w[i, j] * dx[j, k]
            for k in range(lanes):
                out[i, start + k] = dz[k] if z > 0.0 else 0.0
        seed(dx, start, 0.0)
    return out
