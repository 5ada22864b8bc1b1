"""Arithmetic on dual scalars: one typing template and one lowering for every function.

A function of duals is typed as the same function of their base types, and its value part is
lowered by the base's own implementation, so values are what Numba returns, bit for bit. What
differs between functions is only how the tangents follow: that is the table at the end.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core import cgutils, compiler, types
from numba.core.errors import TypingError
from numba.core.imputils import lower_builtin, lower_cast
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import (
    intrinsic,
    overload,
    overload_attribute,
    overload_method,
    register_jitable,
)

from dualgrad import lanes, rules
from dualgrad.types import DualType, can_carry, depth, primal

# ---------------------------------------------------------------------------------- typing


def join(arg_types: Any) -> DualType | None:
    """The deepest dual type among `arg_types`: the level at which a call differentiates."""
    duals = [ty for ty in arg_types if isinstance(ty, DualType)]
    if not duals:
        return None
    level: DualType = max(duals, key=depth)
    if any(ty.depth == level.depth and ty.n != level.n for ty in duals):
        raise TypingError("dual numbers with different numbers of lanes do not mix")
    return level


def base_types(level: DualType, arg_types: Any) -> list[types.Type]:
    """The argument types, with one level taken off those that are at `level`."""
    return [ty.base if depth(ty) == level.depth else ty for ty in arg_types]


def lift(level: DualType, ty: types.Type) -> types.Type:
    """The type at `level` of a result whose value part has type `ty`."""
    if isinstance(ty, types.BaseTuple):
        return types.Tuple([lift(level, item) for item in ty])
    if isinstance(ty, types.Complex):
        raise TypingError("complex numbers carry no derivatives")
    return DualType(ty, level.n) if can_carry(ty) else ty


class DualFunction(AbstractTemplate):
    """A function of scalars, at least one of them a dual, typed by its base types."""

    # Templates of a special target are tried before the generic ones: some of those raise
    # when they meet a dual.
    metadata = {"target": "cpu"}

    def generic(self, args: Any, kws: Any) -> Any:
        if kws or not all(isinstance(ty, (types.Number, types.Boolean)) for ty in args):
            return None
        level = join(args)
        if level is None or (self.key in (min, max) and len(args) != 2):
            return None
        base = self.context.resolve_function_type(self.key, tuple(base_types(level, args)), {})
        return signature(lift(level, base.return_type), *args)

    def get_impl_key(self, sig: Any) -> Any:
        return dual_key(self.key)


def dual_key(fn: Any) -> Any:
    """The key under which a function's lowering for duals is registered."""
    return "dual", fn


# -------------------------------------------------------------------------------- lowering


@dataclass
class Call:
    """One call seen from one level: operands and result one level down, and the tangents in.

    A tangent is `None` for an operand that is constant at this level.
    """

    context: Any
    builder: Any
    operand_types: list[types.Type]
    values: list[Any]
    tangents: list[Any]
    result_type: types.Type
    result: Any
    lanes_type: Any  # of the result
    square: bool  # the two operands are one and the same

    def lanes(self, operation: Callable[..., Any], *operands: Any) -> Any:
        """A lane operation in the type of the result's tangents."""
        return operation(self.context, self.builder, self.lanes_type, *operands)

    def factor(self, k: int) -> Any:
        """Operand `k` in the type of the result's value."""
        return self.context.cast(
            self.builder, self.values[k], self.operand_types[k], self.result_type
        )

    def apply(self, function: Callable[..., Any], *extra: Any, returns: Any = None) -> Any:
        """A plain Python function of the operands, and of the result if `extra` has it."""
        wide = [_as_wide_as(self.result_type, ty) for ty in self.operand_types]
        values = [
            self.context.cast(self.builder, *it)
            for it in zip(self.values, self.operand_types, wide, strict=True)
        ]
        arg_types = [*wide, *[self.result_type for _ in extra]]
        flags = compiler.Flags()
        flags.error_model = "numpy"  # an infinite derivative is a number, not an exception
        flags.nrt = True
        sig = signature(self.result_type if returns is None else returns, *arg_types)
        compiled = self.context.compile_subroutine(self.builder, function, sig, flags=flags)
        return self.context.call_internal(self.builder, compiled.fndesc, sig, [*values, *extra])


def _as_wide_as(result: types.Type, ty: types.Type) -> types.Type:
    """A float of an operand at the precision of the result, which its derivative has too."""
    if isinstance(ty, DualType):
        return DualType(_as_wide_as(result, ty.base), ty.n)
    is_float = isinstance(ty, types.Float) and isinstance(primal(result), types.Float)
    return max(ty, primal(result), key=lambda it: it.bitwidth) if is_float else ty


def unpack(context: Any, builder: Any, ty: types.Type, value: Any, level: DualType) -> Any:
    """Split an operand into (value, tangents); the tangents are None below `level`."""
    if depth(ty) < level.depth:
        return value, None
    return builder.extract_value(value, 0), builder.extract_value(value, 1)


def pack(context: Any, builder: Any, ty: DualType, value: Any, tangents: Any) -> Any:
    """The dual of a value and its tangents."""
    struct = cgutils.create_struct_proxy(ty)(context, builder)
    struct.value = value
    struct.lanes = lanes.zero(context, ty.lanes) if tangents is None else tangents
    return struct._getvalue()


def lower_dual(fn: Any, tangent: Callable[[Call], Any]) -> None:
    """Register typing and lowering of `fn` on duals, its tangents made by `tangent`."""

    @lower_builtin(dual_key(fn), types.VarArg(types.Any))
    def lowering(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        level = join(sig.args)
        assert level is not None
        below = base_types(level, sig.args)
        parts = [
            unpack(context, builder, ty, arg, level) for ty, arg in zip(sig.args, args, strict=True)
        ]
        values = [value for value, _ in parts]
        result_type, result = lanes.call(context, builder, fn, below, values)
        if not isinstance(sig.return_type, DualType):
            return context.cast(builder, result, result_type, sig.return_type)
        lanes_type = sig.return_type.lanes
        tangents = [
            None if t is None else lanes.cast(context, builder, t, ty.lanes, lanes_type)
            for ty, (_, t) in zip(sig.args, parts, strict=True)
        ]
        square = len(args) == 2 and args[0] is args[1]
        seen = Call(
            context, builder, below, values, tangents, result_type, result, lanes_type, square
        )
        return pack(context, builder, sig.return_type, result, tangent(seen))

    infer_global(fn)(type(f"Dual_{getattr(fn, '__name__', fn)}", (DualFunction,), {"key": fn}))


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
    first = None if u is None else c.lanes(lanes.scale, u, c.factor(1))
    return c.lanes(lanes.add, first, None if v is None else c.lanes(lanes.scale, v, c.factor(0)))


def _truediv(c: Call) -> Any:
    """(u - z v) / y, strong so that lanes without a perturbation survive a division by zero."""
    u, v = c.tangents
    reciprocal = c.apply(_reciprocal_of_second)
    if v is not None:
        u = c.lanes(lanes.sub, u, c.lanes(lanes.strong_scale, v, c.result))
    return c.lanes(lanes.strong_scale, u, reciprocal)


def _reciprocal_of_second(x: Any, y: Any) -> Any:
    return 1.0 / y


def _constant(c: Call) -> Any:
    return None


def _identity(c: Call) -> Any:
    return c.tangents[0]


def _rule(partials: Sequence[Callable[..., Any]], strong: bool = True) -> Callable[[Call], Any]:
    """Sum of tangent times partial derivative, over the active operands."""
    scale = lanes.strong_scale if strong else lanes.scale

    def tangent(c: Call) -> Any:
        total = None
        for t, partial in zip(c.tangents, partials, strict=False):
            if t is not None:
                factor = _nan_like(c, c.apply(partial, c.result))
                total = c.lanes(lanes.add, total, c.lanes(scale, t, factor))
        return total

    return tangent


def _nan_like(c: Call, factor: Any) -> Any:
    """A function has no derivative where it has no value, whatever the formula says there."""
    ty, value = c.result_type, c.result
    while isinstance(ty, DualType):
        ty, value = ty.base, c.builder.extract_value(value, 0)
    return c.builder.select(c.builder.fcmp_unordered("uno", value, value), c.result, factor)


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
    return _float_power(c) if c.tangents[1] is not None else _constant_power(c)


def _constant_power(c: Call) -> Any:
    if not isinstance(c.operand_types[1], types.Integer):
        return _float_power(c)
    # A positive power has no singular derivative. The exponent is mostly a literal, so that LLVM
    # sees which of the two products is wanted.
    factor = c.apply(_integer_slope, c.result)
    plain = c.lanes(lanes.scale, c.tangents[0], factor)
    strong = c.lanes(lanes.strong_scale, c.tangents[0], factor)
    return c.lanes(lanes.select, c.apply(_is_positive, returns=types.boolean), plain, strong)


def _integer_slope(x: Any, n: Any, z: Any) -> Any:
    return n * x ** (n - 1) if n != 0 else x - x


def _is_positive(x: Any, n: Any) -> Any:
    return n > 0


_float_power = _rule(rules.partials("power"))

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
    (_rule(rules.partials("remainder")), (operator.mod, operator.imod)),
    (_rule([rules.derivative("absolute")], strong=False), (abs,)),
    (_constant, (operator.floordiv, operator.ifloordiv, round, int, operator.truth)),
    (_constant, (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)),
    (_constant, (operator.not_, math.floor, math.ceil, math.trunc)),
    (_select(lambda x, y: not y > x), (max,)),
    (_select(lambda x, y: not y < x), (min,)),
]
_KINDS += [
    (_rule([rules.derivative(name)], strong=name not in rules.FINITE), rules.functions(name))
    for name in rules.UNARY
]
_KINDS += [(_rule(rules.partials(name)), rules.functions(name)) for name in rules.BINARY]
_KINDS += [(_select(rules.selects(name)), rules.functions(name)) for name in rules.SELECT]
_KINDS += [(_constant, rules.functions(name)) for name in (*rules.CONSTANT, *rules.PREDICATE)]

#: Every function of scalars that duals have, with how its tangent is made.
TANGENTS: dict[Any, Callable[[Call], Any]] = {}
for _tangent, _functions in _KINDS:
    for _function in _functions:
        TANGENTS.setdefault(_function, _tangent)
for _function, _tangent in TANGENTS.items():
    lower_dual(_function, _tangent)


# ------------------------------------------------------------------------------ conversions


@lower_builtin(bool, DualType)
def _bool(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return context.is_true(builder, sig.args[0].base, builder.extract_value(args[0], 0))


@lower_cast(types.Integer, DualType)
@lower_cast(types.Float, DualType)
@lower_cast(types.Boolean, DualType)
def _constant_to_dual(context: Any, builder: Any, source: Any, target: Any, value: Any) -> Any:
    base = context.cast(builder, value, source, target.base)
    return pack(context, builder, target, base, None)


@lower_cast(DualType, DualType)
def _dual_to_dual(context: Any, builder: Any, source: Any, target: Any, value: Any) -> Any:
    if source.depth < target.depth:
        return _constant_to_dual(context, builder, source, target, value)
    base, tangents = unpack(context, builder, source, value, source)
    base = context.cast(builder, base, source.base, target.base)
    tangents = lanes.cast(context, builder, tangents, source.lanes, target.lanes)
    return pack(context, builder, target, base, tangents)


@lower_cast(DualType, types.Integer)
@lower_cast(DualType, types.Boolean)
def _dual_to_integer(context: Any, builder: Any, source: Any, target: Any, value: Any) -> Any:
    return context.cast(builder, builder.extract_value(value, 0), source.base, target)


@intrinsic
def value_of(typingctx: Any, x: Any) -> Any:
    """The value part of a dual, one level down; a plain number is its own."""
    if not isinstance(x, DualType):
        return x(x), lambda context, builder, sig, args: args[0]
    return x.base(x), lambda context, builder, sig, args: builder.extract_value(args[0], 0)


# For "cpu", as it is to be tried before Numba's own, which would take a dual for an integer.
@overload(divmod, target="cpu")
def _divmod(x, y):  # type: ignore[no-untyped-def]
    if isinstance(x, DualType) or isinstance(y, DualType):
        return lambda x, y: (divmod(value_of(x), value_of(y))[0], x % y)
    return None


@overload(np.divmod, target="cpu")
def _np_divmod(x, y):  # type: ignore[no-untyped-def]
    if isinstance(x, DualType) or isinstance(y, DualType):
        return lambda x, y: (np.divmod(value_of(x), value_of(y))[0], np.remainder(x, y))
    return None


@overload(math.frexp)
def _frexp(x: Any) -> Any:
    if not isinstance(x, DualType):
        return None

    def frexp(x: Any) -> Any:
        exponent = math.frexp(value_of(x))[1]
        return math.ldexp(x, -exponent), exponent

    return frexp


@overload_attribute(DualType, "real")
def _real(x):  # type: ignore[no-untyped-def]
    return lambda x: x


@overload_attribute(DualType, "imag")
def _imag(x):  # type: ignore[no-untyped-def]
    return lambda x: value_of(x).imag


@overload_method(DualType, "conjugate")
def _conjugate(x):  # type: ignore[no-untyped-def]
    return lambda x: x
