"""Ufuncs and operators on seeds: one loop that takes each item when it needs it.

The result is an array of duals. Their types are those of `elementwise`.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.registry import cpu_target
from numba.np import npyimpl
from numba.np.ufunc.array_exprs import _lower_array_expr

from dualgrad.seeds import item
from dualgrad.types import SeedsType


class _Seeds(npyimpl._ArrayHelper):
    """An operand whose items are made of their values and lanes."""

    seeds: Any
    type: SeedsType

    def load_data(self, indices: Any) -> Any:
        pointer = self._load_effective_address(indices)
        return item(self.context, self.builder, self.type, self.seeds, pointer)


_prepare_argument = npyimpl._prepare_argument


def _prepare(context: Any, builder: Any, value: Any, ty: Any, where: str = "input") -> Any:
    """Let seeds take part in Numba's loops."""
    ty = getattr(ty, "seeds", ty)
    if not isinstance(ty, SeedsType):
        return _prepare_argument(context, builder, value, ty, where)
    seeds = cgutils.create_struct_proxy(ty)(context, builder, value=value)
    usual = _prepare_argument(context, builder, seeds.values, ty.array, where)
    operand = _Seeds(*usual._replace(base_type=ty.dtype, return_val=value))
    operand.seeds, operand.type = seeds, ty
    return operand


npyimpl._prepare_argument = _prepare


class _AsArray(types.Array):
    """What Numba is told of seeds in an array expression, where it asks for arrays."""

    def __init__(self, seeds: SeedsType) -> None:
        self.seeds = seeds
        super().__init__(seeds.dtype, seeds.ndim, seeds.layout, name=f"array of {seeds}")

    @property
    def key(self) -> Any:
        """What it is told from others by."""
        return self.seeds, super().key


class _Lowerer:
    """What Numba asks of the code that an array expression is a part of."""

    def __init__(self, lowerer: Any) -> None:
        self.context, self.builder, self.loadvar = lowerer.context, lowerer.builder, lowerer.loadvar
        self._typeof = lowerer.typeof

    def typeof(self, name: str) -> Any:
        """The type of a variable."""
        ty = self._typeof(name)
        return _AsArray(ty) if isinstance(ty, SeedsType) else ty


def _lower(lowerer: Any, expr: Any) -> Any:
    """Numba's own lowering of an array expression, which tells arrays by their class."""
    of_seeds = any(isinstance(lowerer.typeof(it.name), SeedsType) for it in expr.list_vars())
    return _lower_array_expr(_Lowerer(lowerer) if of_seeds else lowerer, expr)


cpu_target.target_context.special_ops["arrayexpr"] = _lower
