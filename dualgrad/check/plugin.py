"""The pytest plugin: the fixture `gradcheck`, its marker, and failures that show the report."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from dualgrad.check.kinds import CHECKS, kind_of
from dualgrad.check.problem import as_point
from dualgrad.check.report import CheckReport, DerivativeMismatch

MARKER = "gradcheck(method, mode, rtol): options that the fixture `gradcheck` gives to its checks"


class GradCheck:
    """What the fixture returns: a check by the shape of the derivative, and each by its name.

    ``gradcheck(f, df, x, *args)`` chooses among a derivative, a gradient, a Jacobian and a Hessian.
    ``gradcheck.jvp(f, jvp, x, v)`` is `dualgrad.check_jvp`, and so on.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    def __call__(self, f: Any, given: Any, x: Any, *args: Any, **options: Any) -> CheckReport:
        kind = kind_of(f, given, as_point(x), args)
        report: CheckReport = getattr(self, kind)(f, given, x, *args, **options)
        return report

    def __getattr__(self, kind: str) -> Callable[..., CheckReport]:
        if kind not in CHECKS:
            raise AttributeError(f"gradcheck has no check {kind!r}; it has {', '.join(CHECKS)}")

        def check(*args: Any, **options: Any) -> CheckReport:
            own = {k: it for k, it in self.options.items() if kind != "derivative" or k != "mode"}
            return CHECKS[kind](*args, **own, **options)

        return check


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> GradCheck:
    """Checks of derivatives: ``gradcheck(f, df, x)``; see `dualgrad.check_jacobian` and its kin."""
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("gradcheck"))):  # the closest counts
        options.update(marker.kwargs)
    return GradCheck(options)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[Any],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the report of a derivative that is wrong, and no traceback."""
    report = yield
    if report.failed and call.excinfo and isinstance(call.excinfo.value, DerivativeMismatch):
        report.longrepr = str(call.excinfo.value)
    return report
