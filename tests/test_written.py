"""Arguments that a function writes to: to every sweep they come as they are, and so they stay."""

import ctypes
from array import array
from collections import namedtuple

import numpy as np
import pytest
from numba import float64, int64, njit, typeof, types
from numba.experimental import jitclass
from numba.typed import Dict, List

import dualgrad as dg
from dualgrad.compile.activity import summarise

X = np.linspace(0.5, 1.5, 7)
memset = ctypes.CDLL(None).memset
memset.argtypes, memset.restype = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t], ctypes.c_void_p


@njit
def to_list(x, log):
    log.append(1)
    return np.sum(x**2) * len(log)


@njit
def to_dict(x, seen):
    seen[len(seen)] = 1
    return np.sum(x**2) * len(seen)


@njit
def to_first_array(x, arrays):
    arrays[0][0] += 1
    return np.sum(x**2) * arrays[0][0]


@njit
def to_buffer(x, arrays):
    arrays[0] += 1
    return np.sum(x**2) * arrays[0]


@njit
def to_memory_of_array(x, counts):
    np.frombuffer(counts, np.int64)[0] += 1
    return np.sum(x**2) * counts[0]


Both = namedtuple("Both", "factor counts")
first_of_square = dg.vmap(njit(lambda x, counts: x**2 + 0 * counted(counts)), in_axes=(0, None))


@njit
def counted(counts):
    counts[0] += 1
    return counts[0]


@njit
def counted_twice(counts):
    counts[0] += 2
    return counts[0]


@njit
def to_item_of_named_tuple(x, counts):
    Both(2.0, counts).counts[0] += 1
    return np.sum(x**2) * counts[0]


@njit
def to_field_of_new_instance(x, table):
    Counter(table).table[0] += 1
    return np.sum(x**2) * table[0]


@njit
def to_field_that_was_set(x, table):
    counter = Counter(np.zeros(1))
    counter.table = table
    counter.table[0] += 1
    return np.sum(x**2) * table[0]


@njit
def to_item_of_new_list(x, counts):
    List([counts])[0][0] += 1
    return np.sum(x**2) * counts[0]


@njit
def to_argument_of_either(x, counts):
    function = counted if x[0] > 0 else counted_twice
    return np.sum(x**2) * function(counts)


@njit
def to_argument_at_points(x, counts):
    return np.sum(first_of_square(x, counts)) * counts[0]


@njit
def by_address(x, counts):
    before = counts[0]
    memset(counts.ctypes.data, 1, 8)
    return np.sum(x**2) * (before + 1)


@njit
def to_list_by_del(x, log):
    del log[0]
    return np.sum(x**2) * len(log)


@njit
def to_dict_by_del(x, seen):
    del seen[0]
    return np.sum(x**2) * len(seen)


@njit
def to_set(x, seen):
    seen.add(len(seen))
    return np.sum(x**2) * len(seen)


@njit
def to_named(x, given):
    given.counts[0] += 1
    return np.sum(x**2) * given.counts[0] * given.factor


Given = namedtuple("Given", "factor counts")


@jitclass([("calls", int64), ("table", float64[:]), ("__hidden", float64)])
class Counter:
    def __init__(self, table):
        self.calls, self.table, self.__hidden = 0, table, 2.0

    def count(self):
        self.calls += 1
        self.table[0] += 1.0
        return self.calls * self.table[0] * self.__hidden

    def read(self):
        return self.table[1] * self.__hidden

    @property
    def next(self):
        self.calls += 1
        return self.calls * self.__hidden

    def count_in(self, table):
        table[0] += 1
        return table[0] * self.__hidden

    @staticmethod
    def count_anywhere(table):
        table[0] += 1
        return table[0]

    def keep(self, values):
        self.calls += 1
        return self.calls * values[0] * self.__hidden


@njit
def to_instance(x, counter):
    return np.sum(x**2) * counter.count()


@njit
def to_record(x, record):
    record.n += 1
    return np.sum(x**2) * record.n


@njit
def only_reads(x, counter):
    return np.sum(x**2) * counter.read()


@njit
def to_instance_by_property(x, counter):
    return np.sum(x**2) * counter.next


@njit
def to_argument_of_method(x, counter, counts):
    return np.sum(x**2) * counter.count_in(counts)


@njit
def to_argument_of_static_method(x, counter, counts):
    return np.sum(x**2) * counter.count_anywhere(counts)


@njit
def to_both(x, pair):
    pair[0][0] += 1
    pair[1][0] = x[0]
    return np.sum(x**2) * pair[0][0] + 0.0 * pair[1][0]


@njit
def to_both_inside(x, pairs):
    pairs[0][0][0] += 1
    pairs[0][1][0] = x[0]
    return np.sum(x**2) * pairs[0][0][0]


@njit
def beside_active(x, arrays):
    for counts, _ in zip(arrays, x):  # noqa: B905
        counts[0] += 1
    return np.sum(x**2) * arrays[0][0]


@njit
def beside_active_in_method(x, counter):
    return np.sum(x**2) * counter.keep(dg.value(x))


def one_of_each():
    return np.zeros(1, np.int64), np.zeros(1)


def counts_by_key():
    found = Dict.empty(types.int64, types.int64[::1])
    found[0] = np.zeros(1, np.int64)
    return found


def two_keys():
    found = Dict.empty(types.int64, types.int64)
    found[0] = found[1] = 1
    return found


ARGUMENTS = [
    (to_list, lambda: List([5]), len),
    (to_list, lambda: [5], len),
    (to_first_array, lambda: List([np.zeros(1, np.int64)]), lambda it: it[0][0]),
    (to_first_array, lambda: List([np.zeros(1)]), lambda it: it[0][0]),
    (to_dict, lambda: Dict.empty(types.int64, types.int64), len),
    (to_memory_of_array, lambda: np.zeros(1, np.int64), lambda it: it[0]),
    (to_item_of_named_tuple, lambda: np.zeros(1), lambda it: it[0]),
    (to_field_of_new_instance, lambda: np.zeros(1), lambda it: it[0]),
    (to_field_that_was_set, lambda: np.zeros(1), lambda it: it[0]),
    (to_item_of_new_list, lambda: np.zeros(1), lambda it: it[0]),
    (to_argument_of_either, lambda: np.zeros(1), lambda it: it[0]),
    (to_argument_at_points, lambda: np.zeros(1), lambda it: it[0]),
    (by_address, lambda: np.zeros(1), lambda it: it[0]),
    (to_list_by_del, lambda: List([5, 6, 7, 8, 9]), len),
    (to_list_by_del, lambda: [5, 6, 7, 8, 9], len),
    (to_dict_by_del, two_keys, len),
    (to_first_array, counts_by_key, lambda it: it[0][0]),
    (to_set, lambda: {7}, len),
    (to_named, lambda: Given(2, np.zeros(1, np.int64)), lambda it: it.counts[0]),
    (to_instance, lambda: Counter(np.ones(2)), lambda it: (it.calls, it.table[0])),
    (to_instance_by_property, lambda: Counter(np.ones(2)), lambda it: it.calls),
    (only_reads, lambda: Counter(np.ones(2)), lambda it: (it.calls, it.table[0])),
    (to_both, one_of_each, lambda it: (it[0][0], it[1][0])),
    (to_both_inside, lambda: (one_of_each(),), lambda it: (it[0][0][0], it[0][1][0])),
    (to_both_inside, lambda: List([one_of_each()]), lambda it: (it[0][0][0], it[0][1][0])),
    (beside_active_in_method, lambda: Counter(np.ones(2)), lambda it: (it.calls, it.table[0])),
    (beside_active, lambda: List([np.zeros(1, np.int64)]), lambda it: it[0][0]),
]


@pytest.mark.parametrize("f, make, look", ARGUMENTS)
def test_every_sweep_gets_arguments_as_they_came(f, make, look):
    given, before = make(), look(make())
    expected = f(X, make()) / np.sum(X**2) * 2 * X
    for _ in range(2):
        np.testing.assert_allclose(dg.grad(f, chunk=2)(X, given), expected, rtol=1e-14)
        assert look(given) == before


@njit
def derivatives_by_a_tuple(x, room):
    Both(1.0, room).counts[0] = x[0]
    return room[0] ** 2


@jitclass([("calls", int64)])
class Marked:
    def __init__(self, value, room):
        room[0] = value
        self.calls = 2


@njit
def derivatives_by_a_constructor(x, room):
    return Marked(x[0], room).calls * room[0] ** 2


@njit
def summed(x, total):
    total[0] += x
    return x * total[0]


sums = dg.vmap(summed, in_axes=(0, None))


def test_derivatives_written_in_roundabout_ways():
    room = np.zeros(1)
    for f, factor in [(derivatives_by_a_tuple, 1), (derivatives_by_a_constructor, 2)]:
        value, gradient = dg.value_and_grad(f, chunk=2)(X, room)
        assert value == factor * X[0] ** 2
        np.testing.assert_array_equal(gradient, [2 * factor * X[0], 0, 0, 0, 0, 0, 0])
    for f in (sums, njit(lambda x, total: sums(x, total))):
        found = dg.jacobian(f, chunk=2)(X, room)
        expected = np.tril(np.repeat(X[:, None], 7, axis=1)) + np.diag(np.cumsum(X))
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert room == 0


@pytest.mark.parametrize("f", [to_argument_of_method, to_argument_of_static_method])
def test_arguments_that_methods_write_to(f):
    counts = np.zeros(1)
    expected = f(X, Counter(np.ones(2)), counts.copy()) / np.sum(X**2) * 2 * X
    found = dg.grad(f, chunk=2)(X, Counter(np.ones(2)), counts)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert counts == 0


@pytest.mark.parametrize("f, written", [(only_reads, False), (to_instance, True)])
def test_methods_that_only_read_cost_no_copy(f, written):
    arg_types = typeof(X), typeof(Counter(np.ones(2)))
    assert summarise(f, arg_types, (True, False), False).written_args == (False, written)


@njit
def to_array_if_there(x, counts):
    if counts is None:
        return np.sum(x)
    counts[0] += 1
    return np.sum(x**2) * counts[0]


@njit
def up_to(x, indices):
    total = 0.0
    for k in indices:
        total += k * x[0] * x[-1]
    return total


gradient_if_there, gradient_up_to = dg.grad(to_array_if_there, chunk=2), dg.grad(up_to)


@njit
def optional(x, there):
    counts = None
    if there:
        counts = np.zeros(1, np.int64)
    return gradient_if_there(x, counts), counts


@njit
def iterator(x, n):
    return gradient_up_to(x, iter(range(n)))


def test_what_may_be_none():
    found, counts = optional(X, True)
    np.testing.assert_allclose(found, 2 * X, rtol=1e-15)
    assert counts[0] == 0
    np.testing.assert_array_equal(optional(X, False)[0], 1.0)


def test_what_cannot_be_copied():
    for given in (bytearray(1), array("l", [0]), memoryview(array("l", [0]))):
        with pytest.raises(TypeError, match=r"'arrays' is written to, and .* cannot be copied for"):
            dg.grad(to_buffer)(X, given)
    with pytest.raises(TypeError, match=r"'record' is written to, and .* cannot be copied for"):
        dg.grad(to_record)(X, np.zeros(1, [("n", "i8"), ("v", "f8")])[0])
    with pytest.raises(TypeError, match="'indices' is range_iter_int64, which one sweep would us"):
        iterator(X, 3)


@njit
def to_first_of_two(x, pair):
    pair[0][:] = x
    return np.sum(pair[1] ** 2)


@njit
def to_second_of_two(x, pair):
    pair[1][0] = 7.0
    return np.sum(x**2)


@njit
def to_one_of_two(x, a, b):
    a.table[0] += 1.0
    return np.sum(x**2) * b.table[0]


def test_one_instance_given_twice():
    counter = Counter(np.ones(2))
    np.testing.assert_allclose(dg.grad(to_one_of_two)(X, counter, counter), 4.0 * X, rtol=1e-15)
    found = dg.grad(to_one_of_two)(X, Counter(np.ones(2)), Counter(np.full(2, 3.0)))
    np.testing.assert_allclose(found, 6.0 * X, rtol=1e-15)


def test_memory_in_common_inside_of_tuples():
    buffer = np.zeros(X.size)
    with pytest.raises(ValueError, match="items of pair share memory, and the function writes"):
        dg.grad(to_first_of_two)(X, (buffer, buffer))
    with pytest.raises(ValueError, match="x and pair share memory, and the function writes"):
        dg.grad(to_second_of_two)(buffer, (X, buffer))
    np.testing.assert_allclose(dg.grad(to_second_of_two)(X, (buffer, buffer.copy())), 2 * X)


@njit
def bumped(row):
    row[0] += 1.0
    return row.sum()


@njit
def of_mapped(x, rows):
    total = 0.0
    for it in map(bumped, rows):
        total += it
    return x[0] * total + x[1] * rows[0][0]


@njit
def of_sorted(x, rows):
    ordered = sorted(rows, key=bumped)
    return x[0] * ordered[0][0] + x[1] * ordered[1][0]


@njit
def of_mapped_input(x):
    total = 0.0
    for it in map(bumped, x.reshape(2, 2)):
        total += it
    return total * x[0]


@pytest.mark.parametrize("make", [list, List, np.array])
def test_functions_that_builtins_call(make):
    rows, x = make([np.ones(2), np.ones(2)]), np.array([1.0, 2.0])
    value, slopes = dg.value_and_grad(of_mapped, chunk=1)(x, rows)
    assert (value, list(slopes)) == (10.0, [6.0, 2.0])
    np.testing.assert_array_equal(rows[0], np.ones(2))


def test_keys_that_write():
    rows, x = List([np.full(2, 3.0), np.arange(2.0)]), np.array([1.0, 2.0])
    assert list(dg.grad(of_sorted, chunk=1)(x, rows)) == [1.0, 4.0]
    np.testing.assert_array_equal(rows[1], np.arange(2.0))


@pytest.mark.parametrize("chunk", [1, 2, "auto"])
def test_functions_that_builtins_call_with_the_input(chunk):
    x = np.array([1.0, 2.0, 3.0, 4.0])
    value, slopes = dg.value_and_grad(of_mapped_input, chunk=chunk)(x)
    assert (value, list(slopes)) == (24.0, [14.0, 2.0, 2.0, 2.0])
