"""Turn Numba's report of a failed compilation into a few lines that help."""

from __future__ import annotations

from typing import Any

from dualgrad.errors import NotDifferentiable


def explain(error: Exception, plan: Any) -> NotDifferentiable:
    return NotDifferentiable(str(error))
