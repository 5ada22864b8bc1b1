"""The pytest plugin and the command line of the checks."""

from __future__ import annotations

from importlib.metadata import entry_points
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

import dualgrad.arrays  # noqa: F401  (pytester forgets modules that Numba cannot load twice)
from dualgrad.__main__ import main

pytest_plugins = ["pytester"]

#: Where dualgrad is not installed but lies in the path, its entry point is not seen.
PLUGIN = [] if entry_points(group="pytest11", name="dualgrad") else ["-p", "dualgrad.check.plugin"]

FUNCTIONS = """\
import numpy as np

class Box:  # which no compiler can read, so that these tests compile nothing
    def __init__(self, f):
        self.f = f
    def __call__(self, *args):
        return self.f(*args)

f = Box(lambda x: x[0] ** 2 * x[1])
def df(x): return np.array([2 * x[0] * x[1], x[0] ** 2])
def hess(x): return np.array([[2 * x[1], 2 * x[0]], [2 * x[0], 0.0]])
def wrong(x): return np.array([2 * x[0] * x[1], 3 * x[0] ** 2])
g = Box(lambda x, a: a * x**2)
def dg(x, a): return np.diag(2 * a * x)
s = Box(np.sin)
c = Box(np.cos)
def none(x): raise RuntimeError("nothing to see")
def jvp(x, v): return df(x) @ v
"""


def run(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(
        functions=FUNCTIONS, test_it="import pytest\nfrom functions import *\n" + test
    )
    pytester.syspathinsert()
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *PLUGIN, *options)


def test_the_fixture_chooses_the_check(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
x = np.array([1.0, 2.0])
def test_all(gradcheck):
    assert gradcheck(s, c, 0.3).name == "derivative"
    assert gradcheck(f, df, x).name == "grad"
    assert gradcheck(g, dg, x, 3.0).name == "jacobian"
    assert gradcheck(f, hess, x).name == "hessian"
    assert gradcheck.jvp(f, jvp, x, x).name == "jvp"
    assert not gradcheck(f, wrong, x, raises=False).ok
    with pytest.raises(AttributeError, match="it has derivative, grad"):
        gradcheck.curl
""",
    )
    result.assert_outcomes(passed=1)


def test_a_failure_shows_the_table_and_nothing_else(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_wrong(gradcheck):
    gradcheck(f, wrong, np.array([1.0, 2.0]), method="complex-step")
""",
    )
    result.assert_outcomes(failed=1)
    lines = result.outlines
    start = next(i for i, line in enumerate(lines) if "__ test_wrong" in line)
    shown = list(takewhile(lambda line: not line.startswith("==="), lines[start + 1 :]))
    assert shown[0].startswith("grad: WRONG in 1 of 2 entries (reference: complex-step")
    assert shown[1].split() == ["index", "given", "reference", "score"]
    assert shown[2].split() == ["(1,)", "3", "1", "5.0e-01"]
    assert len(shown) == 3


def test_the_marker_sets_options(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
pytestmark = pytest.mark.gradcheck(method="finite-difference", mode="fast")
x = np.array([1.0, 2.0])
def test_module(gradcheck):
    report = gradcheck(f, df, x)
    assert report.method == "finite-difference"
    assert report.reference.shape == (3,)
    assert gradcheck(s, c, 0.3).method == "finite-difference"
@pytest.mark.gradcheck(method="complex-step", rtol=10.0)
def test_own(gradcheck):
    assert gradcheck(f, wrong, x).method == "complex-step"
""",
        "--strict-markers",
    )
    result.assert_outcomes(passed=2)
    assert "gradcheck(method, mode, rtol)" in run(pytester, "", "--markers").stdout.str()


def test_expected_failures_stay_such(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.mark.xfail(strict=True)
def test_wrong(gradcheck):
    gradcheck(f, wrong, np.array([1.0, 2.0]))
def test_other():
    assert 1 == 2
""",
    )
    result.assert_outcomes(xfailed=1, failed=1)
    assert "assert 1 == 2" in result.stdout.str()


# --- the command line ------------------------------------------------------------------------

STATUS = {
    "@:f @:df --at 1,2": (0, "grad: right"),
    "@:f @:df --at @.csv": (0, "grad: right"),
    "@:f @:df --at @.npy": (0, "grad: right"),
    "@:f @:hess --at 1,2": (0, "hessian: right"),
    "@:s @:c --at -0.3": (0, "derivative: right"),
    "@:s @:c --at 1 --fast": (0, "derivative: right"),
    "@:g @:dg --at -1,2 --at 3": (0, "jacobian: right"),
    "@:f @:jvp --kind jvp --at 1,2 --at 0.5,3": (0, "jvp: right"),
    "@:f @:df --at 1,2 --fast": (0, "2 where right"),
    "@:f @:df --at 1,2 --method finite-difference": (0, "finite-difference"),
    "@:f @:wrong --at 1,2": (1, "grad: WRONG in 1 of 2"),
    "@:f @:wrong --at 1,2 --rtol 10": (0, "grad: right"),
    "@:f @:hess --at 1,2 --kind grad": (1, "shape: (2, 2), and (2,) is expected"),
    "@:f @:none --at 1,2": (2, "RuntimeError: nothing to see"),
    "@:none @:df --at 1,2": (2, "RuntimeError: nothing to see"),
    "@:f @:missing --at 1,2": (2, "has no function 'missing'"),
    "@:f @:df --at 1,2 --at 3": (2, "takes 1 positional argument"),
    "@:f @:df --at 1,2 --method dual": (2, "NotDifferentiable"),
    "@:s @:c --at nan": (2, "could not be checked"),
}


@pytest.mark.parametrize("words", STATUS)
def test_the_command_tells_by_its_status(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    point = tmp_path / "model"
    (tmp_path / "model.py").write_text(FUNCTIONS)
    (tmp_path / "model.csv").write_text("1,2\n")
    np.save(point.with_suffix(".npy"), [1.0, 2.0])
    words_of = words.replace("@:", f"{point}.py:").replace("@.", f"{point}.")
    status, text = STATUS[words]
    assert main(["check", *words_of.split()]) == status
    printed = capsys.readouterr()
    shown, silent = (printed.err, printed.out) if status == 2 else (printed.out, printed.err)
    assert text in shown
    assert silent == ""
