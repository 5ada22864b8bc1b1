"""Reprojection errors of a bundle adjustment: 2 outputs, 12 inputs, at 10,000 observations.

The camera model is that of Agarwal, Snavely, Seitz and Szeliski, *Bundle Adjustment in the Large*,
ECCV 2010: an axis-angle rotation, a translation, a focal length and two coefficients of radial
distortion. The derivative of the rotation by hand is that of Gallego and Yezzi, *A Compact Formula
for the Derivative of a 3-D Rotation in Exponential Coordinates*, J. Math. Imaging Vis. 51, 2015.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit

import dualgrad as dg
from bench.common import JAX, Target, Workload, into, into_out
from bench.peers import Problem, peers

HAND, OURS = "analytic loop", "dualgrad"


@njit
def reprojection(x, observed):
    """What a camera sees of a point, less where it was seen: `x` is both one after the other."""
    angle = np.sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2])
    a, b, c = x[0] / angle, x[1] / angle, x[2] / angle
    cosine, sine = np.cos(angle), np.sin(angle)
    px, py, pz = x[9], x[10], x[11]
    along = (a * px + b * py + c * pz) * (1.0 - cosine)
    qx = px * cosine + (b * pz - c * py) * sine + a * along + x[3]
    qy = py * cosine + (c * px - a * pz) * sine + b * along + x[4]
    qz = pz * cosine + (a * py - b * px) * sine + c * along + x[5]
    u, v = -qx / qz, -qy / qz
    r = u * u + v * v
    scale = x[6] * (1.0 + r * (x[7] + r * x[8]))
    return np.array([scale * u - observed[0], scale * v - observed[1]])


@njit
def analytic(xs, observed, out):
    """The Jacobians by hand."""
    rotation, turned = np.empty((3, 3)), np.empty((3, 3))
    q, dq, du = np.empty(3), np.empty(3), np.empty(2)
    for n in range(xs.shape[0]):
        x = xs[n]
        w0, w1, w2 = x[0], x[1], x[2]
        square = w0 * w0 + w1 * w1 + w2 * w2
        angle = np.sqrt(square)
        a, b, c = w0 / angle, w1 / angle, w2 / angle
        cosine, sine = np.cos(angle), np.sin(angle)
        rest = 1.0 - cosine
        rotation[0, 0], rotation[0, 1] = cosine + a * a * rest, a * b * rest - c * sine
        rotation[0, 2], rotation[1, 0] = a * c * rest + b * sine, a * b * rest + c * sine
        rotation[1, 1], rotation[1, 2] = cosine + b * b * rest, b * c * rest - a * sine
        rotation[2, 0], rotation[2, 1] = a * c * rest - b * sine, b * c * rest + a * sine
        rotation[2, 2] = cosine + c * c * rest
        px, py, pz = x[9], x[10], x[11]
        for i in range(3):
            r0, r1, r2 = rotation[i, 0], rotation[i, 1], rotation[i, 2]
            q[i] = r0 * px + r1 * py + r2 * pz + x[3 + i]
            # row i of -R [p]x
            turned[i, 0] = r2 * py - r1 * pz
            turned[i, 1] = r0 * pz - r2 * px
            turned[i, 2] = r1 * px - r0 * py
        u, v = -q[0] / q[2], -q[1] / q[2]
        r = u * u + v * v
        distortion = 1.0 + r * (x[7] + r * x[8])
        slope = 2.0 * (x[7] + 2.0 * r * x[8])
        focal = x[6]
        # by u and v, then by q
        uu = focal * (distortion + slope * u * u)
        uv = focal * slope * u * v
        vv = focal * (distortion + slope * v * v)
        i2 = 1.0 / q[2]
        out_n = out[n]
        for row in range(2):
            ru, rv = (uu, uv) if row == 0 else (uv, vv)
            dq[0], dq[1], dq[2] = -ru * i2, -rv * i2, -(ru * u + rv * v) * i2
            out_n[row, 3], out_n[row, 4], out_n[row, 5] = dq[0], dq[1], dq[2]
            t0 = dq[0] * turned[0, 0] + dq[1] * turned[1, 0] + dq[2] * turned[2, 0]
            t1 = dq[0] * turned[0, 1] + dq[1] * turned[1, 1] + dq[2] * turned[2, 1]
            t2 = dq[0] * turned[0, 2] + dq[1] * turned[1, 2] + dq[2] * turned[2, 2]
            # t (w w.T + (R.T - 1) [w]x) / w.w
            along = t0 * w0 + t1 * w1 + t2 * w2
            s0, s1, s2 = (
                t0 * rotation[0, 0] + t1 * rotation[0, 1] + t2 * rotation[0, 2] - t0,
                t0 * rotation[1, 0] + t1 * rotation[1, 1] + t2 * rotation[1, 2] - t1,
                t0 * rotation[2, 0] + t1 * rotation[2, 1] + t2 * rotation[2, 2] - t2,
            )
            # of t R.T the entries above are those of R t; a row times R.T is (R t) transposed
            out_n[row, 0] = (along * w0 + s1 * w2 - s2 * w1) / square
            out_n[row, 1] = (along * w1 + s2 * w0 - s0 * w2) / square
            out_n[row, 2] = (along * w2 + s0 * w1 - s1 * w0) / square
            for j in range(3):
                out_n[row, 9 + j] = (
                    dq[0] * rotation[0, j] + dq[1] * rotation[1, j] + dq[2] * rotation[2, j]
                )
        du[0], du[1] = u, v
        for row in range(2):
            out_n[row, 6] = distortion * du[row]
            out_n[row, 7] = focal * r * du[row]
            out_n[row, 8] = focal * r * r * du[row]
    return out


def observations(count):
    """Cameras around the origin that look at points near it."""
    random = np.random.default_rng(0)
    x = np.empty((count, 12))
    x[:, :3] = random.normal(size=(count, 3)) * 0.3
    x[:, 3:6] = random.normal(size=(count, 3)) * 0.2 + np.array([0.0, 0.0, -8.0])
    x[:, 6] = random.uniform(400.0, 900.0, count)
    x[:, 7:9] = random.normal(size=(count, 2)) * np.array([0.05, 0.01])
    x[:, 9:] = random.normal(size=(count, 3))
    return x, random.normal(size=(count, 2))


def complex_step(x, observed):
    """The Jacobians by the complex step, as a reference."""
    columns = []
    for k in range(12):
        moved = x.astype(complex)
        moved[:, k] += 1e-200j
        pairs = zip(moved, observed, strict=True)
        errors = [reprojection.py_func(row, seen) for row, seen in pairs]
        columns.append(np.imag(errors) / 1e-200)
    return np.stack(columns, -1)


def workloads(smoke: bool) -> Iterator[Workload]:
    count = 100 if smoke else 10_000
    x, observed = observations(count)
    shape = (count, 2, 12)
    primal = dg.vmap(reprojection)
    jacobian = dg.jacobian(reprojection, cache=False)
    of_all = dg.jacobian(reprojection, chunk=12, cache=False)
    yield Workload(
        f"reprojection Jacobians, {count} observations",
        {"primal": lambda: primal(x, observed)},
        {
            HAND: into(analytic, x, observed, shape=shape),
            OURS: into_out(dg.vmap(of_all, cache=False), x, observed, shape=shape),
            "dualgrad, default chunk": into_out(
                dg.vmap(jacobian, cache=False), x, observed, shape=shape
            ),
            **peers(Problem("jacobian", reprojection, x, (observed,), mapped=True)),
        },
        complex_step(x, observed),
        (Target(OURS, 0.9, of=HAND), Target(OURS, 1 / 3, of=JAX)),
    )
