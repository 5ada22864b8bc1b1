"""Casts of dual scalars, and their parts: what leads from one type of number to another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.core import types
from numba.core.imputils import lower_builtin, lower_cast
from numba.extending import intrinsic, overload, overload_attribute, overload_method

from dualgrad import lanes
from dualgrad.calls import decides, pack, unpack
from dualgrad.layout import split
from dualgrad.types import DualType, is_complex, real_of


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
