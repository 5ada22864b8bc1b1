"""Clones run the path that the primal runs, with its options, and copy no more than they must."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import pytest
from numba import njit, types
from numba.core import event

import dualgrad as dg
from dualgrad.compile.activity import Activity, summarise
from dualgrad.compile.frontend import derived, typed
from tests.complexstep import assert_same_bits, jacobians

X = np.array([0.1, 0.7, 0.3])
FLOATS = types.Array(types.float64, 1, "C")


# -------------------------------------------------------------------------- explicit signatures


@njit("float32(float32)")
def rounded(x):
    return x * x


@njit("float64(float64[:], float64)")
def any_layout(x, y):
    return x[0] * y


@njit(["float64(float64)", "float32(float32)"])
def either(x):
    return x * np.float32(0.1)


@njit
def uses_signatures(x):
    return rounded(x[0]) + any_layout(x, x[1]) + either(x[2]) + rounded(2.0)


@njit("float64(int64)")
def of_whole(x):
    return x * 2.0


@njit("int64(float64, int64)")
def to_whole(x, k):
    return x * k * 3


@njit
def uses_whole(x):
    return of_whole(x) * x + to_whole(x, 2.0 * x) * x * x


def test_explicit_signatures_of_whole_numbers_make_constants() -> None:
    assert dg.value_and_derivative(uses_whole)(1.75) == (uses_whole(1.75), 2.0 + 15 * 2 * 1.75)
    assert dg.derivative(of_whole)(1.75) == 0.0


def test_explicit_signatures_round_as_the_primal_does() -> None:
    value, gradient = dg.value_and_grad(uses_signatures, chunk=3)(X)
    assert value == uses_signatures(X)
    expected = [2 * np.float32(0.1) + 0.7, 0.1, np.float64(np.float32(0.1))]
    np.testing.assert_allclose(gradient, expected, rtol=1e-7)
    for f in (rounded, either):
        value, slope = dg.value_and_derivative(f)(0.3)
        assert value == f(0.3)
        np.testing.assert_allclose(slope, (f(0.3 + 1e-2) - f(0.3 - 1e-2)) / 2e-2, rtol=1e-4)


# --------------------------------------------------------------------------- the primal's path


@njit
def asks_for_types(x):
    if isinstance(x, float):
        return x * 2
    return x * 3


@njit
def divides(x):
    return 1.0 / x


@njit(error_model="numpy")
def divides_as_numpy(x):
    return 1.0 / x


@njit
def raises(x):
    if x < 0:
        raise ValueError("negative", 7)
    return math.sqrt(x)


@njit(boundscheck=True)
def out_of_bounds(x):
    return x[x.size]


class Custom(Exception):
    pass


@njit
def raises_custom(x):
    if x[0] < 100:
        raise Custom("too small")
    return x[0]


@njit
def catches(x):
    try:
        if x > 0:
            raise ValueError("positive")
        y = x
    except Exception:
        y = x * x
    return y


def test_types_are_those_of_the_primal() -> None:
    assert dg.value_and_derivative(asks_for_types)(1.5) == (3.0, 2.0)


def test_errors_of_the_function_are_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        dg.derivative(divides)(0.0)
    value, slope = dg.value_and_derivative(divides_as_numpy)(0.0)
    assert (value, slope) == (np.inf, -np.inf)
    with pytest.raises(ValueError, match="negative") as caught:
        dg.derivative(raises)(-1.0)
    assert caught.value.args == ("negative", 7)
    with pytest.raises(IndexError):
        dg.grad(out_of_bounds, chunk=3)(X)
    with pytest.raises(Custom, match="too small"):
        dg.grad(raises_custom, chunk=3)(X)
    assert dg.value_and_derivative(catches)(3.0) == (9.0, 6.0)


@njit
def raises_what_it_knows(x):
    y = np.sqrt(x)
    if y[0] > 1.0:
        raise KeyError("large", y[0], x.size, (3 * y[1], 3), y, y[0] + 1j * y[1])
    return y[0] * y[1]


@njit
def raises_in_helper(x):
    return x[0] ** 2 + raises_what_it_knows(x)


@pytest.mark.parametrize("transform", [dg.grad, dg.hessian])
def test_errors_have_values(transform: Any) -> None:
    derivative = transform(raises_in_helper)
    derivative(np.ones(3))
    arguments = []
    for f in (raises_in_helper, derivative):
        with pytest.raises(KeyError, match="large") as caught:
            f(np.array([2.0, 3.0, 5.0]))
        arguments.append(caught.value.args)
    *rest, array, number = arguments[0]
    assert arguments[1][:-2] == tuple(rest) and arguments[1][-1] == number
    assert_same_bits(arguments[1][-2], array)


# ------------------------------------------------------------------------------------ recursion


@njit
def halving(x, n):
    if n == 0:
        return x
    half = halving(x, n // 2)
    return half * 0.5 + x


def test_recursion() -> None:
    assert dg.value_and_derivative(halving)(3.0, 4) == (halving(3.0, 4), 1.875)


@njit
def ring(x, n):
    return next_in_ring(x, n - 1) * x if n > 0 else x


@njit
def next_in_ring(x, n):
    return last_in_ring(x, n - 1) + ring(x, 1) if n > 0 else 2 * x


@njit
def last_in_ring(x, n):
    return ring(x, n - 1) * next_in_ring(x, n - 2) if n > 0 else 3 * x


@njit
def rings(x):
    return ring(x[0], 5) + next_in_ring(x[1], 4) * last_in_ring(x[2], 3)


def test_functions_that_call_each_other() -> None:
    """In whatever order, and the functions themselves can be called afterwards: they could not."""
    x = np.array([1.1, 1.2, 1.3])
    value, gradient = dg.value_and_grad(rings)(x)
    assert value == rings(x)
    analytic = [rings.py_func(x + 1e-30j * e).imag / 1e-30 for e in np.eye(3)]
    np.testing.assert_allclose(gradient, analytic, rtol=1e-14)
    for f in (last_in_ring, next_in_ring, ring):
        value, slope = dg.value_and_derivative(f)(1.5, 6)
        assert value == f(1.5, 6)
        np.testing.assert_allclose(slope, f.py_func(1.5 + 1e-30j, 6).imag / 1e-30, rtol=1e-14)


@pytest.mark.parametrize("f", [halving, ring, next_in_ring])
def test_recursive_functions_from_outside(f) -> None:
    """What Python calls, and what is compiled into a kernel, is not the clone that it calls."""
    slope = dg.derivative(f)(1.5, 6)
    assert dg.tangent(f(dg.Dual(1.5, 1.0), 6)) == slope
    np.testing.assert_array_equal(dg.vmap(dg.derivative(f), (0, None))(np.full(3, 1.5), 6), slope)


def ends_in_floats(decorate):
    @decorate
    def ones(x, n):
        return twos(x, n - 1) * x if n > 0 else 1.0

    @decorate
    def twos(x, n):
        return ones(x, n - 1) + ones(x, n - 2) if n > 1 else 2.0

    return ones, twos


def ends_in_integers(decorate):
    @decorate
    def one(x, n):
        return same(x, n - 1) * x if n > 0 else 1

    @decorate
    def same(x, n):
        return one(x, n - 1)

    return one, same


def ends_in_tuples(decorate):
    @decorate
    def pair(x, n):
        if n <= 0:
            return 1.0, 2.0
        a, b = same(x, n - 1)
        return a * x, b

    @decorate
    def same(x, n):
        return pair(x, n - 1)

    return pair, same


def test_functions_that_end_in_constants() -> None:
    """A constant is all that is known of a result when the function that waits for it is typed."""
    for f, plain in zip(ends_in_floats(njit), ends_in_floats(lambda f: f), strict=True):
        value, slope = dg.value_and_derivative(f)(1.5, 5)
        slopes = [plain(1.5 + h + 1e-30j, 5).imag / 1e-30 for h in (-1e-6, 0, 1e-6)]
        assert value == plain(1.5, 5)
        np.testing.assert_allclose(slope, slopes[1], rtol=1e-14)
        curvature = dg.derivative(dg.derivative(f))(1.5, 5)
        np.testing.assert_allclose(curvature, (slopes[2] - slopes[0]) / 2e-6, rtol=1e-6)
    # a case of which Numba itself makes nonsense: it reads the 1 as a float
    assert dg.value_and_derivative(ends_in_integers(njit)[0])(1.5, 5) == (1.5**3, 3 * 1.5**2)
    with pytest.raises(dg.NotDifferentiable, match="one returns constants here"):
        dg.jacobian(ends_in_tuples(njit)[0])(1.5, 5)


def test_functions_of_numpy_are_compiled_once() -> None:
    """Numba keeps overloads by the typing context: typing alone has to find the same ones."""

    def function(k):
        return lambda x: np.eye(2)[0] * k * x + np.zeros(2)

    dg.jacobian(function(2.0))(np.ones(2))
    with event.install_recorder("numba:compile") as seen:
        dg.jacobian(function(3.0))(np.ones(2))
    made = [
        it.data["dispatcher"].py_func.__code__.co_filename for _, it in seen.buffer if it.is_start
    ]
    assert made
    assert [path for path in made if "numba" in path.split(os.sep)] == []


@njit
def runs_away(x):
    return runs_away(x - 1)


def test_runaway_recursion_is_refused() -> None:
    with pytest.raises(dg.NotDifferentiable, match="runaway recursion"):
        dg.derivative(runs_away)(1.0)


# -------------------------------------------------------------------------- arguments written to


def rebound(x, k):
    for _ in range(2):
        y = np.zeros(3)
        y[1] = x[1] * k
        x = y
    return x


def exchanged(x, k):
    y = np.zeros(3)
    for _ in range(2):
        for i in range(3):
            y[i] = x[i] * k + x[i - 1]
        x, y = y, x
    return x


def written_to_part(x, k):
    part = x[1:].reshape(2, 1)
    part[0] = k
    return x * x


def written_to_one_of_two(x, k):
    y = x if k > 0 else np.ones(3)
    y[0] = k
    return y * x


def written_in_a_list(x, k):
    items = [np.ones(3)]
    items.append(x)
    items[-1][0] = k
    return x * x


def written_by_another(x, k):
    y = x[::-1]
    z = y
    written_to_part_of(z, k)
    return x * y


@njit
def written_to_part_of(x, k):
    x[0] *= k


@pytest.mark.parametrize(
    "f",
    [rebound, exchanged, written_to_part, written_to_one_of_two, written_in_a_list,
     written_by_another],
)  # fmt: skip
def test_arguments_that_are_written_to(f) -> None:
    x, k = np.array([1.5, 2.5, 3.5]), 0.75
    after = x.copy()
    njit(f)(after, k)
    arg_types = (types.float64[::1], types.float64)
    [written, _] = summarise(njit(f), arg_types, (True, True), False).written_args
    assert written == (after.tolist() != x.tolist())
    value, jacobian = dg.value_and_jacobian(f, chunk=1)(x, k)
    assert_same_bits(value, njit(f)(x.copy(), k))
    [expected] = jacobians(f, x, k)
    np.testing.assert_allclose(jacobian, expected, rtol=1e-14)


def test_an_argument_that_is_rebound_may_be_plain() -> None:
    x = np.array([1.5, 2.5, 3.5])
    found = njit(rebound)(x, dg.Dual(0.75, 1.0))
    np.testing.assert_array_equal(dg.value(found), [0.0, 2.5 * 0.75**2, 0.0])
    np.testing.assert_array_equal(dg.tangent(found)[:, 0], [0.0, 2 * 2.5 * 0.75, 0.0])
    with pytest.raises(dg.NotDifferentiable, match="passed for x holds plain numbers"):
        njit(exchanged)(x, dg.Dual(0.75, 1.0))


# ----------------------------------------------------------------- what is promoted, and what not


@njit
def weighted(x):
    table = np.linspace(0.0, 1.0, 3)
    scaled = 2.0 * table
    buffer = np.zeros(3)
    counts = np.zeros(3, np.int64)
    first = table[0]
    total = first
    for i in range(3):
        buffer[i] = x[i] * scaled[i]
        counts[i] += 1
        total += buffer[i]
    return total


@njit
def store(target, source):
    target[0] = source[0]
    return target


@njit
def stores_in_helper(x):
    untouched, touched = np.zeros(3), np.zeros(3)
    store(touched, x)
    store(untouched, np.ones(3))
    return touched[0] + untouched[0]


def active_names(f: Any) -> set[str]:
    code = typed(f, (FLOATS,))
    activity = Activity(code, (True,))
    return {name.split(".")[0] for name in code.typemap if activity.is_active(name)}


def test_tables_stay_floats() -> None:
    names = active_names(weighted)
    assert {"x", "buffer", "total"} <= names
    assert not {"table", "scaled", "counts", "i"} & names
    names = active_names(stores_in_helper)
    assert "touched" in names
    assert "untouched" not in names


def test_summary_of_a_call() -> None:
    effect = summarise(store, (FLOATS, FLOATS), (False, True), False)
    assert effect.active_args == (True, True)
    assert effect.written_args == (True, False)
    assert effect.active_result
    assert effect.shared == (frozenset({-1, 0}),)


def test_plain_functions_that_call_plain_functions() -> None:
    def innermost(x):
        return x * x

    def inner(x):
        return 2.0 * innermost(x)

    def outer(x):
        return x * inner(x)

    assert dg.derivative(lambda x: outer(x))(3.0) == 6 * 9.0
    np.testing.assert_array_equal(dg.vmap(outer)(np.array([1.0, 3.0])), [2.0, 54.0])


def flattened(x, w):
    y = x.ravel()
    y[0], w.ravel()[0] = w[1], 7.0
    return x[0, 0] * w[0], y * w[0]


@pytest.mark.parametrize("argnums", [0, 1, (0, 1)])
def test_ravel_of_strided_arguments_is_a_copy(argnums: Any) -> None:
    def strided() -> tuple[np.ndarray, np.ndarray]:
        return np.ones((2, 8))[:, 1::2], np.arange(1.0, 9.0)[::2]

    transform = dg.value_and_jacobian(flattened, argnums, chunk=4)
    for order in ("strided", "C", "F"):
        x, w = (it if order == "strided" else it.copy(order=order) for it in strided())
        (number, array), _ = transform(x, w)
        assert (x[0, 0], w[0]) == (1.0, 1.0)
        one, two = njit(flattened)(x, w)  # which writes to them
        assert number == one == {"strided": 1.0, "C": 21.0, "F": 7.0}[order]
        np.testing.assert_array_equal(array, two)


# ------------------------------------------------------------------------------- what is compiled


@njit
def slope_and_offset(t, p=2.0, q=1.0):
    return p * t, q


@njit
def pairs(x):
    for i in range(x.size - 1):
        yield x[i], slope_and_offset(x[i + 1], q=0.5)


@njit
def by_helpers(x, apply):
    s = 0.0
    for a, (b, c) in pairs(x):
        s += a * b + c + apply(a, 3)
    return s


@njit
def cubed(a, n):
    return a**n


def test_helpers_are_not_compiled_for_numbers() -> None:
    """Their types are inferred, as those of the function itself."""

    def f(x):
        return by_helpers(x, cubed)

    gradient = dg.grad(f)(X)
    for helper in (slope_and_offset, pairs, by_helpers, cubed):
        assert not helper.overloads, helper
    a, b, c = X
    np.testing.assert_allclose(gradient, [2 * b + 3 * a**2, 2 * (a + c) + 3 * b**2, 2 * b])
    assert dg.value_and_grad(f)(X)[0] == njit(f)(X)


def test_clones_have_machine_code_if_asked() -> None:
    """What calls them links their code."""

    @njit
    def f(x):
        return cubed(x[0], 2) * x[1]

    dg.grad(f)(X)
    [clone] = derived(f, "clones").values()
    [code] = clone.overloads.values()
    assert not code.library._is_emitted
    assert code.library.get_pointer_to_function(code.fndesc.llvm_func_name)
    assert code.library._is_emitted
