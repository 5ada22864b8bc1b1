"""Which types are buffers, and which can hold derivatives."""

from __future__ import annotations

from numba.core import types

from dualgrad.types import DualType


def is_buffer(ty: types.Type | None) -> bool:
    """Whether values of this type share memory when copied: arrays, lists, iterators, ..."""
    if isinstance(ty, types.BoundFunction):
        return is_buffer(ty.this)
    if isinstance(ty, types.Optional):
        return is_buffer(ty.type)
    if isinstance(ty, types.BaseTuple):
        return any(is_buffer(item) for item in ty)
    return _VALUES.isdisjoint(type(ty).__mro__)  # `isinstance` asks each class of Numba's


_VALUES = {
    types.Number, types.Boolean, types.NoneType, types.UnicodeType, types.Opaque, types.Omitted,
    types.Dummy, types.SliceType, types.RangeType, types.RangeIteratorType, types.DType,
    types.Literal, types.EnumMember, type(None),
}  # fmt: skip


def can_carry(ty: types.Type | None) -> bool:
    """Whether values of this type can hold derivatives at all: they are or contain floats."""
    if isinstance(ty, types.Number):
        return isinstance(ty, (types.Float, types.Complex, DualType))
    if isinstance(ty, types.Optional):
        return can_carry(ty.type)
    if isinstance(ty, types.BaseTuple):
        return any(can_carry(item) for item in ty)
    if isinstance(ty, (types.Array, types.List)):
        return can_carry(ty.dtype)
    if isinstance(ty, types.BoundFunction):
        return can_carry(ty.this)
    return _VALUES.isdisjoint(type(ty).__mro__)


def holds_buffers(ty: types.Type | None) -> bool:
    """Whether it is a list of arrays or the like: copied item by item, items still shared."""
    if isinstance(ty, types.Array):
        return False
    return is_buffer(getattr(ty, "dtype", None))
