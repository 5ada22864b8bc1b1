"""Sets of inputs in the place of tangents, as LLVM code: every operation is a union.

A set is a bit. The words that hold them are carried as floats, whose value means nothing, so that
memory and registers are those of duals. Only the lowest 32 bits of a word are used: a word of a
float64 must fit into one of a float32, as casts between them keep the sets.

Nothing here takes a word for a number: bits look like denormal numbers, which a process may have
told its CPU to flush to zero.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from dualgrad.layout import everywhere, get_lane, joined, put_lane, split
from dualgrad.types import Sets, depth, is_complex, real_of

BITS = 32


def union(builder: Any, u: Any, v: Any) -> Any:
    """The bits of both."""
    return _bitwise(builder, "or_", u, v)


def is_empty(builder: Any, u: Any) -> Any:
    """Whether no bit is set; the number of words is a power of two, as padding would count."""
    bits, is_vector = _bits(builder, u), isinstance(u.type, ir.VectorType)
    if bits is not None:
        if not is_vector:
            return builder.icmp_unsigned("==", bits, bits.type(0))
        whole = builder.bitcast(bits, ir.IntType(bits.type.count * bits.type.element.width))
        return builder.icmp_unsigned("==", whole, whole.type(0))
    result = ir.IntType(1)(1)
    for k in range(len(u.type)):
        result = builder.and_(result, is_empty(builder, builder.extract_value(u, k)))
    return result


def kept_if(builder: Any, condition: Any, u: Any) -> Any:
    """The sets, or none."""
    return builder.select(condition, u, ir.Constant(u.type, None))


def scaled(builder: Any, ty: Sets, u: Any, factor: Any) -> Any:
    """The sets of a product of a tangent and a factor: those of the tangent.

    Over rows the factor, a first derivative, itself depends on groups of inputs, and each of them
    meets the sets that the tangent holds: they are pairs of which the second derivative is one.
    """
    if is_complex(ty.base):  # the factor turns it
        parts = split(builder, ty, u)
        if depth(ty.base) == 0:
            either = union(builder, *parts)
        else:
            half, base = ty.over(real_of(ty.base)), real_of(ty.base)
            factor = _united(builder, base, *split(builder, ty.base, factor))
            either = scaled(builder, half, union(builder, *parts), factor)
        return joined(builder, ty, either, either)
    if depth(ty.base) == 0:
        return u
    rows = builder.extract_value(factor, 1)
    for k in range(ty.n):
        item = get_lane(builder, ty, u, k)
        columns, pairs = (builder.extract_value(item, part) for part in range(2))
        met = _bitwise(builder, "and_", rows, everywhere(builder, rows.type, columns))
        item = builder.insert_value(item, union(builder, pairs, met), 1)
        u = put_lane(builder, ty, u, k, item)
    return u


def _united(builder: Any, base: Any, real: Any, imag: Any) -> Any:
    """A number with the sets of two."""
    lanes = union(builder, *(builder.extract_value(it, 1) for it in (real, imag)))
    return builder.insert_value(real, lanes, 1)


def resized(builder: Any, ty: Sets, u: Any, target: Any) -> Any:
    """The words in floats of another size, or with imaginary parts that have the same."""
    if isinstance(target, ir.LiteralStructType):
        parts = (
            [builder.extract_value(u, k) for k in range(2)]
            if isinstance(u.type, ir.LiteralStructType)
            else [u, ir.Constant(u.type, None)]
        )
        kind = target.elements[0]
        return joined(builder, ty, *(resized(builder, ty, it, kind) for it in parts))
    bits, wanted = _bits(builder, u), _as_integers(target)
    if bits.type != wanted:
        width = [getattr(it, "element", it).width for it in (bits.type, wanted)]
        bits = (builder.zext if width[0] < width[1] else builder.trunc)(bits, wanted)
    return builder.bitcast(bits, target)


def _bitwise(builder: Any, operation: str, u: Any, v: Any) -> Any:
    """An operation on the bits of two values of one type, part by part."""
    ty, a, b = u.type, _bits(builder, u), _bits(builder, v)
    if a is not None:
        return builder.bitcast(getattr(builder, operation)(a, b), ty)
    result = ir.Constant(ty, ir.Undefined)
    for k in range(len(ty)):
        pair = (builder.extract_value(it, k) for it in (u, v))
        result = builder.insert_value(result, _bitwise(builder, operation, *pair), k)
    return result


def _bits(builder: Any, u: Any) -> Any:
    """A float, or a vector of floats, as integers; None for what has parts."""
    integers = _as_integers(u.type)
    return None if integers is None else builder.bitcast(u, integers)


def _as_integers(ty: Any) -> Any:
    if isinstance(ty, ir.VectorType):
        return ir.VectorType(_as_integers(ty.element), ty.count)
    return {ir.DoubleType(): ir.IntType(64), ir.FloatType(): ir.IntType(32)}.get(ty)
