"""`docs/performance.md`: the tables, what was measured where, and a picture.

The numbers are kept beside it, so that a run of a few workloads replaces only theirs; a run on
another machine or with other versions replaces all.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import date
from importlib import metadata
from pathlib import Path

import dualgrad
from bench import clocks, threads
from bench.peers import PEERS
from bench.report import MISSED, markdown, row_of, verdict
from bench.timing import Table

DOCS = Path(__file__).parents[1] / "docs"
LOAD = "load of the machine at the end"
NUMBERS, PICTURE = DOCS / "performance.json", DOCS / "pictures" / "performance.svg"
PACKAGES = tuple(PEERS.values())  # also those that this run leaves out
PASSING = ("date", LOAD)  # facts of which tables of one page may have several
ABOUT = Path(__file__).with_name("about.md")


def facts() -> dict[str, str]:
    """Machine and versions."""
    packages = ["numba", "llvmlite", "numpy", "scipy", *PACKAGES]
    versions = {name: installed(name) for name in dict.fromkeys(packages)}
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "date": date.today().isoformat(),
        "processor": processor(),
        "cores": str(threads.CORES),
        LOAD: load,
        "clock": "wall" if clocks.NAME == "wall" else "time of the processor, not of the wall",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "dualgrad": dualgrad.__version__,
        **{name: version for name, version in versions.items() if version},
    }


def installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Its name, which Linux keeps in a file."""
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1) if found else platform.processor()


def kept(about: Mapping[str, str]) -> dict[str, Table]:
    """The tables of earlier runs, if those were of the same versions on the same machine."""
    if not NUMBERS.exists():
        return {}
    numbers = json.loads(NUMBERS.read_text())
    if any(about[name] != numbers["facts"].get(name) for name in about if name not in PASSING):
        return {}
    return {table["name"]: Table.from_json(table) for table in numbers["tables"]}


def write(tables: Sequence[Table]) -> None:
    """Replace these tables, and write the page anew."""
    about = facts()
    named = kept(about) | {table.name: table for table in tables}
    all_of_them = sorted(named.values(), key=lambda table: table.place)
    numbers = {"facts": about, "tables": [it.as_json() for it in all_of_them]}
    PICTURE.parent.mkdir(exist_ok=True)
    NUMBERS.write_text(json.dumps(numbers, indent=1) + "\n")
    try:
        from bench.picture import draw
    except ImportError:
        print("the picture needs matplotlib: pip install '.[plot]'")
    else:
        draw(all_of_them, PICTURE)
    (DOCS / "performance.md").write_text(page(all_of_them, about))


def page(tables: Sequence[Table], about: Mapping[str, str]) -> str:
    """The text of the page."""
    known = [row_of(["", ""]), "| --- | --- |", *(row_of(list(it)) for it in about.items())]
    expected = [row_of(["workload", "target", "measured", ""]), "| --- | --- | ---: | --- |"]
    missed = 0
    for table in tables:
        for target in table.targets:
            words = verdict(target, table)
            missed += words[-1] == MISSED
            expected.append(row_of([table.name, *words]))
    count = f"{len(expected) - 2 - missed} of {len(expected) - 2} are reached."
    return "\n".join([
        ABOUT.read_text(), "## Machine and versions\n", *known,
        "\n## Targets\n", f"{count}\n", *expected, "", *(markdown(it) + "\n" for it in tables),
    ])  # fmt: skip
