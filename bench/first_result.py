"""How long a new process waits: for the import, and for its first gradient."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
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


def run(code: str, cache: str | None = None) -> Any:
    """What a new Python prints, with what others compiled in the directory `cache`, or nothing."""
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=Path(__file__).parent.parent, check=True, text=True,
            env={**os.environ, "DUALGRAD_CACHE_DIR": cache or empty}, capture_output=True,
        )  # fmt: skip
    return json.loads(done.stdout or "null")


def workloads(smoke: bool) -> Iterator[Workload]:
    kept = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, kept)
    yield Workload(
        "first result of a new process",
        {
            "import numba": lambda: run("import numba"),
            "import dualgrad": lambda: run("import dualgrad"),
        },
        {
            "first gradient": lambda: run(GRADIENT),
            "first gradient, second process": lambda: run(GRADIENT, kept),
        },
        d_rosenbrock(vec(N)),
        (
            Target("first gradient", 2.5),
            Target("import dualgrad", 0.1, beyond="import numba"),
            Target("first gradient, second process", 0.35, beyond="import numba"),
        ),
    )
