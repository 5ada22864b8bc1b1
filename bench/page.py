"""`docs/performance.md`: the tables, what was measured where, and a picture.

The numbers are kept beside it, so that a run of a few workloads replaces only theirs.
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
NUMBERS, PICTURE = DOCS / "performance.json", DOCS / "pictures" / "performance.svg"
ABOUT = Path(__file__).with_name("about.md")


def facts() -> dict[str, str]:
    """Machine and versions."""
    packages = ["numba", "llvmlite", "numpy", "scipy", *(PEERS[it] for it in PEERS)]
    versions = {name: installed(name) for name in dict.fromkeys(packages)}
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "date": date.today().isoformat(),
        "processor": processor(),
        "cores": str(threads.CORES),
        "load of the machine at the end": load,
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


def write(tables: Sequence[Table]) -> None:
    """Replace these tables, and write the page anew."""
    kept = json.loads(NUMBERS.read_text())["tables"] if NUMBERS.exists() else []
    all_of_them = {table["name"]: Table.from_json(table) for table in kept}
    all_of_them |= {table.name: table for table in tables}
    about = facts()
    PICTURE.parent.mkdir(exist_ok=True)
    numbers = {"facts": about, "tables": [it.as_json() for it in all_of_them.values()]}
    NUMBERS.write_text(json.dumps(numbers, indent=1) + "\n")
    try:
        from bench.picture import draw
    except ImportError:
        print("the picture needs matplotlib: pip install '.[plot]'")
    else:
        draw(list(all_of_them.values()), PICTURE)
    (DOCS / "performance.md").write_text(page(list(all_of_them.values()), about))


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
