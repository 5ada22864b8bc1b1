"""Methods of ufuncs on duals: `reduce`, `accumulate`, `reduceat`, `outer` and `at`.

Tangents are those of the ufunc itself, applied step by step as each method says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy

from dualgrad.duals.classes import DualArray, plain, wrapped
from dualgrad.duals.convert import raw_of
from dualgrad.duals.formulas import with_value
from dualgrad.duals.reductions import folded
from dualgrad.duals.ufuncs import PLAIN, TANGENTS, refuse
from dualgrad.errors import NotDifferentiable

np: Any = numpy  # whose type hints know nothing of duals


def apply(ufunc: Any, method: str, inputs: Sequence[Any], kws: dict[str, Any]) -> Any:
    """A method of a ufunc."""
    from dualgrad.duals.functions import REDUCTIONS

    if ufunc in PLAIN:
        return getattr(ufunc, method)(*(plain(it) for it in inputs), **kws)
    if ufunc not in TANGENTS or ufunc.nout > 1:
        refuse(f"np.{ufunc.__name__}.{method}")
    if kws.get("dtype", 0) is None:
        del kws["dtype"]
    if method == "reduce":
        kws.setdefault("axis", 0)
        if ufunc in REDUCTIONS and "dtype" not in kws:
            reduction: Any = REDUCTIONS[ufunc]
            return reduction(*inputs, **kws)
    rule: Callable[..., Any] = _METHODS[method](ufunc)
    if method != "at":
        rule = with_value(getattr(ufunc, method), rule)
    return rule(*inputs, **kws)


def _accumulate(ufunc: Any) -> Callable[..., Any]:
    def accumulate(a: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        rows = list(np.moveaxis(wrapped(raw_of(a)), axis, 0))
        for k in range(1, len(rows)):
            rows[k] = ufunc(rows[k - 1], rows[k])
        return np.moveaxis(np.stack(rows), 0, axis) if rows else a

    return accumulate


def _reduceat(ufunc: Any) -> Callable[..., Any]:
    def reduceat(a: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        rows = np.moveaxis(wrapped(raw_of(a)), axis, 0)
        stops = [*indices[1:], len(rows)]
        parts = [
            ufunc.reduce(rows[start:stop]) if start < stop else rows[start]
            for start, stop in zip(indices, stops, strict=True)
        ]
        return np.moveaxis(np.stack(parts), 0, axis) if parts else rows[:0]

    return reduceat


def _outer(ufunc: Any) -> Callable[..., Any]:
    def outer(a: Any, b: Any, **kws: Any) -> Any:
        a, b = wrapped(raw_of(a)), wrapped(raw_of(b))
        return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b, **kws)

    return outer


def _at(ufunc: Any) -> Callable[..., Any]:
    """In place, and for an index that comes twice, twice."""

    def at(a: Any, indices: Any, *operands: Any) -> None:
        if not isinstance(a, DualArray):
            raise NotDifferentiable("an array of plain numbers cannot hold a dual number")
        places = np.arange(a.size).reshape(a.shape)[indices]
        others = [np.broadcast_to(wrapped(raw_of(it)), places.shape) for it in operands]
        for k in np.ndindex(places.shape):
            place = np.unravel_index(places[k], a.shape)
            a[place] = ufunc(a[place], *(it[k] for it in others))

    return at


_METHODS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "reduce": folded, "accumulate": _accumulate, "reduceat": _reduceat, "outer": _outer, "at": _at,
}  # fmt: skip
