"""`python -m bench`: all workloads side by side in one process, as aligned tables."""

from __future__ import annotations

import argparse

from bench import workloads
from bench.report import text
from bench.timing import measure


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
        print(text(measure(workload, **how)), flush=True)


if __name__ == "__main__":
    main()
