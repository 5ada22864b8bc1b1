"""Derivatives by the complex step, and a check of dualgrad against them.

The reference shares nothing with the engine: it is the same Python source run by NumPy on
complex numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from numba import njit, version_info
from numba.core.errors import TypingError

import dualgrad as dg

H = 1e-200


class _ComplexNumPy:
    """NumPy whose new arrays are complex, so that a function's buffers carry the step."""

    float64 = complex

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if name in ("zeros", "ones", "empty"):
            return lambda *args, **kws: function(*args, **{**kws, "dtype": complex})
        return function


def outputs(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def jacobians(f: Callable[..., Any], x: np.ndarray, *args: Any) -> list[np.ndarray]:
    """The Jacobian of each output of `f` by `x`, by the complex step."""
    names = {**f.__globals__, "np": _ComplexNumPy()}
    function = FunctionType(f.__code__, names, closure=f.__closure__)
    columns = []
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += H * 1j
        columns.append([np.asarray(np.imag(y) / H) for y in outputs(function(moved, *args))])
    return [np.stack(c, axis=-1).reshape(c[0].shape + x.shape) for c in zip(*columns, strict=True)]


def in_python(f: Callable[..., Any]) -> Callable[..., Any]:
    """An `@njit` function in Python, with those that it calls; their new arrays are complex."""
    function = f.py_func  # type: ignore[attr-defined]
    names: dict[str, Any] = {**function.__globals__, "np": _ComplexNumPy()}
    for name, it in names.items():
        if hasattr(it, "py_func"):
            names[name] = _renamed(it.py_func, names)
    return _renamed(function, names)


def _renamed(function: Any, names: dict[str, Any]) -> Callable[..., Any]:
    """A function with other global names."""
    code, defaults = function.__code__, function.__defaults__
    return FunctionType(code, names, argdefs=defaults, closure=function.__closure__)


def assert_same_bits(got: Any, want: Any) -> None:
    """Equal in shape, dtype, value and sign of zero; nan equals nan."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    for part in (np.real, np.imag):
        np.testing.assert_array_equal(np.signbit(part(got)), np.signbit(part(want)))


def run(f: Callable[..., Any], x: np.ndarray, *args: Any, chunk: int = 3) -> list[np.ndarray]:
    """The Jacobians of the outputs of `f`; the values are compared with those of Numba's `f`."""
    before = x.copy()
    try:
        want = njit(f)(x.copy(order="K"), *args)
    except TypingError:
        if version_info.short >= (0, 68):
            raise
        pytest.skip("a call form that this Numba does not have yet")
    scalar = isinstance(want, (int, float))
    transform = (dg.value_and_grad if scalar else dg.value_and_jacobian)(f, chunk=chunk)
    value, derivative = transform(x, *args)
    for got, primal in zip(outputs(value), outputs(want), strict=True):
        assert_same_bits(got, primal)
    assert_same_bits(x, before)
    return list(outputs(derivative))


def check(
    f: Callable[..., Any], x: np.ndarray, *args: Any, expected: Any = None, chunk: int = 3
) -> None:
    """Compare values and Jacobians of `f` with Numba's `f` and with a reference.

    `expected` is the closed form of the Jacobians where the complex step does not apply.
    """
    found = run(f, x, *args, chunk=chunk)
    wanted = jacobians(f, x, *args) if expected is None else outputs(expected)
    for k, (got, want) in enumerate(zip(found, wanted, strict=True)):
        assert np.shape(got) == np.shape(want), f"output {k}"
        np.testing.assert_allclose(
            got, want, rtol=1e-13, atol=1e-14, err_msg=f"output {k} of {f.__name__}"
        )
