"""Transforms without a compiler: `NUMBA_DISABLE_JIT=1` runs functions in Python, with duals.

So a function can be stepped through with a debugger while it is differentiated. Transforms inside
functions add one level of duals to those of all transforms that are running, so that an inner
function may also use what an outer one differentiates by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from dualgrad.duals.classes import as_array, wrapped
from dualgrad.duals.convert import raw_of
from dualgrad.duals.storage import dtype_of, is_dual, lifted, made, tangent_of, type_of, value_of
from dualgrad.errors import NotDifferentiable
from dualgrad.transforms.plans import ColumnsPlan, HessianPlan, HvpPlan, JvpPlan, VmapPlan
from dualgrad.transforms.transform import Transform
from dualgrad.types import DualType, depth, is_complex

#: The dual types of the transforms that are running, the innermost last.
_levels: list[DualType] = []


class Interpreted(Transform):
    """A transform that runs in Python."""

    def __call__(self, *args: Any, **kws: Any) -> Any:
        bound = self.signature.bind(*args, **kws)
        out = bound.arguments.pop("out", None)
        bound.apply_defaults()
        named = [it for name, it in bound.arguments.items() if name != "out"]
        for kind, run in _RUN:
            if isinstance(self.plan, kind):
                result = run(self.plan, named)
                return result if out is None else _copied(out, result)
        raise NotDifferentiable(f"dg.{self.plan.name} needs Numba's compiler")


def _columns(plan: ColumnsPlan, args: Sequence[Any]) -> Any:
    y, slopes = _by_columns(plan, lambda *args: _called(plan, args), args)
    scalar = not isinstance(y, tuple) and np.ndim(y) == 0
    if (plan.name == "grad" and not scalar) or (plan.name == "jacobian" and scalar):
        found = "a number" if scalar else "no number"
        raise TypeError(f"dg.{plan.name}: the function returns {found}")
    return (y, slopes) if plan.with_value else slopes


def _hessian(plan: HessianPlan, args: Sequence[Any]) -> Any:
    def both(*args: Any) -> Any:
        return _by_columns(plan, lambda *args: _called(plan, args), args)

    (y, first), (_, second) = _by_columns(plan, both, args)
    return (y, first, second) if plan.with_value else second


def _jvp(plan: JvpPlan, args: Sequence[Any]) -> Any:
    return _along(lambda *args: _called(plan, args), *args)


def _hvp(plan: HvpPlan, args: Sequence[Any]) -> Any:
    def gradient(*args: Any) -> Any:
        return _by_columns(plan, plan.function.py_func, args)[1]

    return _along(gradient, *args)[1]


def _vmap(plan: VmapPlan, args: Sequence[Any]) -> Any:
    axes = plan.axes_of(len(args))
    counts = {n for it in zip(args, axes, strict=True) for n in _lengths(*it)}
    if len(counts) != 1 or counts == {0}:
        raise ValueError(f"dg.vmap: one number of points is expected, not {sorted(counts)}")
    function = _plain(plan.function)
    rows = [
        function(*(_own(_point(it, axis, k)) for it, axis in zip(args, axes, strict=True)))
        for k in range(*counts)
    ]
    return _stacked(rows)


_RUN: list[tuple[type, Callable[[Any, Sequence[Any]], Any]]] = [
    (HessianPlan, _hessian), (ColumnsPlan, _columns), (HvpPlan, _hvp), (JvpPlan, _jvp),
    (VmapPlan, _vmap),
]  # fmt: skip

# ---------------------------------------------------------------------------------- sweeps


def _plain(function: Any) -> Any:
    """What is called in Python: the function itself, but for one that knows derivatives."""
    return function if hasattr(function, "for_duals") else function.py_func


def _own(it: Any) -> Any:
    """What a function may write to; generators of random numbers go on."""
    if isinstance(it, np.ndarray):
        return np.copy(it)
    return it if isinstance(it, np.random.Generator) else deepcopy(it)


def _called(plan: Any, args: Sequence[Any]) -> Any:
    """The result of `f`, also where it writes it to an argument."""
    given = [_own(it) for it in args]
    if plan.out_argnum is None:
        return _plain(plan.function)(*given)
    level = _levels[-1]
    buffer = as_array(lifted(raw_of(given[plan.out_argnum]), level).copy())
    given[plan.out_argnum] = buffer
    _plain(plan.function)(*given)
    return buffer


def _by_columns(plan: Any, f: Callable[..., Any], args: Sequence[Any]) -> Any:
    """Value and derivatives by the arguments of the plan."""
    given = list(args)
    points = [_point_of(args[k], plan.params[k]) for k in plan.argnums]
    total, start, ranges = sum(it.size for it in points), 0, []
    if total == 0:
        raise ValueError("there is nothing to differentiate by: the argument has no items")
    for k, point in zip(plan.argnums, points, strict=True):
        rows = np.zeros((point.size, total))
        rows[:, start : start + point.size] = np.eye(point.size)
        given[k] = wrapped(made(point, rows.reshape((*point.shape, total))))
        ranges.append((slice(start, start + point.size), point.shape))
        start += point.size
    y, rows = _swept(f, given, type_of(raw_of(given[plan.argnums[0]]).dtype))

    def blocks(t: Any) -> Any:
        parts = []
        for part, shape in ranges:
            raw = raw_of(t[..., part])
            parts.append(wrapped(raw.reshape(raw.shape[:-1] + shape)))
        return parts[0] if plan.one_argument else tuple(parts)

    return y, _mapped(blocks, rows)


def _along(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Value and derivative in one direction."""
    given, level = list(primals), None
    for k, (x, t) in enumerate(zip(primals, tangents, strict=True)):
        if t is None or raw_of(x).dtype.kind in "biu":
            continue
        point, rows = _point_of(x, f"primals[{k}]"), raw_of(t)[..., None]
        if rows.shape[:-1] != point.shape:
            raise ValueError(f"tangents[{k}]: its shape is not that of primals[{k}]")
        given[k] = wrapped(made(point, rows))
        level = type_of(raw_of(given[k]).dtype)
    if level is None:
        y = f(*given)
        return y, _mapped(lambda it: it * 0.0, y)
    y, rows = _swept(f, given, level)
    return y, _mapped(lambda t: wrapped(raw_of(t[..., 0])), rows)


def _point_of(x: Any, name: str) -> Any:
    """An argument to differentiate by, as deep as what the running transforms differentiate by."""
    raw = raw_of(x)
    ty = type_of(raw.dtype)
    if is_complex(ty):
        raise TypeError(
            f"argument {name!r} is complex; differentiate by its real and imaginary parts instead"
        )
    if _levels and depth(ty) < _levels[-1].depth:
        return lifted(raw, _levels[-1])
    return lifted(raw, ty)


def _swept(f: Callable[..., Any], args: Sequence[Any], level: DualType) -> tuple[Any, Any]:
    """The values of the results of `f`, and their tangents at a level."""
    _levels.append(level)
    try:
        y = f(*args)
    finally:
        _levels.pop()
    return _mapped(lambda it: _parts(it, level)[0], y), _mapped(lambda it: _parts(it, level)[1], y)


def _parts(y: Any, level: DualType) -> tuple[Any, Any]:
    if y is None:
        raise TypeError("the function returns None; return the result, or name out_argnum=")
    raw = raw_of(y)
    if is_dual(raw) and type_of(raw.dtype).depth == level.depth:
        return wrapped(np.copy(value_of(raw))), wrapped(tangent_of(raw))
    return y, _constant(raw, level)


def _constant(raw: Any, level: DualType) -> Any:
    """Tangents of zero."""
    return wrapped(np.zeros(raw.shape + (level.n,), dtype_of(level.base)))


def _mapped(function: Callable[[Any], Any], it: Any) -> Any:
    """A function of each item of nested tuples."""
    return tuple(_mapped(function, x) for x in it) if isinstance(it, tuple) else function(it)


def _copied(out: Any, result: Any) -> Any:
    if isinstance(result, tuple):
        for to, it in zip(out, result, strict=True):
            _copied(to, it)
    elif np.shape(out) != np.shape(result):
        raise ValueError(f"out: its shape must be that of the result, {np.shape(result)}")
    else:
        out[...] = result
    return out


# ---------------------------------------------------------------------------------- points


def _lengths(it: Any, axis: Any) -> list[int]:
    if axis is None:
        return []
    if isinstance(it, tuple):
        axes = axis if isinstance(axis, tuple) else (axis,) * len(it)
        return [n for pair in zip(it, axes, strict=True) for n in _lengths(*pair)]
    return [np.shape(it)[axis]]


def _point(it: Any, axis: Any, k: int) -> Any:
    if axis is None:
        return it
    if isinstance(it, tuple):
        axes = axis if isinstance(axis, tuple) else (axis,) * len(it)
        return tuple(_point(*pair, k) for pair in zip(it, axes, strict=True))
    return np.moveaxis(it, axis, 0)[k]


def _stacked(rows: Sequence[Any]) -> Any:
    if isinstance(rows[0], tuple):
        return tuple(_stacked(column) for column in zip(*rows, strict=True))
    return np.stack(rows)
