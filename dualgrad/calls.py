"""How a function of dual scalars is typed and lowered, whatever its tangents are.

A function of duals is typed as the same function of their base types, and its value part is
lowered by the base's own implementation, so values are what Numba returns, bit for bit. How the
tangents follow is given to `lower_dual`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, compiler, config, types
from numba.core.errors import TypingError
from numba.core.imputils import lower_builtin
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global

from dualgrad import lanes, recall, steering, vectormath
from dualgrad.expressions import in_place
from dualgrad.layout import X86_64
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
        args = tuple(ty.dtype if isinstance(ty, types.IntEnumMember) else ty for ty in args)
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
        emitted = in_place(self.context, self.builder, function, arg_types, [*values, *extra])
        if emitted:
            return self.context.cast(self.builder, emitted[1], emitted[0], returns)
        return run(self.context, self.builder, function, returns, arg_types, [*values, *extra])


def run(
    context: Any, builder: Any, function: Callable[..., Any], returns: Any, arg_types: Any,
    args: Any,
) -> Any:  # fmt: skip
    """Emit a call of a plain Python function, compiled for these types."""
    flags = compiler.Flags()
    flags.error_model = "numpy"  # an infinite derivative is a number, not an exception
    flags.nrt = True
    if vectormath.allows_approximations(context.fastmath):
        flags.fastmath = vectormath.APPROXIMATE
    context, sig = vectormath.apart(context), signature(returns, *arg_types)
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


#: The functions that are each other's derivative.
PAIRED = {math.sin, math.cos, np.sin, np.cos}
#: How the coefficients of series after the first are made, for each function (`dualgrad.series`).
SERIES: dict[Any, Callable[[Call], Any]] = {}
#: The few whose sets of inputs are not simply those of their tangent (`dualgrad.patterns`).
PATTERNS: dict[Any, Callable[[Call], Any]] = {}
#: The rules of functions whose values are worth keeping from one sweep to the next: how the tangent
#: is made, given the factors that the rule has made of the values (`dualgrad.recall`).
RECALLED: dict[Any, Any] = {}


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
        if _is_paired(context, fn, level):
            values = [_alone(builder, it) for it in values]
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

    typing = type(f"Dual_{getattr(fn, '__name__', fn)}", (template,), {"key": staticmethod(fn)})
    infer_global(fn, types.Function(typing))


def _is_paired(context: Any, fn: Any, level: DualType) -> bool:
    """Whether value and derivative are best had by one call, which vectors of numbers have not."""
    of_numbers = level.n == 1 and isinstance(level.base, types.Float)
    of_vectors = config.USING_SVML or vectormath.allows_approximations(context.fastmath)
    return X86_64 and fn in PAIRED and of_numbers and not of_vectors


def _alone(builder: Any, value: Any) -> Any:
    """The same number, but LLVM makes no vector of it and others.

    Of `sin` and `cos` of one number it makes one call; of vectors, two for each number.
    """
    kind = ir.FunctionType(value.type, [value.type])
    name = f"llvm.arithmetic.fence.{value.type.intrinsic_name}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [value])


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

    how = active, bool(context.fastmath), type(context.error_model).__name__
    tag = recall.tag(fn, how)
    result, *factors = recall.recalled(builder, tag, values, 1 + sum(active), compute)
    return pack(context, builder, result_type, result, rule(seen(result), factors))
