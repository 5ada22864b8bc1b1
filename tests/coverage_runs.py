"""The table of call forms run in other ways than the tests run all of it.

A way is a memory layout, a precision, a size, an option of the compiler or one more derivative.
All rows in all ways take an hour: `python -m tests.coverage_table --run strided,empty`. The tests
run each row in a few (`--run usual`).
"""

from __future__ import annotations

import contextlib
import functools
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.core import config
from numba.core.errors import NumbaError

import dualgrad as dg
from dualgrad.transforms import batch_exact
from tests import coverage_table as table
from tests import differences
from tests.complexstep import assert_same_bits, jacobians


class Way(NamedTuple):
    """How a row is run: the arrays that a point becomes, the options, how close it must be."""

    arrays: Callable[[np.ndarray], list[np.ndarray]]
    options: dict[str, Any] = {}
    tolerance: float = 1e-13


def strided(x: np.ndarray) -> np.ndarray:
    """Every second item of a larger array, from the end."""
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1] + 1), np.inf, x.dtype)
    part = wide[..., -2::-2]
    part[...] = x
    return part


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def _few(x: np.ndarray, n: int) -> list[np.ndarray]:
    """Arrays with `n` items along each axis, and along one of them."""
    shapes = {tuple([n] * x.ndim), (n, *x.shape[1:]), (*x.shape[:-1], n)}
    return [x[tuple(map(slice, shape))].copy() for shape in sorted(shapes)]


_CHECKED = {"BOUNDSCHECK": 1}
WAYS: dict[str, Way] = {
    "plain": Way(lambda x: [x]),
    "strided": Way(lambda x: [strided(x)]),
    "fortran": Way(lambda x: [np.asfortranarray(x)] if x.ndim > 1 else []),
    "read-only": Way(lambda x: [_read_only(x)]),
    "float32": Way(lambda x: [x.astype(np.float32)], tolerance=2e-5),
    "nested": Way(lambda x: [x]),
    "optimized": Way(lambda x: [x], {"OPT": config._OptLevel(3)}),
    "points": Way(lambda x: [x] if x.ndim == 1 else [], {"OPT": config._OptLevel(3)}),
    "apart": Way(lambda x: [x] if x.ndim == 1 else []),
    "views": Way(lambda x: [x]),
    "pattern": Way(lambda x: [x]),
    "small": Way(lambda x: [*_few(x, 1), *_few(x, 0)]),  # for forms that look at no item
    "boundscheck": Way(lambda x: [x], _CHECKED),
    "one": Way(lambda x: _few(x, 1), _CHECKED),
    "empty": Way(lambda x: _few(x, 0), _CHECKED),
}
#: Numba keeps code that was compiled without checks of bounds: these need a process of their own.
APART = tuple(name for name, way in WAYS.items() if way.options is _CHECKED)


OTHERS = (
    "strided", "fortran", "read-only", "float32", "nested", "optimized", "pattern", "points",
    "apart",
)  # fmt: skip


def usual(row: table.Row) -> list[str]:
    """The ways in which the tests run a row; one in six in another way, which its name decides."""
    number = zlib.crc32(row.name.encode())
    other = [OTHERS[number // 6 % len(OTHERS)]] if number % 6 == 0 else []
    if row in table.COMPLEX and other == ["nested"]:  # second differences are of real numbers
        other = []
    return ["plain", "views", *(["small"] if row.small else []), *other]


def failures(row: table.Row, name: str) -> Iterator[str]:
    """What is wrong with a row that is run in one way."""
    way = WAYS[name]
    with _options(way.options):
        for x in way.arrays(table.POINTS[row.point]):
            forms = tuple(it for it in row.forms if _is_defined(it, x, table.POINTS[row.point]))
            run = RUNS.get(name, _once)
            for form, wrong in _by_forms(run, row, forms, x, way.tolerance):
                yield f"{row.name}, {name} {x.shape}, {form}: {wrong}"


def _is_defined(form: str, x: np.ndarray, point: np.ndarray) -> bool:
    """Whether a form can be run for `x` in place of the contiguous array it was written for."""
    if "stride" in form:  # it reads memory that a smaller array has not, or that lies elsewhere
        return x.shape == point.shape and x.strides == point.strides
    return x.size > 0 or ".flat[" not in form  # Numba divides by the size: the process ends


@contextlib.contextmanager
def _options(options: dict[str, Any]) -> Iterator[None]:
    """Numba's settings; unless one says otherwise, most of the time goes into compilation."""
    options = {"OPT": config._OptLevel(0), **options}
    before = {name: getattr(config, name) for name in options}
    try:
        for name, value in options.items():
            setattr(config, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(config, name, value)


def _by_forms(
    run: Any, row: table.Row, forms: tuple[str, ...], x: np.ndarray, tolerance: float
) -> Iterator[tuple[str, str]]:
    """Run forms together, or one by one where Numba cannot run them all."""
    f, primal, transform = _functions(forms, config.BOUNDSCHECK, config.OPT)
    try:
        wanted = primal(copied(x))
    except Exception as error:
        if len(forms) > 1:
            for form in forms:
                yield from _by_forms(run, row, (form,), x, tolerance)
        elif not isinstance(error, (NumbaError, NotImplementedError)):  # else it cannot compile it
            yield from ((forms[0], wrong) for wrong in _same_error(transform, x, error))
        return
    try:
        yield from run(row, forms, f, primal, transform, wanted, x, tolerance)
    except Exception as error:
        if len(forms) == 1:
            yield forms[0], f"{type(error).__name__}: {error}"
            return
        for form in forms:
            yield from _by_forms(run, row, (form,), x, tolerance)


@functools.cache
def _functions(forms: tuple[str, ...], *options: Any) -> tuple[Any, Any, Any]:
    """The forms as a function, compiled by Numba, and differentiated."""
    f = table.compiled(forms)
    return f, njit(f), dg.value_and_jacobian(f, chunk=3)


def copied(x: np.ndarray) -> np.ndarray:
    """A copy of the same strides and type for Numba."""
    if x.size and not (x.flags.c_contiguous or x.flags.f_contiguous):
        return strided(x)
    copy = x.copy(order="K")
    copy.flags.writeable = x.flags.writeable
    return copy


def _same_error(transform: Any, x: np.ndarray, error: Exception) -> Iterator[str]:
    try:
        transform(x)
    except Exception as other:
        if type(other) is not type(error):
            yield f"{other!r} where Numba raises {error!r}"
    else:
        yield f"nothing where Numba raises {error!r}"


def _once(
    row: table.Row, forms: tuple[str, ...], f: Any, primal: Any, transform: Any, wanted: Any,
    x: np.ndarray, tolerance: float,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    values, derivatives = transform(x)
    for form, value, want, derivative in zip(forms, values, wanted, derivatives, strict=True):
        try:
            assert_same_bits(value, want)
            assert np.shape(derivative) == np.shape(want) + x.shape
            if isinstance(want, np.ndarray) and want.dtype.kind == "f" and derivative.any():
                assert derivative.dtype == want.dtype, derivative.dtype
        except AssertionError as error:
            yield form, str(error)
    if x.size:
        references, errors = reference(row.reference, f, primal, x, tolerance)
        yield from _different(forms, derivatives, references, errors)


def _different(forms: Any, found: Any, wanted: Any, errors: Any) -> Iterator[tuple[str, str]]:
    for form, got, want, error in zip(forms, found, wanted, errors, strict=True):
        wrong = ~(np.abs(got - want) <= error) & ~(np.isnan(got) & np.isnan(want))
        if wrong.any():
            yield form, f"{np.asarray(got)[wrong]} where {want[wrong]} is right"


def reference(
    kind: str, f: Any, primal: Any, x: np.ndarray, tolerance: float = 1e-13
) -> tuple[Any, Any]:
    """The Jacobian of each form, and how exactly it is known."""
    if kind == table.COMPLEX_STEP:
        with contextlib.suppress(TypeError, ValueError, IndexError):  # NumPy is stricter
            exact = jacobians(f, x.astype(float))
            return exact, [tolerance * (1.0 + np.abs(jacobian)) for jacobian in exact]
    if kind == table.CONSTANT:
        zeros = [np.zeros(np.shape(y) + x.shape) for y in primal(copied(x))]
        return zeros, zeros
    x = x.astype(float)  # differences need all their digits
    count = len(primal(x.copy()))
    found = [differences.jacobian(lambda z, k=k: primal(z)[k], x) for k in range(count)]
    return [jacobian for jacobian, _ in found], [
        3.0 * error + (tolerance > 1e-13) * tolerance * (1.0 + np.abs(jacobian))
        for jacobian, error in found
    ]


def _nested(
    row: table.Row, forms: tuple[str, ...], f: Any, primal: Any, transform: Any, wanted: Any,
    x: np.ndarray, tolerance: float,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """The second derivative along a line, against second differences."""

    def along(t: float, x: np.ndarray, v: np.ndarray) -> Any:
        return primal(x + t * v)

    v = np.linspace(-1.0, 0.7, x.size).reshape(x.shape)
    v = np.where(np.isfinite(x), v, 0.0)
    second = dg.derivative(dg.derivative(along))(0.0, x, v)
    known = [differences.second(lambda t, k=k: primal(x + t * v)[k]) for k in range(len(forms))]
    yield from _different(forms, second, *zip(*known, strict=True))


def _views(
    row: table.Row, forms: tuple[str, ...], f: Any, primal: Any, transform: Any, wanted: Any,
    x: np.ndarray, tolerance: float,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """What shares memory with the argument shares it with a buffer of constants, written to."""
    argument = copied(x)
    for form, result in zip(forms, primal(argument), strict=True):
        if not (isinstance(result, np.ndarray) and np.shares_memory(result, argument)):
            continue
        of_buffer = re.sub(r"\bx\b", "b", form).split("; ")
        write = (*of_buffer[:-1], f"y = {of_buffer[-1]}", "y[...] = x.ravel()[0] ** 2", "b")
        form = "; ".join((f"b = np.ones({x.shape})", *write))
        _, changed, derivatives = _functions((form,), config.BOUNDSCHECK, config.OPT)
        try:
            [want] = changed(x)
        except NumbaError:  # a view that is read-only
            continue
        (value,), (slope,) = derivatives(x)
        expected = np.zeros((*x.shape, x.size))
        expected[..., 0] = np.where(want == 1.0, 0.0, 2.0 * x.ravel()[0])
        if not (np.array_equal(value, want) and np.array_equal(slope.ravel(), expected.ravel())):
            yield form, f"{value} and {slope} where {want} is right"


def _points(
    row: table.Row, forms: tuple[str, ...], f: Any, primal: Any, transform: Any, wanted: Any,
    x: np.ndarray, tolerance: float,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """The last of two points that are alike; the lanes are the inputs."""
    mapped = dg.vmap(dg.value_and_jacobian(f, chunk=x.size))
    values, derivatives = mapped(np.stack([x, x]))
    last = [value[-1] for value in values], [derivative[-1] for derivative in derivatives]
    yield from _once(row, forms, f, primal, lambda x: last, wanted, x, tolerance)


def _apart(*arguments: Any) -> Iterator[tuple[str, str]]:
    """The same with tangents in scalars."""
    before, batch_exact.FEW = batch_exact.FEW, 99
    try:
        yield from _points(*arguments)
    finally:
        batch_exact.FEW = before


def _pattern(
    row: table.Row, forms: tuple[str, ...], f: Any, primal: Any, transform: Any, wanted: Any,
    x: np.ndarray, tolerance: float,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """The pattern has every entry of the Jacobian that is not zero."""
    pattern = dg.jacobian_pattern(f)(x)
    start = 0
    for form, derivative in zip(forms, transform(x)[1], strict=True):
        stop = start + derivative.size // x.size
        missing = derivative.reshape(stop - start, x.size) != 0.0
        missing &= ~pattern[start:stop].toarray()
        if missing.any():
            yield form, f"the pattern lacks {np.argwhere(missing).tolist()}"
        start = stop


#: How a row is run in a way, where that is not simply done.
RUNS: dict[str, Any] = {
    "nested": _nested,
    "views": _views,
    "pattern": _pattern,
    "points": _points,
    "apart": _apart,
}
