"""Rules as instructions in place: an expression needs no function, which takes long to compile.

The function of a rule is called with numbers that emit what is done with them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import callconv, types

from dualgrad import lanes
from dualgrad.types import is_complex


class Undecided(Exception):
    """The function asks more of a number than arithmetic, as a branch does."""


class _Number(np.lib.mixins.NDArrayOperatorsMixin):
    """A value of compiled code. Operators come as NumPy's functions, as calls of these do."""

    def __init__(self, context: Any, builder: Any, ty: types.Type, value: Any) -> None:
        self.context, self.builder, self.type, self.value = context, builder, ty, value

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kws: Any) -> Any:
        if ufunc in _NOT_NUMBERS or method != "__call__" or kws:
            raise Undecided(ufunc.__name__)
        operands = [self.constant(it) for it in inputs]
        tys, values = [it.type for it in operands], [it.value for it in operands]
        ty, value = lanes.call(
            self.context, self.builder, _OPERATORS.get(ufunc, ufunc), tys, values
        )
        return _Number(self.context, self.builder, ty, value)

    def constant(self, number: Any) -> _Number:
        """A number of the rule as one of the code."""
        if isinstance(number, _Number):
            return number
        if type(number) is not float:
            raise Undecided(type(number).__name__)
        value = self.context.get_constant(types.float64, number)
        return _Number(self.context, self.builder, types.float64, value)

    def __bool__(self) -> bool:
        raise Undecided("bool")


#: In rules these are written as operators alone; of `power` there is more than one kind.
_OPERATORS: dict[Any, Any] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul,
    np.true_divide: operator.truediv, np.negative: operator.neg,
}  # fmt: skip
_NOT_NUMBERS = {
    np.power, np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
}  # fmt: skip


def in_place(
    context: Any, builder: Any, function: Callable[..., Any], tys: Any, values: Any
) -> tuple[types.Type, Any] | None:
    """Emit the expression that a function is; None if that cannot be done, or may not.

    Where the original allows approximations its rules do not, and of complex numbers the operators
    are not NumPy's functions: there it is a function.
    """
    if not getattr(function, "is_expression", False) or context.fastmath:
        return None
    if any(is_complex(ty) for ty in tys):
        return None
    error_model = callconv.create_error_model("numpy", context)  # no exceptions
    context = context.subtarget(error_model=error_model)
    operands = [_Number(context, builder, *it) for it in zip(tys, values, strict=True)]
    try:
        result = operands[0].constant(function(*operands))
    except (Undecided, TypeError):
        return None
    return result.type, result.value
