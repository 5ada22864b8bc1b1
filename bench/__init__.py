"""Workloads, each timed beside the function itself and what one would write by hand.

A module of `MODULES` offers `workloads(smoke)`. `python -m bench` prints them side by side;
`python -m pytest bench -n 0` records them with pytest-benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from bench.common import Workload

MODULES = (
    "rosenbrock", "ackley", "hessians", "chebyquad", "dense_layer", "linear_algebra",
    "bundle_adjustment", "brusselator", "sparse_scaling", "colouring", "call_overhead",
    "first_result",
)  # fmt: skip


def workloads(smoke: bool = False) -> Iterator[Workload]:
    """All workloads in order; `smoke` makes them tiny."""
    for module in MODULES:
        yield from import_module(f"bench.{module}").workloads(smoke)
