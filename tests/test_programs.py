"""Every program of the table: its closed form against differences, and dualgrad against both."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from numba import njit

import dualgrad as dg
from tests.programs import PROGRAMS, Program

# Numbers of lanes, by turns. (A lone scalar argument has one tangent and nothing to cut.)
CUT = [program for program in PROGRAMS.values() if program.kind != "derivative"]
RUNS = [
    pytest.param(program, chunk, id=f"{program.name}-{chunk}")
    for program, chunk in zip(CUT, itertools.cycle((1, 3, 8)), strict=False)
]


def parts(result: Any) -> tuple[Any, ...]:
    """Outputs, or derivatives by several arguments, as a tuple in either case."""
    return result if isinstance(result, tuple) else (result,)


def richardson(program: Program, argnum: int) -> list[np.ndarray]:
    """For each output its derivative by one argument: central differences, extrapolated once."""
    x = np.asarray(program.args[argnum])

    def shifted(index: tuple[int, ...], h: float) -> list[np.ndarray]:
        args = program.fresh()
        moved = x.copy()
        moved[index] += h
        args[argnum] = moved if x.ndim else float(moved)
        return [np.asarray(y) for y in parts(program.value(*args))]

    def slopes(index: tuple[int, ...], h: float) -> list[np.ndarray]:
        pairs = zip(shifted(index, h), shifted(index, -h), strict=True)
        return [(up - down) / (2 * h) for up, down in pairs]

    def extrapolated(index: tuple[int, ...], h: float = 1e-3) -> list[np.ndarray]:
        pairs = zip(slopes(index, h / 2), slopes(index, h), strict=True)
        return [(4 * fine - coarse) / 3 for fine, coarse in pairs]

    columns = zip(*(extrapolated(index) for index in np.ndindex(x.shape)), strict=True)
    return [np.stack(c, axis=-1).reshape(c[0].shape + x.shape) for c in columns]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))
def test_closed_form_against_differences(program: Program) -> None:
    expected = parts(program.expected())
    by = [richardson(program, argnum) for argnum in np.atleast_1d(program.argnums)]
    measured = [by_output for by_argument in by for by_output in by_argument]
    assert len(measured) == len(expected)
    for closed, difference in zip(expected, measured, strict=True):
        assert np.shape(closed) == difference.shape
        np.testing.assert_allclose(closed, difference, rtol=1e-7, atol=1e-7)


@pytest.mark.optimized
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))
def test_as_users_have_it(program: Program) -> None:
    function = getattr(program.function, "py_func", None)
    if function is not None and function.__name__ not in function.__code__.co_names:
        # Compiled anew, unless it calls itself: in other tests it is optimised less.
        program = dataclasses.replace(program, function=njit(function))
    check(program)


@pytest.mark.parametrize(("program", "chunk"), RUNS)
def test_chunks(program: Program, chunk: int) -> None:
    check(program, chunk=chunk)


def check(program: Program, **keywords: Any) -> None:
    """Compare the value bit for bit with that of Numba, the derivative with the closed form."""
    keywords["argnums"] = program.argnums
    if program.out_argnum is not None:
        keywords["out_argnum"] = program.out_argnum
    args = program.fresh()

    transform = getattr(dg, f"value_and_{program.kind}")(program.function, **keywords)
    value, derivative = transform(*args)

    for got, want in zip(parts(value), parts(program.value()), strict=True):
        assert np.asarray(got).dtype == np.asarray(want).dtype
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(want))  # zeros have one too
    for got, closed in zip(parts(derivative), parts(program.expected()), strict=True):
        assert np.shape(got) == np.shape(closed)
        scale = np.max(np.abs(closed), initial=0.0)  # entries that cancel are no smaller than this
        np.testing.assert_allclose(got, closed, rtol=1e-12, atol=1e-13 * scale)
    for used, given in zip(args, program.args, strict=True):
        np.testing.assert_array_equal(used, given)  # a transform never writes to its arguments
