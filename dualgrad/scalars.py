"""Arithmetic on dual scalars: for every function, how its tangents follow.

That is all that differs between functions (see `dualgrad.calls`): a rule of each kind, and the
table at the end.
"""

from __future__ import annotations

import cmath
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import register_jitable
from numba.np.numpy_support import numpy_version

from dualgrad import lanes, rules
from dualgrad.calls import RECALLED, Call, lower_dual
from dualgrad.layout import joined, split
from dualgrad.types import DualType, is_complex, primal

# --------------------------------------------------------------------------- tangents, by kind


def _add(c: Call) -> Any:
    return c.lanes(lanes.add, *c.tangents)


def _sub(c: Call) -> Any:
    return c.lanes(lanes.sub, *c.tangents)


def _neg(c: Call) -> Any:
    return c.lanes(lanes.neg, c.tangents[0])


def _mul(c: Call) -> Any:
    u, v = c.tangents
    if c.square:
        x = c.factor(0)
        _, doubled = lanes.call(
            c.context, c.builder, operator.add, (c.result_type, c.result_type), (x, x)
        )
        return c.lanes(lanes.scale, u, doubled)
    first = None if u is None else c.scaled(u, 1)
    return c.lanes(lanes.add, first, None if v is None else c.scaled(v, 0))


def _truediv(c: Call) -> Any:
    """(u - z v) / y, strong so that lanes without a perturbation survive a division by zero."""
    u, v = c.tangents
    reciprocal = c.apply(_inverse_of_second if c.is_complex else _reciprocal_of_second)
    if v is not None:
        u = c.lanes(lanes.sub, u, c.lanes(lanes.strong_scale, v, c.result))
    return c.lanes(lanes.strong_scale, u, reciprocal)


_reciprocal_of_second = rules.function_of("reciprocal_of_second", "x, y", "1.0 / y")


def _inverse_of_second(x: Any, y: Any) -> Any:
    return rules.inverse(y)


def _constant(c: Call) -> Any:
    return None


def _identity(c: Call) -> Any:
    return c.tangents[0]


@dataclass(frozen=True)
class SumOfPartials:
    """Sum of tangent times partial derivative, over the active operands."""

    partials: Sequence[Callable[..., Any]]
    strong: bool = True
    total: bool = False  # they are nan, too, where the function is

    def factors(self, c: Call) -> list[Any]:
        """The partial derivatives by the active operands."""
        pairs = zip(c.tangents, self.partials, strict=False)
        found = [c.apply(it, c.result) for t, it in pairs if t is not None]
        return found if self.total else [_nan_like(c, it) for it in found]

    def __call__(self, c: Call, factors: Sequence[Any] | None = None) -> Any:
        scale = lanes.strong_scale if self.strong else lanes.scale
        total = None
        active = [t for t in c.tangents if t is not None]
        for t, factor in zip(active, factors or self.factors(c), strict=True):
            total = c.lanes(lanes.add, total, c.lanes(scale, t, factor))
        return total


def _nan_like(c: Call, factor: Any) -> Any:
    """A function has no derivative where it has no value, whatever the formula says there."""
    ty, value = c.result_type, c.result
    while isinstance(ty, DualType):
        ty, value = ty.base, c.builder.extract_value(value, 0)
    parts = split(c.builder, ty, value) if is_complex(ty) else (value, value)
    return c.builder.select(c.builder.fcmp_unordered("uno", *parts), c.result, factor)


def _select(takes_first: Callable[..., Any]) -> Callable[[Call], Any]:
    """The tangent of the operand that is the result.

    On a tie between an active and a constant operand it is zero, in either order, so that
    ``max(0, z)`` and ``max(z, 0)`` have the same derivative at 0.
    """

    takes_first = register_jitable(takes_first)

    def strictly(x: Any, y: Any) -> Any:
        return takes_first(x, y) and x != y

    def tangent(c: Call) -> Any:
        u, v = c.tangents
        function = strictly if v is None else takes_first
        return c.lanes(lanes.select, c.apply(function, returns=types.boolean), u, v)

    return tangent


def _power(c: Call) -> Any:
    if c.is_complex:
        return _complex_power(c)
    return _float_power(c) if c.tangents[1] is not None else _constant_power(c)


def _constant_power(c: Call) -> Any:
    if not isinstance(c.operand_types[1], types.Integer):
        return _float_power(c)
    # A positive power has no singular derivative.
    n = lanes.integer(c.operand_types[1], c.values[1])
    if n is not None and n > 0:
        return c.lanes(lanes.scale, c.tangents[0], _slope_of_positive(c, n))
    factor = c.apply(_integer_slope, c.result)
    plain = c.lanes(lanes.scale, c.tangents[0], factor)
    strong = c.lanes(lanes.strong_scale, c.tangents[0], factor)
    return c.lanes(lanes.select, c.apply(_is_positive, returns=types.boolean), plain, strong)


def _slope_of_positive(c: Call, n: int) -> Any:
    """The derivative for a literal exponent, for which no function need be compiled."""
    ty, number = c.result_type, primal(c.result_type)
    factor, type_of_factor = c.context.get_constant(number, n), number
    if n > 1:
        operands = c.factor(0), c.context.get_constant(types.intp, n - 1)
        type_of_power, power = _emit(c, operator.pow, (ty, types.intp), operands)
        type_of_factor, factor = _emit(c, operator.mul, (type_of_power, number), (power, factor))
    return c.context.cast(c.builder, factor, type_of_factor, ty)


def _emit(c: Call, fn: Any, arg_types: Any, args: Any) -> tuple[Any, Any]:
    return lanes.call(c.context, c.builder, fn, arg_types, args)


def _integer_slope(x: Any, n: Any, z: Any) -> Any:
    if n > 0:
        return n * x ** (n - 1)
    return n * z / x if n < 0 else z - z  # x^-3 may raise where x^-2 does not; x^0 is 1 everywhere


def _is_positive(x: Any, n: Any) -> Any:
    return n > 0


_float_power = SumOfPartials(rules.partials("power"))
_complex_power = SumOfPartials([rules.complex_power_in_base, rules.complex_power_in_exponent])

# ------------------------------------------------------------------------- complex numbers


def _unary(name: str) -> Callable[[Call], Any]:
    """The rule of a function of one argument, for real and for complex numbers."""
    strong, total = name not in rules.FINITE, name in rules.BOUNDED
    on_reals = SumOfPartials([rules.derivative(name)], strong and not total, total)
    if name in rules.BY_PARTS:
        on_complex = _by_parts(name)
    else:
        on_complex = SumOfPartials([rules.analytic(name)], strong)
    return lambda c: on_complex(c) if c.is_complex else on_reals(c)


def _by_parts(name: str) -> Callable[[Call], Any]:
    """The rule of a function that is not analytic."""

    def tangent(c: Call) -> Any:
        total, operand = None, c.lanes_type
        if not is_complex(c.result_type):
            operand = operand.over(c.operand_types[0])
        for part, partial in zip(
            split(c.builder, operand, c.tangents[0]), rules.by_parts(name), strict=True
        ):
            half = lanes.part_of(operand)
            t = lanes.cast(c.context, c.builder, part, half, c.lanes_type)
            factor = _nan_like(c, c.apply(partial, c.result))
            total = c.lanes(lanes.add, total, c.lanes(lanes.strong_scale, t, factor))
        return total

    return tangent


def _sign(c: Call) -> Any:
    """Of real numbers it is constant; and of complex ones before NumPy 2, the sign of one part."""
    return _complex_sign(c) if c.is_complex and numpy_version >= (2, 0) else None


_complex_sign = _by_parts("sign")


def _conjugate_tangent(c: Call) -> Any:
    [u] = c.tangents
    if not c.is_complex:
        return u
    real, imag = split(c.builder, c.lanes_type, u)
    minus = lanes.neg(c.context, c.builder, lanes.part_of(c.lanes_type), imag)
    return joined(c.builder, c.lanes_type, real, minus)


def _from_parts(c: Call) -> Any:
    """``complex(x, y)`` of real numbers, or ``complex(z)``."""
    if len(c.tangents) == 1:
        return c.tangents[0]
    parts = [None if t is None else split(c.builder, c.lanes_type, t)[0] for t in c.tangents]
    return c.lanes(lanes.from_parts, *parts)


def _log(c: Call) -> Any:
    """With a second argument, the base, it is a quotient of logarithms."""
    return _log_to_base(c) if len(c.values) == 2 else _natural_log(c)


_natural_log = _unary("log")
_log_to_base = SumOfPartials(
    [
        lambda x, y, z: rules.inverse(x * np.log(y)),
        lambda x, y, z: -z * rules.inverse(y * np.log(y)),
    ]
)


def _sinc(c: Call) -> Any:
    return _complex_sinc(c) if c.is_complex else _real_sinc(c)


_real_sinc = SumOfPartials([rules.sinc_slope], strong=False)
_complex_sinc = SumOfPartials([rules.complex_sinc_slope], strong=False)

# ------------------------------------------------------------------------------- the table

for _function in rules.HELPERS:
    register_jitable(_function)

_KINDS: list[tuple[Callable[[Call], Any], tuple[Any, ...]]] = [
    (_add, (operator.add, operator.iadd, np.add)),
    (_sub, (operator.sub, operator.isub, np.subtract)),
    (_mul, (operator.mul, operator.imul, np.multiply)),
    (_truediv, (operator.truediv, operator.itruediv, np.true_divide)),
    (_neg, (operator.neg, np.negative)),
    (_identity, (operator.pos, np.positive, float)),
    (_power, (operator.pow, operator.ipow, pow, *rules.functions("power"))),
    (SumOfPartials(rules.partials("remainder")), (operator.mod, operator.imod)),
    (_unary("absolute"), (abs,)),
    (_conjugate_tangent, (np.conjugate,)),
    (_from_parts, (complex,)),
    (_log, (cmath.log,)),
    (_sign, (np.sign,)),
    (_sinc, (np.sinc,)),
    (_constant, (operator.floordiv, operator.ifloordiv, round, int, operator.truth)),
    (_constant, (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)),
    (_constant, (operator.not_, math.floor, math.ceil, math.trunc)),
    (_select(lambda x, y: not y > x), (max,)),
    (_select(lambda x, y: not y < x), (min,)),
]
_KINDS += [(_unary(name), rules.functions(name)) for name in rules.UNARY]
_KINDS += [(SumOfPartials(rules.partials(name)), rules.functions(name)) for name in rules.BINARY]
_KINDS += [(_select(rules.selects(name)), rules.functions(name)) for name in rules.SELECT]
_KINDS += [(_constant, rules.functions(name)) for name in (*rules.CONSTANT, *rules.PREDICATE)]

#: Every function of scalars that duals have, with how its tangent is made.
TANGENTS: dict[Any, Callable[[Call], Any]] = {}
for _name in rules.COSTLY:
    _total = _name in rules.BOUNDED
    _rule = SumOfPartials(rules.derivatives(_name), not _total, _total)
    RECALLED.update(dict.fromkeys(rules.functions(_name), _rule))
RECALLED.update(dict.fromkeys((operator.pow, operator.ipow, pow), RECALLED[np.power]))
for _tangent, _functions in _KINDS:
    for _function in _functions:
        TANGENTS.setdefault(_function, _tangent)
for _function, _tangent in TANGENTS.items():
    lower_dual(_function, _tangent)
