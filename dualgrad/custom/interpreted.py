"""A function with a rule of its own, called with duals where there is no compiler."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from dualgrad.duals.convert import raw_of
from dualgrad.duals.ufuncs import dual, split
from dualgrad.errors import NotDifferentiable


def call(function: Any, args: Sequence[Any], kws: dict[str, Any]) -> Any:
    """The value by the function, and each tangent by the rule."""
    if function.rule is None:
        raise NotDifferentiable(
            f"{function.__name__} has no rule yet\n  way out: give it one with defjvp"
        )
    bound = inspect.signature(function.py_func).bind(*args, **kws)
    bound.apply_defaults()
    values, tangents = split(bound.args)
    y = function(*values)
    n = next(t.shape[-1] for t in tangents if t is not None)
    with np.errstate(all="ignore"):  # an infinite derivative is a number
        rows = [_by_rule(function.rule.py_func, values, tangents, lane) for lane in range(n)]
    if not isinstance(y, tuple):
        return _joined(y, rows)
    return tuple(_joined(*it) for it in zip(y, zip(*rows, strict=True), strict=True))


def _by_rule(rule: Any, values: Sequence[Any], tangents: Sequence[Any], lane: int) -> Any:
    directions = [
        _zero(x) if t is None else t[..., lane] for x, t in zip(values, tangents, strict=True)
    ]
    return rule(*values, *directions)


def _zero(x: Any) -> Any:
    """The tangent of what is held constant."""
    if isinstance(x, tuple):
        return tuple(map(_zero, x))
    number = isinstance(x, (int, float, complex, np.ndarray, np.number))
    return x * 0 if number else None


def _joined(y: Any, rows: Sequence[Any]) -> Any:
    if raw_of(y).dtype.kind in "biu":
        return y
    return dual(y, np.stack([np.broadcast_to(it, np.shape(y)) for it in rows], -1), len(rows))
