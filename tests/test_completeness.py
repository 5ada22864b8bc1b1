"""Whatever Numba compiles for floats has its line in the coverage table, or a reason why not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numba.core import types
from numba.core.errors import NumbaError
from numba.core.registry import cpu_target

from dualgrad import rules
from tests import coverage_table as table

MODULES = {
    "np": np,
    "np.linalg": np.linalg,
    "np.fft": np.fft,
    "np.random": np.random,
    "np.lib.stride_tricks": np.lib.stride_tricks,
    "np.polynomial.polynomial": np.polynomial.polynomial,
    "np.polynomial.polyutils": np.polynomial.polyutils,
    "math": math,
}
#: tests of call forms that are no rows of the table
ELSEWHERE = ("test_linalg.py", "test_products.py", "test_scalars.py", "test_reductions.py")


def supported() -> Iterator[tuple[str, Any]]:
    """The functions that Numba's registries know, and the methods and attributes of arrays."""
    context = cpu_target.typing_context
    cpu_target.target_context.refresh()  # loads the registries
    context.refresh()
    for module, members in MODULES.items():
        for name, member in vars(members).items():
            if name.startswith("_") or isinstance(member, type) or not callable(member):
                continue
            if _is_known(context, member):
                yield f"{module}.{name}", member
    for template in context._get_attribute_templates(types.Array(types.float64, 2, "C")):
        names = [getattr(template, "_attr", None) or ""]
        names += [name[8:] for name in dir(template) if name.startswith("resolve_")]
        for name in names:
            if name and not name.startswith("_"):
                yield f"array.{name}", None


def _is_known(context: Any, member: Any) -> bool:
    try:
        return context.resolve_value_type(member) is not None
    except (NumbaError, ValueError):
        return False


def told() -> set[Any]:
    """The functions and names that a test calls."""
    names = (
        *rules.UNARY, *rules.BINARY, *rules.SELECT, *rules.CONSTANT, *rules.PREDICATE,
        "add", "subtract", "multiply", "divide",
    )  # fmt: skip
    found: set[Any] = {function for name in names for function in rules.functions(name)}
    forms = [form for row in [*table.ROWS, *table.REFUSED] for form in row.forms]
    texts = [(Path(__file__).parent / name).read_text() for name in ELSEWHERE]
    for text in [*forms, *texts]:
        methods = re.findall(r"(\w+|[\])])\.(\w+)", text)
        found |= {f"array.{name}" for owner, name in methods if owner not in ("np", "math")}
        for path in re.findall(r"\b((?:np|math|poly)(?:\.\w+)+)", text):
            member: Any = {"np": np, "math": math, "poly": table.poly}[path.split(".")[0]]
            for name in path.split(".")[1:]:
                member = getattr(member, name, None)
            found.add(member)
        found |= {table.CONSTANTS[name] for name in ("sliding_window_view",) if name in text}
    return found


def test_every_function_of_numba_is_told_of() -> None:
    known, listed = told(), {name for names in table.BY_NATURE.values() for name in names.split()}
    missing = {
        name for name, member in supported() if not {name, member} & known and name not in listed
    }
    assert not missing, f"neither in the coverage table nor in BY_NATURE: {sorted(missing)}"
