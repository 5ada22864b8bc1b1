"""With NUMBA_DISABLE_JIT=1 functions run in Python, and have the same derivatives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = r"""
import numpy as np
from numba import float64, int64, njit
from numba.experimental import jitclass
import dualgrad as dg

same = lambda got, want: np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14)
x = np.array([0.3, -0.4])
t = np.tanh(x)

@njit
def f(x):
    return np.sum(np.tanh(x) ** 2) * x[0]

assert not hasattr(f, "py_func")  # there is no compiler
first = 2 * t * (1 - t**2) * x[0] + [np.sum(t**2), 0.0]
same(dg.grad(f)(x), first)
same(dg.tangent(f(dg.seed(x))), first)
second = np.diag((2 * (1 - t**2) ** 2 - 4 * t**2 * (1 - t**2)) * x[0])
slope = 2 * t * (1 - t**2)
second += np.outer([1, 0], slope) + np.outer(slope, [1, 0])
value, gradient, hessian = dg.value_grad_and_hessian(f)(x)
same(value, np.sum(t**2) * x[0])
same(gradient, first)
same(hessian, second)
same(dg.hvp(f)((x,), (np.array([1.0, 2.0]),)), second @ [1.0, 2.0])
same(dg.grad(f)(x, out=(out := np.zeros(2))), first)
same(out, first)

(by_x, by_a), (one, none) = dg.jacobian(lambda x, a: (np.outer(x, x) * a, x), argnums=(0, 1))(x, 2)
same(by_x, 2 * (np.einsum("ik,j->ijk", np.eye(2), x) + np.einsum("jk,i->ijk", np.eye(2), x)))
same(by_a, np.outer(x, x))
same(one, np.eye(2))
same(none, np.zeros(2))
y, dy = dg.jvp(lambda x, a, k: x * a**k)((x, 2.0, 3), (x, 1.0, None))
same(y, 8 * x)
same(dy, 8 * x + 12 * x)

def swing(t, y, dy):
    dy[0] = y[1]
    dy[1] = -np.sin(y[0]) * t
    y[0] = 7.0

same(dg.jacobian(swing, 1, out_argnum=2)(2.0, x, np.ones(2)), [[0, 1], [-2 * np.cos(0.3), 0]])
assert x[0] == 0.3  # arguments are never written to


@jitclass([("count", int64), ("table", float64[:])])
class Counter:
    def __init__(self):
        self.count = 0
        self.table = np.ones(2)


def counted(x, counter, arrays):
    counter.count += 1
    counter.table[0] += 1.0
    arrays[0][0] += 1.0
    return x[0] * x[1] * counter.count * counter.table[0] * arrays[0][0]


counter, arrays = Counter(), [np.ones(2)]
for _ in range(2):
    same(dg.grad(counted)(x, counter, arrays), 4 * x[::-1])
    mapped = dg.vmap(dg.grad(counted), (0, None, None))(np.stack([x, x]), counter, arrays)
    same(mapped[1], 4 * x[::-1])
assert counter.count == 0 and counter.table[0] == 1.0 and arrays[0][0] == 1.0
points = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
same(dg.vmap(dg.grad(lambda x, a: a * x[0] ** 2 * x[1]), (1, None))(points, 2.0)[2], [0.72, 0.18])

# perturbations of different depths are not confused, also where a closure meets them
same(dg.derivative(lambda x: x * dg.derivative(lambda y: x + y)(1.0))(3.0), 1.0)
same(dg.derivative(lambda x: x * dg.derivative(lambda y: x * y)(1.0))(3.0), 6.0)
same(dg.derivative(dg.derivative(lambda x: x**3))(2.0), 12.0)

@dg.custom_jvp
def cube(x, k):
    return k * x**3

@cube.defjvp
def _(x, k, dx, dk):
    return 100 * k * x**2 * dx

same(dg.derivative(cube)(2.0, 3), 1200.0)
same(dg.derivative(dg.derivative(cube))(2.0, 3), 1200.0)
same(dg.grad(lambda x: np.sum(cube(x, 1)))(x), 100 * x**2)
same(dg.derivative(lambda x: abs(np.exp(1j * x) * x))(2.0), 1.0)
same(dg.derivative(lambda x: np.linalg.det(np.eye(2) * x))(2.0), 4.0)

def buffer(x):
    y = np.zeros(2)
    y[0] = x[0]
    return y

def raises(kind, text, function, *args):
    try:
        function(*args)
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(text)

raises(dg.NotDifferentiable, "np.zeros_like(x)", dg.jacobian(buffer), x)
same(dg.tangent(np.median(dg.seed(x))), [0.5, 0.5])
raises(dg.NotDifferentiable, "np.packbits has no derivative rule", np.packbits, dg.seed(x))
raises(TypeError, "no number", dg.grad(lambda x: x), x)
raises(TypeError, "a number", dg.jacobian(f), x)
raises(TypeError, "complex", dg.grad(f), 1j * x)
raises(TypeError, "None", dg.derivative(lambda x: None), 1.0)
raises(ValueError, "shape", dg.jvp(f), (x,), (np.zeros(3),))
print("done")
"""


def test_without_a_compiler() -> None:
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": root}
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.stdout == "done\n", result.stderr
