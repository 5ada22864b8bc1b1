"""Every variant of every workload under pytest-benchmark, its result checked first."""

from __future__ import annotations

from typing import Any

import pytest

from bench import workloads
from bench.common import Workload

CASES = [
    pytest.param(workload, name, id=f"{workload.name}-{name}")
    for workload in workloads()
    for name in workload.calls
]


@pytest.mark.parametrize(("workload", "name"), CASES)
def test_workload(benchmark: Any, workload: Workload, name: str) -> None:
    benchmark.group = workload.name
    benchmark(workload.ready(name))
