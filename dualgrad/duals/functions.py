"""NumPy's functions on duals: by what kind of function each is.

Functions that move items move duals; those that are linear in each argument are called once for
each tangent; some are formulas of others. What is in no table is compiled for duals.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy
from numba.core import config

from dualgrad.duals.classes import Duals, as_array, plain, wrapped
from dualgrad.duals.convert import raw_of
from dualgrad.duals.storage import common, lifted, type_of
from dualgrad.duals.ufuncs import dual, split, written
from dualgrad.errors import NotDifferentiable

np: Any = numpy  # whose type hints know nothing of duals


def called(function: Any, args: Sequence[Any], kws: dict[str, Any]) -> Any:
    """What NumPy asks of duals for a function."""
    kws = {key: it for key, it in kws.items() if it is not np._NoValue}
    out = kws.pop("out", None)
    rule = RULES.get(function)
    if any(map(_holds_dual, kws.values())):  # rules look for duals among positional arguments
        bound = inspect.signature(function).bind(*args, **kws)
        args, kws = bound.args, bound.kwargs
    if rule is not None:
        result = rule(*args, **kws)
    elif config.DISABLE_JIT:
        name = f"{function.__module__}.{function.__name__}"
        raise NotDifferentiable(
            f"{name} of dual numbers needs Numba's compiler, and NUMBA_DISABLE_JIT is set"
        )
    else:
        from dualgrad.duals.compiled import call

        result = call(function, args, kws)
    return result if out is None else written(result, out)


def _values(it: Any) -> Any:
    """The argument of a question: the values of duals, also in lists."""
    if isinstance(it, (list, tuple)):
        return type(it)([_values(item) for item in it])
    return plain(it) if isinstance(it, Duals) else it


def _question(function: Any) -> Any:
    """A function whose answer is piecewise constant and no number: it is asked of the values."""

    def answer(*args: Any, **kws: Any) -> Any:
        return function(*map(_values, args), **{key: _values(it) for key, it in kws.items()})

    return answer


# --------------------------------------------------------------------------------- movers


def _mover(function: Any, places: Sequence[int]) -> Any:
    """A function that moves items, those of its arguments at `places`."""

    def move(*args: Any, **kws: Any) -> Any:
        keys = [*(k for k in places if k < len(args)), *(k for k in kws if _holds_dual(kws[k]))]
        given: dict[Any, Any] = {**dict(enumerate(args)), **kws}
        ty = common(type_of(raw.dtype) for key in keys for raw in _raws(given[key]))
        moved = {k: _lifted(it, ty) if k in keys else _values(it) for k, it in given.items()}
        result = function(*[moved.pop(k) for k in range(len(args))], **moved)
        return _wrapped(result)

    return move


def _holds_dual(it: Any) -> bool:
    return isinstance(it, Duals) or (isinstance(it, (list, tuple)) and any(map(_holds_dual, it)))


def _raws(it: Any) -> Any:
    if isinstance(it, (list, tuple)):
        return [raw for item in it for raw in _raws(item)]
    return [raw_of(it)]


def _lifted(it: Any, ty: Any) -> Any:
    if isinstance(it, (list, tuple)):
        return [_lifted(item, ty) for item in it]
    return lifted(raw_of(it), ty)


def _wrapped(it: Any) -> Any:
    if isinstance(it, (list, tuple)):
        return type(it)([_wrapped(item) for item in it])
    return wrapped(it) if isinstance(it, (np.ndarray, np.generic)) else it


# -------------------------------------------------------------------------------- products


def multilinear(function: Any, args: Sequence[Any], kws: dict[str, Any]) -> Any:
    """A function that is linear in each dual among its arguments: the product rule.

    It is called once for each tangent of each of them.
    """
    values, tangents = split(_arrays(args))
    y = function(*values, **kws)
    kws = {key: it for key, it in kws.items() if key != "initial"}  # a constant that is added
    active = [(k, t) for k, t in enumerate(tangents) if t is not None]
    rows = []
    for lane in range(_count(tangents)):
        terms = [function(*values[:k], t[..., lane], *values[k + 1 :], **kws) for k, t in active]
        rows.append(functools.reduce(np.add, terms))
    return dual(y, np.stack(rows, axis=-1), len(rows))


def _arrays(args: Iterable[Any]) -> list[Any]:
    """Arguments in which lists of numbers and duals are arrays."""
    return [wrapped(raw_of(it)) if _holds_dual(it) else it for it in args]


def _count(tangents: Iterable[Any]) -> int:
    return next(t.shape[-1] for t in tangents if t is not None)


def _linear(function: Any) -> Any:
    def product(*args: Any, **kws: Any) -> Any:
        for key, it in kws.items():
            if _holds_dual(it):
                _no_more(function, {key: it})
        return multilinear(function, args, kws)

    return product


# ------------------------------------------------------------------------------ selections


def _extremum(function: Any, where: Any) -> Any:
    def choose(a: Any, axis: Any = None, keepdims: bool = False, **kws: Any) -> Any:
        _no_more(function, kws)
        a = wrapped(raw_of(a))
        if axis is None:
            item = a.ravel()[where(plain(a))]
            return item.reshape((1,) * a.ndim) if keepdims and a.ndim else item
        if isinstance(axis, tuple):
            kept = [k for k in range(a.ndim) if k not in {it % a.ndim for it in axis}]
            a = a.transpose(kept + [k for k in range(a.ndim) if k not in kept])
            a = a.reshape(a.shape[: len(kept)] + (-1,))
            if keepdims:
                raise NotDifferentiable(f"np.{function.__name__}: keepdims= with several axes")
            axis = -1
        index = where(plain(a), axis, keepdims=True)
        item = np.take_along_axis(a, index, axis)
        return item if keepdims else np.squeeze(item, axis)

    return choose


def _sort(a: Any, axis: Any = -1, kind: Any = None, **kws: Any) -> Any:
    _no_more(np.sort, kws)
    a = wrapped(raw_of(a))
    a, axis = (a.ravel(), 0) if axis is None else (a, axis)
    return np.take_along_axis(a, np.argsort(plain(a), axis, kind="stable"), axis)


# ---------------------------------------------------------------------- formulas of others


def _no_more(function: Any, kws: dict[str, Any]) -> None:
    if kws:
        raise NotDifferentiable(
            f"np.{function.__name__} of dual numbers takes no {', '.join(f'{k}=' for k in kws)}"
        )


def _with_value(function: Any, formula: Any) -> Any:
    """A formula that gives the tangents of a function, whose value is computed by NumPy."""

    def evaluated(*args: Any, **kws: Any) -> Any:
        values, _ = split(_arrays([*args, *kws.values()]))
        named = dict(zip(kws, values[len(args) :], strict=True))
        y = function(*values[: len(args)], **named)
        with np.errstate(all="ignore"):
            return _replaced(formula(*args, **kws), y)

    return evaluated


def _replaced(result: Any, y: Any) -> Any:
    """A dual with another value."""
    _, [tangent] = split([result])
    return dual(y, tangent, tangent.shape[-1])


def _prod(a: Any, axis: Any = None, keepdims: bool = False, **kws: Any) -> Any:
    _no_more(np.prod, kws)
    a = wrapped(raw_of(a))
    items = a.ravel() if axis is None else np.moveaxis(a, axis, 0)
    total = functools.reduce(np.multiply, items, np.sum(items[:0], axis=0) + 1.0)
    if not keepdims:
        return total
    return np.reshape(total, (1,) * a.ndim) if axis is None else np.expand_dims(total, axis)


def _cumprod(a: Any, axis: Any = None, **kws: Any) -> Any:
    _no_more(np.cumprod, kws)
    items = a.ravel() if axis is None else np.moveaxis(a, axis, 0)
    rows, product = [], 1.0
    for item in items:
        product = product * item
        rows.append(product)
    return np.moveaxis(np.stack(rows), 0, 0 if axis is None else axis)


def _var(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False, **kws: Any) -> Any:
    _no_more(np.var, kws)
    a = wrapped(raw_of(a))
    d = a - np.mean(a, axis=axis, keepdims=True)
    total = np.sum((d * np.conjugate(d)).real, axis=axis, keepdims=keepdims)
    return total / (a.size / max(total.size, 1) - ddof)


def _std(a: Any, axis: Any = None, **kws: Any) -> Any:
    return np.sqrt(_var(a, axis, **kws))


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = wrapped(raw_of(x))
    vectors = x.ndim == 1 if axis is None else np.ndim(axis) == 0
    if ord not in ((None, 2, 1, np.inf) if vectors else (None, "fro")):
        raise NotDifferentiable(f"np.linalg.norm of dual numbers takes no ord={ord!r} here")
    size = np.abs(x)
    if ord in (1, np.inf):
        return (np.sum if ord == 1 else np.max)(size, axis=axis, keepdims=keepdims)
    largest = np.max(plain(size), initial=0.0)  # squares are to neither over- nor underflow
    unit = largest if 0.0 < largest < np.inf else 1.0
    return np.sqrt(np.sum((size / unit) ** 2, axis=axis, keepdims=keepdims)) * unit


def _nansum(a: Any, *args: Any, **kws: Any) -> Any:
    return np.sum(np.where(np.isnan(a), 0.0, a), *args, **kws)


def _nanmean(a: Any, axis: Any = None, keepdims: bool = False, **kws: Any) -> Any:
    _no_more(np.nanmean, kws)
    return _nansum(a, axis=axis, keepdims=keepdims) / np.sum(~np.isnan(a), axis, keepdims=keepdims)


def _where(condition: Any, *choices: Any) -> Any:
    if not choices:
        return np.nonzero(plain(condition))
    return _mover(np.where, (1, 2))(condition, *choices)


def _average(a: Any, axis: Any = None, weights: Any = None, **kws: Any) -> Any:
    _no_more(np.average, kws)
    if weights is None:
        return np.mean(a, axis=axis)
    return np.sum(a * weights, axis=axis) / np.sum(weights * np.ones(np.shape(a)), axis=axis)


def _solve(a: Any, b: Any) -> Any:
    """``a (dx) = db - da x``"""
    (a, b), (da, db) = split(_arrays([a, b]))
    x = np.linalg.solve(a, b)
    rows = []
    for lane in range(_count([da, db])):
        right = np.zeros(np.shape(b)) if db is None else db[..., lane]
        rows.append(np.linalg.solve(a, right if da is None else right - da[..., lane] @ x))
    return dual(x, np.stack(rows, axis=-1), len(rows))


def _inv(a: Any) -> Any:
    [value], [da] = split(_arrays([a]))
    x = np.linalg.inv(value)
    n = da.shape[-1]
    return dual(x, np.stack([-(x @ da[..., k] @ x) for k in range(n)], axis=-1), n)


def _det(a: Any) -> Any:
    """By Laplace's formula, which holds for singular matrices too."""
    [value], [da] = split(_arrays([a]))
    if np.ndim(a) != 2:
        raise NotDifferentiable("np.linalg.det of dual numbers takes one matrix")
    size = len(value)
    cofactors = [[_minor(value, i, j) for j in range(size)] for i in range(size)]
    slope = wrapped(raw_of(cofactors))
    rows = [np.sum(slope * da[..., k]) for k in range(da.shape[-1])]
    return dual(np.linalg.det(value), np.stack(rows), da.shape[-1])


def _minor(a: Any, i: int, j: int) -> Any:
    rest = np.delete(np.delete(a, i, axis=0), j, axis=1)
    return (-1.0) ** (i + j) * (np.linalg.det(rest) if len(rest) else 1.0)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, **kws: Any) -> Any:
    a_min, a_max = kws.pop("min", a_min), kws.pop("max", a_max)
    _no_more(np.clip, kws)
    a = a if a_min is None else np.maximum(a, a_min)
    return a if a_max is None else np.minimum(a, a_max)


def _like(fill: Any) -> Any:
    """``zeros_like`` and its kin: an array that can hold what the first one holds."""

    def make(a: Any, *args: Any, dtype: Any = None, shape: Any = None, **kws: Any) -> Any:
        raw = raw_of(a)
        new = as_array(np.zeros(raw.shape if shape is None else shape, raw.dtype))
        if args or fill:
            new[...] = kws.pop("fill_value", args[0] if args else fill)
        return new if dtype is None else new.astype(dtype)

    return make


def _full_like(a: Any, fill_value: Any, **kws: Any) -> Any:
    return _like(0)(a, fill_value, **kws)


def _rounded(function: Any) -> Any:
    """Piecewise constant functions whose value is a number: the derivative is zero."""

    def rounded(a: Any, *args: Any, **kws: Any) -> Any:
        [value], [t] = split([a])
        return dual(function(value, *args, **kws), None, t.shape[-1])

    return rounded


def _put(function: Any) -> Any:
    """A function that writes its last array argument into its first."""

    def put(a: Any, *args: Any, **kws: Any) -> None:
        if not isinstance(a, Duals):
            raise NotDifferentiable("an array of plain numbers cannot hold a dual number")
        _mover(function, (0, len(args)))(a, *args, **kws)

    return put


# ------------------------------------------------------------------------------- the tables

_QUESTIONS = (
    "shape ndim size argmax argmin argsort nonzero flatnonzero argwhere searchsorted isclose "
    "allclose array_equal array_equiv any all count_nonzero iscomplexobj isrealobj digitize "
    "lexsort argpartition nanargmax nanargmin isreal iscomplex isin isneginf isposinf"
).split()

#: Functions that move items, with the arguments that hold them.
_MOVERS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        "concatenate stack hstack vstack dstack column_stack block reshape ravel transpose "
        "squeeze expand_dims swapaxes moveaxis rollaxis flip fliplr flipud roll rot90 repeat tile "
        "take take_along_axis delete diag diagonal diagflat tril triu split array_split hsplit "
        "vsplit dsplit broadcast_to copy resize atleast_1d atleast_2d atleast_3d "
        "permute_dims matrix_transpose unstack".split(),
        (0,),
    ),
    "append": (0, 1), "insert": (0, 2), "compress": (1,), "extract": (1,),
    "choose": (1,), "select": (1, 2), "broadcast_arrays": tuple(range(32)),
    "meshgrid": tuple(range(32)),
}  # fmt: skip

_LINEAR = (
    "sum mean cumsum trace dot inner outer vdot matmul einsum tensordot kron convolve correlate "
    "cross trapezoid "
    "fft.fft fft.ifft fft.fft2 fft.ifft2 fft.fftn fft.ifftn fft.rfft fft.irfft fft.fftshift "
    "fft.ifftshift"
).split()

_FORMULAS: dict[str, Any] = {
    "prod": _prod, "cumprod": _cumprod, "var": _var, "std": _std, "average": _average,
    "linalg.norm": _norm, "nansum": _nansum, "nanmean": _nanmean,
}  # fmt: skip

_OTHERS: dict[str, Any] = {
    "max": _extremum(np.max, np.argmax), "amax": _extremum(np.max, np.argmax),
    "min": _extremum(np.min, np.argmin), "amin": _extremum(np.min, np.argmin),
    "sort": _sort, "clip": _clip, "where": _where,
    "linalg.solve": _solve, "linalg.inv": _inv, "linalg.det": _det,
    "zeros_like": _like(0), "empty_like": _like(0), "ones_like": _like(1),
    "full_like": _full_like, "real": operator.attrgetter("real"),
    "imag": operator.attrgetter("imag"),
    "round": _rounded(np.round), "around": _rounded(np.round), "fix": _rounded(np.fix),
    "copyto": _put(np.copyto), "put": _put(np.put), "fill_diagonal": _put(np.fill_diagonal),
    "place": _put(np.place), "putmask": _put(np.putmask),
    "put_along_axis": _put(np.put_along_axis),
}  # fmt: skip

RULES: dict[Any, Callable[..., Any]] = {}


def _register(name: str, make: Callable[[Any], Any]) -> None:
    try:
        function = operator.attrgetter(name)(np)
    except AttributeError:  # NumPy does not have it yet, or has it no more
        return
    RULES[function] = make(function)


def _always(rule: Any) -> Callable[[Any], Any]:
    return lambda function: rule


for _name in _QUESTIONS:
    _register(_name, _question)
for _name in _MOVERS:
    _register(_name, functools.partial(_mover, places=_MOVERS[_name]))
for _name in _LINEAR:
    _register(_name, _linear)
for _name, _formula in _FORMULAS.items():
    _register(_name, functools.partial(_with_value, formula=_formula))
for _name, _rule in _OTHERS.items():
    _register(_name, _always(_rule))

#: Ufuncs that are products, and what their `reduce` is.
PRODUCTS = frozenset(
    getattr(np, name) for name in ("matmul", "vecdot", "matvec", "vecmat") if hasattr(np, name)
)
REDUCTIONS: dict[Any, Any] = {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min,
    np.logical_and: np.all, np.logical_or: np.any,
}  # fmt: skip
