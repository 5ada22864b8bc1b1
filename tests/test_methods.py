"""Methods that are a user's code: of jitclasses, of structures, and given by `@overload`."""

import operator

import numpy as np
import pytest
from numba import float64, int64, njit, types
from numba.experimental import jitclass, structref
from numba.extending import overload, overload_attribute, overload_method

import dualgrad as dg

X = np.linspace(0.5, 1.5, 7)


@jitclass([("calls", int64), ("factor", float64)])
class Counter:
    """All that it does counts."""

    def __init__(self):
        self.calls, self.factor = 0, 0.0

    def __getitem__(self, place):
        self.calls += 1
        return self.calls + 0 * place

    def __setitem__(self, place, value):
        self.calls += value

    def __len__(self):
        self.calls += 1
        return self.calls

    def __add__(self, other):
        self.calls += 1
        return self.calls * other

    def __iadd__(self, other):
        self.calls += other
        return self

    def __neg__(self):
        self.calls += 1
        return -self.calls

    def __contains__(self, item):
        self.calls += 1
        return self.calls > 1

    def __bool__(self):
        self.calls += 1
        return self.calls > 1

    def __float__(self):
        self.calls += 1
        return 1.0 * self.calls

    def __eq__(self, other):
        self.calls += 1
        return self.calls > 1

    def count(self, step):
        self.calls += step
        return self.calls

    @property
    def drawn(self):
        return self.factor

    @drawn.setter
    def drawn(self, scale):
        self.factor = scale * np.random.random()


def by_item(x, counter):
    return np.sum(x**2) * counter[1]


def by_item_of_variable(x, counter):
    return np.sum(x**2) * counter[x.size]


def by_assignment(x, counter):
    counter[0] = 2
    return np.sum(x**2) * counter.calls


def by_length(x, counter):
    return np.sum(x**2) * len(counter)


def by_operator(x, counter):
    return np.sum(x**2) * (counter + 2.0)


def by_operator_in_place(x, counter):
    counter += 3
    return np.sum(x**2) * counter.calls


def by_sign(x, counter):
    return np.sum(x**2) * -counter


def by_membership(x, counter):
    return np.sum(x**2) * (2.0 if 5 in counter else 1.0)


def by_truth(x, counter):
    return np.sum(x**2) * (2.0 if counter else 1.0)


def by_negation(x, counter):
    return np.sum(x**2) * (2.0 if not counter else 1.0)


def by_conversion(x, counter):
    return np.sum(x**2) * float(counter)


def by_function_of_operator(x, counter):
    return np.sum(x**2) * operator.add(counter, 2.0)


def by_comparison_of_items(x, counter):
    return np.sum(x**2) * ([counter].count(counter) + counter.calls)


def by_comparison_of_tuples(x, counter):
    return np.sum(x**2) * ((counter, 1) == (counter, 1)) * counter.calls


def by_inequality(x, counter):
    return np.sum(x**2) * (1.0 if counter != counter else 2.0)


def by_method_like_a_lists(x, counter):
    return np.sum(x**2) * counter.count(*(1,))


def by_setter(x, counter):
    counter.drawn = 2.0
    return np.sum(x**2) * counter.factor


def by_overloaded_operator(x, counter):
    return np.sum(x**2) * (counter * 2.0)


def add(counter, factor):
    """A function that has the name of an operator, and nothing to do with it."""
    raise NotImplementedError


@overload(add)
def _add(counter, factor):
    def add(counter, factor):
        counter.calls += 5
        return counter.calls * factor

    return add


def by_function_named_as_operator(x, counter):
    return np.sum(x**2) * add(counter, 2.0)


def by_overloaded_method(x, counter):
    return np.sum(x**2) * counter.once()


def by_overloaded_attribute(x, counter):
    return np.sum(x**2) * counter.twice


@overload(operator.mul)
def _times(counter, factor):
    if isinstance(counter, types.ClassInstanceType):

        def times(counter, factor):
            counter.calls += 1
            return counter.calls * factor

        return times


@overload_method(types.ClassInstanceType, "once")
def _once(counter):
    def once(counter):
        counter.calls += 1
        return counter.calls

    return once


@overload_attribute(types.ClassInstanceType, "twice")
def _twice(counter):
    def twice(counter):
        counter.calls += 2
        return counter.calls

    return twice


OPERATIONS = [
    by_item, by_item_of_variable, by_assignment, by_length, by_operator, by_operator_in_place,
    by_sign, by_membership, by_truth, by_negation, by_conversion, by_function_of_operator,
    by_comparison_of_items, by_comparison_of_tuples, by_inequality, by_method_like_a_lists,
    by_setter, by_function_named_as_operator, by_overloaded_operator, by_overloaded_method,
    by_overloaded_attribute,
]  # fmt: skip


@njit
def seed():
    np.random.seed(1)


@pytest.mark.parametrize("f", OPERATIONS)
def test_special_methods_that_write(f):
    counter, compiled = Counter(), njit(f)
    seed()
    expected = compiled(X, Counter())
    seed()
    value, gradient = dg.value_and_grad(f, chunk=2)(X, counter)
    assert value == expected
    np.testing.assert_allclose(gradient, 2 * X * value / np.sum(X**2), rtol=1e-14)
    assert (counter.calls, counter.factor) == (0, 0.0)


def test_what_a_special_method_is_given():
    gradient = dg.grad(lambda x, counter: counter + x[0] ** 3, chunk=2)(X, Counter())
    np.testing.assert_allclose(gradient, [3 * X[0] ** 2, 0, 0, 0, 0, 0, 0], rtol=1e-15)


@jitclass([("calls", float64)])
class Marked:
    def __init__(self, counts):
        counts[0] += 1
        self.calls = counts[0]

    def times(self, factor, power):
        return np.random.random() * factor**power


def by_constructor(x, counts):
    return np.sum(x**2) * Marked(counts).calls


@njit
def by_tuple_of_arguments(x, *factors):
    return np.sum(x**2) * Marked(np.zeros(1)).times(*factors)


@overload_method(types.Array, "count")
def _count(self, step=1):
    def count(self, step=1):
        self[0] += step
        return self[0]

    return count


@overload_method(types.Array, "blurred")
def _blurred(self):
    return lambda self: self * np.random.random()


@overload_attribute(types.Array, "doubled")
def _doubled(self):
    def doubled(self):
        result = np.zeros(self.size)
        for k in range(self.size):
            result[k] = 2 * self[k]
        return result

    return doubled


@overload_attribute(types.Array, "dice")
def _dice(self):
    return lambda self: np.random.random()


@overload_method(types.Float, "squared")
def _squared(self):
    return lambda self: self * self


@overload_attribute(types.Float, "half")
def _half(self):
    return lambda self: self / 2


def by_method(x, counts):
    return np.sum(x**2) * counts.count()


def by_method_with_name(x, counts):
    return np.sum(x**2) * counts.count(step=2)


def by_attribute(x, counts):
    return np.sum(x.doubled * x)


def by_method_of_number(x, counts):
    return np.sum(np.array([item.squared() for item in x]))


def by_attribute_of_number(x, counts):
    return np.sum(np.array([item.half * item for item in x]))


def by_method_of_buffer(x, counts):
    y = 1.0 * x
    y.count(0)
    return np.sum(y * x)


OVERLOADED = [
    by_method, by_method_with_name, by_attribute, by_method_of_number, by_attribute_of_number,
    by_method_of_buffer, by_constructor,
]  # fmt: skip


@pytest.mark.parametrize("f", OVERLOADED)
def test_overloaded_methods(f):
    counts = np.zeros(1)
    value, gradient = dg.value_and_grad(f, chunk=2)(X, counts)
    assert value == njit(f)(X, np.zeros(1))
    np.testing.assert_allclose(gradient, 2 * X * value / np.sum(X**2), rtol=1e-14)
    assert counts == 0


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x.blurred() * x),
        lambda x: np.sum(x**2) * x.dice,
        lambda x: by_tuple_of_arguments(x, 1.0, 2.0),
    ],
    ids=["method", "attribute", "tuple"],
)
def test_methods_that_draw(f):
    value, gradient = dg.value_and_grad(f, chunk=2)(X)
    np.testing.assert_allclose(gradient, 2 * X * value / np.sum(X**2), rtol=1e-14)


@structref.register
class PairType(types.StructRef):
    pass


class Pair(structref.StructRefProxy):
    def __new__(cls, a, b):
        return structref.StructRefProxy.__new__(cls, a, b)


structref.define_proxy(Pair, PairType, ["a", "b"])


@overload_method(PairType, "both")
def _both(self):
    return lambda self: self.a * self.b


@overload_method(PairType, "count")
def _count(self):
    def count(self):
        self.a += 1.0
        return self.a

    return count


def test_methods_of_structures():
    found = dg.grad(lambda x, pair: np.sum(x**2) * pair.both(), chunk=2)(X, Pair(2.0, 3.0))
    np.testing.assert_allclose(found, 12 * X, rtol=1e-15)
    with pytest.raises(TypeError, match=r"'pair' is written to, and .* cannot be copied for each"):
        dg.grad(lambda x, pair: np.sum(x**2) * pair.count())(X, Pair(2.0, 3.0))
