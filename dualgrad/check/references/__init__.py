"""Derivatives to compare with, the best that a function allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dualgrad.check.problem import Problem
from dualgrad.check.references.reference import Method, Reference, Unusable


def _dual(problem: Problem) -> Reference:
    from dualgrad.check.references.dual import reference

    return reference(problem)


def _complex_step(problem: Problem) -> Reference:
    from dualgrad.check.references.complexstep import reference

    return reference(problem)


def _finite_difference(problem: Problem) -> Reference:
    from dualgrad.check.references.finite import reference

    return reference(problem)


#: The best first. SciPy is imported by those that need it.
METHODS: dict[str, Callable[[Problem], Reference]] = {
    "dual": _dual,
    "complex-step": _complex_step,
    "finite-difference": _finite_difference,
}


def find(problem: Problem, method: Method) -> tuple[Reference, list[str]]:
    """The reference, and for each better method why it could not be used."""
    if method != "auto":
        if method not in METHODS:
            raise ValueError(f"dg.check: method is 'auto' or one of {', '.join(METHODS)}")
        with np.errstate(all="ignore"):
            return METHODS[method](problem), []
    reasons: list[str] = []
    for name, compute in METHODS.items():
        try:
            with np.errstate(all="ignore"):
                return compute(problem), reasons
        except Exception as error:  # whatever a compiler or a black box may raise
            if name == "finite-difference":
                raise
            text = str(error).strip().splitlines()
            kind = "" if isinstance(error, Unusable) else f"{type(error).__name__}: "
            reasons.append(f"{name}: {kind}{text[0] if text else ''}")
    raise AssertionError
