"""Methods of arrays of duals: each is the NumPy function of its name.

Most of Numba's own methods serve as they are (`sum`, `clip`, `copy`, ...). Those in the table
choose their code by the dtype, and would treat a dual as something that is no float.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr

from dualgrad.types import DualType

#: method -> the function that it is
METHODS: dict[str, Any] = {
    name: getattr(np, name) for name in "argmax argmin cumprod max mean min prod".split()
}


def _key(function: Any) -> Any:
    """The key under which the lowering of a method is registered."""
    return "dual method", function


@infer_getattr
class DualMethods(AttributeTemplate):
    """The methods in the table, on arrays of duals only."""

    key = types.Array
    # Templates of a special target are tried before Numba's own.
    metadata = {"target": "cpu"}

    def resolve(self, value: Any, attr: Any) -> Any:
        if not isinstance(value.dtype, DualType):
            return None
        function = METHODS.get(attr)
        if function is None:
            return None

        class Method(AbstractTemplate):
            key = _key(function)

            def generic(self, args: Any, kws: Any) -> Any:
                callee = self.context.resolve_value_type(function)
                signature = callee.get_call_type(self.context, (value, *args), kws)
                return signature.as_method()

        return types.BoundFunction(Method, value)


def _lower(function: Any) -> None:
    """Register the lowering of a method: a call of its function."""

    @lower_builtin(_key(function), types.Array, types.VarArg(types.Any))
    def lowering(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        callee = context.typing_context.resolve_value_type(function)
        signature = callee.get_call_type(context.typing_context, sig.args, {})
        call = context.get_function(callee, signature)
        context.add_linking_libs(getattr(call, "libs", ()))
        return call(builder, args)


for _function in METHODS.values():
    _lower(_function)
