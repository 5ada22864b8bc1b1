"""The transforms on every kind of input, output and way of calling."""

from __future__ import annotations

import functools
import inspect
import math
import operator
from typing import Any

import numpy as np
import pytest
from numba import njit, objmode

import dualgrad as dg
from dualgrad import rules


@njit
def half_squares(x):
    s = x.dtype.type(0)
    for v in x.flat:
        s += v * v
    return s / x.dtype.type(2)


@njit
def cubes(x):
    return x * x * x


GRAD, JACOBIAN = dg.value_and_grad(half_squares, chunk=3), dg.value_and_jacobian(cubes, chunk=3)
AUTOMATIC = dg.value_and_grad(half_squares)
RANGE = np.arange(1.0, 13.0)

INPUTS = {
    "one": np.array([3.0]),
    "few": RANGE[:5].copy(),
    "empty": np.zeros(0),
    "empty 2-d": np.zeros((3, 0)),
    "0-d": np.array(3.0),
    "strided": RANGE[::2],
    "reversed": RANGE[::-1],
    "2-d": RANGE.reshape(3, 4),
    "Fortran": np.asfortranarray(RANGE.reshape(3, 4)),
    "Fortran 3-d": np.asfortranarray(RANGE.reshape(2, 3, 2)),
    "2-d strided": RANGE.reshape(3, 4)[:, 1:3],
    "transposed 3-d": RANGE.reshape(2, 3, 2).transpose(1, 0, 2),
    "broadcast": np.broadcast_to(np.array([1.0, 2.0]), (3, 2)),
    "float32": RANGE[:5].astype(np.float32),
    "int64": np.arange(1, 6),
    "int8": np.arange(1, 6, dtype=np.int8),
    "uint32": np.arange(1, 6, dtype=np.uint32),
    "bool": np.array([True, False, True]),
}


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.view()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("x", [*INPUTS.values(), read_only(RANGE)], ids=[*INPUTS, "read-only"])
def test_every_kind_of_array(x: np.ndarray) -> None:
    before = x.copy()
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(float)
    point = x.astype(kind)  # integers and bools are promoted

    value, gradient = GRAD(x)
    np.testing.assert_array_equal(value, half_squares(point))
    np.testing.assert_array_equal(gradient, point)
    assert gradient.dtype == kind
    assert gradient.shape == x.shape

    if x.ndim == 0:
        return  # for Numba the product of arrays without dimensions is a number
    value, jacobian = JACOBIAN(x)
    np.testing.assert_array_equal(value, cubes(point))
    assert value.dtype == jacobian.dtype == kind
    assert jacobian.shape == x.shape + x.shape
    square = jacobian.reshape(x.size, x.size)
    np.testing.assert_array_equal(square, np.diag(3 * (point * point).ravel()))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 32, 33, 40, 41, 73])
def test_every_size_with_automatic_chunks(n: int) -> None:
    x = np.arange(1.0, n + 1)
    value, gradient = AUTOMATIC(x)
    assert value == half_squares(x)
    np.testing.assert_array_equal(gradient, x)


def test_nan_and_infinity_go_through() -> None:
    x = np.array([np.nan, np.inf, -np.inf, -0.0])
    value, jacobian = dg.value_and_jacobian(np.exp, chunk=3)(x)
    np.testing.assert_array_equal(value, np.exp(x))
    np.testing.assert_array_equal(jacobian, np.diag(np.exp(x)))
    value, gradient = GRAD(x)
    assert np.isnan(value)
    assert np.isnan(gradient[0])


SCALARS = [2.0, np.float64(2.0), 2, np.int8(2), True, np.float32(2.0)]


@pytest.mark.parametrize("x", SCALARS, ids=repr)
def test_every_kind_of_number(x: Any) -> None:
    value, slope = dg.value_and_derivative(lambda x: x * x * 0.5)(x)
    assert value == 0.5 * x * x
    assert slope == x
    assert isinstance(slope, float)


# ----------------------------------------------------------------------------------- arguments


@njit
def model(t, x, scale=2.0, shift=1):
    return scale * np.exp(t) * np.sum(x * x) + shift


T, V = 0.5, np.array([1.0, 2.0, 3.0])
E = np.exp(T)


def test_argnums() -> None:
    by_t, by_x, by_scale = 2 * E * 14, 4 * E * V, E * 14
    for argnums, expected in [
        (0, by_t), (1, by_x), (2, by_scale), (-3, by_x), ((1,), (by_x,)), ((0, 1), (by_t, by_x)),
        ((2, 1, 0), (by_scale, by_x, by_t)),
    ]:  # fmt: skip
        value, found = dg.value_and_grad(model, argnums=argnums, chunk=2)(T, V, 2.0)
        assert value == model(T, V, 2.0)
        assert isinstance(found, tuple) == isinstance(argnums, tuple)
        for one, other in (
            zip(np.atleast_1d(found), np.atleast_1d(expected), strict=True)
            if not (isinstance(argnums, tuple))
            else zip(found, expected, strict=True)
        ):
            np.testing.assert_allclose(one, other, rtol=1e-15)


def test_defaults_and_keywords() -> None:
    gradient = dg.grad(model, argnums=1)
    np.testing.assert_allclose(gradient(T, V), 4 * E * V, rtol=1e-15)
    np.testing.assert_allclose(gradient(T, V, 4.0), 8 * E * V, rtol=1e-15)
    np.testing.assert_allclose(gradient(T, V, shift=3), 4 * E * V, rtol=1e-15)
    np.testing.assert_allclose(gradient(x=V, t=T, scale=1.0), 2 * E * V, rtol=1e-15)
    out = np.empty(3)
    assert gradient(T, V, out=out) is out
    np.testing.assert_allclose(out, 4 * E * V, rtol=1e-15)
    assert list(inspect.signature(gradient).parameters) == ["t", "x", "scale", "shift", "out"]


@njit
def writes_everywhere(x, work, counts, notes):
    for i in range(x.size):
        work[i] = x[i] * work[i]
        counts[i] += 1
        notes.append(float(counts[i]))
    x[0] = 7.0
    return np.sum(work) * notes[0]


def test_arguments_are_not_written_to() -> None:
    x, work, counts, notes = V.copy(), np.array([1.0, 10.0, 100.0]), np.zeros(3, int), [5.0]
    gradient = dg.grad(writes_everywhere, chunk=2)(x, work, counts, notes)
    np.testing.assert_array_equal(gradient, 5 * work)
    np.testing.assert_array_equal(x, V)
    np.testing.assert_array_equal(work, [1.0, 10.0, 100.0])
    np.testing.assert_array_equal(counts, 0)
    assert notes == [5.0]


@njit
def right_hand_side(t, y, dy):
    dy[0] = y[1]
    dy[1] = t * y[0] * dy[2]
    # dy[2] stays as it is


def test_out_argnum() -> None:
    y, dy = np.array([2.0, 3.0]), np.array([8.0, 9.0, 10.0])
    value, jacobian = dg.value_and_jacobian(right_hand_side, 1, chunk=3, out_argnum=2)(0.5, y, dy)
    np.testing.assert_array_equal(value, [3.0, 10.0, 10.0])
    np.testing.assert_array_equal(jacobian, [[0, 1], [5, 0], [0, 0]])
    np.testing.assert_array_equal(dy, [8.0, 9.0, 10.0])
    value, slope = dg.value_and_derivative(right_hand_side, out_argnum=2)(0.5, y, dy)
    np.testing.assert_array_equal(slope, [0, 20, 0])
    value, change = dg.jvp(right_hand_side, out_argnum=2)((0.5, y, dy), (1.0, V[:2], None))
    np.testing.assert_array_equal(change, [2, 20 + 5, 0])


@njit
def apply_to(function, x):
    return function(x) * x[0]


@njit
def inner_sum(x):
    return x.sum()


def test_function_as_argument() -> None:
    np.testing.assert_array_equal(
        dg.grad(apply_to, argnums=1, chunk=3)(inner_sum, V), [6 + 1, 1, 1]
    )


# ------------------------------------------------------------------------------------ results


@njit
def several(x):
    return x[0] * x[1], x * x[2], 3, np.ones(2)


def test_tuples_of_results() -> None:
    values, rows = dg.value_and_jacobian(several, chunk=2)(V)
    for value, expected in zip(values, several(V), strict=True):
        np.testing.assert_array_equal(value, expected)
    by_hand = [[2.0, 1, 0], [[3, 0, 1], [0, 3, 2], [0, 0, 6]], [0, 0, 0], np.zeros((2, 3))]
    for row, expected in zip(rows, by_hand, strict=True):
        np.testing.assert_array_equal(row, expected)
    out = tuple(np.full(np.shape(row), np.nan) for row in by_hand)
    given = dg.jacobian(several, chunk=2)(V, out=out)
    for row, expected, buffer in zip(given, by_hand, out, strict=True):
        assert row is buffer
        np.testing.assert_array_equal(row, expected)


def test_out_of_any_layout() -> None:
    expected = np.diag(3 * V * V)
    wide = np.full((3, 6), np.nan)
    for out in (np.empty((3, 3)), np.empty((3, 3), order="F"), wide[:, ::2]):
        for chunk in (2, "auto"):
            out[...] = np.nan
            assert dg.jacobian(cubes, chunk=chunk)(V, out=out) is out
            np.testing.assert_array_equal(out, expected)
    assert np.isnan(wide[:, 1::2]).all()


def test_constant_results_are_zero() -> None:
    assert dg.derivative(lambda x: 3.0)(1.0) == 0.0
    np.testing.assert_array_equal(dg.grad(lambda x: x.size, chunk=3)(V), np.zeros(3))
    np.testing.assert_array_equal(dg.jacobian(lambda x: np.ones(2))(V), np.zeros((2, 3)))
    out = np.full((2, 3), np.nan)
    np.testing.assert_array_equal(dg.jacobian(lambda x: np.ones(2))(V, out=out), np.zeros((2, 3)))


def test_results_are_fresh() -> None:
    gradient = dg.grad(half_squares)
    first = gradient(V)
    gradient(2 * V)
    np.testing.assert_array_equal(first, V)
    value, _ = dg.value_and_jacobian(lambda x: x)(V)
    assert not np.shares_memory(value, V)


def test_scalar_and_array_together() -> None:
    rows = dg.jacobian(lambda a, x: a * x, argnums=(0, 1), chunk=3)(2.0, V)
    np.testing.assert_array_equal(rows[0], V)
    np.testing.assert_array_equal(rows[1], 2 * np.eye(3))


# ----------------------------------------------------------------------------- inside njit code

gradient_of_half_squares = dg.grad(half_squares, chunk=3)


@njit
def descend(x, steps):
    for _ in range(steps):
        x = x - 0.5 * gradient_of_half_squares(x)
    return x


@njit
def call(f, x, out):
    return f(x, out=out)


def test_inside_njit() -> None:
    np.testing.assert_array_equal(descend(V, 2), V / 4)
    out = np.empty(3)
    np.testing.assert_array_equal(call(gradient_of_half_squares, V, out), V)
    np.testing.assert_array_equal(out, V)


def test_transforms_of_transforms() -> None:
    np.testing.assert_array_equal(dg.jacobian(gradient_of_half_squares, chunk=3)(V), np.eye(3))
    third = dg.derivative(dg.derivative(dg.derivative(lambda x: x**4)))
    assert third(2.0) == 48.0

    def inner(x):
        return gradient_of_half_squares(x * x).sum()

    np.testing.assert_array_equal(dg.grad(inner, chunk=3)(V), 2 * V)


def test_no_perturbation_confusion() -> None:
    # d/dx [x d/dy (x + y)] = 1, with x passed to the inner function
    slope = dg.derivative(lambda y, x: x + y)

    assert dg.derivative(lambda x: x * slope(1.0, x))(3.0) == 1.0


# ------------------------------------------------------------------------------------ products


def test_jvp() -> None:
    value, change = dg.jvp(model)((T, V), (2.0, np.array([1.0, 0.0, -1.0])))
    assert value == model(T, V)
    np.testing.assert_allclose(change, 2 * 2 * E * 14 + 4 * E * (1 - 3), rtol=1e-15)
    _, change = dg.jvp(model)((T, V, 2.0, 1), (None, V, 1, 0))
    np.testing.assert_allclose(change, 4 * E * 14 + E * 14, rtol=1e-15)
    x = np.asfortranarray(RANGE.reshape(3, 4))
    values, changes = dg.jvp(cubes)((x,), (x[::-1] * 2,))
    np.testing.assert_array_equal(values, cubes(x))
    np.testing.assert_allclose(changes, 3 * x**2 * x[::-1] * 2, rtol=1e-15)


def test_names_and_documentation() -> None:
    @njit
    def area(r):
        """Area of a disc."""
        return 3.14 * r * r

    transform = dg.derivative(area)
    assert transform.__doc__ == "Area of a disc."
    assert "derivative" in repr(transform)
    assert "area" in repr(transform)


def test_memory_balances() -> None:
    from numba.core.runtime import _nrt_python, rtsys

    _nrt_python.memsys_enable_stats()
    jacobian = dg.jacobian(several, chunk=2)
    wrong = (np.zeros(4), np.zeros((3, 3)), np.zeros(3), np.zeros((2, 3)))

    def raises_on_wrong_shape() -> None:
        with pytest.raises(ValueError, match="shape"):
            jacobian(V, out=wrong)

    calls: list[Any] = [
        lambda: AUTOMATIC(RANGE),
        lambda: JACOBIAN(V),
        lambda: jacobian(V),
        raises_on_wrong_shape,
    ]
    for call_once in calls:
        call_once()
        before = rtsys.get_allocation_stats()
        for _ in range(100):
            call_once()
        after = rtsys.get_allocation_stats()
        assert after.alloc > before.alloc
        assert after.alloc - before.alloc == after.free - before.free
        assert after.mi_alloc - before.mi_alloc == after.mi_free - before.mi_free


def of_everything(x):
    """Operations of every kind on what is in registers and in memory, real and complex."""
    w = np.empty_like(x)
    for i in range(x.size):
        w[i] = max(-x[i], x[i - 1]) / (1.0 + x[i - 2] ** 2) - np.sqrt(x[i])
    z = np.sum(np.exp(1j * w))
    return np.array([w[-1], np.abs(z), z.imag * w[-2], np.sum(w[::2] * x[1::2])])


@pytest.mark.parametrize("chunk", [9, 11, 12, 22])
def test_lanes_in_several_vectors(chunk):
    x = np.linspace(0.0, 2.0, 22)[::-1].copy()
    x[-1] = 0.0  # a root of zero: all lanes but one are strong zeros
    expected = dg.jacobian(of_everything, chunk=1)(x)
    assert np.isinf(expected).any()
    np.testing.assert_allclose(dg.jacobian(of_everything, chunk=chunk)(x), expected, rtol=1e-13)
    half = dg.jacobian(of_everything, chunk=chunk)(x.astype(np.float32))
    np.testing.assert_allclose(half, expected, rtol=2e-4, atol=2e-4)


def test_functions_of_numpy_themselves() -> None:
    """With their default options; some are Python code that Numba cannot compile."""
    x = np.array([3.0, 1.0, 2.0])
    np.testing.assert_array_equal(dg.grad(np.prod, chunk=3)(x), [2.0, 6.0, 3.0])
    np.testing.assert_array_equal(dg.jacobian(np.sort, chunk=3)(x), np.eye(3)[[1, 2, 0]])
    np.testing.assert_array_equal(dg.jacobian(np.cumsum, chunk=3)(x), np.tri(3))
    with pytest.raises(TypeError):
        dg.grad(np.prod)(x, 0)


@pytest.mark.parametrize("name", sorted(rules.BOUNDED - {"sin", "cos"}))
@pytest.mark.parametrize("end", (-np.inf, np.inf))
def test_functions_at_infinity_leave_other_inputs_alone(name, end):
    """Their slope is zero there: no infinity is multiplied by the zeros of other lanes."""
    function = getattr(np, name)

    @njit
    def f(x):
        return function(x[0]) * 1e-3 + x[1] ** 2

    x = np.array([end, 3.0])
    np.testing.assert_array_equal(dg.grad(f, chunk=2)(x), [0.0, 6.0])
    if np.isfinite(function(end)):
        np.testing.assert_array_equal(dg.hessian(f, chunk=2)(x), [[0.0, 0.0], [0.0, 2.0]])


def test_a_function_with_starred_arguments_is_refused():
    with pytest.raises(TypeError, match=r"takes \*rest.*wrap it"):
        dg.grad(lambda x, *rest: x[0] * rest[0])


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i8", "i4", "i2", "?"])
def test_types_of_arrays_are_those_of_numba(dtype):
    """Ours tells those of most arrays by itself."""
    gradient = dg.grad(lambda x: np.sum(x))
    usual = super(type(gradient), gradient).typeof_pyval
    a = np.zeros((3, 4), dtype)
    fixed = np.zeros(3, dtype)
    fixed.flags.writeable = False
    for it in (a, a.T, a[:, 1], a[::2], a[:0], a[1, 1:2], a[0, 0, ...], fixed):
        assert gradient.typeof_pyval(it) == usual(it)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (np.ones(3, ">f8"), "ndarray of >f8.*astype"),
        (np.ones(3, np.float16), "ndarray of float16.*astype"),
        (np.float16(1), "float16 of float16.*astype"),
        (np.ones((2, 2), np.longdouble), rf"ndarray of {np.dtype(np.longdouble)}.*astype"),
        (np.ma.masked_array(np.ones(3)), "MaskedArray of float64.*filled"),
        (np.array([None, 1.0]), r"'x' has type array\(pyobject"),
    ],
)
def test_types_that_numba_does_not_know(argument, message):
    gradient = dg.grad(lambda x: np.sum(x))
    for _ in range(2):
        with pytest.raises(TypeError, match=message):
            gradient(argument)


# ---------------------------------------------------------------------- parameters of every kind


def by_keyword(x, *, power=3.0):
    return np.sum(x**power)


def by_position(x, /, power=3.0):
    return np.sum(x**power)


@pytest.mark.parametrize("f", [by_keyword, by_position, njit(by_keyword), njit(by_position)])
def test_parameters_by_keyword_or_position_only(f) -> None:
    x = np.array([1.5, 2.5])
    np.testing.assert_allclose(dg.grad(f)(x), 3 * x**2, rtol=1e-15)
    np.testing.assert_allclose(dg.grad(f)(x, power=2.0), 2 * x, rtol=1e-15)
    np.testing.assert_allclose(dg.hessian(f)(x, power=2.0), 2 * np.eye(2), rtol=1e-15)
    by_power = dg.derivative(f, argnums=1)(x, 2.0)
    np.testing.assert_allclose(by_power, np.sum(x**2 * np.log(x)), rtol=1e-14)


def test_by_an_argument_that_is_left_at_its_default() -> None:
    with pytest.raises(TypeError, match="'power' is left at its default; pass it"):
        dg.derivative(by_keyword, argnums=1)(np.ones(2))


def weighted_power(a, x, power):
    return np.sum(a * x**power)


@pytest.mark.parametrize("f", [weighted_power, njit(weighted_power)])
def test_partial_functions(f) -> None:
    """What is bound is a constant; what is not can be differentiated by."""
    a, x = np.array([2.0, 3.0]), np.array([1.5, 2.5])
    np.testing.assert_allclose(dg.grad(functools.partial(f, a))(x, 2), 2 * a * x, rtol=1e-15)
    both_bound = functools.partial(f, a, power=2)
    np.testing.assert_allclose(dg.grad(both_bound)(x), 2 * a * x, rtol=1e-15)
    power_bound = dg.grad(functools.partial(f, power=2), argnums=(0, 1))
    for found, wanted in zip(power_bound(a, x), (x**2, 2 * a * x), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-15)


@pytest.mark.parametrize(
    "partial, point, expected",
    [
        (functools.partial(math.pow, 2.0), 0.5, math.log(2.0) * math.sqrt(2.0)),
        (functools.partial(operator.mul, 2.0), 0.5, 2.0),
        (functools.partial(np.multiply, 2.0), 0.5, 2.0),
        (functools.partial(np.interp, xp=np.arange(3.0), fp=np.arange(3.0) ** 2), 1.5, 3.0),
        (functools.partial(np.diff, n=2), np.ones(3), [[1.0, -2.0, 1.0]]),
        (functools.partial(np.sum, axis=0), np.ones((2, 1)), [[[1.0], [1.0]]]),
    ],
    ids=lambda it: getattr(getattr(it, "func", None), "__name__", ""),
)
def test_partial_functions_of_libraries(partial, point, expected) -> None:
    transform = dg.jacobian if np.ndim(point) else dg.derivative
    np.testing.assert_allclose(transform(partial)(point), expected, rtol=1e-15)


def test_names_in_partial_functions() -> None:
    f = functools.partial(lambda k, x, _k: k * x * _k, _k=3.0)
    assert dg.derivative(f)(2.0, 5.0) == 15.0
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        dg.derivative(functools.partial(lambda x, a: x * a, c=1.0))


def test_partial_functions_without_names() -> None:
    with pytest.raises(TypeError, match="does not know the parameters of hypot; write a function"):
        dg.derivative(functools.partial(math.hypot, 1.0))
    with pytest.raises(TypeError, match=r"partial of a function that takes \*rest; write one"):
        dg.derivative(functools.partial(lambda x, *rest: x * rest[0], 1.0))


# ------------------------------------------------------------------- results of another shape

LENGTHS = [3]


@njit
def as_long_as_python_says(x):
    with objmode(n="int64"):
        n = LENGTHS.pop()
    return np.full(n, np.sum(x))


@pytest.mark.parametrize("transform", [dg.jacobian, dg.value_and_jacobian, dg.hessian])
def test_results_of_another_shape_at_another_sweep(transform) -> None:
    """Memory was written past the end of the first."""
    call = transform(as_long_as_python_says, chunk=1)
    LENGTHS[:] = [2] * 20
    call(V)
    LENGTHS[:] = [3] * 20 + [2]
    with pytest.raises(ValueError, match="the result of the function does not have the same shape"):
        call(V)


# ------------------------------------------------------------------------- memory that is shared


@njit
def overwrites(x, y):
    x[...] = 5.0 * x[-1]
    return np.sum(x) * y[0] + y[-1] * x[0]


def _overlapping():
    whole = np.arange(1.0, 8.0)
    yield from ((whole, whole), (whole[:4], whole[3:]), (whole[::2], whole[::-3]))


def _apart():
    whole, square = np.arange(1.0, 8.0), np.arange(1.0, 17.0).reshape(4, 4)
    yield from ((whole[:3], whole[3:]), (whole[::2], whole[1::2]), (square[:, 0], square[:, 1]))
    yield from ((square[:, 1].T, square[0, 2:]), (whole[2:4], whole[4:2:-1] + 0))


def test_arguments_that_share_memory() -> None:
    """Copies of them, which kernels have, are no longer what the other one sees."""
    value_and_gradient, both = dg.value_and_grad(overwrites), dg.jvp(overwrites)
    along = dg.vmap(value_and_gradient)
    for x, y in _overlapping():
        assert np.shares_memory(x, y)
        for call in (
            lambda: value_and_gradient(x, y),  # noqa: B023
            lambda: both((x, y), (x, y)),  # noqa: B023
            lambda: along(x[None], y[None]),  # noqa: B023
        ):
            with pytest.raises(ValueError, match="x and y share memory, and the function writes"):
                call()
    for x, y in _apart():
        assert not np.shares_memory(x, y)
        value, gradient = value_and_gradient(x, y)
        assert value == overwrites(x.copy(), y)
        np.testing.assert_array_equal(gradient[:-1], 0.0)
        assert gradient[-1] == 5.0 * (x.size * y[0] + y[-1])


def test_a_buffer_for_the_result_may_be_any_array() -> None:
    def step(x, y):
        y[0] = x[1] * x[0]
        y[1] = x[0]

    x = np.array([2.0, 3.0])
    np.testing.assert_array_equal(dg.jacobian(step, out_argnum=1)(x, x), [[3.0, 2.0], [1.0, 0.0]])


@njit
def uneven(x, c):
    return np.sum(np.sin(x) * x[0] * c) * c[-1]


@njit
def uneven_items(x, c):
    return np.sin(x) * x[0] * c[-1]


@njit
def uneven_pair(x, pair):
    return uneven(x * pair[0], pair[1])


@pytest.mark.parametrize("parallel", [False, True])
def test_results_may_be_written_to_memory_of_arguments(parallel: bool) -> None:
    """As in NumPy: later sweeps and points read what earlier ones have not written to."""
    x, c = np.linspace(0.1, 1.0, 20), np.linspace(2.0, 3.0, 20)
    gradient = dg.grad(uneven, chunk=8, parallel=parallel)
    jacobian = dg.jacobian(uneven_items, chunk=8, parallel=parallel)
    wanted, wanted_jacobian = gradient(x, c), jacobian(x, c)
    for out in (lambda y, d: y, lambda y, d: y[::-1], lambda y, d: d):
        y, d = x.copy(), c.copy()
        np.testing.assert_array_equal(gradient(y, d, out=out(y, d)), wanted)
    for row in (0, -1):
        matrix = np.zeros((20, 20))
        matrix[row], matrix[:, 3] = x, c
        x_of, c_of = matrix[row].copy(), matrix[:, 3].copy()
        found = jacobian(matrix[row], matrix[:, 3], out=matrix)
        np.testing.assert_array_equal(found, jacobian(x_of, c_of))
    matrix[1] = x
    np.testing.assert_array_equal(jacobian(matrix[1], c, out=matrix), wanted_jacobian)

    pair = x.copy(), c.copy()
    wanted = dg.grad(uneven_pair, chunk=8, parallel=parallel)(x, pair)
    found = dg.grad(uneven_pair, chunk=8, parallel=parallel)(x, pair, out=pair[1])
    np.testing.assert_array_equal(found, wanted)

    points, more = np.linspace(0.1, 1.0, 12).reshape(4, 3), np.array([2.0, 3.0, 4.0])
    along = dg.vmap(dg.grad(uneven), in_axes=(0, None), parallel=parallel)
    wanted = along(points, more)
    for out in (lambda p: p, lambda p: p[::-1]):
        p = points.copy()
        np.testing.assert_array_equal(along(p, more, out=out(p)), wanted)
    p = np.zeros((4, 3))
    p[0] = more
    np.testing.assert_array_equal(along(points, p[0], out=p), wanted)


def test_results_of_other_transforms_in_memory_of_arguments() -> None:
    x, c = np.linspace(0.1, 1.0, 20), np.linspace(2.0, 3.0, 20)
    matrix = np.zeros((20, 20))
    matrix[1] = x
    wanted = dg.hessian(uneven, chunk=4)(x, c)
    np.testing.assert_array_equal(dg.hessian(uneven, chunk=4)(matrix[1], c, out=matrix), wanted)
    product, y = dg.hvp(uneven, chunk=4), x.copy()
    wanted = product((x, c), (c, None))
    np.testing.assert_array_equal(product((y, c), (c, None), out=y), wanted)
    once = dg.vmap(njit(lambda x: x * x[0]))
    p = np.arange(6.0).reshape(3, 2)
    wanted = once(p)
    np.testing.assert_array_equal(once(p, out=p[::-1]), wanted)
    terms = dg.grad(njit(lambda x: x[1:] ** 2 * x[:-1]), terms=True)
    y, wanted = x.copy(), terms(x)
    np.testing.assert_array_equal(terms(y, out=y), wanted)
