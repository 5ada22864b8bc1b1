"""Long results, which are written past the caches, wherever they begin in a line of these."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg
from dualgrad.transforms import streams

W = np.random.default_rng(0).normal(size=(50, 50))


@njit
def waves(x: Any, w: Any) -> Any:
    y = np.zeros(w.shape[0], x.dtype)
    for i in range(y.size):
        for j in range(x.size):
            y[i] += np.sin(x[j] * w[i, j])
    return y


def slopes(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.cos(x * w) * w


@pytest.fixture(scope="module")
def short() -> Iterator[None]:
    """Code for which all results are long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "STREAMED", 0)
        yield


@pytest.fixture(scope="module", params=[float, np.float32])
def jacobians(short: None, request: Any) -> Any:
    """Jacobians with sweeps of eight and of 32 lanes, compiled once."""
    made = [dg.jacobian(waves, chunk=chunk, cache=False) for chunk in ("auto", 8, 24)]
    dtype = request.param
    for it in made:
        it(W[0].astype(dtype), W.astype(dtype))
        it(W[0].astype(dtype), W.astype(dtype), out=np.empty(W.shape, dtype))
    return dtype, made


@pytest.mark.parametrize("columns", [0, 1, 7, 8, 24, 40, 48, 50])
def test_wherever_a_result_begins(jacobians: Any, columns: int) -> None:
    dtype, made = jacobians
    x, w = np.linspace(0.5, 1.5, columns).astype(dtype), W[:3, :columns].astype(dtype)
    tolerance = 1e-14 if dtype is float else 1e-5
    for jacobian in made:
        np.testing.assert_allclose(jacobian(x, w), slopes(x, w), tolerance, tolerance)
        for offset in range(9):
            room = np.full(3 * columns + 20, np.nan, dtype)
            out = room[offset : offset + 3 * columns].reshape(3, columns)
            jacobian(x, w, out=out)
            np.testing.assert_allclose(out, slopes(x, w), tolerance, tolerance)
            assert np.isnan(room[:offset]).all() and np.isnan(room[offset + 3 * columns :]).all()


def test_values_and_several_results(short: None) -> None:
    @njit
    def both(x: Any, a: Any, w: Any) -> Any:
        return waves(x, w) * a, x * a

    x = np.linspace(0.5, 1.5, 48)
    w = W[:, :48].copy()
    values, derivatives = dg.value_and_jacobian(both, argnums=(0, 1), cache=False)(x, 2.0, w)
    np.testing.assert_array_equal(values[0], both(x, 2.0, w)[0])
    (by_x, by_a), (straight, _) = derivatives
    np.testing.assert_allclose(by_x, 2.0 * slopes(x, w), 1e-13, 1e-13)
    np.testing.assert_allclose(by_a, waves(x, w), 1e-13)
    np.testing.assert_array_equal(straight, 2.0 * np.eye(48))


def test_threads(short: None) -> None:
    x, w = np.linspace(0.5, 1.5, 48), W[:, :48].copy()
    got = dg.jacobian(waves, parallel=True, cache=False)(x, w)
    np.testing.assert_allclose(got, slopes(x, w), 1e-13, 1e-13)


@pytest.mark.parametrize("offset", [0, 3])
def test_long(offset: int) -> None:
    n = 1504
    w = np.random.default_rng(1).normal(size=n)
    room = np.full(n * n + 8, np.nan)
    out = room[offset : offset + n * n].reshape(n, n)
    jacobian = dg.jacobian(lambda x, w: w * np.sum(x * w))
    np.testing.assert_array_equal(jacobian(np.ones(n), w, out=out), np.outer(w, w))
    np.testing.assert_array_equal(jacobian(np.ones(n), w), np.outer(w, w))


def test_size_that_no_number_holds() -> None:
    @njit
    def room(n: Any) -> Any:
        return streams.empty((n, n), np.float64)

    assert room(3).ctypes.data % streams.LINE == 0
    with pytest.raises(ValueError, match="array is too big"):
        room(2**33)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="looks at machine code")
def test_machine_code(jacobians: Any) -> None:
    code = "".join("".join(it.inspect_asm().values()) for it in jacobians[1])
    assert "movnt" in code and "sfence" in code
