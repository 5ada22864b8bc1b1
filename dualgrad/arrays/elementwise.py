"""Ufuncs and operators on arrays of duals, with broadcasting and `out`.

Typing them is enough for Numba's array-expression rewrite to fuse a whole expression into one
loop over scalar duals. The lowering serves what the rewrite leaves: `out=` and in-place forms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.core.errors import NumbaNotImplementedError, TypingError
from numba.core.imputils import lower_builtin
from numba.core.typing import signature
from numba.core.typing.npydecl import (
    Numpy_rules_ufunc,
    NumpyRulesArrayOperator,
    NumpyRulesInplaceArrayOperator,
    NumpyRulesUnaryArrayOperator,
)
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.np import npyimpl
from numba.np.ufunc.dufunc import DUFunc

from dualgrad import lanes
from dualgrad.scalars import TANGENTS
from dualgrad.types import DualType, SeedsType, over, primal

#: operator -> the ufunc that it is on arrays
OPERATORS = {
    op: getattr(np, name)
    for rules in (NumpyRulesArrayOperator, NumpyRulesUnaryArrayOperator)
    for op, name in rules._op_map.items()
}
INPLACE = {op: getattr(np, name) for op, name in NumpyRulesInplaceArrayOperator._op_map.items()}


def dtype(ty: types.Type) -> types.Type:
    """The scalar type of an operand, an array or a scalar."""
    if isinstance(ty, types.Optional):
        ty = ty.type
    return ty.dtype if isinstance(ty, types.ArrayCompatible) else ty


class DualUfunc(AbstractTemplate):
    """A ufunc or operator with an array among its operands and a dual among their items."""

    metadata = {"target": "cpu"}
    ufunc: np.ufunc
    inplace = False

    def generic(self, args: Any, kws: Any) -> Any:
        scalars = [dtype(ty) for ty in args]
        if kws or not any(isinstance(ty, types.ArrayCompatible) for ty in args):
            return None
        if not any(isinstance(ty, DualType) for ty in scalars):
            return None
        if not all(isinstance(ty, (types.Number, types.Boolean)) for ty in scalars):
            return None
        # an in-place operator is a ufunc whose output is its first operand
        operands = (*args, args[0]) if self.inplace else args
        _, outputs, ndim, layout = Numpy_rules_ufunc._handle_inputs(self.ufunc, operands, kws)
        nin = self.ufunc.nin
        item = self.context.resolve_function_type(self.key, tuple(scalars[:nin]), {}).return_type
        if isinstance(item, DualType):
            item = over(item, self._precision(args))
        if not outputs:
            return signature(types.Array(item, ndim, layout) if ndim else item, *args)
        [output] = outputs
        if self.context.can_convert(item, output.dtype) is None:
            raise TypingError(f"{self.ufunc.__name__} cannot write {item} into {output}")
        return signature(output, *args)

    def _precision(self, args: Any) -> types.Type:
        """The dtype that Numba gives the result: an integer leaves an array of float32 as it is."""
        present = [ty.type if isinstance(ty, types.Optional) else ty for ty in args]
        present = [ty.array if isinstance(ty, SeedsType) else ty for ty in present]
        plain = [
            ty.copy(dtype=primal(ty.dtype)) if isinstance(ty, types.Array) else primal(ty)
            for ty in present
        ]
        return dtype(self.context.resolve_function_type(self.key, tuple(plain), {}).return_type)

    def get_impl_key(self, sig: Any) -> Any:
        return "dual array", self.key


def _register(fn: Any, ufunc: np.ufunc, inplace: bool) -> None:
    class Kernel(npyimpl._Kernel):
        def generate(self, *args: Any) -> Any:
            # Numba too takes the ufunc here, which divides by zero without an exception
            operands = self.context, self.builder, ufunc, self.outer_sig.args, args
            item_type, item = lanes.call(*operands)
            return self.cast(item, item_type, self.outer_sig.return_type)

    @lower_builtin(("dual array", fn), types.VarArg(types.Any))
    def lowering(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if inplace:
            sig, args = signature(sig.return_type, *sig.args, sig.args[0]), (*args, args[0])
        return npyimpl.numpy_ufunc_kernel(context, builder, sig, args, ufunc, Kernel)

    members = dict(key=fn, ufunc=ufunc, inplace=inplace)
    infer_global(fn, types.Function(type(f"Dual_{ufunc.__name__}", (DualUfunc,), members)))


for _fn in TANGENTS:
    if isinstance(_fn, np.ufunc) and _fn.nout == 1:
        _register(_fn, _fn, inplace=False)
for _fn, _ufunc in OPERATORS.items():
    if _fn in TANGENTS:
        _register(_fn, _ufunc, inplace=False)
for _fn, _ufunc in INPLACE.items():
    if _fn in TANGENTS:
        _register(_fn, _ufunc, inplace=True)


_compile_for_argtys = DUFunc._compile_for_argtys


def _compile_for_duals(self: Any, argtys: Any, return_type: Any = None) -> Any:
    """A `@vectorize` function for duals: compiled code may call it, NumPy has no loop for it."""
    try:
        return _compile_for_argtys(self, argtys, return_type)
    except NumbaNotImplementedError:  # of that loop, which comes last
        if self.find_ewise_function(argtys)[0] is None:  # the function itself is not compiled
            raise
        if not any(isinstance(ty, DualType) for ty in argtys):
            raise


DUFunc._compile_for_argtys = _compile_for_duals


class _DualScalar(npyimpl._ScalarHelper):
    """A scalar operand or result, kept as a value: Numba keeps its memory form."""

    def __init__(self, context: Any, builder: Any, value: Any, ty: types.Type) -> None:
        super().__init__(context, builder, value, ty)
        self._ptr = cgutils.alloca_once(builder, context.get_value_type(ty))


_prepare_argument = npyimpl._prepare_argument


def _prepare_dual(context: Any, builder: Any, value: Any, ty: Any, where: str = "input") -> Any:
    """Let a scalar dual take part in Numba's ufunc loops, which ask for a plain number."""
    if isinstance(ty, DualType):
        return _DualScalar(context, builder, value, ty)
    return _prepare_argument(context, builder, value, ty, where)


npyimpl._prepare_argument = _prepare_dual
