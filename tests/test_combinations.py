"""Every transform with every way of using it, against derivatives by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg
from tests import differences


@njit
def number(x, a):
    return a * x[0] * x[1] ** 2


@njit
def array(x, a):
    return a * x * x[::-1]


@njit
def into(x, a, y):
    y[:] = a * x * x[::-1]


# ---------------------------------------------------------------- by hand: values, first, second


def number_by_hand(x: np.ndarray, a: float) -> tuple[Any, list[Any], list[list[Any]]]:
    p, q = x
    by_x, mixed = np.array([a * q * q, 2 * a * p * q]), np.array([q * q, 2 * p * q])
    square = np.array([[0.0, 2 * a * q], [2 * a * q, 2 * a * p]])
    return a * p * q * q, [by_x, p * q * q], [[square, mixed], [mixed, 0.0]]


def array_by_hand(x: np.ndarray, a: float) -> tuple[Any, list[Any], list[list[Any]]]:
    p, q = x
    ones, mixed = np.ones(2), np.array([[q, p], [q, p]])
    square = np.array([[[0.0, a], [a, 0.0]]] * 2)
    return a * p * q * ones, [a * mixed, p * q * ones], [[square, mixed], [mixed, 0.0 * ones]]


V, DA = np.array([0.5, 1.0]), 0.25


def change(first: list[Any]) -> Any:
    return first[0] @ V + first[1] * DA


def second_change(second: list[list[Any]], k: int) -> Any:
    return second[k][0] @ V + second[k][1] * DA


def chosen(items: list[Any], argnums: Any) -> Any:
    return tuple(items[k] for k in argnums) if isinstance(argnums, tuple) else items[argnums]


def blocks(second: list[list[Any]], argnums: Any) -> Any:
    if isinstance(argnums, tuple):
        return tuple(tuple(second[i][j] for j in argnums) for i in argnums)
    return second[argnums][argnums]


#: The transform, its function, argnums, what it returns in terms of what is known by hand.
Hand = Callable[[Any, list[Any], list[list[Any]], Any], Any]
TABLE: dict[str, tuple[Any, Any, int, Hand]] = {
    "derivative": (dg.derivative, array, 1, lambda y, d, dd, k: chosen(d, k)),
    "grad": (dg.grad, number, 0, lambda y, d, dd, k: chosen(d, k)),
    "jacobian": (dg.jacobian, array, 0, lambda y, d, dd, k: chosen(d, k)),
    "hessian": (dg.hessian, number, 0, lambda y, d, dd, k: blocks(dd, k)),
    "hessian of an array": (dg.hessian, array, 0, lambda y, d, dd, k: blocks(dd, k)),
    "value_and_derivative": (
        dg.value_and_derivative, array, 1, lambda y, d, dd, k: (y, chosen(d, k)),
    ),
    "value_and_grad": (dg.value_and_grad, number, 0, lambda y, d, dd, k: (y, chosen(d, k))),
    "value_and_jacobian": (dg.value_and_jacobian, array, 0, lambda y, d, dd, k: (y, chosen(d, k))),
    "value_grad_and_hessian": (
        dg.value_grad_and_hessian, number, 0,
        lambda y, d, dd, k: (y, chosen(d, k), blocks(dd, k)),
    ),
    "jvp": (dg.jvp, array, 0, lambda y, d, dd, k: (y, change(d))),
    "hvp": (
        dg.hvp, number, 0,
        lambda y, d, dd, k: chosen([second_change(dd, 0), second_change(dd, 1)], k),
    ),
}  # fmt: skip
PRODUCTS = "jvp", "hvp"
BY_HAND = {number: number_by_hand, array: array_by_hand}
X, A = np.array([1.5, -2.0]), 2.0
POINTS, SCALES = np.array([[1.5, -2.0], [0.5, 3.0], [-1.0, 0.25]]), np.array([2.0, 1.0, -0.5])


def made(name: str, argnums: Any = None, f: Any = None, **keywords: Any) -> Any:
    make, own, default, _ = TABLE[name]
    if name != "jvp":
        keywords["argnums"] = default if argnums is None else argnums
    return make(f or own, **keywords)


def expected(name: str, x: np.ndarray, a: float, argnums: Any = None) -> Any:
    _, f, default, by_hand = TABLE[name]
    return by_hand(*BY_HAND[f](x, a), default if argnums is None else argnums)


def call(name: str, transform: Any, x: Any, a: Any, **out: Any) -> Any:
    if name in PRODUCTS:
        ones = np.ones(np.shape(a))  # a tangent for each point, if there are several
        return transform((x, a), (np.multiply.outer(ones, V), DA * ones[()]), **out)
    return transform(x, a, **out)


def leaves(result: Any) -> Iterator[Any]:
    if isinstance(result, tuple):
        for item in result:
            yield from leaves(item)
    else:
        yield np.asarray(result)


def assert_equal(got: Any, want: Any) -> None:
    assert isinstance(got, tuple) == isinstance(want, tuple)
    for one, other in zip(leaves(got), leaves(want), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-14)


@pytest.mark.parametrize("name", TABLE)
def test_in_python_and_inside_njit(name: str) -> None:
    transform = made(name)
    assert_equal(call(name, transform, X, A), expected(name, X, A))

    @njit
    def product(x, a, v, da):
        return transform((x, a), (v, da))

    @njit
    def plain(x, a, v, da):
        return transform(x, a)

    inside = (product if name in PRODUCTS else plain)(X, A, V, DA)
    assert_equal(inside, expected(name, X, A))


@pytest.mark.parametrize("name", [name for name in TABLE if name != "jvp"])
def test_argnums(name: str) -> None:
    for argnums in ((0, 1), (1,)):
        got = call(name, made(name, argnums), X, A)
        assert_equal(got, expected(name, X, A, argnums))


@pytest.mark.parametrize("name", TABLE)
def test_vmap(name: str) -> None:
    got = call(name, dg.vmap(made(name)), POINTS, SCALES)
    each = [[*leaves(expected(name, *point))] for point in zip(POINTS, SCALES, strict=True)]
    for one, other in zip(leaves(got), map(np.stack, zip(*each, strict=True)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)


@pytest.mark.parametrize("name", [name for name in TABLE if name != "jvp"])
def test_out(name: str) -> None:
    want = expected(name, X, A)
    derivatives = want[1:] if name.startswith("value") else (want,)
    out = tuple(np.full(np.shape(it), np.nan) for it in derivatives)
    out = out if len(out) > 1 else out[0]
    assert_equal(call(name, made(name), X, A, out=out), want)
    assert_equal(out, derivatives if isinstance(out, tuple) else derivatives[0])


INTO = [name for name, (_, f, *_) in TABLE.items() if f is array]


@pytest.mark.parametrize("name", INTO)
def test_out_argnum(name: str) -> None:
    y = np.full(2, np.nan)
    transform = made(name, f=into, out_argnum=2)
    args = ((X, A, y), (V, DA, None)) if name == "jvp" else (X, A, y)
    assert_equal(transform(*args), expected(name, X, A))
    assert np.isnan(y).all()


@pytest.mark.parametrize("name", TABLE)
def test_nested(name: str) -> None:
    """The derivative of all results along a line, against differences of those by hand."""
    transform, products = made(name), name in PRODUCTS

    @njit
    def along(s):
        x, a = X * s, A + s
        return transform((x, a), (V, DA)) if products else transform(x, a)

    def by_hand(s: np.ndarray) -> np.ndarray:
        results = leaves(expected(name, X * s[0], A + s[0]))
        return np.concatenate([it.ravel() for it in results])

    slope, error = differences.jacobian(by_hand, np.array([0.75]))
    got = np.concatenate([it.ravel() for it in leaves(dg.derivative(along)(0.75))])
    assert np.all(np.abs(got - slope[:, 0]) <= 10 * error[:, 0])


def complain(name: str, **keywords: Any) -> Callable[[], Any]:
    return lambda: TABLE[name][0](TABLE[name][1], **keywords)


@pytest.mark.parametrize(
    "combine, message",
    [
        (complain("jvp", argnums=0), "unexpected keyword argument 'argnums'"),
        (complain("jvp", chunk=2), "unexpected keyword argument 'chunk'"),
        (complain("hvp", out_argnum=1), "unexpected keyword argument 'out_argnum'"),
        (complain("hvp", parallel=True), "unexpected keyword argument 'parallel'"),
        (complain("derivative", chunk=2), "unexpected keyword argument 'chunk'"),
        (lambda: dg.grad(into, out_argnum=2)(X, A, V), "must return a number.*dg.jacobian"),
        (lambda: call("jvp", dg.jvp(array), X, A, out=V), "too many arguments"),
        (lambda: dg.vmap(number, argnums=0), "unexpected keyword argument 'argnums'"),
        (lambda: dg.hessian(number)(X, A, out=[V]), "out: an array of float64 is expected"),
        (lambda: dg.value_grad_and_hessian(number)(X, A, out=V), "out: expected is a tuple"),
    ],
)
def test_what_has_no_meaning_is_refused_in_one_line(combine: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message) as raised:
        combine()
    assert "\n" not in str(raised.value)
