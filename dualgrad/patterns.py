"""Sets of inputs in place of tangents: what depends on fewer inputs than its operands do.

Patterns come from `dualgrad.sparse` alone, whose kernels import this. A number without sets is the
same for all inputs on this path, and if it is zero, so is every product with it.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numba.core import types

from dualgrad import lanes, rules, sets
from dualgrad.calls import PATTERNS, Call
from dualgrad.scalars import TANGENTS


def _is_nothing(c: Call, k: int) -> Any:
    """Whether an operand is zero whatever the inputs are."""
    is_zero = lanes.is_zero(c.context, c.builder, c.result_type, c.factor(k))
    if c.tangents[k] is None:
        return is_zero
    return c.builder.and_(is_zero, sets.is_empty(c.builder, c.tangents[k]))


def _mul(c: Call) -> Any:
    total = None
    for k in range(2):
        if c.tangents[k] is not None:
            product = c.lanes(lanes.scale, c.tangents[k], c.factor(1 - k))
            there = c.builder.not_(_is_nothing(c, 1 - k))
            total = c.lanes(lanes.add, total, sets.kept_if(c.builder, there, product))
    return total


def _truediv(c: Call) -> Any:
    quotient = TANGENTS[operator.truediv](c)
    return sets.kept_if(c.builder, c.builder.not_(_is_nothing(c, 0)), quotient)


def _power(c: Call) -> Any:
    """A power of zero is constant, and so the first power has no second derivative."""
    tangent = TANGENTS[operator.pow](c)
    if c.tangents[1] is not None or not isinstance(c.operand_types[1], types.Integer):
        return tangent
    return sets.kept_if(
        c.builder, c.builder.icmp_signed("!=", c.values[1], c.values[1].type(0)), tangent
    )


for _rule, _functions in (
    (_mul, (operator.mul, operator.imul, np.multiply)),
    (_truediv, (operator.truediv, operator.itruediv, np.true_divide)),
    (_power, (operator.pow, operator.ipow, pow, *rules.functions("power"))),
):
    for _function in _functions:
        PATTERNS[_function] = _rule
