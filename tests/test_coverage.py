"""Every row of the table of call forms: values as Numba's, derivatives as the reference."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from numba import njit

import dualgrad as dg
from tests import coverage_runs as runs
from tests import coverage_table as table

#: Into so many processes the rows are split: what Numba has compiled stays in memory for good.
PARTS = 10


@pytest.mark.parametrize("part", range(PARTS))
def test_forms(part: int) -> None:
    _run("usual", f"{part}/{PARTS}")


@pytest.mark.parametrize("way", runs.APART)
def test_forms_with_checked_bounds(way: str) -> None:
    """Few rows: the processes that run all of them are started by hand."""
    _run(way, f"{runs.APART.index(way)}/40")


def _run(ways: str, part: str) -> None:
    command = [sys.executable, "-m", "tests.coverage_table", "--run", ways, "--part", part]
    # Machine code of many large functions takes longest, unless it is made without much thought.
    environ = {**os.environ, "NUMBA_OPT": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
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
