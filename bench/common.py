"""What a workload is, and how it is timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np

Call = Callable[[], Any]

CHUNKED = "chunked loop"  # the hand-written rival, to which every derivative is compared


@dataclass(frozen=True)
class Target:
    """`variant`, beyond `beyond`, takes at most so many times `of`, or so many seconds."""

    variant: str
    at_most: float
    of: str = ""
    beyond: str = ""

    def measured(self, medians: Mapping[str, float]) -> float:
        took = medians[self.variant] - medians.get(self.beyond, 0.0)
        return took / medians[self.of] if self.of else took


@dataclass(frozen=True, eq=False)
class Workload:
    """One derivative at one point, computed in several ways."""

    name: str
    yardsticks: Mapping[str, Call]  # no derivatives, hence unchecked; the primal comes first
    variants: Mapping[str, Call]  # each returns the derivative
    reference: np.ndarray  # in closed form
    targets: tuple[Target, ...] = ()
    repeats: int = 1  # how often a variant's one call does the work
    rtol: float = 1e-11  # within which results are right
    remark: Callable[[], str] | None = None  # what else is known after all have run
    calls: Mapping[str, Call] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "calls", {**self.yardsticks, **self.variants})

    def ready(self, name: str) -> Call:
        """The call by that name: compiled, and its result checked."""
        result = self.calls[name]()
        if name in self.variants:
            scale = np.max(np.abs(self.reference))
            np.testing.assert_allclose(
                result, self.reference, rtol=self.rtol, atol=0.1 * self.rtol * scale, err_msg=name
            )
        return self.calls[name]


def into(function: Callable[..., Any], *args: Any, shape: tuple[int, ...]) -> Call:
    """A call of `function(*args, out)`; `out` is its own, so nobody else's result passes."""
    out = np.full(shape, np.nan)
    return partial(function, *args, out)


def into_out(transform: Callable[..., Any], *args: Any, shape: tuple[int, ...]) -> Call:
    """Likewise `transform(*args, out=out)`."""
    out = np.full(shape, np.nan)
    return partial(transform, *args, out=out)


def into_csr(transform: Callable[..., Any], *args: Any) -> Call:
    """Likewise, of a sparse transform; the matrix is made by the first call. Its nonzeros."""

    @cache
    def out() -> Any:
        matrix = transform(*args)
        matrix.data[:] = np.nan
        return matrix

    return lambda: transform(*args, out=out()).data


def lap(call: Call, times: int) -> float:
    """Seconds for `times` calls."""
    begin = perf_counter_ns()
    for _ in range(times):
        call()
    return (perf_counter_ns() - begin) * 1e-9


def medians(
    workload: Workload, rounds: int = 15, sample: float = 5e-3, budget: float = 20.0
) -> dict[str, float]:
    """Median seconds of each call; the rounds interleave, so that all meet the same weather."""
    calls = {name: workload.ready(name) for name in workload.calls}
    times = dict.fromkeys(calls, 1)
    first = {name: lap(call, 1) for name, call in calls.items()}
    for name, call in calls.items():
        while first[name] < sample / 2:
            times[name] *= 2
            first[name] = lap(call, times[name])

    affordable = max(5, int(budget / sum(first.values())))  # the slowest workloads take seconds
    laps: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(min(rounds, affordable)):
        for name, call in calls.items():
            laps[name].append(lap(call, times[name]) / times[name])
    return {name: median(took) / workload.repeats for name, took in laps.items()}
