"""Sweeps that recall the values of costly functions compute what they would compute without."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

import dualgrad as dg
from dualgrad import recall, rules
from dualgrad.calls import RECALLED
from tests.complexstep import assert_same_bits, jacobians
from tests.programs import ackley_loop, d_ackley, vec

LANES = 3  # few, so that there are many sweeps


@njit
def waves(x):
    s = 0.0
    for i in range(x.size):
        s += np.sin(x[i]) * np.exp(-x[i]) + np.log(2.0 + x[i] * x[0]) ** 1.5
    return s


def d_waves(x):
    u = 2.0 + x * x[0]
    slope = 1.5 * np.sqrt(np.log(u)) / u
    by_each = (np.cos(x) - np.sin(x)) * np.exp(-x) + slope * x[0]
    by_each[0] += np.sum(slope * x)
    return by_each


gradient = dg.value_and_grad(waves, chunk=LANES)


def check(x):
    value, slopes = gradient(x)
    assert_same_bits(value, waves(x))
    np.testing.assert_allclose(slopes, d_waves(x), rtol=1e-13)


@pytest.mark.parametrize("n", (1, LANES, LANES + 1, 20))
def test_sweeps_recall(n):
    check(1.0 + np.arange(n) / n)


def test_points_do_not_mix():
    for scale in (1.0, 2.0, 1.0):
        check(scale * np.linspace(0.1, 1.0, 10))


def test_more_values_than_a_record_holds():
    @njit
    def long(x):
        s = 0.0
        for k in range(recall.CAPACITY // 2):
            s += np.cos(x[k % x.size] * k)
        return s

    x, step = np.linspace(1.0, 2.0, 2 * LANES), recall.CAPACITY // 2
    k = np.arange(step)
    terms = -k * np.sin(x[k % x.size] * k)
    wanted = [np.sum(terms[i :: x.size]) for i in range(x.size)]
    np.testing.assert_allclose(dg.grad(long, chunk=LANES)(x), wanted, rtol=1e-9)


def test_a_path_that_differs_between_sweeps():
    @njit
    def drawn(x):
        s = 0.0
        for i in range(x.size):
            s += np.exp(x[i]) if np.random.random() < 0.5 else np.sin(x[i]) + np.exp(x[i])
        return s

    x = np.linspace(0.0, 1.0, 30)
    slopes = dg.grad(drawn, chunk=LANES)(x)
    either = np.stack([np.exp(x), np.exp(x) + np.cos(x)])
    assert np.all(np.isclose(slopes, either, rtol=1e-14).any(axis=0))


def test_transforms_within():
    inner = dg.grad(waves, chunk=LANES)

    @njit
    def outer(x, c):
        g, h = inner(x), inner(c)
        return np.sum(np.sin(g)) + np.sum(np.exp(x)) * h[0]

    x, c = np.linspace(0.1, 1.0, 8), np.linspace(1.0, 2.0, 7)
    hessian = dg.hessian(waves, chunk=LANES)(x)
    wanted = hessian @ np.cos(d_waves(x)) + np.exp(x) * d_waves(c)[0]
    np.testing.assert_allclose(dg.grad(outer, chunk=LANES)(x, c), wanted, rtol=1e-12)


def test_after_an_exception():
    @njit
    def picky(x, limit):
        s = 0.0
        for i in range(x.size):
            s += np.exp(x[i])
            if s > limit:
                raise ValueError("too much")
        return s

    slopes, x = dg.grad(picky, chunk=LANES), np.ones(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="too much"):
            slopes(x, 5.0)
        np.testing.assert_allclose(slopes(x, 1e3), np.e, rtol=1e-15)
        check(x)


def test_threads_have_records_of_their_own():
    failures = []

    def work(k):
        x = np.linspace(0.1 + k, 1.0 + k, 40)
        for _ in range(200):
            _, slopes = gradient(x)
            if not np.allclose(slopes, d_waves(x), rtol=1e-13):
                failures.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    assert not failures


@pytest.mark.parametrize("parallel", (False, True))
def test_columns_on_threads(parallel):
    x = vec(40)
    slopes = dg.grad(ackley_loop, chunk=LANES, parallel=parallel)(x)
    np.testing.assert_allclose(slopes, d_ackley(x), rtol=1e-12)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.optimized
def test_a_thread_has_one_record():
    """Also where LLVM makes the kernel part of a loop, in the thread's first call."""
    slopes = dg.grad(lambda x: np.sin(x[0]) * x[1], chunk=1, cache=False)

    @njit(nogil=True)
    def often(x, out):
        for _ in range(2000):
            slopes(x, out)
            x[0] += out[1] * 1e-9

    def size():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * 4096

    often(np.ones(2), np.ones(2))  # compiled; this thread has a record
    grown = []

    def work():
        before = size()
        often(np.ones(2), np.ones(2))
        grown.append(size() - before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert grown[0] < 20 * 8 * recall.CAPACITY


def test_second_derivatives():
    x = vec(20)
    hessian = dg.hessian(ackley_loop, chunk=LANES)(x)
    np.testing.assert_allclose(hessian, jacobians(d_ackley, x)[0], rtol=1e-11, atol=1e-13)


def test_a_value_is_recalled():
    """What the first sweep has left is what the second takes, even if it has been changed."""

    @intrinsic
    def spoil(typingctx):
        def codegen(context, builder, sig, args):
            words = recall._record(builder)
            slope_of_first = builder.gep(words, [ir.IntType(64)(recall._HEAD + 3)])
            builder.store(builder.bitcast(ir.DoubleType()(42.0), ir.IntType(64)), slope_of_first)
            return context.get_dummy_value()

        return types.void(), codegen

    @njit
    def spoiled(x):
        s = 0.0
        for i in range(x.size - 1, -1, -1):
            s += np.exp(x[i])
        spoil()
        return s

    slopes = dg.grad(spoiled, chunk=1, cache=False)(np.zeros(3))
    np.testing.assert_array_equal(slopes, [1.0, 1.0, 42.0])


def test_tags_are_distinct():
    names = {f"{getattr(it, '__module__', '')}.{it.__name__}" for it in RECALLED}
    tags = {recall.tag(it, how) for it in RECALLED for how in ("one way", "another")}
    assert len(tags) == 2 * len(names) and 0 not in tags
    assert set(rules.COSTLY) >= {"sin", "exp", "power"}
