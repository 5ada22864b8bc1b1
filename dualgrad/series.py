"""Power series in place of duals: what is not linear follows by recurrences.

Series come from `taylor` alone, whose kernel imports this.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.cpython.mathimpl import is_nan
from numba.extending import overload, register_jitable
from numba.np import arrayobj

from dualgrad import conversions, recurrences, rules
from dualgrad.calls import SERIES, Call, pack, run
from dualgrad.scalars import TANGENTS
from dualgrad.types import DualType, SeriesType, primal

for _function in recurrences.FUNCTIONS:
    register_jitable(_function)


@overload(recurrences.is_nonzero)
def _is_nonzero(x):  # type: ignore[no-untyped-def]
    return lambda x: conversions.is_nonzero(x)


@overload(recurrences.is_constant)
def _is_constant(x):  # type: ignore[no-untyped-def]
    if not isinstance(x, DualType):
        return lambda x: True
    return lambda x: not conversions.is_nonzero(x - conversions.value_of(x))


# ------------------------------------------------------------------------------ one operation


class Recurrence:
    """One call of a function of series, whose result is filled in by recurrences.

    The coefficients of a series are in memory an array, which is what a recurrence is given.
    """

    def __init__(self, c: Call) -> None:
        self.c, self.context, self.builder = c, c.context, c.builder
        self.type = SeriesType(c.lanes_type.base, c.lanes_type.n)
        self.array_type = types.Array(self.type.base, 1, "C")

    def series(self, k: int) -> Any:
        """Operand `k` as a series."""
        return self._packed(self.c.factor(k), self.c.tangents[k])

    def _packed(self, value: Any, coefficients: Any) -> Any:
        return pack(self.context, self.builder, self.type, value, coefficients)

    def array(self, series: Any = None) -> Any:
        """The coefficients of a series as an array; without one it is room for them."""
        context, builder = self.context, self.builder
        base = context.get_data_type(self.type.base)
        slot = cgutils.alloca_once(builder, ir.ArrayType(base, 1 + self.type.n))
        slot.align = 16
        data = builder.bitcast(slot, base.as_pointer())
        if series is not None:
            whole = builder.bitcast(slot, context.get_data_type(self.type).as_pointer())
            context.pack_value(builder, self.type, series, whole)
        array = context.make_array(self.array_type)(context, builder)
        intp = context.get_value_type(types.intp)
        size = intp(context.get_abi_sizeof(base))
        arrayobj.populate_array(
            array, data=data, shape=[intp(1 + self.type.n)], strides=[size], itemsize=size,
            meminfo=None,
        )  # fmt: skip
        return array._getvalue()

    def apply(self, function: Any, returns: Any, arg_types: Any, args: Any) -> Any:
        """A plain Python function, compiled."""
        return run(self.context, self.builder, function, returns, arg_types, args)

    def fill(self, recurrence: Any, *arrays: Any, scalar: tuple[Any, Any] | None = None) -> None:
        """Fill in the last of some arrays by a recurrence, a scalar operand before it."""
        result = arrays[-1]
        given = [(self.array_type, it) for it in arrays[:-1]]
        given += [] if scalar is None else [scalar]
        given.append((self.array_type, result))
        room = len(inspect.signature(recurrence).parameters) - len(given)
        given += [(self.array_type, self.array()) for _ in range(room)]
        self.apply(recurrence, types.none, *zip(*given, strict=True))

    def of(self, function: Any, *series: Any) -> Any:
        """The coefficients of a function of series that has recurrences for what it calls."""
        given = [self.type] * len(series)
        return self.array(self.apply(function, self.type, given, series))

    def coefficients(self, write: Callable[..., None]) -> Any:
        """Those of the result: zero for constant operands, nan where there is no value.

        `write` fills them in otherwise, given the operands as arrays and the result's.
        """
        c, builder = self.c, self.builder
        operands = [self.series(k) for k in range(len(c.tangents))]
        arrays = [self.array(it) for it in operands]
        result = self.array(self._packed(c.result, None))
        moving = ir.IntType(1)(0)
        for t, array in zip(c.tangents, arrays, strict=True):
            if t is not None:
                moves = self.apply(recurrences.moves, types.boolean, [self.array_type], [array])
                moving = builder.or_(moving, moves)
        with builder.if_then(moving):
            ty, value = c.result_type, c.result
            while isinstance(ty, DualType):
                ty, value = ty.base, builder.extract_value(value, 0)
            with builder.if_else(is_nan(builder, value), likely=False) as (no_value, a_value):
                with no_value:
                    self.fill(recurrences.without_value, result)
                with a_value:
                    write(self, operands, arrays, result)
        data = self.context.make_array(self.array_type)(self.context, builder, result).data
        whole = builder.bitcast(data, self.context.get_data_type(self.type).as_pointer())
        series = self.context.unpack_value(builder, self.type, whole)
        return builder.extract_value(series, 1)


def _kind(write: Callable[..., None]) -> Callable[[Call], Any]:
    return lambda c: Recurrence(c).coefficients(write)


def _by(recurrence: Any) -> Callable[[Call], Any]:
    """A function with a recurrence of its own."""
    return _kind(lambda r, operands, arrays, result: r.fill(recurrence, *arrays, result))


def _by_slope(expression: str) -> Callable[[Call], Any]:
    slope = rules.function_of("slope", "x", expression)

    def write(r: Recurrence, operands: Any, arrays: Any, result: Any) -> None:
        r.fill(recurrences.integral, *arrays, r.of(slope, *operands), result)

    return _kind(write)


def _by_logarithmic_slope(expression: str) -> Callable[[Call], Any]:
    slope = rules.function_of("slope", "x", expression)

    def write(r: Recurrence, operands: Any, arrays: Any, result: Any) -> None:
        logarithm = r.array()
        r.fill(recurrences.integral, *arrays, r.of(slope, *operands), logarithm)
        r.fill(recurrences.exponential, logarithm, result)

    return _kind(write)


def _by_partials(name: str) -> Callable[[Call], Any]:
    in_x, in_y = (rules.function_of(name, "x, y", it) for it in rules.BINARY[name])

    def write(r: Recurrence, operands: Any, arrays: Any, result: Any) -> None:
        partials = [r.of(it, *operands) for it in (in_x, in_y)]
        r.fill(recurrences.integral_of_two, *arrays, *partials, result)

    return _kind(write)


# --------------------------------------------------------------------------- functions of two

_product, _quotient = _by(recurrences.product), _by(recurrences.quotient)
_general_power = _by(recurrences.general_power)


def _mul(c: Call) -> Any:
    """A product with a constant is linear."""
    return TANGENTS[operator.mul](c) if None in c.tangents else _product(c)


def _truediv(c: Call) -> Any:
    return TANGENTS[operator.truediv](c) if c.tangents[1] is None else _quotient(c)


def _power(c: Call) -> Any:
    if c.tangents[1] is not None:
        return _general_power(c)
    exponent = c.operand_types[1]
    recurrence: Any = recurrences.real_power
    ty: Any = c.result_type
    if isinstance(exponent, types.Integer):
        recurrence, ty = recurrences.integer_power, types.int64
    else:
        ty = ty if isinstance(exponent, DualType) else primal(ty)
    scalar = ty, c.context.cast(c.builder, c.values[1], exponent, ty)

    def write(r: Recurrence, operands: Any, arrays: Any, result: Any) -> None:
        r.fill(recurrence, arrays[0], result, scalar=scalar)

    return _kind(write)(c)


# ---------------------------------------------------------------------------------- the table


#: Names in the rule table, and functions, with how their coefficients are made.
_KINDS: list[tuple[Callable[[Call], Any], tuple[Any, ...]]] = [
    (_mul, (operator.mul, operator.imul, np.multiply)),
    (_truediv, (operator.truediv, operator.itruediv, np.true_divide)),
    (_power, (operator.pow, operator.ipow, pow, *rules.functions("power"))),
    (_by(recurrences.absolute), (abs,)),
    (_by(recurrences.hypotenuse), rules.functions("hypot")),
    (_by_slope(recurrences.SINC_SLOPE), (np.sinc,)),
]
_KINDS += [(_by(it), rules.functions(name)) for name, it in recurrences.UNARY.items()]
_KINDS += [
    (_by_slope(it or rules.UNARY[name]), rules.functions(name))
    for name, it in recurrences.SLOPES.items()
]
_KINDS += [
    (_by_logarithmic_slope(it), rules.functions(name))
    for name, it in recurrences.LOGARITHMIC_SLOPES.items()
]
_KINDS += [(_by_partials(name), rules.functions(name)) for name in recurrences.PARTIALS]

#: Functions that are linear or constant, piecewise: what duals do holds for every coefficient.
_AS_DUALS: tuple[Any, ...] = (
    operator.add, operator.iadd, np.add, operator.sub, operator.isub, np.subtract,
    operator.neg, np.negative, operator.pos, float, operator.mod, operator.imod, np.sign,
    operator.floordiv, operator.ifloordiv, round, int, operator.truth, operator.not_,
    operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, max, min,
)  # fmt: skip
_AS_DUALS += tuple(
    function
    for name in (*recurrences.LINEAR, *rules.SELECT, *rules.CONSTANT, *rules.PREDICATE)
    for function in rules.functions(name)
)

SERIES.update({function: TANGENTS[function] for function in _AS_DUALS})
for _tangent, _functions in _KINDS:
    SERIES.update(dict.fromkeys(_functions, _tangent))
