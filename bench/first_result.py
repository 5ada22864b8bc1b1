"""How long a new process waits: for the import, and for its first gradient."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.common import Target, Workload
from tests.programs import d_rosenbrock, vec

N = 10
GRADIENT = f"""
import dualgrad as dg
from tests.programs import rosenbrock_loop, vec
print(dg.grad(rosenbrock_loop)(vec({N})).tolist())
"""


def run(code: str) -> Any:
    """What a new Python prints."""
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return json.loads(printed or "null")


def workloads(smoke: bool) -> Iterator[Workload]:
    yield Workload(
        "first result of a new process",
        {
            "import numba": lambda: run("import numba"),
            "import dualgrad": lambda: run("import dualgrad"),
        },
        {"first gradient": lambda: run(GRADIENT)},
        d_rosenbrock(vec(N)),
        (
            Target("first gradient", 2.5),
            Target("import dualgrad", 0.1, beyond="import numba"),
        ),
    )
