"""Every row of the table of call forms: values as Numba's, derivatives as the reference."""

from __future__ import annotations

import subprocess
import sys

import pytest
from numba import njit

import dualgrad as dg
from tests import coverage_runs as runs
from tests import coverage_table as table

OTHERS = ("strided", "fortran", "read-only", "float32", "nested", "optimized", "pattern")


@pytest.mark.parametrize("row", table.ROWS, ids=lambda row: row.name)
def test_forms(row: table.Row) -> None:
    assert list(runs.failures(row, "plain")) == []
    assert list(runs.failures(row, "views")) == []
    if row.small:
        assert list(runs.failures(row, "small")) == []


@pytest.mark.parametrize("row", table.ROWS[::6], ids=lambda row: row.name)
def test_forms_in_another_way(row: table.Row) -> None:
    assert list(runs.failures(row, runs.chosen(row, OTHERS))) == []


@pytest.mark.parametrize("way", runs.APART)
def test_forms_with_checked_bounds(way: str) -> None:
    """Few rows: the processes that run all of them are started by hand."""
    command = [sys.executable, "-m", "tests.coverage_table", "--run", way, "--part"]
    number = runs.APART.index(way)
    done = subprocess.run([*command, f"{number}/40"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("row", table.REFUSED, ids=lambda row: row.forms[0])
def test_refused(row: table.Row) -> None:
    f, x = table.compiled(row.forms), table.POINTS[row.point]
    njit(f)(x.copy())
    with pytest.raises(dg.NotDifferentiable) as caught:
        dg.value_and_jacobian(f, chunk=3)(x)
    assert " at 0x" not in str(caught.value)


def test_page_is_fresh() -> None:
    assert table.PAGE.read_text() == table.page(), "run `python -m tests.coverage_table`"
