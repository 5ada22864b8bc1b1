"""How a workload is timed, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.clocks import clock
from bench.common import Call, Made, Target, Workload

#: A call that takes longer than so many seconds is timed only so often.
LONG, SELDOM = 0.3, 3
#: A first call that took less than so many seconds more than others did not compile.
NOTHING = 1e-4


@dataclass(frozen=True)
class Row:
    """One way to compute a derivative, as it was measured."""

    seconds: float
    compile: float | None = None  # what the first call took beyond that
    error: float | None = None


@dataclass(frozen=True)
class Table:
    """What was measured of a workload. JSON carries it from process to process."""

    name: str
    primal: str  # the first of the yardsticks
    rows: Mapping[str, Row]
    targets: tuple[Target, ...]
    remarks: tuple[str, ...]
    place: int = 0  # among the modules, in which order they are shown

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Table:
        rows = {name: Row(**row) for name, row in kept["rows"].items()}
        targets = tuple(Target(**target) for target in kept["targets"])
        return cls(
            kept["name"], kept["primal"], rows, targets, tuple(kept["remarks"]), kept["place"]
        )

    def medians(self) -> dict[str, float]:
        return {name: row.seconds for name, row in self.rows.items()}

    def ours(self) -> str | None:
        """The way that others are compared to."""
        return next((name for name in self.rows if name.startswith("dualgrad")), None)


def lap(call: Call, times: int) -> float:
    """Seconds for `times` calls."""
    begin = clock()
    for _ in range(times):
        call()
    return clock() - begin


def measure(
    workload: Workload, rounds: int = 15, sample: float = 5e-3, budget: float = 20.0
) -> Table:
    """Median seconds of each call; the rounds interleave, so that all meet the same weather."""
    checked, failures = {}, []
    for name, way in workload.calls.items():
        try:
            checked[name] = workload.checked(name)
        except Exception as error:  # a peer's, whatever it is; the table says so
            if not isinstance(way, Made):
                raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            failures.append(f"failed: {name}: {reason[:120]}")
    calls = {name: it.call for name, it in checked.items()}
    times = dict.fromkeys(calls, 1)
    first = {name: lap(call, 1) for name, call in calls.items()}
    for name, call in calls.items():
        while first[name] < sample / 2:
            times[name] *= 2
            first[name] = lap(call, times[name])

    often = sum(took for took in first.values() if took < LONG)
    turns = min(rounds, max(5, int(budget / often)) if often else rounds)
    laps = {name: [first[name] / times[name]] for name in calls}
    for turn in range(1, turns):
        for name, call in calls.items():
            if turn < SELDOM or first[name] < LONG:
                laps[name].append(lap(call, times[name]) / times[name])

    rows = {}
    for name, seconds in laps.items():
        one = median(seconds)
        took = checked[name].first - one
        compiled = took if name in workload.variants and took > NOTHING else None
        rows[name] = Row(one / workload.repeats, compiled, checked[name].error)
    targets = tuple(it for it in workload.targets if it.names() <= rows.keys())
    remarks = failures + ([workload.remark()] if workload.remark else [])
    if workload.left_out:
        remarks.append(f"left out, as they take too long: {', '.join(workload.left_out)}")
    primal = next(iter(workload.yardsticks))
    return Table(workload.name, primal, rows, targets, tuple(remarks), workload.place)
