"""Functions with a rule of their own: what rules are given, and what is made of their results."""

from __future__ import annotations

import collections
import copy
import ctypes
import ctypes.util
import math
import pickle
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from numba import njit, objmode, typeof, types
from numba.extending import get_cython_function_address

import dualgrad as dg
from tests import complexstep, differences

V = np.array([0.5, -1.25, 2.0, 0.75])


# ------------------------------------------------------------------------------------- numbers


def logistic(x):  # a plain function that the rule calls
    return 1.0 / (1.0 + np.exp(-x))


@dg.custom_jvp
def softplus(x):
    """A smooth ramp."""
    return np.log1p(np.exp(x))


@softplus.defjvp
def softplus_rule(x, dx):
    return dx * logistic(x)


def reference(x: float, order: int) -> float:
    with mpmath.workdps(40):
        return float(mpmath.diff(lambda t: mpmath.log1p(mpmath.exp(t)), x, order))


@pytest.mark.parametrize("x", [-2.5, 0.0, 0.75, 30.0])
def test_derivatives_of_every_order(x: float) -> None:
    transform: Any = softplus
    for order in (1, 2, 3):
        transform = dg.derivative(transform)
        assert transform(x) == pytest.approx(reference(x, order), rel=1e-12, abs=1e-16)


def test_the_value_is_that_of_the_function() -> None:
    compiled = njit(softplus.py_func)
    nested = dg.value_and_derivative(dg.value_and_derivative(softplus))
    for x in np.linspace(-3, 3, 13):
        value, _ = dg.value_and_derivative(softplus)(x)
        assert value == compiled(x)
        assert nested(x)[0][0] == compiled(x)


def test_in_python_it_is_the_function_itself() -> None:
    x = [1.0, 2.0]
    np.testing.assert_array_equal(softplus(x), softplus.py_func(x))  # a list: not compiled
    assert softplus.__name__ == "softplus"
    assert softplus.__doc__ == "A smooth ramp."
    assert "softplus" in repr(softplus)
    assert softplus.__wrapped__ is softplus.py_func
    assert callable(softplus_rule)  # the decorator gives back the function


def test_pickled_and_copied_like_a_function() -> None:
    assert pickle.loads(pickle.dumps(softplus)) is softplus
    assert copy.copy(softplus) is softplus
    assert copy.deepcopy(softplus) is softplus


@njit
def energy(x):
    s = 0.0
    for i in range(x.size):
        s += softplus(x[i] * x[(i + 1) % x.size])
    return s * softplus(1.0)


def energy_in_python(x):
    s = 0.0
    for i in range(x.size):
        s += np.log(1 + np.exp(x[i] * x[(i + 1) % x.size]))
    return s * np.log(1 + np.e)


def test_in_a_loop_of_compiled_code() -> None:
    x = np.linspace(-1, 1, 11)  # more columns than a sweep of eight lanes has
    (expected,) = complexstep.jacobians(energy_in_python, x)
    for chunk in (1, 3, "auto"):
        found = dg.grad(energy, chunk=chunk)(x)
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_a_hessian_of_several_lanes() -> None:
    x = np.linspace(-1, 1, 5)
    gradient = dg.grad(energy, chunk=3)
    expected, error = differences.jacobian(gradient, x)
    assert (np.abs(dg.jacobian(gradient, chunk=3)(x) - expected) <= error).all()


def test_float32_stays_float32() -> None:
    value, slope = dg.value_and_derivative(lambda x: softplus(x))(np.float32(0.5))
    assert value == njit(softplus.py_func)(np.float32(0.5))
    assert slope == pytest.approx(reference(0.5, 1), rel=1e-6)
    gradient = dg.grad(lambda x: softplus(x[0]) * softplus(x[1]), chunk=3)(V.astype(np.float32))
    assert gradient.dtype == np.float32


def test_no_perturbation_confusion() -> None:
    # d/dx [x d/dy softplus(x y)] at y = 1 is d/dx [x**2 softplus'(x)]
    slope = dg.derivative(lambda y, x: softplus(x * y))
    x = 0.75
    s = logistic(x)
    assert dg.derivative(lambda x: x * slope(1.0, x))(x) == pytest.approx(
        2 * x * s + x * x * s * (1 - s), rel=1e-14
    )


def test_a_zero_tangent_stays_zero() -> None:
    @dg.custom_jvp
    def root(x):
        return np.sqrt(x)

    @root.defjvp
    def _(x, dx):
        return dx / (2.0 * np.sqrt(x))

    gradient = dg.grad(lambda x: root(x[0]) + x[1], chunk=3)(np.array([0.0, 1.0]))
    np.testing.assert_array_equal(gradient, [np.inf, 1.0])
    # ... but a direction that is zero here and moves is none
    assert dg.derivative(dg.derivative(lambda x: root(x * x * x)))(4.0) == pytest.approx(
        0.75 * 4**-0.5, rel=1e-14
    )


# ----------------------------------------------------------------------------- rules and rules


def test_a_rule_may_call_the_function_and_others() -> None:
    @dg.custom_jvp
    def power(x):
        return np.exp(1.5 * np.log(x))

    @dg.custom_jvp
    def exponential(x):
        return np.exp(x)

    @exponential.defjvp
    def _(x, dx):
        return dx * exponential(x)  # which at the next level asks for this rule again

    @power.defjvp
    @njit
    def _(x, dx):
        return 1.5 * dx * power(x) * exponential(-np.log(x))

    for f, slopes in [
        (exponential, [math.exp(2.0)] * 4),
        (power, [1.5 * 2**0.5, 0.75 * 2**-0.5, -0.375 * 2**-1.5, 0.5625 * 2**-2.5]),
    ]:
        for expected in slopes:
            f = dg.derivative(f)
            assert f(2.0) == pytest.approx(expected, rel=1e-13)


def test_the_rule_is_what_counts() -> None:
    @dg.custom_jvp
    def steps(x):
        return np.floor(x)

    steps.defjvp(lambda x, dx: x * dx)
    nested = dg.value_and_derivative(dg.value_and_derivative(steps))
    assert nested(2.5) == ((2.0, 2.5), (2.5, 1.0))


def test_a_rule_may_have_a_rule_or_be_a_transform() -> None:
    @dg.custom_jvp
    def slope(x, dx):
        return 3.0 * dx

    slope.defjvp(lambda x, dx, ddx, dddx: 7.0 * ddx)
    f = dg.custom_jvp(lambda x: x * 1.0)
    f.defjvp(slope)
    assert dg.derivative(f)(2.0) == 3.0
    assert dg.derivative(dg.derivative(f))(2.0) == 7.0

    g = dg.custom_jvp(lambda x: x * 1.0)
    g.defjvp(dg.derivative(lambda x, dx: x**3 * dx))  # 3 x**2 dx
    assert dg.derivative(g)(2.0) == 12.0
    assert dg.derivative(dg.derivative(g))(2.0) == 12.0


def made_for(scale: float) -> Any:
    @dg.custom_jvp
    def scaled(x):
        return scale * x

    @scaled.defjvp
    def _(x, dx):
        return dx * (scale + 1.0)

    return scaled


def test_captured_values() -> None:
    two, five = made_for(2.0), made_for(5.0)
    assert dg.value_and_derivative(two)(1.0) == (2.0, 3.0)
    assert dg.value_and_derivative(five)(1.0) == (5.0, 6.0)
    assert copy.deepcopy(two) is two


def test_a_recursive_function() -> None:
    @dg.custom_jvp
    def power(n, x):
        return 1.0 if n == 0 else x * power(n - 1, x)

    @power.defjvp
    def _(n, x, dn, dx):
        return 0.0 if n == 0 else n * power(n - 1, x) * dx

    second = dg.derivative(dg.derivative(power, argnums=1), argnums=1)
    assert second(5, 2.0) == 160.0


# ----------------------------------------------------------------------------- many arguments


@dg.custom_jvp
def mixed(x, scale, n=2, table=None, mode="sum"):
    return scale * np.sum(x**n)


@mixed.defjvp
def _(x, scale, n, table, mode, dx, dscale, dn, dtable, dmode):
    if dtable is not None or dmode is not None:
        raise ValueError
    return dscale * np.sum(x**n) + scale * n * np.sum(x ** (n - 1) * dx) + dn


def test_several_arguments_with_defaults() -> None:
    by_x, by_scale = dg.grad(mixed, argnums=(0, 1), chunk=3)(V, 3.0)
    np.testing.assert_allclose(by_x, 6 * V, rtol=1e-15)
    assert by_scale == np.sum(V**2)
    np.testing.assert_allclose(
        dg.grad(mixed, chunk=3)(V, 3.0, 3), 9 * V**2, rtol=1e-15
    )  # scale constant
    assert dg.derivative(mixed, argnums=1)(V, 3.0, n=3) == np.sum(V**3)  # x constant

    @njit
    def calls(x):
        return mixed(x * x, x[0], n=2) + mixed(V, 2.0)

    np.testing.assert_allclose(
        dg.grad(calls, chunk=3)(V), 4 * V**3 * V[0] + np.eye(4)[0] * np.sum(V**4), rtol=1e-14
    )


def test_jvp_calls_the_rule_once_for_a_direction() -> None:
    _, change = dg.jvp(mixed)((V, 3.0), (V[::-1].copy(), 2.0))
    assert change == pytest.approx(2 * np.sum(V**2) + 6 * np.sum(V * V[::-1]), rel=1e-14)


def test_integers_have_tangent_zero() -> None:
    @dg.custom_jvp
    def picked(x, i, on, rows):
        return x[i]

    @picked.defjvp
    def _(x, i, on, rows, dx, di, don, drows):
        if don or drows.shape != rows.shape or drows.sum() != 0:
            raise ValueError
        return dx[i] + 10 * di

    assert list(dg.grad(picked, chunk=3)(V, 2, True, np.array([[1, 2]]))) == [0, 0, 1, 0]


# ------------------------------------------------------------------------------------- arrays


@dg.custom_jvp
def squares(x):
    return x * x


@squares.defjvp
def _(x, dx):
    return 2.0 * x * dx


ARRAYS = {
    "vector": V,
    "strided": np.repeat(V, 2)[::2],
    "empty": V[:0],
    "matrix": V.reshape(2, 2).copy(),
    "Fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "transposed": np.arange(12.0).reshape(2, 3, 2).transpose(1, 0, 2),
    "float32": V.astype(np.float32),
}


@pytest.mark.parametrize("x", ARRAYS.values(), ids=ARRAYS)
def test_arrays(x: np.ndarray) -> None:
    value, jacobian = dg.value_and_jacobian(lambda x: squares(x), chunk=3)(x)
    complexstep.assert_same_bits(value, x * x)
    assert jacobian.dtype == x.dtype
    square = jacobian.reshape(x.size, x.size)
    np.testing.assert_array_equal(square, np.diag(2 * x.ravel()))


def test_slices_and_transposes_inside() -> None:
    def f(x):
        y = squares(x[::2]) + squares(x[:2])
        z = squares(np.outer(x, y).T)
        z[0, 0] = squares(x)[-1]  # a result may be written to
        return z

    expected = tuple(complexstep.jacobians(_with_products(f), V))
    complexstep.check(f, V, expected=expected, chunk=3)


def _with_products(f: Any) -> Any:
    """The same source with a product of its own for `squares`, for complex numbers."""
    from types import FunctionType

    return FunctionType(f.__code__, {**f.__globals__, "squares": squares.py_func}, f.__name__)


def test_second_derivatives_of_arrays() -> None:
    @njit
    def cubes(x):
        return np.sum(squares(x) * x)

    np.testing.assert_allclose(
        dg.jacobian(dg.grad(cubes, chunk=3), chunk=3)(V), np.diag(6 * V), atol=1e-15
    )
    third = dg.jacobian(dg.jacobian(dg.grad(cubes, chunk=1), chunk=2), chunk=3)(V[:2])
    expected = np.zeros((2, 2, 2))
    expected[0, 0, 0] = expected[1, 1, 1] = 6
    np.testing.assert_allclose(third, expected, atol=1e-15)


@dg.custom_jvp
def weighted(x, y, a):
    return a * np.sum(x * x * y)


@weighted.defjvp
def _(x, y, a, dx, dy, da):
    return a * (2.0 * np.sum(x * y * dx) + np.sum(x * x * dy)) + da * np.sum(x * x * y)


def test_one_argument_for_each_level() -> None:
    x, y, a = V[:3], V[1:], 2.0
    by_x = dg.grad(weighted, chunk=3)
    np.testing.assert_allclose(
        dg.jacobian(by_x, argnums=1, chunk=3)(x, y, a), np.diag(2 * a * x), rtol=1e-15
    )
    np.testing.assert_allclose(
        dg.jacobian(by_x, argnums=2, chunk=3)(x, y, a), 2 * x * y, rtol=1e-15
    )
    by_a = dg.grad(weighted, argnums=2, chunk=3)
    np.testing.assert_allclose(dg.grad(by_a, argnums=1, chunk=3)(x, y, a), x * x, rtol=1e-15)


Pair = collections.namedtuple("Pair", "first second")


@dg.custom_jvp
def polar(point, offset):
    r = np.hypot(point.first, point.second)
    return Pair(r, np.arctan2(point.second, point.first)), offset * r, 7


@polar.defjvp
def _(point, offset, dpoint, doffset):
    x, y = point
    r = np.hypot(x, y)
    dr = (x * dpoint.first + y * dpoint.second) / r
    return (dr, (x * dpoint.second - y * dpoint.first) / r**2), doffset * r + offset * dr, 0.0


def test_tuples_in_and_out() -> None:
    def f(z, offset):
        pair, shifted, n = polar(Pair(z[0], z[1]), offset)
        return np.array([pair.first, pair.second, shifted[1] * n])

    z, offset = np.array([3.0, 4.0]), np.array([1.0, 2.0])
    by_z, by_offset = dg.jacobian(f, argnums=(0, 1), chunk=3)(z, offset)
    np.testing.assert_allclose(
        by_z, [[0.6, 0.8], [-4 / 25, 3 / 25], [14 * 0.6, 14 * 0.8]], rtol=1e-15
    )
    np.testing.assert_allclose(by_offset, [[0, 0], [0, 0], [0, 35]], rtol=1e-15)
    second = dg.jacobian(dg.jacobian(f, chunk=3), chunk=3)(z, offset)
    np.testing.assert_allclose(second[0], [[16 / 125, -12 / 125], [-12 / 125, 9 / 125]], rtol=1e-13)


def test_a_rule_may_write_into_what_it_is_given() -> None:
    @dg.custom_jvp
    def tripled(x, y):
        return x * 3.0 + y

    @tripled.defjvp
    def _(x, y, dx, dy):
        x *= 0.0
        y += 5.0
        dx *= 3.0
        dy += dx
        return dy

    x = V.copy()
    np.testing.assert_array_equal(dg.jacobian(tripled, chunk=3)(x, V), 3 * np.eye(4))
    np.testing.assert_array_equal(x, V)
    np.testing.assert_array_equal(dg.jacobian(tripled, argnums=1, chunk=3)(x, V), np.eye(4))


def test_a_buffer_that_it_makes() -> None:
    @dg.custom_jvp
    def zeros(n, x):
        return np.zeros(n)

    zeros.defjvp(lambda n, x, dn, dx: np.zeros(n))

    def f(x):
        y = zeros(2, x[0])
        y[0] = x[1]
        return y

    np.testing.assert_array_equal(dg.jacobian(f, chunk=3)(V[:2].copy()), [[0, 1], [0, 0]])


def test_the_order_of_summation_is_kept() -> None:
    @dg.custom_jvp
    def total(x):
        return np.sum(x)  # in the order of the memory

    total.defjvp(lambda x, dx: np.sum(dx))
    compiled, transform = njit(total.py_func), dg.value_and_grad(total, chunk=8)
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=(13, 9)) * 10.0 ** np.arange(9)
        for at in (x, np.asfortranarray(x)):
            assert transform(at)[0] == compiled(at)


def test_a_call_without_derivatives_is_an_ordinary_one() -> None:
    @dg.custom_jvp
    def doubled_in_place(x):
        x *= 2.0
        return x

    doubled_in_place.defjvp(lambda x, dx: dx)

    @njit
    def f(x, c):
        return np.sum(doubled_in_place(c) * x) + c[0]

    c = np.ones(4)
    value, gradient = dg.value_and_grad(f, chunk=3)(V, c)
    assert value == np.sum(2 * V) + 2
    np.testing.assert_array_equal(gradient, 2 * np.ones(4))
    np.testing.assert_array_equal(c, np.ones(4))

    def writes_derivatives_through_the_result(x):
        c = np.ones(4)
        y = doubled_in_place(c)
        y[0] = x[0]
        return c[0]

    assert "doubled_in_place" in refusal(writes_derivatives_through_the_result, V)


# ------------------------------------------------------------------------------ functions of C

LIBM = ctypes.CDLL(ctypes.util.find_library("m"))
c_cbrt = LIBM.cbrt
c_cbrt.argtypes, c_cbrt.restype = [ctypes.c_double], ctypes.c_double
c_pow = LIBM.pow
c_pow.argtypes, c_pow.restype = [ctypes.c_double, ctypes.c_double], ctypes.c_double

cbrt = dg.custom_jvp(c_cbrt)
cbrt.defjvp(lambda x, dx: dx / (3.0 * cbrt(x) ** 2))
power = dg.custom_jvp(c_pow)
power.defjvp(lambda x, y, dx, dy: y * power(x, y - 1.0) * dx + np.log(x) * power(x, y) * dy)


def cython_function(name: str, *arguments: Any) -> Any:
    address = get_cython_function_address("scipy.special.cython_special", name)
    return ctypes.CFUNCTYPE(*arguments)(address)


j0 = dg.custom_jvp(cython_function("j0", ctypes.c_double, ctypes.c_double))
j1 = dg.custom_jvp(cython_function("j1", ctypes.c_double, ctypes.c_double))
j0.defjvp(lambda x, dx: -dx * j1(x))
j1.defjvp(lambda x, dx: dx * (j0(x) - j1(x) / x))

floor_of_c = dg.custom_jvp(types.ExternalFunction("floor", types.float64(types.float64)))
floor_of_c.defjvp(lambda x, dx: 2.0 * dx)


def test_ctypes() -> None:
    assert cbrt(27.0) == c_cbrt(27.0)
    assert cbrt.__name__ == "cbrt"
    f = cbrt
    for slope in (1 / 12, -2 / 9 / 32, 10 / 27 / 256):
        f = dg.derivative(f)
        assert f(8.0) == pytest.approx(slope, rel=1e-14)
    by_x, by_y = dg.derivative(power, argnums=(0, 1))(2.0, 3.0)
    assert by_x == pytest.approx(12.0, rel=1e-15)
    assert by_y == pytest.approx(8 * np.log(2.0), rel=1e-15)


def test_scipy_s_cython_functions() -> None:
    x = 2.5
    assert j0(x) == pytest.approx(float(mpmath.besselj(0, x)), rel=1e-14)
    f: Any = j0
    for order in (1, 2, 3):
        f = dg.derivative(f)
        expected = float(mpmath.besselj(0, x, derivative=order))
        assert f(x) == pytest.approx(expected, rel=1e-13)

    @njit
    def series(x):
        s = 0.0
        for k in range(x.size):
            s += j0(x[k]) * x[k]
        return s

    z = np.array([0.5, 1.5, 4.0])
    expected = [float(mpmath.diff(lambda t: t * mpmath.besselj(0, t), it)) for it in z]
    np.testing.assert_allclose(dg.grad(series, chunk=3)(z), expected, rtol=1e-12)


def test_external_function() -> None:
    assert floor_of_c(2.5) == 2.0  # what only compiled code can call
    assert dg.value_and_derivative(floor_of_c)(2.5) == (2.0, 2.0)


def test_cffi() -> None:
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    ffi.cdef("double sin(double x);")
    sine = dg.custom_jvp(ffi.dlopen(ctypes.util.find_library("m")).sin)
    sine.defjvp(lambda x, dx: dx * np.cos(x))
    assert sine(0.5) == np.sin(0.5)
    assert dg.derivative(sine)(0.5) == np.cos(0.5)


def test_c_function_of_arrays() -> None:
    qsort_like = LIBM.frexp  # (double, int *): writes through its pointer
    qsort_like.argtypes, qsort_like.restype = [ctypes.c_double, ctypes.c_void_p], ctypes.c_double

    @dg.custom_jvp
    def mantissa(x, work):
        exponent = np.zeros(1, np.int32)
        return qsort_like(x[0] + 0.0 * work[0], exponent.ctypes)

    mantissa.defjvp(lambda x, work, dx, dwork: dx[0])
    np.testing.assert_array_equal(dg.grad(mantissa, chunk=3)(np.array([3.0, 1.0]), V), [1, 0])

    @dg.custom_jvp
    def into(x, work):
        return qsort_like(x[0], work.ctypes)

    into.defjvp(lambda x, work, dx, dwork: dx[0])
    with pytest.raises(dg.NotDifferentiable, match="'work'"):
        dg.grad(into, chunk=3)(V, np.ones(1, np.int32))


def test_object_mode() -> None:
    @dg.custom_jvp
    def in_python(x):
        with objmode(y="float64"):
            y = float(mpmath.erf(x))
        return y

    in_python.defjvp(lambda x, dx: dx * 2 / np.sqrt(np.pi) * np.exp(-x * x))
    value, slope = dg.value_and_derivative(lambda x: in_python(x) * 2)(0.5)
    assert value == 2 * math.erf(0.5)
    assert slope == pytest.approx(4 / math.sqrt(math.pi) * math.exp(-0.25), rel=1e-15)


def test_a_compiled_function_keeps_its_signature() -> None:
    @njit("float32(float32)")
    def rounded(x):
        return x * x

    square = dg.custom_jvp(rounded)
    square.defjvp(lambda x, dx: 2.0 * x * dx)
    value, slope = dg.value_and_derivative(square)(1.1)
    assert value == rounded(1.1)
    assert slope == pytest.approx(2.2, rel=1e-7)


# ------------------------------------------------------------------------------------ refusals


def refusal(f: Any, *args: Any, transform: Callable[..., Any] = dg.grad) -> str:
    with pytest.raises(dg.NotDifferentiable) as caught:
        transform(f)(*args)
    message = str(caught.value)
    assert len(message.splitlines()) <= 12
    assert "dual(" not in message
    return message


def test_no_rule_yet() -> None:
    @dg.custom_jvp
    def tardy(x):
        return x * 2.0

    slope = dg.derivative(lambda x: tardy(x))
    with pytest.raises(dg.NotDifferentiable, match=r"tardy has no rule(.|\n)*tardy.defjvp"):
        slope(1.0)
    with pytest.raises(dg.NotDifferentiable, match=__file__):
        dg.derivative(tardy)(1.0)
    tardy.defjvp(lambda x, dx: 5.0 * dx)
    assert slope(1.0) == 5.0  # and the failure is not remembered
    with pytest.raises(TypeError, match="tardy has a rule already"):
        tardy.defjvp(lambda x, dx: 6.0 * dx)
    assert slope(1.0) == 5.0


def identity(x):
    return x


def first_and_all(x):
    return x[0], x * 1.0


def view(x):
    y = x * 2.0
    return y, y[1:]


def in_place(x):
    x[0] = 7.0
    return x.sum()


def a_list(x):
    return [x[0]]


def nothing(x):
    pass


def a_sum(x):
    return x.sum()


WRONG = [
    # function, rule, error, what it names
    (a_sum, lambda x, dx: dx, dg.NotDifferentiable, r"rule of a_sum returns array(.|\n)*float64"),
    (a_sum, lambda x, dx: None, dg.NotDifferentiable, "rule of a_sum returns none"),
    (a_sum, lambda x, dx: (dx[0],), dg.NotDifferentiable, "rule of a_sum returns"),
    (a_sum, lambda x, dx: 1j * dx[0], dg.NotDifferentiable, "rule of a_sum returns complex"),
    (a_sum, lambda x, dx: dx.undefined, dg.NotDifferentiable, "undefined"),
    (first_and_all, lambda x, dx: dx[0], dg.NotDifferentiable, "rule of first_and_all"),
    (first_and_all, lambda x, dx: (dx, dx), dg.NotDifferentiable, "rule of first_and_all"),
    (first_and_all, lambda x, dx: (dx[0], dx[1:]), ValueError, "first_and_all.*shape"),
    (first_and_all, lambda x, dx: (dx[0], dx[:1]), ValueError, "first_and_all.*shape"),
    (identity, lambda x, dx: dx, dg.NotDifferentiable, r"(?s)identity returns memory.*a copy"),
    (view, lambda x, dx: (dx, dx[1:]), dg.NotDifferentiable, r"(?s)view returns memory.*a copy"),
    (in_place, lambda x, dx: dx.sum(), dg.NotDifferentiable, "in_place writes into .*'x'"),
    (a_list, lambda x, dx: [dx[0]], dg.NotDifferentiable, "a_list returns"),
    (nothing, lambda x, dx: None, dg.NotDifferentiable, "nothing returns none"),
]


@pytest.mark.parametrize(("f", "rule", "error", "names"), WRONG)
def test_wrong_rules_and_functions(f: Any, rule: Any, error: type, names: str) -> None:
    custom = dg.custom_jvp(f)
    custom.defjvp(rule)
    before = V.copy()

    def calls(x):
        custom(x)
        return x[0]

    with pytest.raises(error, match=names) as caught:
        dg.grad(calls)(V)
    assert len(str(caught.value).splitlines()) <= 12
    np.testing.assert_array_equal(V, before)


def test_derivatives_in_other_containers() -> None:
    @dg.custom_jvp
    def of_list(values):
        return values[0]

    of_list.defjvp(lambda values, dvalues: 1.0)
    assert "argument 'values' is" in refusal(lambda x: of_list([x[0], x[1]]), V)


def test_a_rule_that_differentiates_its_own_function() -> None:
    @dg.custom_jvp
    def circular(x):
        return x * x

    slope = dg.derivative(circular)
    circular.defjvp(lambda x, dx: slope(x) * dx)
    assert "asked for again" in refusal(circular, 1.0, transform=dg.derivative)
    message = refusal(circular, 1.0, transform=dg.value_and_derivative)
    assert "the rule of circular differentiates circular" in message


def test_wrong_number_of_parameters() -> None:
    @dg.custom_jvp
    def f(x, y):
        return x * y

    for rule in (lambda x, dx: dx, lambda x, y, dx: dx, lambda a, b, c, d, e: a):
        with pytest.raises(TypeError, match="rule of f is called with 4 arguments"):
            f.defjvp(rule)
    with pytest.raises(TypeError, match="function"):
        f.defjvp(3.0)
    f.defjvp(lambda *all_of_them: all_of_them[1] * all_of_them[2])


def test_what_cannot_be_marked() -> None:
    with pytest.raises(TypeError, match="function"):
        dg.custom_jvp(3.0)
    with pytest.raises(TypeError, match="a place of their own"):
        dg.custom_jvp(lambda *xs: xs[0])
    untyped = ctypes.CDLL(None).abs
    with pytest.raises(TypeError, match="argtypes"):
        dg.custom_jvp(untyped)


def test_its_own_exceptions_pass_through() -> None:
    @dg.custom_jvp
    def positive(x):
        if x < 0:
            raise ValueError("negative")
        return np.sqrt(x)

    positive.defjvp(lambda x, dx: dx / (2 * np.sqrt(x)))
    slope = dg.derivative(positive)
    assert slope(4.0) == 0.25
    with pytest.raises(ValueError, match=r"^negative$"):
        slope(-1.0)


def test_memory_balances() -> None:
    from numba.core.runtime import _nrt_python, rtsys

    _nrt_python.memsys_enable_stats()
    jacobian = dg.jacobian(lambda x: squares(x), chunk=3)
    jacobian(V)
    before = rtsys.get_allocation_stats()
    for _ in range(50):
        jacobian(V)
    after = rtsys.get_allocation_stats()
    assert after.alloc > before.alloc
    assert after.alloc - before.alloc == after.free - before.free
    assert after.mi_alloc - before.mi_alloc == after.mi_free - before.mi_free


def test_compiled_code_sees_a_function() -> None:
    assert isinstance(typeof(softplus), types.Dispatcher)
    assert njit(lambda f, x: f(x))(softplus, 0.5) == njit(softplus.py_func)(0.5)
    assert dg.derivative(lambda f, x: f(x), argnums=1)(softplus, 0.0) == 0.5


def test_a_rule_with_fewer_digits_is_refused() -> None:
    @dg.custom_jvp
    def twice(x):
        return x * 2

    @twice.defjvp
    def _(x, dx):
        return (dx * 2).astype(np.float32)

    with pytest.raises(dg.NotDifferentiable, match="a tangent is of the same kind"):
        dg.jacobian(twice)(np.ones(2))
    np.testing.assert_array_equal(dg.jacobian(twice)(np.ones(2, np.float32)), 2 * np.eye(2))
