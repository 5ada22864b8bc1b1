"""Arithmetic on dual scalars: one typing template and one lowering for every function.

A function of duals is typed as the same function of their base types, and its value part is
lowered by the base's own implementation, so values are what Numba returns, bit for bit. What
differs between functions is only how the tangents follow: that is the table at the end.
"""

from __future__ import annotations

import cmath
import math
import operator
import zlib
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
from numba.np.numpy_support import numpy_version

from dualgrad import lanes, recall, rules, steering
from dualgrad.layout import joined, split
from dualgrad.types import (
    DualType,
    PatternType,
    RecallType,
    SeriesType,
    can_carry,
    depth,
    is_complex,
    over,
    primal,
    real_of,
)

# ---------------------------------------------------------------------------------- typing


def join(arg_types: Any) -> DualType | None:
    """The deepest dual type among `arg_types`: the level at which a call differentiates."""
    duals = [ty for ty in arg_types if isinstance(ty, DualType)]
    if not duals:
        return None
    level: DualType = max(duals, key=depth)
    if any(ty.depth == level.depth and not ty.mixes_with(level) for ty in duals):
        raise TypingError("dual numbers with different numbers of lanes do not mix")
    return level


def base_types(level: DualType, arg_types: Any) -> list[types.Type]:
    """The argument types, with one level taken off those that are at `level`."""
    return [ty.base if depth(ty) == level.depth else ty for ty in arg_types]


def lift(level: DualType, ty: types.Type) -> types.Type:
    """The type at `level` of a result whose value part has type `ty`."""
    if isinstance(ty, types.BaseTuple):
        return types.Tuple([lift(level, item) for item in ty])
    return level.over(ty) if can_carry(ty) else ty


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

    @property
    def is_complex(self) -> bool:
        """Whether the function is one of complex numbers."""
        return any(is_complex(ty) for ty in (self.result_type, *self.operand_types))

    def lanes(self, operation: Callable[..., Any], *operands: Any) -> Any:
        """A lane operation in the type of the result's tangents."""
        return operation(self.context, self.builder, self.lanes_type, *operands)

    def factor(self, k: int) -> Any:
        """Operand `k` in the type of the result's value."""
        return self._cast(k, self.result_type)

    def scaled(self, u: Any, k: int) -> Any:
        """Tangents times operand `k`, which need not carry zeros where it is a constant below."""
        ty, result = self.operand_types[k], self.result_type
        if depth(ty) < depth(result) and not is_complex(result):
            ty = over(ty, result) if isinstance(ty, DualType) else primal(result)
        else:
            ty = result
        return self.lanes(lanes.scale, u, self._cast(k, ty), ty)

    def _cast(self, k: int, ty: types.Type) -> Any:
        return self.context.cast(self.builder, self.values[k], self.operand_types[k], ty)

    def apply(self, function: Callable[..., Any], *extra: Any, returns: Any = None) -> Any:
        """A plain Python function of the operands, and of the result if `extra` has it."""
        wide = [_as_wide_as(self.result_type, ty) for ty in self.operand_types]
        values = [
            self.context.cast(self.builder, *it)
            for it in zip(self.values, self.operand_types, wide, strict=True)
        ]
        arg_types = [*wide, *[self.result_type for _ in extra]]
        returns = self.result_type if returns is None else returns
        return run(self.context, self.builder, function, returns, arg_types, [*values, *extra])


def run(
    context: Any, builder: Any, function: Callable[..., Any], returns: Any, arg_types: Any,
    args: Any,
) -> Any:  # fmt: skip
    """Emit a call of a plain Python function, compiled for these types."""
    flags = compiler.Flags()
    flags.error_model = "numpy"  # an infinite derivative is a number, not an exception
    flags.nrt = True
    sig = signature(returns, *arg_types)
    compiled = context.compile_subroutine(builder, function, sig, flags=flags)
    return context.call_internal(builder, compiled.fndesc, sig, args)


def _as_wide_as(result: types.Type, ty: types.Type) -> types.Type:
    """A float of an operand at the precision of the result, which its derivative has too.

    Beside a complex result every number is complex.
    """
    if is_complex(result):
        return over(ty, primal(result)) if isinstance(ty, DualType) else primal(result)
    if isinstance(ty, DualType):
        return ty.over(_as_wide_as(result, ty.base))
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


def decides(builder: Any, ty: types.Type, words: Any = None) -> None:
    """Note that a number goes by its value alone, if that is one of a pattern."""
    if type(ty) is PatternType:
        steering.note(builder, words)


def _all_decide(builder: Any, arg_types: Any, parts: Any) -> None:
    """Note that a result has no tangent, and depends on its active operands all the same."""
    for ty, (_, tangents) in zip(arg_types, parts, strict=True):
        if tangents is not None:
            decides(builder, ty, tangents)


def lower_dual(fn: Any, tangent: Callable[[Call], Any], template: type = DualFunction) -> None:
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
        if _is_recalled(fn, level, [*below, sig.return_type]):
            return _recalled(context, builder, fn, sig.return_type, parts)
        result_type, result = lanes.call(context, builder, fn, below, values)
        if not isinstance(sig.return_type, DualType):
            _all_decide(builder, sig.args, parts)
            return context.cast(builder, result, result_type, sig.return_type)
        lanes_type = sig.return_type.lanes
        tangents = [
            # of a complex number whose function is real, a rule takes the parts
            t
            if t is None or (is_complex(ty) and not is_complex(lanes_type.base))
            else lanes.cast(context, builder, t, ty.lanes, lanes_type)
            for ty, (_, t) in zip(sig.args, parts, strict=True)
        ]
        square = len(args) == 2 and args[0] is args[1]
        seen = Call(
            context, builder, below, values, tangents, result_type, result, lanes_type, square
        )
        follow = tangent
        if isinstance(level, SeriesType):
            follow = SERIES[fn]
        elif isinstance(level, PatternType):
            follow = PATTERNS.get(fn, tangent)
        followed = follow(seen)
        if followed is None:  # constant here, and another constant elsewhere
            _all_decide(builder, sig.args, parts)
        return pack(context, builder, sig.return_type, result, followed)

    typing = type(f"Dual_{getattr(fn, '__name__', fn)}", (template,), {"key": fn})
    infer_global(fn, types.Function(typing))


def _is_recalled(fn: Any, level: DualType, tys: list[types.Type]) -> bool:
    """Whether a call looks for its value in the record of earlier sweeps."""
    of_doubles = all(primal(ty) == types.float64 for ty in tys)
    return of_doubles and isinstance(level, RecallType) and fn in RECALLED


def _recalled(context: Any, builder: Any, fn: Any, result_type: DualType, parts: Any) -> Any:
    """The dual that a costly function returns, from the record or computed."""
    rule, below = RECALLED[fn], [types.float64] * len(parts)
    values, tangents = zip(*parts, strict=True)
    active = [t is not None for t in tangents]

    def seen(result: Any) -> Call:
        base, lanes_type = result_type.base, result_type.lanes
        return Call(
            context, builder, below, list(values), list(tangents), base, result, lanes_type, False
        )

    def compute() -> list[Any]:
        _, result = lanes.call(context, builder, fn, below, values)
        return [result, *rule.factors(seen(result))]

    name = f"{getattr(fn, '__module__', '')}.{fn.__name__} {active} {bool(context.fastmath)}"
    tag = zlib.crc32(name.encode())
    result, *factors = recall.recalled(builder, tag, values, 1 + sum(active), compute)
    return pack(context, builder, result_type, result, rule(seen(result), factors))


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


def _reciprocal_of_second(x: Any, y: Any) -> Any:
    return 1.0 / y


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

    def factors(self, c: Call) -> list[Any]:
        """The partial derivatives by the active operands."""
        pairs = zip(c.tangents, self.partials, strict=False)
        return [_nan_like(c, c.apply(it, c.result)) for t, it in pairs if t is not None]

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


_float_power = SumOfPartials(rules.partials("power"))
_complex_power = SumOfPartials([rules.complex_power_in_base, rules.complex_power_in_exponent])

# ------------------------------------------------------------------------- complex numbers


def _unary(name: str) -> Callable[[Call], Any]:
    """The rule of a function of one argument, for real and for complex numbers."""
    strong = name not in rules.FINITE
    on_reals = SumOfPartials([rules.derivative(name)], strong and name not in rules.BOUNDED)
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
#: The same for series, with how the coefficients after the first are made (`dualgrad.series`).
SERIES: dict[Any, Callable[[Call], Any]] = {}
#: The few whose sets of inputs are not simply those of their tangent (`dualgrad.patterns`).
PATTERNS: dict[Any, Callable[[Call], Any]] = {}
#: Functions whose values are worth keeping from one sweep to the next (`dualgrad.recall`).
RECALLED: dict[Any, SumOfPartials] = {}
for _name in rules.COSTLY:
    _rule = SumOfPartials(rules.derivatives(_name), _name not in rules.BOUNDED)
    RECALLED.update(dict.fromkeys(rules.functions(_name), _rule))
RECALLED.update(dict.fromkeys((operator.pow, operator.ipow, pow), RECALLED[np.power]))

for _tangent, _functions in _KINDS:
    for _function in _functions:
        TANGENTS.setdefault(_function, _tangent)
for _function, _tangent in TANGENTS.items():
    lower_dual(_function, _tangent)


# ------------------------------------------------------------------------------ conversions


@lower_builtin(bool, DualType)
def _bool(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    decides(builder, sig.args[0], builder.extract_value(args[0], 1))
    return context.is_true(builder, sig.args[0].base, builder.extract_value(args[0], 0))


@lower_cast(types.Integer, DualType)
@lower_cast(types.Float, DualType)
@lower_cast(types.Complex, DualType)
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
    decides(builder, source, builder.extract_value(value, 1))
    return context.cast(builder, builder.extract_value(value, 0), source.base, target)


@intrinsic
def value_of(typingctx: Any, x: Any) -> Any:
    """The value part of a dual, one level down; a plain number is its own."""
    if not isinstance(x, DualType):
        return x(x), lambda context, builder, sig, args: args[0]

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        decides(builder, x, builder.extract_value(args[0], 1))
        return builder.extract_value(args[0], 0)

    return x.base(x), codegen


@intrinsic
def is_nonzero(typingctx: Any, x: Any) -> Any:
    """Whether a number, or any of its own tangents, is not zero."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.not_(lanes.is_zero(context, builder, x, args[0]))

    return types.boolean(x), codegen


# For "cpu", as it is to be tried before Numba's own, which would take a dual for an integer.
@overload(divmod, target="cpu")
def _divmod(x, y):  # type: ignore[no-untyped-def]
    if isinstance(x, DualType) or isinstance(y, DualType):
        return lambda x, y: (divmod(value_of(x), value_of(y))[0], x % y)
    return None


@overload(math.frexp)
def _frexp(x: Any) -> Any:
    if not isinstance(x, DualType):
        return None

    def frexp(x: Any) -> Any:
        exponent = math.frexp(value_of(x))[1]
        return math.ldexp(x, -exponent), exponent

    return frexp


def _part(imag: bool) -> Any:
    """The real or imaginary part of a complex dual."""

    @intrinsic
    def part(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return split(builder, x, args[0])[imag]

        return real_of(x)(x), codegen

    return part


_real_part, _imaginary_part = _part(imag=False), _part(imag=True)


@overload_attribute(DualType, "real")
def _real(x):  # type: ignore[no-untyped-def]
    return (lambda x: _real_part(x)) if is_complex(x) else lambda x: x


@overload_attribute(DualType, "imag")
def _imag(x):  # type: ignore[no-untyped-def]
    return (lambda x: _imaginary_part(x)) if is_complex(x) else lambda x: value_of(x).imag


@overload_method(DualType, "__hash__")
def _hash(x):  # type: ignore[no-untyped-def]
    return lambda x: hash(value_of(x))


@overload_method(DualType, "conjugate")
def _conjugate(x):  # type: ignore[no-untyped-def]
    return lambda x: np.conjugate(x)
