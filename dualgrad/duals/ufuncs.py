"""NumPy's ufuncs on duals: values by NumPy itself, tangents by the table of rules."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from dualgrad import rules
from dualgrad.duals.classes import Duals, plain, wrapped
from dualgrad.duals.convert import raw_of
from dualgrad.duals.storage import is_dual, lifted, made, tangent_of, type_of, value_of
from dualgrad.errors import NotDifferentiable
from dualgrad.types import depth

Tangent = Callable[[Sequence[Any], Any, Sequence[Any]], Any]


def called(ufunc: Any, method: str, inputs: Sequence[Any], kws: dict[str, Any]) -> Any:
    """What NumPy asks of duals for a ufunc."""
    from dualgrad.duals import functions, methods

    out, where = kws.pop("out", None), kws.pop("where", True)
    if method != "__call__":
        if where is not True:  # of a reduction: which items count
            kws["where"], where = where, True
        result = methods.apply(ufunc, method, inputs, kws)
    elif ufunc in functions.PRODUCTS:
        result = functions.multilinear(ufunc, inputs, kws)
    else:
        result = evaluated(ufunc, inputs, functools.partial(ufunc, **kws) if kws else None)
    return result if out is None and where is True else written(result, out, where)


def written(result: Any, out: Any, where: Any = True) -> Any:
    """A result written into `out`, which must be able to hold it."""
    if out is None:
        raise NotDifferentiable("where= without out= leaves items undefined; give out= too")
    if isinstance(result, tuple):  # of which some may be left as they are
        pairs = zip(result, out, strict=True)
        return tuple(it if to is None else written(it, to, where) for it, to in pairs)
    [target] = out if isinstance(out, tuple) else (out,)
    raw: Any = raw_of(result)
    to: Any = getattr(target, "_dualgrad_data", target)
    if is_dual(raw) and not is_dual(to):
        raise NotDifferentiable(
            "an array of plain numbers cannot hold a dual number\n"
            "  way out: make it with np.zeros_like(x) or dg.DualArray, or write a = a + b for "
            "a += b"
        )
    if is_dual(to):
        raw = lifted(raw, type_of(to.dtype))
    np.copyto(to, raw, casting="same_kind", where=where)
    return target


def split(operands: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Operands without their outermost level of duals, and the tangents of those that have it.

    A tangent is None for an operand that is constant at this level.
    """
    raws = [raw_of(it) if isinstance(it, (Duals, np.ndarray)) else None for it in operands]
    types = [None if raw is None or not is_dual(raw) else type_of(raw.dtype) for raw in raws]
    level = max(0 if ty is None else ty.depth for ty in types)
    counts = {ty.n for ty in types if ty is not None and ty.depth == level}
    if len(counts) > 1:
        raise TypeError(f"dual numbers with {' and '.join(map(str, sorted(counts)))} tangents meet")
    values, tangents = list(operands), [None] * len(raws)
    for k, (raw, ty) in enumerate(zip(raws, types, strict=True)):
        if ty is not None:
            top = ty.depth == level
            # a copy, as sums of NumPy depend to the last bit on whether items lie side by side
            values[k] = wrapped(np.copy(value_of(raw)) if top else raw)
            tangents[k] = wrapped(tangent_of(raw)) if top else None
    return values, tangents


def evaluated(ufunc: Any, inputs: Sequence[Any], compute: Any = None) -> Any:
    """A ufunc of duals; `compute` computes its values, if it is not the ufunc itself."""
    rule = TANGENTS.get(ufunc)
    if rule is None and ufunc not in PLAIN:
        refuse(f"np.{ufunc.__name__}")
    lists = (list, tuple)
    values, tangents = split([wrapped(raw_of(x)) if isinstance(x, lists) else x for x in inputs])
    y = (compute or ufunc)(*values)
    counts = [t.shape[-1] for t in tangents if t is not None]
    if rule is None or not counts:
        return y
    with np.errstate(all="ignore"):
        slopes = rule(values, y, tangents)
    if ufunc.nout == 1:
        return dual(y, slopes, counts[0])
    return tuple(dual(*it, counts[0]) for it in zip(y, slopes, strict=True))


def refuse(name: str) -> NoReturn:
    """Say that a function has no rule."""
    raise NotDifferentiable(
        f"{name} has no derivative rule for dual numbers\n"
        "  way out: give a function that uses it a rule with dg.custom_jvp"
    )


def dual(y: Any, tangent: Any, n: int) -> Any:
    """The dual of a value and its tangents, None for zeros; whole numbers have none."""
    raw = raw_of(y)
    if raw.dtype.names is None and raw.dtype.kind not in "fc":
        return y
    shape = raw.shape + (n,)
    rows = np.zeros(shape) if tangent is None else raw_of(tangent)
    return wrapped(made(raw, rows if rows.shape == shape else np.broadcast_to(rows, shape)))


# ------------------------------------------------------------------- arithmetic on tangents


def scaled(t: Any, factor: Any) -> Any:
    """Tangents times a number for each item."""
    return t * wrapped(raw_of(factor)[..., None])


def strongly_scaled(t: Any, factor: Any) -> Any:
    """The same, but what is zero stays zero even if the factor is inf or nan."""
    return _strong_product(t, wrapped(raw_of(factor)[..., None]))


def _strong_product(x: Any, factor: Any) -> Any:
    if not isinstance(x, Duals):
        return np.where(x == 0, 0, x * factor)
    raw, by = raw_of(x), raw_of(factor)
    ty = type_of(raw.dtype)
    value, tangent = wrapped(value_of(raw)), wrapped(tangent_of(raw))
    constant = depth(type_of(by.dtype)) < ty.depth
    slope = factor if constant else wrapped(value_of(by))
    total = strongly_scaled(tangent, slope)
    if not constant:
        column = wrapped(raw_of(value)[..., None])
        at_rest = plain(column) == 0
        total = total + np.where(at_rest, 0.0, wrapped(tangent_of(by)) * column)
    return dual(_strong_product(value, slope), total, ty.n)


def _added(u: Any, v: Any) -> Any:
    return v if u is None else u if v is None else u + v


# --------------------------------------------------------------------------------- the rules


def _is_complex(*numbers: Any) -> bool:
    return any(plain(it).dtype.kind == "c" for it in numbers)


def _add(values: Any, y: Any, tangents: Any) -> Any:
    return _added(*tangents)


def _subtract(values: Any, y: Any, tangents: Any) -> Any:
    u, v = tangents
    return u if v is None else -v if u is None else u - v


def _multiply(values: Any, y: Any, tangents: Any) -> Any:
    (a, b), (u, v) = values, tangents
    return _added(None if u is None else scaled(u, b), None if v is None else scaled(v, a))


def _divide(values: Any, y: Any, tangents: Any) -> Any:
    (_, b), (u, v) = values, tangents
    if v is not None:
        turn = strongly_scaled(v, y)
        u = -turn if u is None else u - turn
    return strongly_scaled(u, np.true_divide(1.0, b))


def _rule(partials: Sequence[Any], strong: bool = True) -> Tangent:
    """Sum of tangent times partial derivative, over the active operands."""
    scale = strongly_scaled if strong else scaled

    def tangent(values: Any, y: Any, tangents: Any) -> Any:
        total = None
        for t, partial in zip(tangents, partials, strict=False):
            if t is not None:
                total = _added(total, scale(t, _applied(partial, *values, y)))
        return total

    return tangent


def _applied(rule: Any, *numbers: Any) -> Any:
    """A rule of the table, and nan where the function has no value.

    A rule that calls helpers may branch: it is called for one item at a time.
    """
    branches = _HELPERS.intersection((rule.__name__, *rule.__code__.co_names))
    factor = _item_by_item(rule, numbers) if branches else rule(*numbers)
    y = numbers[-1]
    lost = np.isnan(plain(y))
    return np.where(lost, y, factor) if np.any(lost) else factor


def _item_by_item(rule: Any, numbers: Sequence[Any]) -> Any:
    raws = np.broadcast_arrays(*[raw_of(it) for it in numbers])
    items = [rule(*(wrapped(raw[k]) for raw in raws)) for k in np.ndindex(raws[-1].shape)]
    if not items:
        return numbers[-1]
    return wrapped(raw_of(items).reshape(raws[-1].shape))


_HELPERS = frozenset(function.__name__ for function in rules.HELPERS)


def _unary(name: str) -> Tangent:
    strong = name not in rules.FINITE
    on_reals = _rule([rules.derivative(name)], strong and name not in rules.BOUNDED)
    if name in rules.BY_PARTS:
        on_complex = _by_parts(name)
    else:
        on_complex = _rule([rules.analytic(name)], strong)

    def tangent(values: Any, y: Any, tangents: Any) -> Any:
        return (on_complex if _is_complex(*values, y) else on_reals)(values, y, tangents)

    return tangent


def _by_parts(name: str) -> Tangent:
    def tangent(values: Any, y: Any, tangents: Any) -> Any:
        [t] = tangents
        slopes = (_applied(partial, *values, y) for partial in rules.by_parts(name))
        parts = (t.real, t.imag)
        return _added(*(strongly_scaled(*it) for it in zip(parts, slopes, strict=True)))

    return tangent


def _sign(values: Any, y: Any, tangents: Any) -> Any:
    return _by_parts("sign")(values, y, tangents) if _is_complex(*values) else None


def _power(values: Any, y: Any, tangents: Any) -> Any:
    x, n = values
    if _is_complex(*values):
        return _complex_power(values, y, tangents)
    if tangents[1] is not None or plain(n).dtype.kind not in "iu":
        return _float_power(values, y, tangents)
    # an integer exponent has no logarithm of a negative base
    exponent = np.asarray(n, float)
    factor = np.where(exponent != 0, exponent * x ** np.where(exponent != 0, exponent - 1, 1), 0.0)
    return (scaled if np.all(exponent > 0) else strongly_scaled)(tangents[0], factor)


_float_power = _rule(rules.partials("power"))
_complex_power = _rule([rules.complex_power_in_base, rules.complex_power_in_exponent])


def _select(values: Any, y: Any, tangents: Any) -> Any:
    """The tangent of the operand that is the result; between a constant and a dual, a tie is 0."""
    x, other = (plain(it) for it in values)
    z = plain(y)
    u, v = tangents
    first = (z == x) | (np.isnan(z) & np.isnan(x))
    if v is None:
        first &= x != other
    return np.where(np.asarray(first)[..., None], 0.0 if u is None else u, 0.0 if v is None else v)


def _conjugate(values: Any, y: Any, tangents: Any) -> Any:
    return np.conjugate(tangents[0])


def _constant(values: Any, y: Any, tangents: Any) -> Any:
    return None


def _divmod(values: Any, y: Any, tangents: Any) -> Any:
    return None, TANGENTS[np.remainder](values, y[1], tangents)


def _modf(values: Any, y: Any, tangents: Any) -> Any:
    """The whole part is constant."""
    return tangents[0], None


def _frexp(values: Any, y: Any, tangents: Any) -> Any:
    """The exponent is constant; where there is none, at inf and nan, NumPy has 0 or anything."""
    exponents = np.where(np.isfinite(plain(y[0])), y[1], 0)
    return np.ldexp(tangents[0], -exponents[..., None]), None


def _heaviside(values: Any, y: Any, tangents: Any) -> Any:
    """The second argument is the value at the jump."""
    at_jump = plain(values[0]) == 0.0
    return None if tangents[1] is None else np.where(at_jump[..., None], tangents[1], 0.0)


_KINDS: list[tuple[Tangent, Sequence[str]]] = [
    (_add, ("add",)),
    (_subtract, ("subtract",)),
    (_multiply, ("multiply",)),
    (_divide, ("true_divide",)),
    (_power, ("power", "float_power")),
    (_conjugate, ("conjugate",)),
    (_sign, ("sign",)),
    *((_unary(name), (name, *rules.ALIASES.get(name, ()))) for name in rules.UNARY),
    *((_rule(rules.partials(name)), (name,)) for name in rules.BINARY),
    (_select, tuple(rules.SELECT)),
    (_constant, rules.CONSTANT),
    (_divmod, ("divmod",)), (_modf, ("modf",)), (_frexp, ("frexp",)), (_heaviside, ("heaviside",)),
]  # fmt: skip

#: How the tangent of each ufunc is made.
TANGENTS: dict[Any, Tangent] = {}
for _tangent, _names in _KINDS:
    for _name in _names:
        if isinstance(getattr(np, _name, None), np.ufunc):
            TANGENTS.setdefault(getattr(np, _name), _tangent)

#: Those that are asked about values.
PLAIN = frozenset(getattr(np, name) for name in rules.PREDICATE)
