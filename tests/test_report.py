"""The summary and the picture of a sparse derivative."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from dualgrad.sparse import colouring
from dualgrad.sparse.report import Summary, spy
from tests.patterns import RECTANGULAR, brusselator


def test_summary():
    summary = Summary(shape=(2048, 1024), nonzeros=12288, colours=8, sweeps=2)
    assert summary.compression == 128 and summary.density == 12288 / 2**21
    lines = [line.split(maxsplit=1) for line in str(summary).splitlines()]
    assert lines == [
        ["shape", "2048 x 1024"],
        ["nonzeros", "12288 (0.586 %)"],
        ["colours", "8"],
        ["sweeps", "2"],
        ["compression", "128.0 columns to a colour"],
    ]
    assert "0 (0 %)" in str(Summary(shape=(0, 3), nonzeros=0, colours=0, sweeps=0))


@pytest.fixture
def axes():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot.subplots()[1]
    pyplot.close("all")


PATTERNS = {"brusselator": brusselator(3), **RECTANGULAR}


@pytest.mark.parametrize("name", PATTERNS)
def test_spy_has_a_square_for_each_entry(axes, name):
    pattern = PATTERNS[name]
    colours = colouring.of_columns(pattern)
    assert spy(pattern, colours, axes) is axes
    (drawn,) = axes.collections
    entries = pattern.tocoo()
    np.testing.assert_array_equal(drawn.get_offsets(), np.stack([entries.col, entries.row], 1))
    np.testing.assert_array_equal(drawn.get_array(), colours[entries.col])
    axes.figure.canvas.draw()
    assert f"{entries.nnz} nonzeros, {colours.max(initial=-1) + 1} colours" in axes.get_title()


def test_spy_in_a_new_figure(axes):
    assert spy(brusselator(3), np.zeros(18, int)) is not axes


def test_spy_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install dualgrad\[plot\]"):
        spy(brusselator(3), np.zeros(18, int))
