"""`python -m bench`: all workloads side by side in one process, as aligned tables."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import MODULES, PARALLEL, threads, workloads
from bench.awake import awake
from bench.page import write
from bench.peers import PEERS, warm_up
from bench.report import text
from bench.timing import Table, measure


def measured(options: argparse.Namespace) -> Iterator[Table]:
    """The tables of the chosen workloads."""
    how = {"rounds": 1, "sample": 0.0} if options.smoke else {"rounds": options.rounds}
    names = [name.lower() for name in options.name]
    warm = False
    for workload in workloads(options.smoke, options.modules):
        if not names or any(name in workload.name.lower() for name in names):
            warm = warm or options.smoke or warm_up()
            yield measure(workload, **how)


def on_all_cores() -> list[Table]:
    """What a process with all threads measures; it prints its tables itself."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "tables.json")
        subprocess.run(
            [sys.executable, "-m", "bench", *sys.argv[1:]], check=True,
            env={**os.environ, threads.VARIABLE: str(threads.CORES), KEEP: str(path)},
        )  # fmt: skip
        return [Table.from_json(table) for table in json.loads(path.read_text())]


ALL = (*MODULES, *PARALLEL)
KEEP = "BENCH_TABLES"  # where such a process leaves its tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="*", help="only workloads whose name contains one of these")
    parser.add_argument("--rounds", type=int, default=15, help="samples for each median")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one round")
    parser.add_argument("--modules", nargs="*", default=ALL, choices=ALL, help="only theirs")
    parser.add_argument(
        "--without", nargs="*", default=[], choices=PEERS, help="peers to leave out"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the tables into docs/performance.md"
    )
    options = parser.parse_args()
    for peer in options.without:
        del PEERS[peer]
    child = os.environ.get(KEEP)
    tables = []
    with awake() if threads.COUNT == 1 and not options.smoke else contextlib.nullcontext():
        for table in measured(options):
            print(text(table), flush=True)
            tables.append(table)
            if options.write and not child:
                write([table])
    if child:
        Path(child).write_text(json.dumps([table.as_json() for table in tables]))
        return
    if threads.CORES > 1 and set(PARALLEL) & set(options.modules):
        tables += (more := on_all_cores())
        if options.write and more:
            write(more)
    if not tables:
        parser.error(f"no workload is called {' or '.join(options.name)}")


if __name__ == "__main__":
    main()
