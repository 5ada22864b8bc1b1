"""Random programs: a few new ones, and all that ever failed; the reference they are held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import config

from tests import differences, dualreference
from tests.random_programs import KEPT, outcome, program

FAILED = sorted(KEPT.glob("*.py"))


pytestmark = pytest.mark.filterwarnings("ignore::numba.NumbaPerformanceWarning")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "OPT", config._OptLevel(0))


@pytest.mark.parametrize("path", FAILED, ids=lambda path: path.stem)
def test_program_that_failed(path: Path) -> None:
    assert outcome(path.read_text()) == ("ok", "")


@pytest.mark.parametrize("seed", range(10))
def test_random_program(seed: int) -> None:
    found = outcome(program(seed))
    assert not found.wrong, found


@pytest.mark.parametrize("name", dualreference.RULES)
def test_rule_of_the_reference(name: str) -> None:
    value, partials = dualreference.RULES[name]
    x = np.array([1.3 if name == "arccosh" else 0.4, 0.7][: len(partials)])
    known, error = differences.jacobian(lambda z: value(*z.tolist()), x)
    found = np.array([partial(*x.tolist()) for partial in partials])
    assert np.all(np.abs(found - known) <= 3.0 * error)


def test_second_derivative_of_the_reference() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(2)
        y[0] += np.sin(x[0]) * x[1]
        y[1] = x[1] ** 3 / x[0]
        return y.sum()

    x, v = np.array([0.4, 0.7]), np.array([1.0, -2.0])
    ((_, second),) = dualreference.slopes(f, x, v, order=2)
    a, b = x
    hessian = np.array(
        [
            [-np.sin(a) * b + 2.0 * b**3 / a**3, np.cos(a) - 3.0 * b**2 / a**2],
            [np.cos(a) - 3.0 * b**2 / a**2, 6.0 * b / a],
        ]
    )
    np.testing.assert_allclose(second, v @ hessian @ v, rtol=1e-13)


def test_what_the_reference_cannot_decide() -> None:
    x, v = np.array([0.4, 0.4]), np.array([1.0, 0.0])
    with pytest.raises(dualreference.Kink):
        dualreference.slopes(lambda x: max(x[0], x[1]), x, v)
