"""Functions of ours that are written at run time, as lambdas."""

from __future__ import annotations

from typing import Any


def generated(source: str, **names: Any) -> Any:
    """The function that a lambda's source is; with a module, as code of ours has one."""
    return eval(source, {**names, "__name__": __name__})
