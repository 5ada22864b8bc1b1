"""`python -m bench`: all workloads side by side in one process, as aligned tables."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from bench import workloads
from bench.common import CHUNKED, Target, Workload, medians


def digits(number: float) -> str:
    """Three significant digits, more where the whole part has more."""
    return f"{number:.0f}" if abs(number) >= 99.95 else f"{number:#.3g}"


def duration(seconds: float) -> str:
    """Likewise, with a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(seconds) >= size:
            return f"{digits(seconds / size)} {unit}"
    return f"{digits(seconds * 1e9)} ns"


def verdict(target: Target, took: Mapping[str, float]) -> str:
    """The target beside what was measured."""
    measured = target.measured(took)
    if target.of:
        bound, found = f"{target.at_most:g} x {target.of}", digits(measured)
    else:
        bound, found = duration(target.at_most), duration(measured)
    beyond = f" beyond {target.beyond}" if target.beyond else ""
    word = "reached" if measured <= target.at_most else "MISSED"
    return f"  target: {target.variant} <= {bound}{beyond}; measured {found}: {word}"


def report(workload: Workload, took: Mapping[str, float]) -> str:
    """A row for each variant, then the targets, then what else there is to say."""
    bases = [next(iter(workload.yardsticks)), CHUNKED]
    bases = [base for base in bases if base in took]
    width = max(map(len, took))
    lines = [
        workload.name,
        f"  {'':{width}}  {'median':>9}" + "".join(f"  {'/ ' + b:>14}" for b in bases),
    ]
    for name, seconds in took.items():
        ratios = "".join(f"  {digits(seconds / took[base]):>14}" for base in bases)
        lines.append(f"  {name:{width}}  {duration(seconds):>9}{ratios}")
    lines += [verdict(target, took) for target in workload.targets]
    lines += [f"  {workload.remark()}"] if workload.remark else []
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="*", help="only workloads whose name contains one of these")
    parser.add_argument("--rounds", type=int, default=15, help="samples for each median")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one round")
    options = parser.parse_args()
    chosen = [
        workload
        for workload in workloads(options.smoke)
        if not options.name or any(part.lower() in workload.name.lower() for part in options.name)
    ]
    if not chosen:
        parser.error(f"no workload is called {' or '.join(options.name)}")
    how = {"rounds": 1, "sample": 0.0} if options.smoke else {"rounds": options.rounds}
    for workload in chosen:
        print(report(workload, medians(workload, **how)), flush=True)


if __name__ == "__main__":
    main()
