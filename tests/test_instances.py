"""Instances of jitclasses that hold derivatives.

The reference runs the same code in Python, on instances of the plain class, by complex steps.
"""

import numpy as np
import pytest
from numba import (
    boolean,
    complex128,
    float32,
    float64,
    int64,
    literal_unroll,
    njit,
    optional,
    types,
)
from numba.experimental import jitclass
from numba.typed import Dict, List

import dualgrad as dg
from tests.test_shared_memory import Node

X = np.array([2.0, 1.0, 0.5, -0.3])


def classes(of_body, of_pair):
    """The classes, decorated."""

    @of_body
    class Body:
        """Uses of all that a class may have."""

        def __init__(self, mass, position, velocity, gravity):
            self.mass = mass
            self.position = position.copy()
            self.velocity = velocity.copy()
            self.gravity = gravity
            self.steps = 0

        def kick(self, dt, times=1.0):
            for i in range(self.position.size):
                self.velocity[i] -= dt * times * self.gravity * self.position[i] / self.mass
            self.steps += 1

        def drift(self, dt):
            self.position += dt * self.velocity

        def moved(self, dt):
            return Body(self.mass, self.position + dt * self.velocity, self.velocity, self.gravity)

        @property
        def energy(self):
            return 0.5 * self.mass * np.sum(self.velocity**2) + self.potential(self.gravity)

        def potential(self, gravity):
            return self.scaled(gravity, np.sum(self.position**2))

        @staticmethod
        def scaled(a, b):
            return 0.5 * a * b

        @property
        def momentum(self):
            return self.mass * np.sum(self.velocity)

        @momentum.setter
        def momentum(self, value):
            self.velocity[:] = value / self.mass

        def __add__(self, other):
            mass = self.mass + other.mass
            position = (self.mass * self.position + other.mass * other.position) / mass
            return Body(mass, position, self.velocity + other.velocity, self.gravity)

        def __getitem__(self, k):
            return self.position[k]

        def __setitem__(self, k, value):
            self.position[k] = value

        def __len__(self):
            return self.position.size

    @of_pair
    class Pair:
        def __init__(self, first, second):
            self.first = first
            self.second = second

    return {"Body": Body, "Pair": Pair}


class Kinds:
    def __init__(self, x):
        self.single = x
        self.root = x * 1j + 1.0
        self.count = 3
        self.on = True
        self.name = "abc"
        self.numbers = np.arange(3)
        self.table = np.ones((2, 2)) * x
        self.series = List.empty_list(float64)
        self.series.append(x * x)


OF_BODY = [
    ("mass", float64), ("position", float64[::1]), ("velocity", float64[:]),
    ("gravity", float64), ("steps", int64),
]  # fmt: skip
PYTHONS = classes(lambda body: body, lambda pair: pair)
Body = PYTHONS["Body"]


def of_pair(pair):
    return jitclass([("first", BODY), ("second", BODY)])(pair)


def of_body(body):
    global BODY
    made = jitclass(OF_BODY)(body)
    BODY = made.class_type.instance_type
    return made


OF_NUMBA = classes(of_body, of_pair)
OF_BODIES = OF_NUMBA["Body"]
KINDS = jitclass([
    ("single", float32), ("root", complex128), ("count", int64), ("on", boolean),
    ("name", types.unicode_type), ("numbers", int64[::1]), ("table", float64[:, ::1]),
    ("series", types.ListType(float64)),
])(Kinds)  # fmt: skip


# Each is given the classes, and makes a function.


def constructed(Body, Pair):
    def f(x):
        body = Body(x[0], x[1:], np.zeros_like(x[1:]), 2.0)
        for _ in range(5):
            body.kick(0.1)
            body.drift(0.1)
        return body.energy + body.steps

    return f


def keywords(Body, Pair):
    def f(x):
        body = Body(x[0], np.ones_like(x[1:]), x[1:], x[1] ** 2)
        body.kick(times=x[2], dt=0.1)
        return body.energy

    return f


def fields_set_later(Body, Pair):
    def f(x):
        body = Body(1.0, np.zeros_like(x[1:]), np.zeros_like(x[1:]), 2.0)
        body.mass = x[0]
        body.position[1:] = x[1:3]
        body.velocity = x[1:] * x[0]
        return body.energy

    return f


def new_ones(Body, Pair):
    def f(x):
        body = Body(x[0], x[1:], x[1:] ** 2, x[3] ** 2)
        for _ in range(3):
            body = body.moved(0.1)
            body.kick(0.1)
        return body.energy

    return f


def operators(Body, Pair):
    def f(x):
        body = Body(1.0, np.ones_like(x[1:]), np.ones_like(x[1:]), 2.0) + Body(
            x[0], x[1:], np.zeros_like(x[1:]), 2.0
        )
        body[0] = body[1] * body[2]
        body.momentum = body.momentum * x[3]
        return body.energy * len(body)

    return f


def one_of_two(Body, Pair):
    def f(x):
        constant = Body(3.0, np.ones_like(x[1:]), np.ones_like(x[1:]), 2.0)
        body = Body(x[0], x[1:], np.zeros_like(x[1:]), 2.0) if x[0].real > x[3].real else constant
        body.drift(0.1)
        other = constant if x[0].real > x[3].real else Body(x[0], x[1:], np.zeros_like(x[1:]), 2.0)
        return body.energy * other.energy

    return f


def in_each_other(Body, Pair):
    def f(x):
        first = Body(1.0, np.ones_like(x[1:]), np.ones_like(x[1:]), 2.0)
        pair = Pair(first, Body(x[0], x[1:], np.ones_like(x[1:]), 2.0))
        pair.first.mass = pair.second.mass**2
        first.velocity *= x[3]
        pair.second = pair.second + first
        return first.energy + pair.first.energy + pair.second.energy

    return f


def in_a_list(Body, Pair):
    def f(x):
        bodies = [Body(x[k], np.full(3, x[3]), np.ones_like(x[1:]), 2.0) for k in range(3)]
        bodies.append(Body(1.0, np.ones_like(x[1:]), np.ones_like(x[1:]), 2.0))
        total = 0.0
        for body in bodies:
            body.kick(0.1)
            total += body.energy
        bodies[0].mass = total
        return bodies[0].energy

    return f


def in_a_tuple(Body, Pair):
    def f(x):
        bodies = (
            Body(x[0], x[1:], np.ones_like(x[1:]), 2.0),
            Body(1.0, np.ones_like(x[1:]), np.ones_like(x[1:]), 2.0),
        )
        bodies[1].mass = x[3]
        for body in bodies:
            body.kick(0.1)
        return bodies[0].energy * bodies[1].energy

    return f


FUNCTIONS = [
    constructed, keywords, fields_set_later, new_ones, operators, one_of_two, in_each_other,
    in_a_list, in_a_tuple,
]  # fmt: skip


def by_complex_steps(f, x):
    found = np.empty(x.size)
    for k in range(x.size):
        z = x.astype(complex)
        z[k] += 1e-30j
        found[k] = f(z).imag / 1e-30
    return found


@pytest.mark.parametrize("make", FUNCTIONS, ids=lambda make: make.__name__)
def test_made_by_the_function(make):
    f = njit(make(**OF_NUMBA))
    expected = by_complex_steps(make(**PYTHONS), X)
    value, found = dg.value_and_grad(f)(X)
    assert value == f(X)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)


@njit
def of_argument(x, body, table):
    body.mass = x[0]
    body.position[:] = x[1:] * table
    body.kick(0.1)
    body.drift(0.1)
    return body.energy + body.steps


def a_body():
    return OF_BODIES(1.0, np.ones(3), np.arange(3.0), 2.0)


def of_argument_in_python(x):
    body = Body(1.0 + 0j, np.ones(3) + 0j, np.arange(3.0) + 0j, 2.0)
    return of_argument.py_func(x, body, np.ones(3))


SLOPES = by_complex_steps(of_argument_in_python, X)
CURVATURE = np.array(
    [
        [(by_complex_steps(of_argument_in_python, X + h) - SLOPES)[k] / 1e-6 for k in range(4)]
        for h in 1e-6 * np.eye(4)
    ]
)
FORMS = {
    "chunks": lambda body: dg.grad(of_argument, chunk=2)(X, body, np.ones(3)),
    "lanes in all": lambda body: dg.grad(of_argument)(X, body, np.ones(3)),
    "parallel": lambda body: dg.grad(of_argument, chunk=1, parallel=True)(X, body, np.ones(3)),
    "jvp": lambda body: np.array(
        [dg.jvp(lambda x: of_argument(x, body_of(x), np.ones(3)))((X,), (v,))[1] for v in np.eye(4)]
    ),
    "vmap": lambda body: dg.vmap(dg.grad(of_argument), in_axes=(0, None, None))(
        np.stack([X, X]), body, np.ones(3)
    )[1],
}


@njit
def body_of(x):
    return OF_BODIES(1.0, np.ones(3), np.arange(3.0), 2.0)


@pytest.mark.parametrize("name", FORMS)
def test_arguments(name):
    body = a_body()
    np.testing.assert_allclose(FORMS[name](body), SLOPES, rtol=1e-14)
    assert (body.mass, body.steps) == (1.0, 0)
    np.testing.assert_array_equal(body.position, np.ones(3))
    np.testing.assert_array_equal(body.velocity, np.arange(3.0))


def test_second_derivatives():
    found = dg.hessian(of_argument)(X, a_body(), np.ones(3))
    np.testing.assert_allclose(found, CURVATURE, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found, found.T, rtol=1e-14)
    by_products = dg.hvp(lambda x: of_argument(x, body_of(x), np.ones(3)))
    np.testing.assert_allclose([by_products((X,), (v,)) for v in np.eye(4)], found, rtol=1e-14)


slope_inside = dg.grad(of_argument)


@njit
def of_slope(x, body):
    body.gravity = x[3]
    inner = slope_inside(x, body, np.ones(3))
    return inner @ inner + body.mass


def test_transform_that_is_given_one_inside():
    def slope(x, gravity):
        h, found = 1e-30, []
        for k in range(4):
            z = x + h * 1j * (np.arange(4) == k)
            body = Body(1.0 + 0j, np.ones(3) + 0j, np.arange(3.0) + 0j, gravity)
            found.append(of_argument.py_func(z, body, np.ones(3)).imag / h)
        return np.array(found)

    def whole(x):
        inner = slope(x, x[3])
        return inner @ inner

    body = a_body()
    found = dg.grad(of_slope)(X, body)
    expected = [(whole(X + h) - whole(X - h)) / 2e-6 for h in 1e-6 * np.eye(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)
    assert body.gravity == 2.0


@njit
def in_containers(x, bodies, named, both):
    bodies[1].mass = x[0]
    named["a"].position[0] = x[1]
    both[0].velocity[:] = x[2]
    both[1][0] += 1.0
    return bodies[1].energy + bodies[0].energy + named["a"].energy * both[0].energy * both[1][0]


def test_in_containers_that_are_arguments():
    def arguments():
        named = Dict.empty(types.unicode_type, BODY)
        named["a"] = a_body()
        return List([a_body(), a_body()]), named, (a_body(), np.ones(1))

    found = dg.grad(in_containers)(X, *arguments())
    # the energy is m v.v / 2 + g p.p / 2, with v.v = 5, p.p = 3, g = 2 and m = 1 at first
    named, both = 0.5 * 5.0 + 2.0 + X[1] ** 2, 0.5 * 3 * X[2] ** 2 + 3.0
    expected = [2.5, 2.0 * X[1] * both * 2.0, named * 3.0 * X[2] * 2.0, 0.0]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


# --------------------------------------------------------------------------- fields of all kinds


@njit
def kinds_of_fields(x):
    it = KINDS(x)
    it.numbers[1] += it.count
    it.table[0, 1] = 2.0 * x
    it.series.append(x)
    total = it.single + it.root.imag * it.root.real + it.count * it.numbers[1]
    return total + np.sum(it.table) + it.series[0] * it.series[1] + len(it.name) * it.on


def test_kinds_of_fields():
    value, slope = dg.value_and_derivative(kinds_of_fields)(0.3)
    assert value == kinds_of_fields(0.3)
    assert slope == pytest.approx(1.0 + 1.0 + 5.0 + 3 * 0.3**2, rel=1e-15)


@njit
def kinds_of_argument(x, it):
    it.single = x
    it.count = x
    it.series[0] = x
    it.numbers[0] += 1
    return it.single * it.series[0] * it.count + it.numbers[0]


def test_kinds_of_an_argument():
    it = KINDS(1.0)
    value, slope = dg.value_and_derivative(kinds_of_argument)(2.7, it)
    assert (it.single, it.count, it.series[0], it.numbers[0]) == (1.0, 3, 1.0, 0)
    # float32 rounds the value alone; a whole number is a constant
    assert slope == pytest.approx(2.0 * (np.float32(2.7) + 2.7), rel=1e-15)
    assert value == kinds_of_argument(2.7, it)
    assert it.numbers[0] == 1


@jitclass([("whole", float64[::1]), ("part", float64[::1])])
class Workspace:
    def __init__(self, n):
        self.whole = np.zeros(n)
        self.part = self.whole[1:]


@njit
def in_parts(x, workspace):
    workspace.part[0] = x
    return workspace.whole[1] * 2.0


@njit
def parts_made_inside(x):
    workspace = Workspace(3)
    workspace.part[0] = x
    workspace.part[1] += x**2
    return workspace.whole[1] * workspace.whole[2]


def test_fields_that_are_parts_of_others():
    assert dg.derivative(parts_made_inside)(2.0) == pytest.approx(12.0, rel=1e-15)
    assert dg.derivative(in_parts)(2.0, Workspace(3)) == 2.0


@jitclass([
    ("number", optional(float64)), ("array", optional(float64[::1])), ("body", optional(BODY)),
    ("pair", types.UniTuple(float64, 2)), ("arrays", types.Tuple([int64[::1], float64[::1]])),
])  # fmt: skip
class Perhaps:
    def __init__(self, x):
        self.number = x
        self.array = None
        self.body = None
        self.pair = (x, 1.0)
        self.arrays = (np.arange(2), np.ones(2))


@njit
def what_may_be_none(x, it):
    total = it.number * it.pair[0] if it.array is None else 0.0
    it.number = None
    it.array = np.ones(2) * x
    it.body = OF_BODIES(x, it.array, it.array, 2.0)
    it.pair = (x, x * it.pair[1])
    it.arrays[0][0] += 2
    it.arrays[1][0] = x
    if it.number is None and it.array is not None and it.body is not None:
        total += it.body.mass * it.array[1] * it.pair[1] * it.arrays[0][0] * it.arrays[1][0]
    return total


@njit
def made_of_what_may_be_none(x):
    return what_may_be_none(x, Perhaps(x))


def test_fields_that_may_be_none():
    it = Perhaps(3.0)
    assert dg.derivative(what_may_be_none)(2.0, it) == 2 * 4 * 2.0**3  # 2 x^4
    assert (it.number, it.array, it.body, it.pair) == (3.0, None, None, (3.0, 1.0))
    np.testing.assert_array_equal(it.arrays[0], np.arange(2))
    assert dg.derivative(made_of_what_may_be_none)(2.0) == 2 * 4 * 2.0**3 + 2 * 2.0


# -------------------------------------------------------------------------------- refused


@njit
def linked(x):
    return Node(np.ones(2) * x, Node(np.ones(2), None)).value[0]


@njit
def made_of(x, args):
    return OF_BODIES(*args).energy * x


def test_refused():
    with pytest.raises(dg.NotDifferentiable, match="a jitclass that links to others, holds"):
        dg.derivative(linked)(2.0)


def test_arguments_in_a_tuple():
    args = (2.0, np.ones(3), np.ones(3), 2.0)
    assert dg.derivative(made_of)(2.0, args) == made_of(1.0, args)


@njit
def of_star(x):
    pair = x[1:], np.ones(3)
    return OF_BODIES(x[0], *pair, 2.0).energy


def test_constructors_given_star_arguments():
    # p.p + m * 3 / 2
    np.testing.assert_allclose(dg.grad(of_star)(X), [1.5, *2 * X[1:]], rtol=1e-15)


@njit
def of_unset(x, body, unset):
    unset.position = x[1:] * 1.0
    body.kick(0.1)
    return np.sum(unset.position) * body.position[0]


@jitclass([("pair", types.UniTuple(BODY, 2)), ("lists", types.ListType(float64)),
           ("position", float64[::1])])  # fmt: skip
class Unset:
    def __init__(self):
        self.position = np.ones(2)


def test_objects_that_were_never_set():
    np.testing.assert_array_equal(dg.grad(of_unset)(X, a_body(), Unset()), [0.0, 1.0, 1.0, 1.0])


def scaled_number(scale):
    @jitclass([("number", float64), ("table", float64[:])])
    class Scaled:
        def __init__(self, number, table):
            self.number = number
            self.table = table

        def value(self):
            return self.number * scale + self.table[0]

    return Scaled


Double, Triple = scaled_number(2), scaled_number(3)


@njit
def over_two_classes(x):
    total = 0.0
    for it in literal_unroll((Double(x[0], x), Triple(1.0, np.ones(2)))):
        it.number *= x[1]
        total += it.value() * x[2]
    return total


def test_unrolled_loop_over_two_classes():
    expected = by_complex_steps(
        lambda x: ((2 * x[0] + 3) * x[1] + x[0] + 1) * x[2], np.array([2.0, 1.5, 5.0])
    )
    found = dg.grad(over_two_classes)(np.array([2.0, 1.5, 5.0]))
    np.testing.assert_allclose(found, expected, rtol=1e-15)


@njit
def returned(x):
    return OF_BODIES(x, np.ones(3), np.ones(3), 2.0)


def test_their_name_in_messages():
    with pytest.raises(TypeError, match=r"returns Body\b"):
        dg.derivative(returned)(1.0)
