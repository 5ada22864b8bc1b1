"""dg.tune: which chunks it tries, which it takes, and that the results stay what they were."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import float64, njit

import dualgrad as dg
from dualgrad.transforms import tune as tuning
from dualgrad.transforms import wider


@njit
def f(x, a):
    return a * np.sum(np.sin(x[1:]) * x[:-1])


X = np.linspace(0.1, 1.0, 9)


@pytest.fixture
def prefer(monkeypatch):
    """Make one chunk the fastest, and say which were tried."""

    def prepare(best):
        tried = []

        def laps(calls, clock):
            found = [call.func for call in calls]
            tried.extend(chunk_of(it) for it in found)
            return [0.0 if chunk_of(it) == best else 1.0 for it in found]

        monkeypatch.setattr(tuning, "_laps", laps)
        return tried

    return prepare


def chunk_of(transform):
    inner = getattr(transform.plan.function, "chunk", None)
    return transform.chunk if inner is None else inner


def test_the_fastest_is_taken_and_the_results_stay(prefer):
    tried = prefer(9)
    tuned = dg.tune(dg.grad(f), X, 2.0)
    assert tried == [None, 4, 8, 9] and tuned.chunk == 9
    assert tuned is dg.grad(f, chunk=9)
    np.testing.assert_allclose(tuned(X, 2.0), dg.grad(f)(X, 2.0), rtol=1e-15)
    prefer(None)
    assert dg.tune(dg.grad(f), X, 2.0) is dg.grad(f)


@pytest.mark.parametrize(
    "size, expected",
    [(0, []), (3, [3]), (16, [4, 8, 16]), (65, [4, 8, 16, 22, 32, 33, 64])],
)
def test_candidates(prefer, size, expected):
    tried = prefer(None)
    dg.tune(dg.value_and_grad(f), np.ones(size), 1.0)
    assert tried == [None, *expected]


def test_mapped_and_second_derivatives(prefer):
    tried = prefer(9)
    points = np.stack([X, X + 1.0])
    mapped = dg.tune(dg.vmap(dg.grad(f), (0, None)), points, 2.0)
    assert tried == [None, 4, 8, 9] and mapped.plan.function is dg.grad(f, chunk=9)
    np.testing.assert_allclose(mapped(points, 2.0)[1], dg.grad(f)(X + 1.0, 2.0), rtol=1e-14)
    assert dg.tune(dg.hessian(f), X, 2.0) is dg.hessian(f, chunk=9)
    assert dg.tune(dg.hvp(f), (X, 2.0), (X, None)) is dg.hvp(f, chunk=9)
    swept = dg.vmap(dg.hvp(f), ((0, None), (None, None)))
    assert dg.tune(swept, (points, 2.0), (X, None)).plan.function is dg.hvp(f, chunk=9)


def test_laps_are_the_shortest_by_the_clock():
    now = 0.0

    def work(seconds):
        def call():
            nonlocal now
            now += next(seconds)

        return call

    def slow_at_first():
        yield from [9.0, 5.0]  # compiling, the first lap
        while True:
            yield from [0.3, 0.2]

    def steady():
        while True:
            yield 0.25

    laps = tuning._laps([work(slow_at_first()), work(steady())], lambda: now)
    np.testing.assert_allclose(laps, [0.2, 0.25])


def test_by_a_real_clock():
    tuned = dg.tune(dg.grad(f), X[:3], 2.0)
    assert tuned.chunk in (None, 3)
    np.testing.assert_allclose(tuned(X[:3], 2.0), dg.grad(f)(X[:3], 2.0), rtol=1e-15)


@pytest.mark.parametrize(
    "transform, args, name",
    [
        (dg.jvp(f), ((X, 1.0), (X, None)), "jvp"),
        (dg.derivative(f, 1), (X, 1.0), "derivative"),
        (dg.taylor(f, 2), (X, X), "taylor"),
        (dg.vmap(f, (0, None)), (X, 1.0), "vmap"),
        (f, (X, 1.0), "CPUDispatcher"),
    ],
)
def test_refused(transform, args, name):
    with pytest.raises(TypeError, match=f"a transform with a chunk is expected.*{name}"):
        dg.tune(transform, *args)


def test_first_call_fits_its_inputs():
    """Sweeps have as many lanes as the first call needs, in eights; they take any size."""

    @njit
    def scaled(x, a=2.0):
        return a * np.sum(x**3)

    gradient = dg.grad(scaled)
    for n in (12, 1, 8, 9, 16, 17, 40):
        x = np.linspace(0.5, 1.0, n)
        np.testing.assert_allclose(gradient(x), 6.0 * x**2, rtol=1e-14)
        np.testing.assert_allclose(gradient(x, 3.0), 9.0 * x**2, rtol=1e-14)
    assert len(gradient.signatures) == 2
    assert tuning.fitted(gradient, [X, 2.0, None]).chunk == (16,)
    assert tuning.fitted(gradient, [X[:8], 2.0, None]).chunk == (8,)
    assert tuning.fitted(gradient, [X[:5], 2.0, None]).chunk == (8,)
    assert tuning.fitted(gradient, [X[:4], 2.0, None]).chunk == (4,)
    assert tuning.fitted(gradient, [np.ones(32), 2.0, None]) is None
    assert tuning.fitted(dg.grad(scaled, chunk=4), [X, 2.0, None]) is None


@njit
def cosines(x):
    return np.sum(np.cos(x)) * x[0]


def d_cosines(x):
    slopes = -np.sin(x) * x[0]
    slopes[0] += np.sum(np.cos(x))
    return slopes


def _kernel(gradient):
    [kernel] = gradient.overloads.values()
    return kernel.fndesc.llvm_func_name


def test_many_inputs_after_few():
    """A kernel for few inputs asks for that of any size, which is found from then on."""
    gradient = dg.grad(njit(cosines.py_func))
    kernels = []
    for n in (3, 4, 5, 3, 40):
        x = np.linspace(0.5, 1.0, n)
        np.testing.assert_allclose(gradient(x), d_cosines(x), rtol=1e-14)
        kernels.append(_kernel(gradient))
    assert kernels[0] == kernels[1] != kernels[2] == kernels[3] == kernels[4]


def test_compiled_code_takes_the_kernel_of_any_size():
    gradient = dg.grad(njit(cosines.py_func))
    x = np.linspace(0.5, 1.0, 3)
    gradient(x)
    narrow = _kernel(gradient)
    caller = njit(lambda x: gradient(x))
    np.testing.assert_allclose(caller(x), d_cosines(x), rtol=1e-14)
    assert _kernel(gradient) != narrow


def test_compiled_code_that_takes_it_as_a_function():
    gradient = dg.grad(njit(cosines.py_func))
    x = np.linspace(0.5, 1.0, 3)
    gradient(x, np.empty(3))
    narrow, vector = _kernel(gradient), float64[::1]
    assert gradient.get_compile_result(vector(vector, vector)) in gradient.overloads.values()
    assert _kernel(gradient) != narrow


def test_transforms_that_may_ask_are_not_kept():
    gradient = dg.grad(njit(cosines.py_func), cache=False)
    gradient(np.ones(3))
    there = weakref.ref(gradient)
    assert there() in wider._users
    del gradient
    gc.collect()
    assert there() is None


def test_many_inputs_after_few_from_disk(tmp_path):
    """The kernel of another process asks as that which is compiled does."""
    lines = [
        "import numpy as np, dualgrad as dg",
        "gradient = dg.grad(lambda x: np.sum(x * x * x))",
        "for n in (3, 40):",
        "    x = np.linspace(0.5, 1.0, n)",
        "    np.testing.assert_allclose(gradient(x), 3 * x * x, rtol=1e-14)",
        "    [kernel] = gradient.overloads.values()",
        "    print(kernel.fndesc.llvm_func_name)",
        "print(sum(gradient.stats.cache_misses.values()))",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    variables = {**os.environ, "DUALGRAD_CACHE_DIR": str(tmp_path)}
    printed = [subprocess.check_output(command, env=variables).split() for _ in range(2)]
    (narrow, wide, misses), again = printed
    assert narrow != wide and misses == b"2"
    assert again == [narrow, wide, b"0"]


def test_many_inputs_in_threads():
    """Whichever thread asks first, and whatever the others call meanwhile."""
    gradient = dg.grad(njit(cosines.py_func))
    points = [np.linspace(0.5, 1.0, n) for n in (3, 40, 9, 64, 2, 17)] * 2
    with ThreadPoolExecutor(len(points)) as pool:
        for _ in range(3):
            for x, slopes in zip(points, pool.map(gradient, points), strict=True):
                np.testing.assert_allclose(slopes, d_cosines(x), rtol=1e-14)
    assert len(gradient.overloads) == 1


def test_many_inputs_after_few_where_the_wide_kernel_fails(monkeypatch):
    """What was asked for is not needed for the call: it says so, and goes on."""
    gradient = dg.grad(njit(cosines.py_func), cache=False)
    few, many = np.linspace(0.5, 1.0, 3), np.linspace(0.5, 1.0, 40)
    gradient(few)
    monkeypatch.setattr(type(gradient._compiler), "compile", lambda *_: 1 / 0)
    with pytest.warns(RuntimeWarning, match="few lanes: division by zero"):
        np.testing.assert_allclose(gradient(many), d_cosines(many), rtol=1e-14)
    np.testing.assert_allclose(gradient(few), d_cosines(few), rtol=1e-14)


def test_first_call_of_vmap_fits_its_inputs():
    """A sweep has a lane for each input of the first call; other sizes take more or fewer."""
    mapped = dg.vmap(dg.grad(lambda x: np.sum(x**3), cache=False), cache=False)
    for n in (3, 7, 1, 3, 6, 17):
        x = np.linspace(0.5, 1.0, 4 * n).reshape(4, n)
        np.testing.assert_allclose(mapped(x), 3.0 * x**2, rtol=1e-14)
    assert tuning.fitted(mapped, [np.ones((4, 3))]).plan.function.chunk == (3,)
