"""Every row of the table of call forms: values as Numba's, derivatives as the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit
from numba.core import config

import dualgrad as dg
from tests import coverage_table as table
from tests import differences
from tests.complexstep import assert_same_bits, jacobians


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of functions are compiled for a call each: that is most of their time."""
    monkeypatch.setattr(config, "OPT", config._OptLevel(0))


@pytest.mark.parametrize("row", table.ROWS, ids=lambda row: row.name)
def test_forms(row: table.Row) -> None:
    f, x = table.compiled(row.forms), table.POINTS[row.point]
    primal, transform = njit(f), dg.value_and_jacobian(f, chunk=3)
    wanted = primal(x.copy())
    values, derivatives = transform(x)
    for form, value, want in zip(row.forms, values, wanted, strict=True):
        with failing(form):
            assert_same_bits(value, want)
    references, errors = reference(row, f, primal, x)
    for k, form in enumerate(row.forms):
        with failing(form):
            got, want = np.asarray(derivatives[k]), references[k]
            assert got.shape == want.shape
            wrong = ~(np.abs(got - want) <= errors[k])
            assert not wrong.any(), f"{got[wrong]} where {want[wrong]} is right"
    if row.small:
        compare_small(primal, transform, x)


class failing:
    """Says which form it was that failed."""

    def __init__(self, form: str) -> None:
        self.form = form

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is not None:
            raise AssertionError(f"{self.form}: {error}") from error


def reference(row: table.Row, f: Any, primal: Any, x: np.ndarray) -> tuple[Any, Any]:
    """The Jacobian of each form, and how exactly it is known."""
    if row.reference == table.COMPLEX_STEP:
        exact = jacobians(f, x)
        return exact, [1e-13 * (1.0 + np.abs(jacobian)) for jacobian in exact]
    if row.reference == table.CONSTANT:
        zeros = [np.zeros(np.shape(y) + x.shape) for y in primal(x.copy())]
        return zeros, zeros
    found = [differences.jacobian(lambda z, k=k: primal(z)[k], x) for k in range(len(row.forms))]
    return [jacobian for jacobian, _ in found], [3.0 * error for _, error in found]


def compare_small(primal: Any, transform: Any, x: np.ndarray) -> None:
    """Arrays of one item and of none give what they give in Numba: values or an error."""
    for few in (x[:1].copy(), x[:0].copy()):
        try:
            wanted = primal(few.copy())
        except Exception as error:
            with pytest.raises(type(error)):
                transform(few)
            continue
        values, _ = transform(few)
        for value, want in zip(values, wanted, strict=True):
            assert_same_bits(value, want)


@pytest.mark.parametrize("row", table.REFUSED, ids=lambda row: row.forms[0])
def test_refused(row: table.Row) -> None:
    f, x = table.compiled(row.forms), table.POINTS[row.point]
    njit(f)(x.copy())
    with pytest.raises(dg.NotDifferentiable):
        dg.value_and_jacobian(f, chunk=3)(x)


def test_page_is_fresh() -> None:
    assert table.PAGE.read_text() == table.page(), "run `python -m tests.coverage_table`"
