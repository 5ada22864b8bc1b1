"""Language features of Numba in differentiated functions: each squares `x[0]` in its own way."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from numba import (
    cfunc,
    float32,
    float64,
    int64,
    literal_unroll,
    njit,
    objmode,
    prange,
    typed,
    types,
    vectorize,
)
from numba.experimental import jitclass
from numba.extending import overload

import dualgrad as dg

X = np.array([1.5, 0.5, 2.0])
Pair = namedtuple("Pair", "first second")


def dictionary_display(x):
    d = {1: 0.0, 2: 1.0}
    d[1] = x[0] * x[0]
    return d[1] * d[2]


def dictionary_with_type(x):
    d = typed.Dict.empty(types.int64, types.float64)
    d[1] = x[0] * x[0]
    d[2] = 1.0
    s = 0.0
    for value in d.values():
        s += value
    return s - 1.0


def dictionary_by_first_item(x):
    d = dict()
    d["one"] = 1.0
    d["x"] = x[0]
    return d["one"] * d["x"] * d.get("x", 0.0)


def dictionary_of_literals(x):
    d = {"a": x[0], "b": 2.0, "c": 3}
    return d["a"] * d["a"] * d["b"] / 2


def dictionary_by_first_store(x):
    d = typed.Dict()
    d[1] = x[0]
    d[2] = 3.0
    return d[1] * d[1]


def dictionary_comprehension(x):
    d = {i: x[i] * x[i] for i in range(2)}
    return d[0]


def dictionary_of_arrays(x):
    d = typed.Dict.empty(types.unicode_type, types.float64[:])
    d["a"] = x[::2] * x[::2]
    d["b"] = np.zeros(3)
    return d["a"][0] + d["b"][0]


def dictionary_with_float_keys(x):
    d = typed.Dict.empty(key_type=types.float64, value_type=types.float64)
    d[1.5] = x[0]
    return d[1.5] * d[1.5]


def dictionary_copied(x):
    d = {1: 2.0}
    e = d.copy()
    e[1] = x[0] * x[0]
    e.update({2: 3.0})
    return e.pop(1) + e.setdefault(3, 0.0)


def dictionary_argument(x, d):
    d[2] = x[0] * x[0]
    return d[2] + d[1] - 1.0


def typed_list_argument(x, items):
    items.append(x[0])
    items[0] = x[0]
    return items[0] * items[-1]


def reflected_list_argument(x, items):
    items.append(x[0])
    items[0] = x[0]
    return items[0] * items[-1]


def tuple_argument(x, pair):
    pair[0][0] = x[0] * x[0]
    return pair[0][0] * pair[1]


def typed_list_of_arrays(x):
    items = typed.List.empty_list(types.float64[:])
    items.append(x * x)
    return items[0][0]


def typed_list_of_lists(x):
    items = typed.List([typed.List([1.0, 2.0]), typed.List([3.0])])
    items[1][0] = x[0] * x[0]
    return items[1][0]


def typed_list_of_tuples(x):
    items = typed.List()
    items.append((1, x[0]))
    return items[0][1] * x[0]


def list_of_lists(x):
    items = [[0.0, 1.0], [2.0]]
    items[0][0] = x[0] * x[0]
    return items[0][0]


@cfunc("float64(float64)")
def c_square(a):
    return a * a


def c_callback(x):
    return c_square(x[0])


@njit
def double(a):
    return 2 * a


@njit
def plain_square(a):
    return a * a


def function_argument(x, g):
    return g(x[0])


def functions_in_a_tuple(x, functions):
    s = 0.0
    for g in literal_unroll(functions):
        s += g(x[0])
    return s - 2 * x[0]


def functions_unrolled(x):
    s = 0.0
    for g in literal_unroll((double, plain_square)):
        s += g(x[0])
    return s - 2 * x[0]


def object_mode_of_constants(x):
    with objmode(one="float64"):
        one = float("1.0")
    return x[0] * x[0] * one


def hashed(x):
    return x[0] * x[0] * (hash(x[0]) == hash(1.5))


def typed_list_by_first_item(x):
    items = typed.List()
    items.append(1.0)
    items.append(x[0])
    items[0] = x[0]
    return items[0] * items[1]


def typed_list_with_type(x):
    items = typed.List.empty_list(types.float64)
    items.append(x[0])
    return items[0] * x[0]


def typed_list_of_items(x):
    items = typed.List([1.0, 2.0])
    items[1] = x[0]
    items.insert(0, x[0])
    return items.pop(0) * items[1]


def named_tuple(x):
    p = Pair(x[0], 2.0)
    return p.first * p.first * p.second / 2


def named_tuple_in_a_loop(x):
    p = Pair(1.0, 2.0)
    for _ in range(2):
        p = Pair(p.first * x[0], p.second + 1.0)
    return p.first


def named_tuples_in_a_loop(x):
    s = 0.0
    for p in (Pair(x[0], 2.0), Pair(1.0, x[0])):
        s += p.first * p.second
    return s * x[0] / 3


def named_tuple_by_number(x):
    pairs, s = (Pair(x[0], 2.0), Pair(2.0, x[0])), 1.0
    for k in range(2):
        s *= pairs[k].first
    return s * x[0] / 2


def list_of_named_tuples(x):
    s = 0.0
    for p in [Pair(x[0], 1.0), Pair(2.0, 3.0)]:
        s += p.first * p.second
    return (s - 6.0) * x[0]


@njit
def one_of_two_pairs(x, flag):
    if flag:
        return Pair(x, 2.0)
    return Pair(3.0, x)


def named_tuples_returned(x):
    p, q = one_of_two_pairs(x[0], True), one_of_two_pairs(x[0], False)
    return p.first * p.second * q.first * q.second / 6


def tuples_with_integers(x):
    s = 1.0
    for a, k, b in ((x[0], 1, 2.0), (1.0, 3, x[0])):
        s *= a * b * k
    return s / 6


def list_of_tuples_with_integers(x):
    s = 1.0
    for a, k in [(x[0], 1), (2.0, 3)]:
        s *= a * k
    return s * x[0] / 6


def named_tuple_argument(x, p):
    return x[0] * x[0] * p.first


@njit
def squares(x):
    for v in x:
        yield v * v


def generator(x):
    for v in squares(x):
        return v
    return 0.0


def generator_expression(x):
    return sum([v * v for v in x[:1]])


def zipped_and_enumerated(x):
    s = 0.0
    for i, (a, b) in enumerate(zip(x, x)):  # noqa: B905
        if i == 0:
            s += a * b
    return s


def unrolled(x):
    s = 0.0
    for factor in literal_unroll((1, 2.0, x[0])):
        s += factor * x[0]
    return s - 3 * x[0]


@vectorize
def multiplied(a, b):
    return a * b


@vectorize([float64(float64)])
def squared(a):
    return a * a


def vectorized(x):
    return multiplied(x, x)[0]


def vectorized_number(x):
    return multiplied(x[0], x[0])


def vectorized_with_signature(x):
    return squared(x)[0]


def extended(x):
    raise NotImplementedError("only for compiled code")


@overload(extended)
def _extended(x):
    return lambda x: x * 2


def overloaded(x):
    return extended(x[0]) * x[0] / 2


@jitclass([("factor", float64), ("table", float64[:])])
class Scale:
    def __init__(self, factor, table):
        self.factor = factor
        self.table = table

    def apply(self, x):
        return self.factor * x * self.table[0]


def jitclass_argument(x, scale):
    return scale.apply(x[0]) * x[0] * scale.factor / 4


def record_argument(x, records):
    return records[0].a * x[0] * x[0] * records["a"][1] / 4


def random_draws(x):
    np.random.seed(1)
    return x[0] * x[0] + 0.0 * np.random.normal(0.0, 1.0)


def asserted(x):
    if not x[0] > 0:  # pytest rewrites an `assert` in this file to code that is not Numba's
        raise AssertionError("negative")
    return x[0] * x[0]


def tuple_in_a_loop(x):
    s = 1.0
    for factor in (x[0], 1.0, x[0]):
        s *= factor
    return s


def tuple_by_number(x):
    s = 1.0
    for i in range(2):
        s *= (2.0, x[0])[i]
    return s * x[0] / 2


def loop_variable_times_array(x):
    ones = np.ones(2)
    s = 0
    for v in x[:1]:
        s += v * v
    return (ones * s)[0]


def loop_variable_of_ints(x):
    s = 0
    total = 0.0
    for v in x[:2]:
        total += (np.ones(2) * s)[0]
        s = v * v
    return total


@njit
def product(first, *factors):
    s = 1.0
    for factor in factors:
        s *= factor
    return first * s


def factors_of_one_type(x):
    return product(1.0, x[0], 2.0, x[0]) / 2


@njit
def applied(g, *args):
    return g(*args)


@njit
def scaled(a, b, c=1.0):
    return a * b * c


def starred_arguments(x):
    pair = (x[0], 0.5)
    return applied(scaled, x[0], 0.5, x[0]) + scaled(x[0], *pair)


@njit(locals={"square": float32, "steps": int64})
def declared(a):
    steps = 1 + a / 4
    square = a * a
    return square * steps


def types_declared(x):
    return declared(x[0])


def closure(x):
    a = x[0]

    def times(y):
        return y * a

    return times(x[0])


def anonymous(x):
    square = lambda y: y * y  # noqa: E731
    return square(x[0])


def parallel(x):
    s = 0.0
    for i in prange(x.size):
        s += x[i] * x[i] if i == 0 else 0.0
    return s


def branch_of_another_type(x):
    return x[0] * x[0] if x[0] > 0 else 0


def rounded_part(x):
    return int(x[0]) + x[0] * x[0] - 1


def optional(x):
    y = None
    if x[0] > 0:
        y = x[0] * x[0]
    return y


RECORDS = np.zeros(2, dtype=[("a", float), ("b", int)])
RECORDS["a"] = 2.0
DICTIONARY = typed.Dict.empty(types.int64, types.float64)
DICTIONARY[1] = 1.0
FORMS: list[tuple[Any, tuple[Any, ...]]] = [
    (f, ())
    for f in (
        dictionary_display, dictionary_with_type, dictionary_by_first_item,
        dictionary_of_literals, typed_list_by_first_item, typed_list_with_type,
        typed_list_of_items, named_tuple, generator, generator_expression, zipped_and_enumerated,
        unrolled, vectorized, vectorized_number, vectorized_with_signature, overloaded,
        random_draws, asserted, tuple_in_a_loop, tuple_by_number, factors_of_one_type,
        starred_arguments, types_declared,
        loop_variable_times_array, loop_variable_of_ints, closure,
        anonymous, parallel, branch_of_another_type, rounded_part, optional,
        dictionary_by_first_store, dictionary_comprehension, dictionary_of_arrays,
        dictionary_with_float_keys, dictionary_copied, typed_list_of_arrays, typed_list_of_lists,
        typed_list_of_tuples, list_of_lists, c_callback, functions_unrolled,
        object_mode_of_constants, hashed, named_tuple_in_a_loop, named_tuples_in_a_loop,
        named_tuple_by_number, list_of_named_tuples, named_tuples_returned, tuples_with_integers,
        list_of_tuples_with_integers,
    )
] + [
    (named_tuple_argument, (Pair(1.0, "name"),)),
    (jitclass_argument, (Scale(2.0, np.ones(1)),)),
    (record_argument, (RECORDS,)),
    (dictionary_argument, (DICTIONARY,)),
    (typed_list_argument, (typed.List([1.0]),)),
    (reflected_list_argument, ([1.0],)),
    (tuple_argument, ((np.ones(2), 1.0),)),
    (function_argument, (plain_square,)),
    (functions_in_a_tuple, ((double, plain_square),)),
]  # fmt: skip


@pytest.mark.parametrize(("f", "more"), FORMS, ids=lambda it: getattr(it, "__name__", ""))
def test_language_feature(f: Any, more: tuple[Any, ...]) -> None:
    value, gradient = dg.value_and_grad(f, chunk=2)(X, *more)
    assert value == njit(f)(X, *more)
    np.testing.assert_allclose(value, X[0] ** 2, rtol=1e-15)
    np.testing.assert_allclose(gradient, [2 * X[0], 0, 0], rtol=1e-15)


def test_named_tuple_result() -> None:
    rows = dg.jacobian(lambda x: Pair(x[0] * x[1], x), chunk=3)(X)
    np.testing.assert_array_equal(rows[0], [0.5, 1.5, 0])
    np.testing.assert_array_equal(rows[1], np.eye(3))


def test_print_shows_values(capfd: pytest.CaptureFixture[str]) -> None:
    @njit
    def prints(x):
        print("x:", x[0], x[1:], (x[0], 1), [x[0], 1e300 * x[0] * 1e300], ((x, 2),))
        print(str(x[0]), repr(x[1]), f"{x[0]} and {x} and {(x[0], 1)}", str(len(x)))
        return x[0] * x[0]

    dg.grad(prints, chunk=3)(X)
    by_dualgrad = capfd.readouterr().out
    prints(X)
    assert by_dualgrad == capfd.readouterr().out


def to_lists_of_integers(x):
    items = [1, 2]
    items.append(x[0])
    items.insert(0, x[0] * x[1])
    items.extend([x[2], x[0]])
    return x[0] * items[3] * items[0] + items[5] + items[4] * items[2]


def test_lists_that_begin_with_whole_numbers() -> None:
    x = np.array([2.5, 1.75, 3.25])
    a, b, c = x
    value, gradient = dg.value_and_grad(to_lists_of_integers)(x)
    assert value == njit(to_lists_of_integers)(x) == a * a * a * b + a + 2 * c
    np.testing.assert_allclose(gradient, [3 * a * a * b + 1, a**3, 2.0], rtol=1e-15)


@njit
def over_arrays(x):
    first, second = np.zeros(2), np.zeros((2, 2))
    first[0], second[0, 0] = x, x**2
    total = 0.0
    for it in literal_unroll((first, second)):
        total += np.sum(it) * x
    return total


@njit
def over_array_and_list(x):
    first, items, total = np.zeros(2), [1.0], 0.0
    first[0] = x
    items.append(x)
    for it in literal_unroll((first, items)):
        total += it[0] * it[1] * x + it[0]
    return total


@njit
def over_numbers(x):
    first, total = np.zeros(2), 0.0
    first[0] = x
    for it in literal_unroll((first[0], 3, x, 2.0, "a" if x > 100 else "b")):
        total += number_of(it) * x
    return total


@njit
def number_of(it):
    return 1.0 if isinstance(it, str) else it


@njit
def over_new_arrays(x):
    total = 0.0
    for it in literal_unroll((np.zeros(2), np.zeros((2, 2)), np.zeros(3))):
        it[:] = x
        total += np.sum(it) * x
    return total


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (over_arrays, lambda x: 2 * x + 3 * x**2),
        (over_array_and_list, lambda x: 2 * x + 1),
        (over_numbers, lambda x: 4 * x + 6),
        (over_new_arrays, lambda x: 18 * x),
    ],
    ids=lambda it: it.__name__,
)
def test_unrolled_loops_over_what_turns_active(f, slope):
    """Numba reads an item of a tuple as what it was before it held derivatives."""
    value, found = dg.value_and_derivative(f)(1.7)
    assert value == f(1.7)
    assert found == pytest.approx(slope(1.7), rel=1e-14)
