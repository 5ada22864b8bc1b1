"""Vector arithmetic on the tangents of a dual, as LLVM code.

Over a float base every operation is one vector instruction, allowed to contract to fma. Over a
complex base it is the operation on real and imaginary parts, each a vector. Over a base that is a
dual it is the base's own operation, lane by lane. Of sets every operation is a union (`sets`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from dualgrad import sets
from dualgrad.deferred import is_deferred, zero_if_known
from dualgrad.layout import (
    LINE,
    by_vector,
    everywhere,
    get_lane,
    in_vectors,
    joined,
    put_lane,
    split,
)
from dualgrad.types import (
    Apart,
    DualType,
    Lanes,
    PatternType,
    RecallType,
    SeriesType,
    Sets,
    is_complex,
    real_of,
)
from dualgrad.vectormath import apart, reassociates

#: From here on Numba calls `pow` for a power.
LARGEST_LITERAL = 0x10000
#: Products and sums of tangents may become one operation.
FLAGS = ("contract",)
#: `arcp`, which is about divisions alone, tells tangents that are scalars from other numbers.
FLAGS_APART = ("arcp", "contract")
#: Up to so many lanes it pays to look for zeros among them.
FEW = 16

_INSTRUCTION = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul"}


def call(context: Any, builder: Any, fn: Any, arg_types: Any, args: Any) -> tuple[Any, Any]:
    """Emit `fn(*args)`, resolved for scalar types as Numba would; return (type, value)."""
    function = context.typing_context.resolve_value_type(fn)
    signature = context.typing_context.resolve_function_type(function, tuple(arg_types), {})
    if signature.args and isinstance(signature.args[-1], types.BaseTuple):  # an overload's `*args`
        packed = types.Tuple(tuple(arg_types))
        arg_types, args = [packed], [context.make_tuple(builder, packed, args)]
    cast = [context.cast(builder, *it) for it in zip(args, arg_types, signature.args, strict=True)]
    if fn in (operator.pow, operator.ipow) and isinstance(signature.args[0], types.Float):
        n = integer(signature.args[1], cast[1])
        if n is not None and 0 < n <= LARGEST_LITERAL:
            x = context.cast(builder, cast[0], signature.args[0], signature.return_type)
            return signature.return_type, _positive_power(builder, x, n)
    implementation = apart(context).get_function(function, signature)
    return signature.return_type, implementation(builder, cast)


def _positive_power(builder: Any, x: Any, n: int) -> Any:
    """The products of Numba's loop for integer powers, where compiling a loop would take longer."""
    result = None
    while n:
        if n & 1:
            result = x if result is None else builder.fmul(result, x)
        n >>= 1
        x = builder.fmul(x, x) if n else x
    return result


def integer(ty: types.Type, value: Any) -> int | None:
    """The number that an integer is known to be while code is emitted."""
    known = isinstance(ty, types.Integer) and isinstance(value, ir.Constant)
    return value.constant if known and isinstance(value.constant, int) else None


def zero(context: Any, ty: Lanes) -> ir.Constant:
    """All lanes zero."""
    return ir.Constant(context.get_value_type(ty), None)


def splat(context: Any, builder: Any, ty: Lanes, scalar: Any) -> Any:
    """The same base number in every lane of the vectors."""

    def filled(vector: Any) -> Any:
        return everywhere(builder, vector.type, scalar)

    return by_vector(builder, ty, filled, zero(context, ty))


def get(context: Any, builder: Any, ty: Lanes, u: Any, k: Any) -> Any:
    """Lane `k` (a Python int or, over a plain base, an LLVM integer)."""
    return get_lane(builder, ty, u, k)


def put(context: Any, builder: Any, ty: Lanes, u: Any, k: int, item: Any) -> Any:
    """`u` with lane `k` replaced."""
    return put_lane(builder, ty, u, k, item)


def spilled(context: Any, builder: Any, ty: Any, dual: Any) -> Any:
    """The lanes of a dual in memory, as a pointer to the first."""
    base = context.get_data_type(ty.base)
    model = context.data_model_manager[ty.lanes]
    slot = cgutils.alloca_once(builder, ir.ArrayType(base, ty.n))
    slot.align = LINE  # else, in one process of ten, what reads them took half as long again
    target = builder.bitcast(slot, model.get_data_type().as_pointer())
    data = model.as_data(builder, builder.extract_value(dual, 1))
    builder.store(data, target)
    return builder.bitcast(slot, base.as_pointer())


def part(context: Any, builder: Any, ty: Lanes, u: Any, imag: bool) -> Any:
    """The real or imaginary parts of lanes over a complex base."""
    return split(builder, ty, u)[imag]


def from_parts(context: Any, builder: Any, ty: Lanes, real: Any, imag: Any) -> Any:
    """Lanes over a complex base, where `None` stands for parts that are zero."""
    parts = (zero(context, part_of(ty)) if it is None else it for it in (real, imag))
    return joined(builder, ty, *parts)


def part_of(ty: Lanes) -> Lanes:
    """The type of the real parts of lanes."""
    part: Lanes = ty.over(real_of(ty.base))
    return part


def _lane_by_lane(
    context: Any, builder: Any, ty: Lanes, function: Callable[..., Any], *operands: Any
) -> Any:
    result = ir.Constant(context.get_value_type(ty), ir.Undefined)
    for k in range(ty.n):
        items = [get(context, builder, ty, u, k) for u in operands]
        result = put(context, builder, ty, result, k, function(*items))
    return result


def _combine(context: Any, builder: Any, ty: Lanes, op: Any, u: Any, v: Any) -> Any:
    if isinstance(ty, Sets):
        return sets.union(builder, u, v)
    if ty.in_two:
        pairs = zip(split(builder, ty, u), split(builder, ty, v), strict=True)
        parts = [_combine(context, builder, part_of(ty), op, *pair) for pair in pairs]
        return joined(builder, ty, *parts)
    if ty.in_vector:
        flags = FLAGS_APART if isinstance(ty, Apart) else FLAGS
        if reassociates(context.fastmath):
            flags = ("reassoc", *flags)
        instruction = partial(getattr(builder, _INSTRUCTION[op]), flags=flags)
        return by_vector(builder, ty, instruction, u, v)
    base = (ty.base, ty.base)
    return _lane_by_lane(
        context, builder, ty, lambda a, b: call(context, builder, op, base, (a, b))[1], u, v
    )


def add(context: Any, builder: Any, ty: Lanes, u: Any, v: Any) -> Any:
    """`u + v`, where `None` stands for an inactive operand's zero."""
    if u is None or v is None:
        return v if u is None else u
    return _combine(context, builder, ty, operator.add, u, v)


def sub(context: Any, builder: Any, ty: Lanes, u: Any, v: Any) -> Any:
    """`u - v`, where `None` stands for an inactive operand's zero."""
    if v is None:
        return u
    return (
        neg(context, builder, ty, v)
        if u is None
        else _combine(context, builder, ty, operator.sub, u, v)
    )


def neg(context: Any, builder: Any, ty: Lanes, u: Any) -> Any:
    """`-u`."""
    if isinstance(ty, Sets):
        return u
    if ty.in_two:
        parts = [neg(context, builder, part_of(ty), it) for it in split(builder, ty, u)]
        return joined(builder, ty, *parts)
    if ty.in_vector:
        return by_vector(builder, ty, builder.fneg, u)
    return _lane_by_lane(
        context, builder, ty, lambda a: call(context, builder, operator.neg, (ty.base,), (a,))[1], u
    )


def scale(
    context: Any, builder: Any, ty: Lanes, u: Any, factor: Any, factor_type: Any = None
) -> Any:
    """`u * factor`, the factor a number of the base type or of one below; `None` stays `None`."""
    if u is None:
        return None
    if isinstance(ty, Sets):
        return sets.scaled(builder, ty, u, factor)
    if ty.in_two:
        return _turn(context, builder, ty, u, factor)
    if ty.in_vector:
        factor = splat(context, builder, ty, factor)
        scaled = _combine(context, builder, ty, operator.mul, u, factor)
        if not _knows_zeros(context, ty):
            return scaled
        return by_vector(builder, ty, partial(zero_if_known, builder), scaled, u)
    base = (ty.base, factor_type or ty.base)
    return _lane_by_lane(
        context,
        builder,
        ty,
        lambda a: call(context, builder, operator.mul, base, (a, factor))[1],
        u,
    )


def _knows_zeros(context: Any, ty: Lanes) -> bool:
    """Whether LLVM may come to know tangents as zeros: those of few inputs, whose seeds it sees."""
    return ty.n <= FEW and is_deferred(context)


def _turn(context: Any, builder: Any, ty: Lanes, u: Any, factor: Any) -> Any:
    """`u * factor` over a complex base, by parts."""
    half = part_of(ty)
    (re, im), (a, b) = split(builder, ty, u), split(builder, ty.base, factor)
    products = [scale(context, builder, half, x, y) for x in (re, im) for y in (a, b)]
    real = sub(context, builder, half, products[0], products[3])
    return joined(builder, ty, real, add(context, builder, half, products[1], products[2]))


def strong_scale(context: Any, builder: Any, ty: Lanes, u: Any, factor: Any) -> Any:
    """`u * factor`, but a lane that is zero stays zero even if the factor is inf or nan."""
    if u is None:
        return None
    if isinstance(ty, Sets):
        return sets.scaled(builder, ty, u, factor)
    if ty.in_vector:
        half, scaled = part_of(ty), scale(context, builder, ty, u, factor)
        unless_at_rest = partial(_unless_at_rest, builder)
        if not ty.in_two:
            return by_vector(builder, half, unless_at_rest, scaled, u)
        parts, pair = split(builder, ty, u), split(builder, ty, scaled)
        return joined(
            builder, ty, *(by_vector(builder, half, unless_at_rest, it, *parts) for it in pair)
        )
    base = ty.base
    if type(base) in (DualType, RecallType) and isinstance(base.base, types.Float):
        return _guarded_scale(context, builder, ty, u, factor)
    return _lane_by_lane(
        context, builder, ty, lambda a: _strong_product(context, builder, base, a, factor), u
    )


def _guarded_scale(context: Any, builder: Any, ty: Lanes, u: Any, factor: Any) -> Any:
    """`strong_scale` of duals of floats.

    It differs from `scale` for a factor that is not finite alone: a branch, hardly ever taken,
    costs less than all its comparisons. The branch decides about the operands, so that the
    products stay in one block with the sums that they are contracted with. Where it is taken the
    operands are the result, a factor of one and, for the product rule's other term, zeros.
    """
    base = ty.base
    inner, count = base.lanes, range(ty.n)
    lanes = [get(context, builder, ty, u, k) for k in count]
    values, tangents = ([builder.extract_value(it, part) for it in lanes] for part in (0, 1))
    by, slope = (builder.extract_value(factor, part) for part in (0, 1))
    slots = [
        cgutils.alloca_once_value(builder, it) for it in (*values, *tangents, *values, by, slope)
    ]
    finite = is_finite(context, builder, base, factor)
    with builder.if_then(builder.not_(finite), likely=False):
        strong = [_strong_product(context, builder, base, it, factor) for it in lanes]
        results = [builder.extract_value(it, part) for part in (0, 1) for it in strong]
        none = [by.type(0)] * ty.n
        for slot, it in zip(
            slots, [*results, *none, by.type(1), zero(context, inner)], strict=True
        ):
            builder.store(it, slot)
    *operands, by, slope = (builder.load(slot) for slot in slots)
    result = ir.Constant(context.get_value_type(ty), ir.Undefined)
    by_kind = (operands[start :: ty.n] for start in count)  # the value, the tangents, the other
    for k, (value, tangent, other) in enumerate(by_kind):
        first = scale(context, builder, inner, tangent, by)
        second = scale(context, builder, inner, slope, other)
        item = ir.Constant(context.get_value_type(base), ir.Undefined)
        item = builder.insert_value(item, builder.fmul(value, by), 0)
        item = builder.insert_value(item, add(context, builder, inner, first, second), 1)
        result = put(context, builder, ty, result, k, item)
    return result


def _unless_at_rest(builder: Any, scaled: Any, *tangents: Any) -> Any:
    """`scaled`, but zero where all of `tangents` are."""
    nothing = ir.Constant(scaled.type, None)
    at_rest = [builder.fcmp_ordered("==", it, nothing) for it in tangents]
    return builder.select(reduce(builder.and_, at_rest), nothing, scaled)


def _strong_product(context: Any, builder: Any, ty: types.Type, x: Any, factor: Any) -> Any:
    """`x * factor`, but zero where `x` is zero: in its value, or in a tangent of its own."""
    if not isinstance(ty, DualType) or isinstance(ty, (SeriesType, PatternType)):
        _, product = call(context, builder, operator.mul, (ty, ty), (x, factor))
        nothing = ir.Constant(x.type, None)
        return builder.select(is_zero(context, builder, ty, x), nothing, product)
    (value, u), (by, v) = (
        [builder.extract_value(it, part) for part in range(2)] for it in (x, factor)
    )
    product = _strong_product(context, builder, ty.base, value, by)
    first = strong_scale(context, builder, ty.lanes, u, by)
    second = scale(context, builder, ty.lanes, v, value)
    second = builder.select(
        is_zero(context, builder, ty.base, value), zero(context, ty.lanes), second
    )
    result = builder.insert_value(ir.Constant(x.type, ir.Undefined), product, 0)
    return builder.insert_value(result, add(context, builder, ty.lanes, first, second), 1)


def is_zero(context: Any, builder: Any, ty: types.Type, x: Any) -> Any:
    """Whether a number is zero in its value and all its tangents."""
    if isinstance(ty, types.Float):
        return builder.fcmp_ordered("==", x, x.type(0))
    if isinstance(ty, types.Complex):
        real = real_of(ty)
        return builder.and_(*(is_zero(context, builder, real, it) for it in split(builder, ty, x)))
    parts = [(ty.base, builder.extract_value(x, 0))]
    lanes = builder.extract_value(x, 1)
    if isinstance(ty, PatternType):
        return builder.and_(is_zero(context, builder, *parts[0]), sets.is_empty(builder, lanes))
    parts += [(ty.base, get(context, builder, ty.lanes, lanes, k)) for k in range(ty.n)]
    result = ir.IntType(1)(1)
    for part in parts:
        result = builder.and_(result, is_zero(context, builder, *part))
    return result


def is_finite(context: Any, builder: Any, ty: Any, x: Any) -> Any:
    """Whether a dual of floats is finite in its value and all its tangents."""
    vectors = in_vectors(builder, ty.lanes, builder.extract_value(x, 1))
    parts = [(1, builder.extract_value(x, 0)), *zip(ty.lanes.vectors, vectors, strict=True)]
    return reduce(builder.and_, [_are_finite(builder, *it) for it in parts])


def _are_finite(builder: Any, count: int, vector: Any) -> Any:
    """Whether the first so many items of a vector, or all of a scalar, are finite."""
    rest = builder.fsub(vector, vector)  # which is nan for inf and nan
    finite = builder.fcmp_ordered("ord", rest, rest)
    if not isinstance(vector.type, ir.VectorType):
        return finite
    bits = builder.bitcast(finite, ir.IntType(vector.type.count))
    wanted = bits.type((1 << count) - 1)
    return builder.icmp_unsigned("==", builder.and_(bits, wanted), wanted)


def cast(context: Any, builder: Any, u: Any, source: Lanes, target: Lanes) -> Any:
    """The lanes converted to another base type."""
    if source == target:
        return u
    if is_complex(target.base) and not is_complex(source.base):
        half = part_of(target)
        return from_parts(context, builder, target, cast(context, builder, u, source, half), None)
    if isinstance(target, Sets) and target.in_vector:
        return sets.resized(builder, target, u, context.get_value_type(target))
    result = ir.Constant(context.get_value_type(target), ir.Undefined)
    for k in range(source.n):
        item = get(context, builder, source, u, k)
        item = context.cast(builder, item, source.base, target.base)
        result = put(context, builder, target, result, k, item)
    return result


def select(context: Any, builder: Any, ty: Lanes, condition: Any, u: Any, v: Any) -> Any:
    """`u if condition else v`, where `None` stands for an inactive operand's zero."""
    u, v = (zero(context, ty) if it is None else it for it in (u, v))
    if isinstance(ty, Sets):  # either may be the one for other inputs
        return sets.union(builder, u, v)
    return builder.select(condition, u, v)
