"""NumPy's functions on duals: by what kind of function each is.

Functions that move items move duals; those that are linear in each argument are called once for
each tangent; some are formulas of others, and some are NumPy's own code. What is in no table has no
rule.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy

from dualgrad.duals import factors, linalg, reductions
from dualgrad.duals.borrow import borrowed
from dualgrad.duals.classes import Duals, as_array, plain, wrapped
from dualgrad.duals.convert import raw_of
from dualgrad.duals.formulas import holds_dual, name_of, with_value
from dualgrad.duals.reductions import without_nan
from dualgrad.duals.storage import common, lifted, type_of
from dualgrad.duals.ufuncs import dual, refuse, split, written
from dualgrad.errors import NotDifferentiable

np: Any = numpy  # whose type hints know nothing of duals


def called(function: Any, args: Sequence[Any], kws: dict[str, Any]) -> Any:
    """What NumPy asks of duals for a function."""
    kws = {key: it for key, it in kws.items() if it is not np._NoValue}
    out = kws.pop("out", None)
    place = _place_of_out(function)
    if place is not None and place < len(args):
        out, args = args[place], (*args[:place], None, *args[place + 1 :])
    if not holds_dual((args, kws)):  # `out` may hold one, then
        return written(function(*args, **kws), out)
    rule = RULES.get(function)
    if holds_dual(kws):  # rules look for duals among positional arguments
        bound = _signature(function).bind(*args, **kws)
        args, kws = bound.args, bound.kwargs
    if rule is None:
        refuse(name_of(function))
    result = rule(*args, **kws)
    return result if out is None else written(result, out)


#: The parameters of functions in C, of which NumPy says nothing before 2.4.
_IN_C: dict[Any, Callable[..., None]] = {
    np.bincount: lambda x, /, weights=None, minlength=0: None,
    np.concatenate: lambda arrays, /, axis=0, out=None, *, dtype=None, casting="": None,
    np.copyto: lambda dst, src, casting="", where=True: None,
    np.dot: lambda a, b, out=None: None,
    np.putmask: lambda a, /, mask, values: None,
}


@functools.cache
def _signature(function: Any) -> inspect.Signature:
    try:
        return inspect.signature(_IN_C.get(function, function))
    except ValueError:  # functions in C take what holds duals by place
        return inspect.signature(lambda *args, **kws: None)


@functools.cache
def _place_of_out(function: Any) -> int | None:
    """The place of the argument that results are written into, if it has one."""
    parameters = _signature(function).parameters
    named = "out" in parameters and parameters["out"].kind is not inspect.Parameter.KEYWORD_ONLY
    return list(parameters).index("out") if named else None


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
        keys = [*(k for k in places if k < len(args)), *(k for k in kws if holds_dual(kws[k]))]
        given: dict[Any, Any] = {**dict(enumerate(args)), **kws}
        if not any(holds_dual(given[key]) for key in keys):  # but a condition, or an index
            return question(*args, **kws)
        raws = [raw for key in keys for raw in _raws(given[key])]
        ty = common(type_of(raw.dtype) for raw in raws)
        moved = {k: _lifted(it, ty) if k in keys else _values(it) for k, it in given.items()}
        for key in ("dtype", "casting"):
            moved.pop(key, None)
        result = _wrapped(function(*[moved.pop(k) for k in range(len(args))], **moved))
        if len({plain(raw).dtype for raw in raws}) == 1 and kws.get("dtype") is None:
            return result
        return _of_types(result, question(*args, **kws))  # several types: NumPy says of which

    question = _question(function)
    return move


def _of_types(result: Any, like: Any) -> Any:
    """Duals of the precision of other results; where those are whole numbers, these."""
    if isinstance(like, (list, tuple)):
        return type(like)([_of_types(*it) for it in zip(result, like, strict=True)])
    if like.dtype.kind not in "fc":
        return like
    return result if result.dtype == like.dtype else result.astype(like.dtype)


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
    if raw_of(y).dtype.names is None and raw_of(y).dtype.kind not in "fc":  # dtype=int
        return y
    kws = {key: it for key, it in kws.items() if key != "initial"}  # a constant that is added
    active = [(k, t) for k, t in enumerate(tangents) if t is not None]
    rows = []
    for lane in range(_count(tangents)):
        terms = [function(*values[:k], t[..., lane], *values[k + 1 :], **kws) for k, t in active]
        rows.append(functools.reduce(np.add, terms))
    return dual(y, np.stack(rows, axis=-1), len(rows))


def _arrays(args: Iterable[Any]) -> list[Any]:
    """Arguments in which lists of numbers and duals are arrays."""
    return [wrapped(raw_of(it)) if holds_dual(it) else it for it in args]


def _count(tangents: Iterable[Any]) -> int:
    return next(t.shape[-1] for t in tangents if t is not None)


def _linear(function: Any) -> Any:
    def product(*args: Any, **kws: Any) -> Any:
        if holds_dual(kws.get("initial")):
            return with_value(function, started)(*args, **kws)
        _no_more(function, {key: it for key, it in kws.items() if holds_dual(it)})
        return multilinear(function, args, kws)

    def started(*args: Any, initial: Any, **kws: Any) -> Any:
        return function(*args, **kws) + initial

    return product


# ------------------------------------------------------------------------------ selections


def _partition(a: Any, kth: Any, axis: Any = -1, **kws: Any) -> Any:
    a = wrapped(raw_of(a))
    a, axis = (a.ravel(), 0) if axis is None else (a, axis)
    return np.take_along_axis(a, np.argpartition(plain(a), kth, axis, **kws), axis)


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


def _where(condition: Any, *choices: Any) -> Any:
    if not choices:
        return np.nonzero(plain(condition))
    return _mover(np.where, (1, 2))(condition, *choices)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, **kws: Any) -> Any:
    a_min, a_max = kws.pop("min", a_min), kws.pop("max", a_max)
    _no_more(np.clip, kws)
    a = a if a_min is None else np.maximum(a, a_min)
    return a if a_max is None else np.minimum(a, a_max)


def _like(fill: Any) -> Any:
    """``zeros_like`` and its kin: an array that can hold what the first one holds."""

    def make(
        a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None,
        *, device: Any = None, fill_value: Any = fill,
    ) -> Any:  # fmt: skip
        raw = raw_of(a)
        new = as_array(np.zeros(raw.shape if shape is None else shape, raw.dtype))
        if fill_value is not None:
            new[...] = fill_value
        return new if dtype is None else new.astype(dtype)

    return make


def _full_like(a: Any, fill_value: Any, *args: Any, **kws: Any) -> Any:
    return _like(None)(a, *args, fill_value=fill_value, **kws)


def _sinc(x: Any) -> Any:
    """Near zero the power series: of the quotient all derivatives cancel there."""
    t = np.pi * x
    near = np.abs(t) < 2.0
    squared, series = np.where(near, t, 0.0) ** 2, 1.0
    for k in range(28, 0, -2):
        series = 1.0 - squared / (k * (k + 1)) * series
    far = np.where(near, 1.0, t)
    return np.where(near, series, np.sin(far) / far)


def _nan_to_num(x: Any, copy: bool = True, *args: Any, **kws: Any) -> Any:
    result = with_value(np.nan_to_num, borrowed(np.nan_to_num))(x, True, *args, **kws)
    return result if copy else written(result, x)


def _rounded(function: Any) -> Any:
    """Piecewise constant functions whose value is a number: the derivative is zero."""

    def rounded(a: Any, *args: Any, **kws: Any) -> Any:
        [value], [t] = split([a])
        return dual(function(value, *args, **kws), None, t.shape[-1])

    return rounded


def _put(function: Any, place: int) -> Any:
    """A function that writes the argument at `place` into its first."""

    def put(a: Any, *args: Any, **kws: Any) -> None:
        if not isinstance(a, Duals):
            raise NotDifferentiable("an array of plain numbers cannot hold a dual number")
        raw = raw_of(a)
        bound = _signature(function).bind(a, *args, **kws)
        given = [*map(_values, bound.args)]
        given[0], given[place] = raw, lifted(raw_of(bound.args[place]), type_of(raw.dtype))
        function(*given, **bound.kwargs)

    return put


def _of_memory(function: Any) -> Any:
    """A question that the memory of duals answers."""
    return lambda a, b, *args, **kws: function(raw_of(a), raw_of(b), *args, **kws)


def _astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return x.astype(dtype, copy=copy)


# ------------------------------------------------------------------------------- the tables

_QUESTIONS = (
    "shape ndim size argmax argmin argsort nonzero flatnonzero argwhere searchsorted isclose "
    "allclose array_equal array_equiv any all count_nonzero iscomplexobj isrealobj digitize "
    "lexsort argpartition nanargmax nanargmin isreal iscomplex isin isneginf isposinf "
    "in1d can_cast result_type common_type min_scalar_type alltrue sometrue "
    "diag_indices_from tril_indices_from triu_indices_from einsum_path linalg.matrix_rank"
).split()

#: Functions that move items, with the arguments that hold them.
_MOVERS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        "concatenate stack hstack vstack dstack column_stack block reshape ravel transpose "
        "squeeze expand_dims swapaxes moveaxis rollaxis flip fliplr flipud roll rot90 repeat tile "
        "take take_along_axis delete diag diagonal diagflat tril triu split array_split hsplit "
        "vsplit dsplit broadcast_to copy resize "
        "permute_dims matrix_transpose unstack linalg.diagonal linalg.matrix_transpose".split(),
        (0,),
    ),
    "append": (0, 1), "insert": (0, 2), "compress": (1,), "extract": (1,),
    "choose": (1,), "select": (1, 2),
    **dict.fromkeys(
        "broadcast_arrays meshgrid atleast_1d atleast_2d atleast_3d".split(), tuple(range(32))
    ),
}  # fmt: skip

_LINEAR = (
    "sum mean cumsum trace dot inner outer vdot matmul einsum tensordot kron convolve correlate "
    "cross trapezoid trapz bincount linalg.matmul linalg.outer linalg.cross linalg.trace "
    "linalg.tensordot linalg.vecdot "
    "fft.fft fft.ifft fft.fft2 fft.ifft2 fft.fftn fft.ifftn fft.rfft fft.irfft fft.rfft2 "
    "fft.irfft2 fft.rfftn fft.irfftn fft.hfft fft.ihfft fft.fftshift fft.ifftshift"
).split()

_FORMULAS: dict[str, Any] = {
    **dict.fromkeys(("max", "amax"), reductions.extremum(np.argmax)),
    **dict.fromkeys(("min", "amin"), reductions.extremum(np.argmin)),
    **dict.fromkeys(("prod", "product"), reductions.prod),
    **dict.fromkeys(("cumprod", "cumproduct"), reductions.cumprod), "var": reductions.var,
    "std": reductions.std, "linalg.norm": linalg.norm,
    "linalg.matrix_norm": linalg.matrix_norm, "linalg.vector_norm": linalg.vector_norm,
    "linalg.cond": linalg.cond, "linalg.svdvals": linalg.svdvals,
    "linalg.slogdet": linalg.slogdet, "sinc": _sinc,
    **{
        f"linalg.{name}": getattr(factors, name)
        for name in "cholesky eig eigh eigvals eigvalsh lstsq pinv qr svd".split()
    },
    "nansum": without_nan(np.sum), "nanmean": without_nan(np.mean),
    "nanprod": without_nan(np.prod), "nanvar": without_nan(np.var),
    "nanstd": without_nan(np.std), "nanmedian": reductions.nanmedian,
}  # fmt: skip

#: Functions that write into their first argument, with the one that they write.
_PUTS = {
    "copyto": 1, "put": 2, "fill_diagonal": 1, "place": 2, "putmask": 2, "put_along_axis": 2,
}  # fmt: skip

#: Functions whose code NumPy has in Python.
_BORROWED = (
    "pad gradient polyval diff ediff1d unwrap median percentile quantile nanpercentile "
    "nanquantile cov corrcoef average ptp i0 trim_zeros vander nanmax nanmin "
    "nancumsum nancumprod apply_along_axis apply_over_axes piecewise angle ix_ real_if_close "
    "sort_complex poly polyadd polysub polymul polydiv polyder polyint polyfit roots unique "
    "union1d setdiff1d intersect1d setxor1d unique_values unique_all unique_inverse unique_counts "
    "linspace logspace geomspace histogram histogram2d histogramdd histogram_bin_edges interp "
    "cumulative_sum cumulative_prod linalg.multi_dot linalg.matrix_power linalg.tensorinv "
    "linalg.tensorsolve asfarray msort"
).split()

_OTHERS: dict[str, Any] = {
    "sort": _sort, "partition": _partition, "clip": _clip, "where": _where,
    "linalg.solve": linalg.solve, "linalg.inv": linalg.inv, "linalg.det": linalg.det,
    "zeros_like": _like(None), "empty_like": _like(None), "ones_like": _like(1),
    "full_like": _full_like, "real": operator.attrgetter("real"),
    "imag": operator.attrgetter("imag"),
    **dict.fromkeys(("round", "around", "round_"), _rounded(np.round)), "fix": _rounded(np.fix),
    "astype": _astype, "nan_to_num": _nan_to_num, "shares_memory": _of_memory(np.shares_memory),
    "may_share_memory": _of_memory(np.may_share_memory),
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
    _register(_name, functools.partial(with_value, formula=_formula))
for _name in _PUTS:
    _register(_name, functools.partial(_put, place=_PUTS[_name]))
for _name in _BORROWED:
    _register(_name, lambda function: with_value(function, borrowed(function)))
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
