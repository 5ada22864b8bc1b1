"""What is refused, and in how few words: construct, line, reason and way out."""

from __future__ import annotations

import ctypes
import inspect
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import cfunc, float32, float64, literal_unroll, njit, objmode, types, vectorize
from numba.experimental import jitclass
from numba.typed import List

import dualgrad as dg

X = np.array([0.5, 1.0, 2.0])


# ------------------------------------------------------------------- constructs without a rule


def helper(x):
    return np.interp(x, X, X * 1j)[0].real  # here


def in_helper(x):
    return helper(x)


def object_mode(x):
    with objmode(y="float64"):  # here
        y = float(x[0])
    return y


c_sine = ctypes.CDLL(None).sin
c_sine.argtypes, c_sine.restype = [ctypes.c_double], ctypes.c_double


@vectorize([float32(float32)])
def rounded(a):
    return a * a


def rounding(x):
    return rounded(x)[0]


def foreign(x):
    return c_sine(x[0])  # here


def structured(x, r):
    r[0].a = x[0]  # here
    return r[0].a


@cfunc("float64(float64)")
def callback(a):
    return a * a


@njit
def double(a):
    return 2 * a


@njit("float64(float64)")
def square(a):
    return a * a


@njit("float64(float64)")
def cube(a):
    return a * a * a


def address(x, g):
    return g(x[0])  # here


def addresses(x, functions):
    return functions[int(x[0])](x[0])  # here


def addresses_unrolled(x, functions):
    s = 0.0
    for g in literal_unroll(functions):
        s += g(x[0])  # here
    return s


def function_by_branch(x):
    g = double if x[0] > 1.0 else square
    return g(x[0])  # here


LIBC_COSINE = types.ExternalFunction("cos", types.float64(types.float64))


def external(x):
    return LIBC_COSINE(x[0])  # here


def set_display(x):
    s = {x[0], 1.0}  # here
    return len(s) * x[0]


def set_filled(x):
    s = set()  # here
    s.add(x[0])
    return len(s) * x[0]


def key_stored(x):
    d = {1.0: 2.0}
    d[x[0]] = 1.0  # here
    return d[1.0]


def key_displayed(x):
    return {x[0]: 1.0}[0.5]  # here


def key_passed(x):
    d = {1.0: 2.0}
    return d.setdefault(x[0], 3.0)  # here


def field_array(x, r):
    r["a"][0] = x[0]  # here
    return r["a"][0]


def random_draw(x):
    return np.random.normal(x[0], 1.0)  # here


def object_mode_in_helper(x):
    return object_mode_helper(x)


@njit
def object_mode_helper(x):
    with objmode(y="float64"):  # here
        y = float(x[0])
    return y


def object_mode_writes(x):
    out = np.zeros(1)
    with objmode():  # here
        out[0] = 1.0
    out[0] += x[0]
    return out[0]


def address_of_array(x):
    return x[0] * x.ctypes.data  # here


REFUSED = [
    (address_of_array, (X,), "at ctypes"),
    (in_helper, (X,), "interp"),
    (rounding, (X.astype(np.float32),), "float32 signatures"),
    (object_mode, (X,), "object mode"),
    (foreign, (X,), "ExternalFunctionPointer"),
    (structured, (X, np.zeros(1, [("a", float)]).view(np.recarray)), "field of a record"),
    (address, (X, callback), "address"),
    (addresses, (X, (square, cube)), "address"),
    (addresses_unrolled, (X, (square, cube)), "address"),
    (function_by_branch, (X,), "address"),
    (external, (X,), "dg.custom_jvp"),
    (set_display, (X,), "a set of numbers"),
    (set_filled, (X,), "a set of numbers"),
    (key_stored, (X,), "a key that depends"),
    (key_displayed, (X,), "a key that depends"),
    (key_passed, (X,), "a key that depends"),
    (field_array, (X, np.zeros(1, [("a", float)])), "array of a record"),
    (random_draw, (X,), "random draw"),
    (object_mode_in_helper, (X,), "object mode"),
    (object_mode_writes, (X,), "object mode"),
]


@pytest.mark.parametrize(
    ("f", "args", "names"), REFUSED, ids=lambda it: getattr(it, "__name__", "")
)
def test_refusal(f: Callable[..., Any], args: Any, names: str) -> None:
    with pytest.raises(dg.NotDifferentiable) as caught:
        dg.grad(f)(*args)
    message = str(caught.value)
    assert len(message.splitlines()) <= 12
    assert names in message
    assert "reason:" in message
    assert "way out:" in message
    assert "dual(" not in message  # a user need not know what that is
    assert caught.value.__cause__ is not None
    helpers = {in_helper: helper, object_mode_in_helper: object_mode_helper.py_func}
    line = _marked_line(helpers.get(f, f))
    assert f"line {line}" in message
    assert __file__ in message


def _marked_line(f: Callable[..., Any]) -> int:
    lines, start = inspect.getsourcelines(f)
    marked = [k for k, line in enumerate(lines) if "# here" in line]
    return start + (marked[0] if marked else 0)


def test_object_mode_in_a_function_of_a_number() -> None:
    def f(x):
        with objmode(y="float64"):
            y = float(x)
        return y

    with pytest.raises(dg.NotDifferentiable, match=r"object mode(.|\n)*dg.custom_jvp"):
        dg.derivative(f)(1.0)


def test_function_that_numba_cannot_compile() -> None:
    def unknown(x):
        return undefined_name(x)  # noqa: F821

    with pytest.raises(dg.NotDifferentiable, match=r"undefined_name(.|\n)*njit first"):
        dg.grad(unknown)(X)


# --------------------------------------------------------------------------- wrong arguments


@njit
def total(x, y):
    return x[0] * y


@njit
def pair(x):
    return x * 2


@njit
def fills(x, out):
    out[:] = x


@njit
def none(x):
    x[0] = 1.0


class Model:
    def energy(self, x):
        return x @ x

    def __call__(self, x):
        return x @ x


def nested(x):
    return x[0], (x[0], x[1])


Z = np.zeros(3)
BAD = [
    # transform, keywords, arguments, error, what the message names
    (dg.grad, pair, {}, (X,), TypeError, r"returns array\(float64, 1d, C\); use dg.jacobian"),
    (dg.jacobian, total, {}, (X, 2.0), TypeError, "dg.grad"),
    (dg.grad, none, {}, (X,), TypeError, "out_argnum"),
    (dg.jacobian, none, {}, (X,), TypeError, "out_argnum"),
    (dg.grad, total, {"argnums": 2}, (X, 2.0), ValueError, "argnums.*2 arguments"),
    (dg.grad, total, {"argnums": -3}, (X, 2.0), ValueError, "argnums.*2 arguments"),
    (dg.grad, total, {"argnums": 1.0}, (X, 2.0), TypeError, "argnums"),
    (dg.grad, total, {"argnums": True}, (X, 2.0), TypeError, "argnums"),
    (dg.grad, total, {"argnums": "x"}, (X, 2.0), TypeError, "argnums"),
    (dg.grad, total, {"argnums": (0, 0)}, (X, 2.0), ValueError, "argnums.*different"),
    (dg.grad, total, {"argnums": ()}, (X, 2.0), ValueError, "argnums"),
    (dg.jacobian, fills, {"out_argnum": 2}, (X, Z), ValueError, "out_argnum"),
    (dg.jacobian, fills, {"out_argnum": 0}, (X, Z), ValueError, "both"),
    (dg.jacobian, fills, {}, (X, Z), ValueError, "`out`.*rename"),
    (dg.grad, total, {"chunk": 0}, (X, 2.0), ValueError, "chunk"),
    (dg.grad, total, {"chunk": -1}, (X, 2.0), ValueError, "chunk"),
    (dg.grad, total, {"chunk": 2.0}, (X, 2.0), TypeError, "chunk"),
    (dg.grad, total, {"chunk": "big"}, (X, 2.0), TypeError, "chunk"),
    (dg.grad, 3.0, {}, (X,), TypeError, "function"),
    (dg.grad, Model().energy, {}, (X,), TypeError, "Model.energy is a method"),
    (dg.grad, Model(), {}, (X,), TypeError, "is an object"),
    (dg.jacobian, nested, {}, (X,), TypeError, "a tuple with a tuple of 2 float64; expected"),
    (dg.grad, total, {}, (X * 1j, 2.0), TypeError, "complex"),
    (dg.grad, total, {}, ("text", 2.0), TypeError, "'x'"),
    (dg.grad, total, {}, ([1.0, 2.0], 2.0), TypeError, "'x'"),
    (dg.derivative, total, {"argnums": 1}, (X, 2j), TypeError, "complex"),
    (dg.grad, total, {}, (), TypeError, ""),
    (dg.grad, total, {}, (X, 2.0, 3.0, 4.0), TypeError, ""),
    (dg.jvp, pair, {}, ((X,), (np.zeros(2),)), ValueError, "tangents.0.*shape"),
    (dg.jvp, pair, {}, ((X,), (1.0,)), TypeError, "tangents.0"),
    (dg.jvp, pair, {}, ((X,), ()), TypeError, "0 tangents"),
    (dg.jvp, pair, {}, ((X,), (None,)), TypeError, "no argument has a tangent"),
    (dg.jvp, pair, {}, (X, X), TypeError, "two tuples"),
]


@pytest.mark.parametrize(("transform", "f", "keywords", "args", "error", "names"), BAD)
def test_bad_input(
    transform: Any, f: Any, keywords: dict[str, Any], args: Any, error: type, names: str
) -> None:
    with pytest.raises(error, match=names) as caught:
        transform(f, **keywords)(*args)
    assert len(str(caught.value).splitlines()) <= 2


BAD_OUT = [
    (dg.grad(total), (X, 2.0), np.zeros(4), ValueError, "shape"),
    (dg.grad(total), (X, 2.0), np.zeros((3, 1)), ValueError, "1 dimension"),
    (dg.grad(total), (X, 2.0), np.zeros(3, np.float32), TypeError, "float64.*float32"),
    (dg.grad(total), (X, 2.0), np.zeros(3, int), TypeError, "float64.*int64"),
    (dg.grad(total), (X, 2.0), 1.0, TypeError, "array"),
    (dg.grad(total, argnums=(0, 1)), (X, 2.0), np.zeros(3), TypeError, "tuple"),
    (dg.jacobian(pair), (X,), np.zeros(3), ValueError, "2 dimensions"),
    (dg.jacobian(pair), (X,), np.zeros((3, 2)), ValueError, "shape"),
]


@pytest.mark.parametrize(("transform", "args", "out", "error", "names"), BAD_OUT)
def test_bad_out(transform: Any, args: Any, out: Any, error: type, names: str) -> None:
    with pytest.raises(error, match=names) as caught:
        transform(*args, out=out)
    assert len(str(caught.value).splitlines()) <= 2


def test_read_only_out() -> None:
    out = np.zeros(3)
    out.flags.writeable = False
    with pytest.raises(TypeError, match="read-only"):
        dg.grad(total)(X, 2.0, out=out)


@jitclass([("v", float64[:])])
class Room:
    def __init__(self):
        self.v = np.ones(2)


@njit
def put(v, x):
    v[0] = x


@njit
def same(v):
    return v


@njit
def by_helper(x):
    room = Room()
    put(room.v, x)
    return room.v[0] * x


Pair = namedtuple("Pair", "first second")
OF_ONE = np.dtype([("a", np.float64)])


@njit
def by_record(x):
    record = np.zeros(2, OF_ONE)
    put(record["a"], x)
    return record[0].a * x


@njit
def by_another_name(x):
    room = Room()
    v = same(room.v)
    v[0] = x
    return room.v[0] * x


@njit
def in_a_list(x):
    room = Room()
    List([room.v])[0][0] = x
    return room.v[0] * x


@njit
def in_a_named_tuple(x):
    room = Room()
    Pair(1.0, room.v).second[0] = x
    return room.v[0] * x


@njit
def in_place(x):
    room = Room()
    room.v += x
    return room.v[0]


@njit
def as_a_whole(x):
    room = Room()
    room.v = np.full(2, x)
    return room.v[0]


@njit
def to_argument(x, room):
    put(room.v, x)
    return room.v[0] * x


@njit
def its_own(x, room):
    v = same(np.zeros(2) + room.v)
    put(v, x)
    return v[0] * v[1] * x


FIELDS = [
    (by_helper, 3.4), (by_another_name, 3.4), (in_a_list, 3.4), (in_a_named_tuple, 3.4),
    (in_place, 1.0), (as_a_whole, 1.0), (to_argument, 3.4),
]  # fmt: skip


@pytest.mark.parametrize(("f", "slope"), FIELDS, ids=lambda it: getattr(it, "__name__", ""))
def test_derivatives_written_to_fields_by_any_way(f, slope):
    args = (1.7, Room()) if f is to_argument else (1.7,)
    assert dg.derivative(f)(*args) == slope


def test_derivatives_written_to_a_record():
    """They went to a copy that nobody saw."""
    with pytest.raises(dg.NotDifferentiable, match="an array of a record, or of a jitclass that"):
        dg.derivative(by_record)(1.7)


def test_what_is_read_from_fields():
    assert dg.derivative(its_own)(1.5, Room()) == 3.0
