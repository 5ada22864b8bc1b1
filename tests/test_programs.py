"""Every program of the table: its closed form against differences, and dualgrad against both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualgrad as dg
from tests.programs import PROGRAMS, Program

CHUNKS = (1, 3, 8, "auto")
# A lone scalar argument has one tangent and nothing to cut into chunks.
RUNS = [
    pytest.param(program, chunk, id=f"{program.name}-{chunk}")
    for program in PROGRAMS.values()
    for chunk in (CHUNKS if program.kind != "derivative" else ("auto",))
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


@pytest.mark.parametrize(("program", "chunk"), RUNS)
def test_value_and_derivative(program: Program, chunk: int | str) -> None:
    keywords: dict[str, Any] = {"argnums": program.argnums}
    if program.kind != "derivative":
        keywords["chunk"] = chunk
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
