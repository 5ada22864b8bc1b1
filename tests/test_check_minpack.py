"""Checks on the systems of MINPACK's CHKDER: right Jacobians pass, planted errors are located."""

from __future__ import annotations

import numpy as np
import pytest

import dualgrad as dg
from tests.chkder import SYSTEMS, System


@pytest.fixture(scope="module", params=SYSTEMS, ids=lambda system: system.name)
def system(request: pytest.FixtureRequest) -> System:
    return request.param


@pytest.mark.parametrize("method", ["dual", "finite-difference"])
def test_right_jacobians_pass_and_errors_are_located(system: System, method: str) -> None:
    f = system.f if method == "dual" else system.f.py_func
    for x in (system.start, system.shifted):
        assert dg.check_jacobian(f, system.jacobian, x, method=method).method == method
        if system.spoil is None:
            continue
        right = system.jacobian(x)
        wrong = system.spoil(x, right)
        report = dg.check_jacobian(f, wrong, x, method=method, raises=False)
        # Twice a zero that came out as 1e-17 is no error.
        planted = np.abs(wrong - right) > 1e-12 * np.max(np.abs(right))
        assert {entry.index for entry in report.bad} == set(map(tuple, np.argwhere(planted)))
        assert report.worst is report.bad[0]
