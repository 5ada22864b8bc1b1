"""Ten thousand calls leave memory where it was: what Numba allocates, it frees."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import float64, njit
from numba.core.runtime import _nrt_python, rtsys
from numba.experimental import jitclass
from numba.typed import List

import dualgrad as dg

_nrt_python.memsys_enable_stats()
CALLS = 10_000


@njit
def total(x):
    y = np.zeros(x.size)
    for i in range(x.size):
        y[i] = x[i] * x[i - 1]
    return np.sum(np.sort(y)) * y[0]


@njit
def several(x):
    return x[0] * x[1], x * x[2], 3, np.ones(2)


@njit
def written(x, y):
    y[:] = x * x[0]


@dg.custom_jvp
def scaled(x):
    return 3.0 * x


scaled.defjvp(lambda x, dx: 3.0 * dx)


@njit
def with_rule(x):
    return scaled(x) * x


@njit
def picky(x):
    if x[0] > 2.0:
        raise ValueError("too large for me")
    return x * x


@njit
def picky_number(x):
    if x > 2.0:
        raise ValueError("too large for me")
    return x * x


@njit
def to_shared(x, arrays):
    arrays[0][0] += 1.0
    return x * arrays[1][0]


@jitclass
class Space:
    memory: float64[::1]
    scale: float64

    def __init__(self, memory):
        self.memory = memory * memory
        self.scale = 2.0


@njit
def of_instances(x, space):
    space.memory[0] = x
    other = Space(space.memory)
    other.memory = other.memory * space.scale
    return other.memory[0] * space.memory[0]


number = dg.derivative(lambda x: x**3)
gradient, of_mapped = dg.grad(total, chunk=2), dg.vmap(dg.grad(total))


@njit
def descend(x):
    for _ in range(3):
        x = x - 0.1 * gradient(x)
    return x


@njit
def model(p, t):
    return p[0] * t + p[1]


@njit
def longer_model(p, t):
    return p[0] * np.exp(-p[1] * t) * np.cos(p[2] * t) + p[0] * t / p[2]


@njit
def by_items(x):
    y = np.zeros_like(x)
    for i in range(x.size):
        y[i] += x.reshape(1, -1)[0, i] * x[::-1][i]
    return y


@njit
def by_slices(x):
    return x[1:] * x[:-1] + x.reshape(1, -1)[0, 1:]


X, V, OUT = np.array([1.0, 2.0, 0.5]), np.array([1.0, 0.0, -1.0]), np.empty((3, 3))
POINTS, SMALL = np.arange(12.0).reshape(4, 3), np.array([1.0, 2.0])
nested = dg.jacobian(lambda x: gradient(x) * x[0], chunk=2)
both, products = dg.value_and_jacobian(several, chunk=2), dg.jvp(several)
columns, curvature, second, everything = (
    dg.jacobian(with_rule, chunk=2),
    dg.hvp(total, chunk=2),
    dg.hessian(total, chunk=2),
    dg.value_grad_and_hessian(total, chunk=2),
)
into = dg.jacobian(written, out_argnum=1, chunk=2)
squares = dg.jacobian(lambda x: x * x, chunk=2)
by_instances, space = dg.derivative(of_instances), Space(np.ones(3))
through_list, parts = dg.derivative(to_shared), List([np.ones(3)] * 2)
by_entries, by_terms = dg.sparse_jacobian(by_items), dg.grad(by_slices, terms=True)
of_models = [dg.jacobian(f) for f in (model, longer_model)]
by_two = dg.grad(lambda a, x: a * total(x), argnums=(0, 1), chunk=2)

TRANSFORMS: dict[str, Callable[[], Any]] = {
    "derivative": lambda: number(2.0),
    "grad": lambda: gradient(X),
    "argnums": lambda: by_two(2.0, X),
    "value_and_jacobian of a tuple": lambda: both(X),
    "out_argnum": lambda: into(X, V),
    "out": lambda: squares(X, out=OUT),
    "strided out": lambda: squares(X[::-1], out=OUT[:, ::-1]),
    "hessian": lambda: second(X),
    "value_grad_and_hessian": lambda: everything(X),
    "jvp": lambda: products((X,), (V,)),
    "hvp": lambda: curvature((X,), (V,)),
    "vmap": lambda: of_mapped(POINTS),
    "custom_jvp": lambda: columns(X),
    "nested": lambda: nested(X),
    "inside njit": lambda: descend(X),
    "instances": lambda: by_instances(2.0, space),
    "sparse_jacobian": lambda: by_entries(X),
    "terms": lambda: by_terms(X),
    "arrays in a list": lambda: through_list(2.0, parts),
}


def balance(call: Callable[[], Any], count: int) -> tuple[int, int, int]:
    """How much is allocated by so many calls, and how much of it is not freed."""
    call()
    before = rtsys.get_allocation_stats()
    for _ in range(count):
        call()
    after = rtsys.get_allocation_stats()
    made = after.alloc - before.alloc, after.mi_alloc - before.mi_alloc
    freed = after.free - before.free, after.mi_free - before.mi_free
    return made[0], made[0] - freed[0], made[1] - freed[1]


def test_an_expression_is_one_loop() -> None:
    """Single numbers that hold derivatives do not keep Numba from making one of an expression."""
    [short, long] = (balance(lambda f=f: f(X, POINTS[0]), 10)[0] for f in of_models)
    assert short == long


@pytest.mark.parametrize("name", TRANSFORMS)
def test_memory_balances(name: str) -> None:
    TRANSFORMS[name]()
    gc.collect()  # frames of the compiler that are still alive refer to arguments
    references = [sys.getrefcount(it) for it in (X, V, OUT, POINTS)]
    made, kept, infos = balance(TRANSFORMS[name], CALLS)
    assert made > 0 or name in ("derivative", "out")
    assert (kept, infos) == (0, 0)
    gc.collect()
    assert [sys.getrefcount(it) for it in (X, V, OUT, POINTS)] == references


def refused(call: Callable[[], Any]) -> Callable[[], None]:
    def once() -> None:
        try:
            call()
        except ValueError:
            return
        raise AssertionError("no error")

    return once


ERRORS: dict[str, Callable[[], Any]] = {
    "out of another shape": refused(lambda: squares(X, out=np.empty((3, 4)))),
    "tangent of another shape": refused(lambda: products((X,), (SMALL,))),
    "an exception in a function of numbers": refused(lambda: dg.derivative(picky_number)(3.0)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_memory_balances_after_errors(name: str) -> None:
    assert balance(ERRORS[name], CALLS // 10)[1:] == (0, 0)


@njit
def calls_picky(x):
    y = np.zeros(x.size)
    y += picky(x)
    return y


def test_exceptions_of_callees_leak_in_numba_too() -> None:
    """Numba frees nothing of a function whose callee raises; so a kernel keeps its buffers.

    Should this fail because the first number is zero, then Numba has learnt it.
    """
    large = X + 5.0
    jacobian = dg.jacobian(picky, chunk=1)
    assert balance(refused(lambda: calls_picky(large)), 100)[1] == 100 * 2
    assert balance(refused(lambda: jacobian(large)), 100)[1] <= 100 * 2


FAULTS = """
import resource
import numpy as np
import dualgrad as dg

def chain(x):
    y = x[0] * np.ones(20_000)
    z = y + x[1]
    return np.sum(z * y + x[2])

gradient, x = dg.grad(chain), np.ones(3)
gradient(x), gradient(x)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    gradient(x)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about the GNU C library")
def test_freed_memory_stays_with_the_process() -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    out = subprocess.run(
        [sys.executable, "-c", FAULTS], env=environ, capture_output=True, text=True, check=True
    )
    assert int(out.stdout) < 200  # one call takes some 700 pages


@pytest.mark.parametrize("enabled", [True, False])
def test_collection_of_garbage_goes_on(enabled: bool) -> None:
    """As it was before: it stops while code is compiled."""
    (gc.enable if enabled else gc.disable)()
    collections: list[Any] = []
    gc.callbacks.append(lambda phase, info: collections.append(phase))
    try:
        dg.derivative(lambda x: 2.0 * x, cache=False)(1.0)
        assert gc.isenabled() == enabled
        assert collections.count("start") < 20  # else some hundred
        with pytest.raises(dg.NotDifferentiable):
            dg.derivative(lambda x: {x})(1.0)
        assert gc.isenabled() == enabled
    finally:
        gc.callbacks.pop()
        gc.enable()
