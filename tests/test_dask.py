"""Mapped transforms of Dask arrays, on every scheduler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")


@njit
def f(x, a):
    return a * x[0] * x[1] ** 2


POINTS = np.arange(1.0, 21.0).reshape(10, 2)
by_x, both = dg.vmap(dg.grad(f), in_axes=(0, None)), dg.vmap(dg.value_and_grad(f))
GRADIENTS = 3.0 * np.stack([POINTS[:, 1] ** 2, 2 * POINTS[:, 0] * POINTS[:, 1]], axis=-1)


@pytest.fixture(scope="module")
def cluster() -> Any:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_schedulers(scheduler: str) -> None:
    lazy = by_x(da.from_array(POINTS, chunks=(4, 1)), 3.0)
    assert isinstance(lazy, da.Array)
    assert lazy.shape == (10, 2)
    assert lazy.dtype == np.float64
    assert lazy.chunks == ((4, 4, 2), (2,))
    np.testing.assert_array_equal(lazy.compute(scheduler=scheduler, num_workers=1), GRADIENTS)


def test_a_cluster(cluster: Any) -> None:
    lazy = by_x(da.from_array(POINTS, chunks=(3, 2)), 3.0)
    norms = (lazy**2).sum(axis=1)  # goes on being lazy
    np.testing.assert_array_equal(norms.compute(), (GRADIENTS**2).sum(axis=1))


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    computed: list[int] = []

    def block(x: np.ndarray) -> np.ndarray:
        computed.append(len(x))
        return x

    points = da.from_array(POINTS, chunks=(5, 2)).map_blocks(block, meta=POINTS[:0])
    lazy = by_x(points, 3.0)
    assert computed == []
    np.testing.assert_array_equal(lazy[:5].compute(scheduler="synchronous"), GRADIENTS[:5])
    assert computed == [5]


def test_several_arguments_and_results() -> None:
    """Arrays of NumPy and of Dask, in other chunks, and one that is the same for all points."""
    scale = np.linspace(1.0, 2.0, 10)
    expected = both(POINTS, scale)
    lazy_points = da.from_array(POINTS, chunks=(4, 2))
    for other in (scale, da.from_array(scale, chunks=3)):
        values, gradients = dask.compute(*both(lazy_points, other))
        np.testing.assert_array_equal(values, expected[0])
        np.testing.assert_array_equal(gradients, expected[1])
    mapped = dg.vmap(dg.grad(f, argnums=1), in_axes=(None, 0))
    lazy = mapped(da.from_array(POINTS[0], chunks=1), scale)
    np.testing.assert_array_equal(lazy.compute(), mapped(POINTS[0], scale))


def test_other_axes_and_products() -> None:
    last = dg.vmap(dg.grad(f), in_axes=(-1, None))
    lazy = last(da.from_array(np.ascontiguousarray(POINTS.T), chunks=(1, 4)), 3.0)
    np.testing.assert_array_equal(lazy.compute(), GRADIENTS)
    push = dg.vmap(dg.jvp(lambda x: x[0] * x[1]))
    points = da.from_array(POINTS, chunks=(4, 2))
    values, changes = dask.compute(*push((points,), (POINTS,)))
    np.testing.assert_array_equal(values, POINTS[:, 0] * POINTS[:, 1])
    np.testing.assert_array_equal(changes, 2 * POINTS[:, 0] * POINTS[:, 1])


def test_plain_functions_and_threads() -> None:
    mapped = dg.vmap(dg.derivative(lambda x: x**3), parallel=True)
    x = np.linspace(0.0, 1.0, 7)
    np.testing.assert_allclose(
        mapped(da.from_array(x, chunks=2)).compute(scheduler="threads"), 3 * x**2, rtol=1e-15
    )
    np.testing.assert_allclose(mapped(x), 3 * x**2, rtol=1e-15)


def test_empty_blocks() -> None:
    points = da.concatenate([da.from_array(POINTS[:0]), da.from_array(POINTS)])
    np.testing.assert_array_equal(by_x(points, 3.0).compute(), GRADIENTS)


@njit
def triangle(n):
    return np.ones(int(n))


LAZY = da.from_array(POINTS, chunks=(4, 2))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: dg.grad(f)(LAZY, 3.0), TypeError, "map it with dg.vmap"),
        (lambda: by_x(LAZY, 3.0, out=np.empty((10, 2))), TypeError, "out="),
        (lambda: both(LAZY, np.ones(9)), ValueError, "different lengths"),
        (lambda: by_x(LAZY[LAZY[:, 0] > 3], 3.0), ValueError, "compute_chunk_sizes"),
        (lambda: dg.vmap(triangle)(da.full(4, 3.0)).compute(), ValueError, "differs from point"),
        (lambda: dg.vmap(f)(LAZY, 3.0), ValueError, "no axis 0 to map"),
    ],
)
def test_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_exceptions_of_the_function_pass_through() -> None:
    @njit
    def picky(x):
        if x > 2.0:
            raise ValueError("too large for me")
        return x * x

    x = np.array([1.0, 3.0])
    with pytest.raises(ValueError, match="too large for me"):
        dg.vmap(dg.derivative(picky))(da.from_array(x)).compute()
    with pytest.raises(ValueError, match=r"at arguments that are all ones.*too large for me"):
        dg.vmap(dg.derivative(lambda x: picky(3.0 * x)))(da.from_array(x))
