"""Memory in common inside of lists, dictionaries and instances: in copies too, or refused."""

import numpy as np
import pytest
from numba import deferred_type, float64, njit, optional, types
from numba.experimental import jitclass, structref
from numba.typed import Dict, List

import dualgrad as dg


def slope(f, *args):
    """The derivative by a number; the arguments, which `f` writes to, stay as they are."""
    return dg.derivative(f)(2.0, *args)


def typed(*items):
    return List(items)


# ------------------------------------------------------------------- lists of arrays


@njit
def doubled_twice(x, arrays):
    """Each array times two, as often as it is in the list, and the sum of the first."""
    for it in arrays:
        it *= 2.0
    return x * np.sum(arrays[0])


V = np.arange(1.0, 7.0)
M = np.arange(1.0, 13.0).reshape(4, 3)
LISTS = {
    "the same twice": ([V, V], 4 * 21.0),
    "another": ([V, V + 1], 2 * 21.0),
    "parts that meet": ([V[:4], V[2:]], 2 * (1 + 2) + 4 * (3 + 4)),
    "a chain of parts": ([V[:3], V[2:5], V[4:]], 2 * (1 + 2) + 4 * 3),
    "backwards": ([V[::-1], V[::-1][3:]], 2 * (6 + 5 + 4) + 4 * (1 + 2 + 3)),
    "columns": ([M[:, 0], M[:, 1]], 2.0 * (1 + 4 + 7 + 10)),
    "a column twice": ([M[:, 0], M[1:, 0]], 2 * 1 + 4 * (4 + 7 + 10)),
    "empty": ([V[:0], V[:0]], 0.0),
    "none with an empty one": ([V[2:2], V], 0.0),
}


@pytest.mark.parametrize("kind", [list, typed])
@pytest.mark.parametrize("name", LISTS)
def test_arrays_in_a_list(name, kind):
    arrays, expected = LISTS[name]
    before = [it.copy() for it in arrays]
    given = typed(*arrays) if kind is typed else arrays
    assert slope(doubled_twice, given) == expected
    for it, was in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(it, was)


def test_many_arrays_in_any_order():
    generator = np.random.default_rng(1)
    memory = generator.uniform(1, 2, 1000)
    starts = generator.permutation(500)
    arrays = [memory[start : start + 20] for start in starts]
    times = np.zeros(1000)
    for start in starts:
        times[start : start + 20] += 1
    expected = np.sum((memory * 2.0**times)[starts[0] : starts[0] + 20])
    assert slope(doubled_twice, typed(*arrays)) == pytest.approx(expected, rel=1e-15)


@njit
def through_keys(x, arrays):
    arrays["a"][0] += 1.0
    return x * arrays["b"][0]


def test_arrays_in_a_dictionary():
    arrays = Dict.empty(types.unicode_type, float64[::1])
    arrays["a"] = arrays["b"] = np.ones(2)
    assert slope(through_keys, arrays) == 2.0
    arrays["b"] = np.ones(2)
    assert slope(through_keys, arrays) == 1.0


@njit
def appended(x, lists):
    lists[0].append(x)
    lists[0].append(1.0)
    return x * len(lists[1])


@njit
def counted(x, lists):
    lists[0].append(1)
    return x * len(lists[1])


def test_one_list_twice_in_a_list():
    one = typed(1, 2)
    assert slope(counted, typed(one, one)) == 3.0
    assert slope(counted, typed(one, typed(1))) == 1.0
    assert len(one) == 2
    floats = typed(1.0)
    assert slope(appended, typed(floats, floats)) == 3.0
    assert slope(appended, typed(floats, typed(1.0, 2.0))) == 2.0


@njit
def derivative_in_first(x, arrays):
    arrays[0][0] = x
    return arrays[1][0] + arrays[0][0] * 3.0


def test_copies_that_take_derivatives():
    assert slope(derivative_in_first, typed(V, V)) == 4.0
    assert slope(derivative_in_first, typed(V, V.copy())) == 3.0
    assert slope(derivative_in_first, typed(V[::-2], V[5:0:-2])) == 4.0
    assert slope(derivative_in_first, typed(M[:, 0], M[:, 1])) == 3.0


@njit
def derivative_in_views(x, views):
    views[0][0][0] = x
    views[1][1, 0] = x * x
    return views[0][0][3] * views[1][0, 0]


def test_views_of_other_shapes_that_take_derivatives():
    flat = np.arange(1.0, 13.0)
    # the 4th number is the first of the second row
    assert slope(derivative_in_views, (typed(flat), flat.reshape(4, 3))) == 3 * 2.0**2
    assert slope(derivative_in_views, (typed(flat), flat.copy().reshape(4, 3))) == 0.0
    halves = np.arange(24.0).reshape(12, 2)[:, 0]
    assert slope(derivative_in_views, (typed(halves), halves.reshape(4, 3))) == 3 * 2.0**2


@njit
def derivative_in_floats(x, arrays):
    arrays[0][0][0] = x
    return arrays[0][0][0] * arrays[0][1][0]


def test_memory_of_two_types():
    with pytest.raises(ValueError, match="share memory in which the function keeps derivatives"):
        slope(derivative_in_floats, [(V, V.view(np.int64))])
    whole = np.arange(3)
    items = [(V, whole), (V, whole)]
    assert slope(derivative_in_floats, items) == 0.0
    assert slope(derivative_in_floats, [(V, whole + 1)]) == 1.0


# --------------------------------------------------------------------------- instances


@jitclass
class Space:
    memory: float64[::1]
    inner: float64[::1]
    backwards: float64[:]
    unset: types.ListType(types.float64)
    unset_pair: types.UniTuple(types.ListType(types.int64), 2)

    def __init__(self, n):
        self.memory = np.ones(n)
        self.inner = self.memory[1:]
        self.backwards = self.memory[::-1]


@njit
def through_parts(x, space):
    space.inner[0] += 2.0  # the second
    space.backwards[1] += 4.0  # the last but one
    return x * np.sum(space.memory * np.arange(space.memory.size))


def test_parts_of_an_array_of_the_instance():
    space = Space(5)
    assert slope(through_parts, space) == 10 + 2 + 4 * 3
    assert dg.grad(lambda x, space: through_parts(x[0], space))(V, space)[0] == 24.0
    np.testing.assert_array_equal(space.memory, np.ones(5))


@njit
def one_of_two(x, spaces):
    spaces[0].memory[0] += 2.0
    spaces[0].memory = spaces[0].memory * 2.0
    return x * spaces[1].memory[0]


def test_one_instance_twice_in_a_list():
    space = Space(2)
    assert slope(one_of_two, typed(space, space)) == 6.0
    assert slope(one_of_two, typed(space, Space(2))) == 1.0
    other = Space(2)
    other.memory = space.memory
    assert slope(one_of_two, typed(space, other)) == 3.0


@njit
def instance_and_array(x, space, array):
    space.memory[0] += 2.0
    return x * array[0]


@njit
def lists_and_array(x, lists, array):
    array[0] = x
    return x * lists[0][0]


@njit
def instance_in_tuple(x, pair):
    pair[0].memory[0] += 2.0
    return x * pair[1][0][0]


@njit
def input_and_list(x, lists):
    lists[0][0] = 5.0
    return np.sum(x * lists[1][0])


@njit
def counted_spaces(x, first, second, table):
    first.memory[1] += table[1]
    return x * second.memory[1] * table[1]


def test_arguments_that_hold_memory_of_others():
    space = Space(3)
    assert slope(instance_and_array, space, space.memory) == 3.0
    assert slope(instance_and_array, space, np.ones(2)) == 1.0
    with pytest.raises(ValueError, match="share memory in which the function keeps derivatives"):
        slope(lists_and_array, [V, V + 1], V[:2])  # `lists` is only read, so it holds floats
    assert slope(lists_and_array, [V, V + 1], np.ones(2)) == 1.0
    assert slope(instance_in_tuple, (space, (space.inner[-1:],))) == 1.0
    assert slope(instance_in_tuple, (space, (space.memory,))) == 3.0
    assert slope(counted_spaces, space, space, space.memory) == 4.0
    assert slope(counted_spaces, space, Space(3), np.ones(3)) == 1.0
    x = np.ones(3)
    with pytest.raises(ValueError, match="x and lists share memory, and the function writes"):
        dg.grad(input_and_list)(x, typed(x, x + 1))


@njit
def scaled_squares(x, arrays):
    return x**2 * arrays[-1]


def test_results_in_memory_of_a_list():
    x, out = np.array([1.0, 3.0, 5.0]), np.ones((3, 3))
    for row in range(3):
        out[row] = factors = [1.0, 2.0, 3.0]
        dg.jacobian(scaled_squares)(x, typed(np.ones(3), out[row]), out=out)
        np.testing.assert_array_equal(out, np.diag(2 * x * factors))


# ------------------------------------------------------------------- what is not copied

node = deferred_type()


@jitclass([("value", float64[::1]), ("next", optional(node))])
class Node:
    def __init__(self, value, following):
        self.value = value
        self.next = following


node.define(Node.class_type.instance_type)


@njit
def to_node(x, node):
    node.value[0] += 1.0
    return x * node.value[0]


@structref.register
class Pair(types.StructRef):
    pass


class PairProxy(structref.StructRefProxy):
    def __new__(cls, n):
        return structref.StructRefProxy.__new__(cls, n)


structref.define_proxy(PairProxy, Pair, ["n"])


@njit
def to_pair(x, pairs):
    pairs[0].n += 1
    return x * pairs[0].n


def test_refused_inside_of_others():
    with pytest.raises(TypeError, match="'node' is written to, and a linked jitclass cannot"):
        slope(to_node, Node(np.ones(2), Node(np.ones(2), None)))
    with pytest.raises(TypeError, match=r"'pairs' is written to, and .* cannot be copied for"):
        slope(to_pair, typed(PairProxy(1)))


@njit
def constants_in_common(x, lists, table):
    lists[0][0] += 1.0
    table[1] += 1.0
    return lists[0][1] * x[0] * x[1] * table[0]


@njit
def derivatives_in_common(x, lists, table):
    lists[0][0] = x[0] * x[1]
    table[1] += 1.0
    return lists[1][0] * x[2] + table[1]


inner = dg.grad(constants_in_common, chunk=1)


@njit
def around(x):
    table = np.ones(4) * x[0]
    lists = List()
    lists.append(table)
    lists.append(table)
    return np.sum(inner(x, lists, table))


@pytest.mark.parametrize("chunk", [1, 2, "auto"])
def test_every_sweep_gets_copies_with_memory_in_common(chunk):
    x, table = np.array([1.0, 2.0, 3.0]), np.arange(1.0, 5.0)
    found = dg.value_and_grad(constants_in_common, chunk=chunk)(x, typed(table, table + 1), table)
    assert (found[0], list(found[1])) == (12.0, [12.0, 6.0, 0.0])
    np.testing.assert_array_equal(table, np.arange(1.0, 5.0))
    both = typed(table, table)
    found = dg.value_and_grad(derivatives_in_common, chunk=chunk)(x, both, np.ones(3))
    assert (found[0], list(found[1])) == (8.0, [6.0, 3.0, 2.0])


def test_memory_of_derivatives_in_common():
    """A transform within another is given arrays of duals that share memory."""
    x = np.array([1.5, 2.0, 3.0])  # the inner gradient is (1 + a)^2 times (b, a)
    a, b, _ = x
    expected = [2 * (1 + a) * (a + b) + (1 + a) ** 2, (1 + a) ** 2, 0.0]
    np.testing.assert_allclose(dg.grad(around, chunk=1)(x), expected, rtol=1e-14)


@njit
def integers_and_bytes(x, integers, data):
    integers[0][0] = 7
    return x * data[0] * data[19]


def test_items_of_two_sizes_that_stay():
    data = np.ones(20, np.uint8)
    integers = typed(data[:16].view(np.int64))
    assert slope(integers_and_bytes, integers, data) == 7.0
    assert slope(integers_and_bytes, integers, data.copy()) == 1.0


@njit
def records_and_names(x, records, names):
    records[0][0].b += 1
    return x * records[1][0].b * len(names[1][0])


def test_arrays_of_records_and_of_text():
    records, names = np.ones(2, [("a", np.float64), ("b", np.int32)]), np.array(["ab", "c"])
    assert slope(records_and_names, typed(records, records[::1]), typed(names, names)) == 4.0
    assert slope(records_and_names, [records, records.copy()], [names, names]) == 2.0


@njit
def derivatives_in_fields(x, fields):
    fields[0][1] = x
    return fields[0][1] * fields[0][0] * fields[-1][2]


def test_fields_of_packed_records():
    """Items 12 bytes apart, which are no multiple of 8."""
    records = np.zeros(3, [("a", np.float64), ("b", np.int32)])
    records["a"] = [1.0, 2.0, 3.0]
    assert slope(derivatives_in_fields, typed(records["a"])) == 3.0
    with pytest.raises(ValueError, match="share memory in which the function keeps derivatives"):
        slope(derivatives_in_fields, typed(records["a"], records["a"]))


# -------------------------------------------------------------- what is no array, nor an object


@njit
def bytes_of_array(x, array, data):
    array[0] = 7
    return x * data[0]


@njit
def record_of_array(x, array, record):
    array[0].a += 1.0
    return x * record.a


@njit
def item_and_view(x, arrays, view):
    arrays[0][0] += 1.0
    return x * view[0]


def test_bytes_and_records():
    data = bytearray(8)
    with pytest.raises(ValueError, match="array and data share memory, and the function writes"):
        slope(bytes_of_array, np.frombuffer(data, np.uint8), data)
    assert slope(bytes_of_array, np.ones(8, np.uint8), data) == 0.0
    records = np.ones(2, [("a", np.float64)])
    with pytest.raises(ValueError, match="array and record share memory, and the function writes"):
        slope(record_of_array, records, records[0])
    assert slope(record_of_array, records, records.copy()[0]) == 1.0
    floats = np.ones(3)
    with pytest.raises(ValueError, match="arrays and view share memory, and the function writes"):
        slope(item_and_view, typed(floats), memoryview(floats))
    assert slope(item_and_view, typed(floats), memoryview(floats.copy())) == 1.0
