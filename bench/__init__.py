"""Workloads, each timed beside the function itself, what one would write by hand, and peers.

A module of `MODULES` offers `workloads(smoke)`. `python -m bench` prints them side by side;
`python -m pytest bench -n 0` records them with pytest-benchmark.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from importlib import import_module

from bench import threads  # before whatever has threads
from bench.common import Workload

MODULES = (
    "rosenbrock", "ackley", "hessians", "chebyquad", "dense_layer", "neuron_loss", "elementwise",
    "lorenz", "curve_fit", "kalman", "black_scholes", "bundle_adjustment", "brusselator",
    "linear_algebra", "sparse_scaling", "colouring", "call_overhead", "first_result",
)  # fmt: skip


PARALLEL = ("parallel",)  # for a process of many threads


def workloads(
    smoke: bool = False, modules: Collection[str] = (*MODULES, *PARALLEL)
) -> Iterator[Workload]:
    """Those of some modules that belong in this process; `smoke` makes them tiny."""
    here = MODULES if threads.COUNT == 1 else PARALLEL
    for place, module in enumerate((*MODULES, *PARALLEL)):
        if module in modules and module in here:
            for workload in import_module(f"bench.{module}").workloads(smoke):
                yield replace(workload, place=place)
