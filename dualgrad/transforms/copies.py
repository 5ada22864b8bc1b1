"""Copies of what `f` writes to: it comes anew to every sweep, and stays as it is to the caller.

What lies in the same memory inside of arguments does so inside of their copies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic, overload, register_jitable
from numba.np import arrayobj
from numba.typed import Dict, List

from dualgrad.compile.explain import readable
from dualgrad.compile.promote import as_array_of, copy_into, each, present, promote
from dualgrad.instances import OBJECTS, items_of, made_of
from dualgrad.transforms.extents import (
    OBJECT,
    address_of,
    becomes,
    has_data,
    memory_kinds,
    memory_of,
    merged,
    reference_of,
)
from dualgrad.types import DualType

#: What can be written to and cannot be copied. A record is an address, with no owner.
_UNIQUE = (types.Buffer, types.StructRef, types.Record, types.DeferredType)


def check_copies(ty: types.Type, name: str) -> None:
    """Refuse an argument that `f` writes to if there is no copying it."""
    for it in _unique(ty):
        raise TypeError(
            f"argument {name!r} is written to, and {readable(str(it))} cannot be copied for "
            "each sweep; use an array"
        )


def can_copy(ty: types.Type) -> bool:
    """Whether there is copying what a value of a type holds."""
    return not _unique(ty)


def _unique(ty: types.Type) -> list[types.Type]:
    if isinstance(ty, _UNIQUE) and not isinstance(ty, (types.Array, types.Bytes)):
        return [ty]
    return [it for item in items_of(ty) for it in _unique(item)]


def is_entangled(ty: types.Type) -> bool:
    """Whether values of a type hold memory in objects: what is in common has to be looked for."""
    if isinstance(ty, types.BaseTuple):
        return any(map(is_entangled, ty))
    return bool(memory_kinds(ty)) and not isinstance(ty, types.Array)


def may_repeat(ty: types.Type) -> bool:
    """Whether objects in values of a type may hold the same memory more than once."""
    inner = [it for it in items_of(ty) if memory_kinds(it)]
    several = isinstance(ty, (types.List, types.ListType, types.DictType)) or len(inner) > 1
    return is_entangled(ty) and bool(inner) and (several or any(map(may_repeat, inner)))


def check_repeats(ty: types.Type, name: str) -> None:
    """Refuse an argument that one run of `f` uses up."""
    if isinstance(ty, types.IteratorType):
        raise TypeError(
            f"argument {name!r} is {readable(str(ty))}, which one sweep would use up; pass "
            "what it runs over"
        )
    if isinstance(ty, (types.BaseTuple, types.Optional)):
        for item in items_of(ty):
            check_repeats(item, name)


def private(x: Any) -> Any:
    """A copy of what a sweep may write to, and of all that it holds; numbers are themselves."""
    raise NotImplementedError("only for compiled code")


@overload(private, strict=False)  # strict would compare type hints, which lambdas cannot have
def _private(x: Any) -> Any:
    if isinstance(x, types.Array):
        if x.layout == "A" and isinstance(x.dtype, types.Number):
            item = x.dtype
            return lambda x: as_array_of(x, item)  # a copy that is of any layout, too
        return lambda x: x.copy()
    if may_repeat(x):
        return lambda x: together(x, None)
    if isinstance(x, types.BaseTuple) and memory_kinds(x):
        return each(x, "private(x[{}])", {"private": private}, "x")
    if isinstance(x, types.Optional):
        return lambda x: None if x is None else private(present(x))
    if isinstance(x, types.ClassInstanceType):
        return lambda x: _private_instance(x) if reference_of(x)[0] else x
    if isinstance(x, OBJECTS):
        kind = x
        return lambda x: _of_type(kind, x.copy()) if reference_of(x)[0] else x
    return lambda x: x


@intrinsic
def _private_instance(typingctx: Any, instance: Any) -> Any:
    """A copy of an instance of a jitclass, which holds no memory twice."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return made_of(context, builder, instance, (instance, args[0]), _private_field)

    return instance(instance), codegen


def _private_field(x: Any) -> Any:
    return private(x)


@register_jitable
def together(x: Any, dual: Any) -> Any:
    """A copy of a value, with duals for its floats if a dual type is given.

    Of a tuple, a tuple may say so for each item. Arrays that have bytes in common have them in the
    copy, and what is met again is the copy that there is.
    """
    rows = merged(memory_of(x, dual, False))
    return _moved(x, dual, rows, _allocated(rows))


@register_jitable
def _allocated(rows: Any) -> Any:
    """Memory for the copies of all arrays: rows are given its addresses.

    Items that stay what they are keep their distance from lines of the processor's cache.
    """
    size = 0
    for row in rows:
        if row[2] != OBJECT:
            stays = row[3] == row[4]  # items of several sizes may, too
            start = (size + 63) // 64 * 64 + (row[0] % 64 if stays else 0)
            size = start + (row[1] - row[0] if stays else (row[1] - row[0]) // row[3] * row[4])
            row[2] = start
    memory = np.empty(size + 64, np.uint8)
    start = (address_of(memory) + 63) // 64 * 64
    for row in rows:
        if row[3]:
            row[2] += start
    return memory


@register_jitable
def _row_of(rows: Any, address: int) -> Any:
    """The row for the memory that an address is in."""
    low, high = 0, len(rows)
    while high - low > 1:
        middle = (low + high) // 2
        if rows[middle, 0] <= address:
            low = middle
        else:
            high = middle
    return rows[low]


def _moved(x: Any, dual: Any, rows: Any, memory: Any) -> Any:
    """What `x` is in the copy: arrays in their new memory, objects copied if they are not yet."""
    raise NotImplementedError("only for compiled code")


@overload(_moved, strict=False)
def _move(x: Any, dual: Any, rows: Any, memory: Any) -> Any:
    if isinstance(x, types.BaseTuple) and memory_kinds(x):
        item = "dual[{0}]" if isinstance(dual, types.BaseTuple) else "dual"
        names = {"moved": _moved}
        return each(x, f"moved(x[{{0}}], {item}, rows, memory)", names, "x, dual, rows, memory")
    to = becomes(x, dual)
    if not memory_kinds(x):
        level = None if to == x else dual.instance_type
        return lambda x, dual, rows, memory: x if level is None else promote(x, level)
    if isinstance(x, types.Array):
        return _move_array(to)
    if isinstance(x, types.Optional):
        return lambda x, dual, rows, memory: (
            None if x is None else _moved(present(x), dual, rows, memory)
        )
    return _move_object(to) if isinstance(x, OBJECTS) else lambda x, dual, rows, memory: x


def _move_array(to: Any) -> Any:
    item = to.dtype

    @register_jitable
    def in_place(x: Any, row: Any, memory: Any) -> Any:
        distance = address_of(x) - row[0]
        place = row[2] + (distance if row[3] == row[4] else distance // row[3] * row[4])
        copy = _in_memory(x, to, place, memory)
        copy_into(copy, x)
        return copy

    def array(x: Any, dual: Any, rows: Any, memory: Any) -> Any:
        if x.size == 0:
            return _in_memory(x, to, address_of(memory), memory)
        return in_place(x, _row_of(rows, address_of(x)), memory)

    def promoted_array(x: Any, dual: Any, rows: Any, memory: Any) -> Any:
        if x.size == 0:
            return _in_memory(x, to, address_of(memory), memory)
        row = _row_of(rows, address_of(x))
        return in_place(x, row, memory) if row[4] else as_array_of(x, item)

    return promoted_array if isinstance(item, DualType) else array


def _move_object(to: Any) -> Any:
    def moved(x: Any, dual: Any, rows: Any, memory: Any) -> Any:
        address = reference_of(x)[0]
        if address == 0:  # it was never set
            return _referred(to, 0, 0)
        row = _row_of(rows, address)
        if row[2] != OBJECT:
            return _referred(to, row[2], row[3])
        copy = _copy(x, dual, rows, memory)
        row[2], row[3] = reference_of(copy)
        return copy

    return moved


def _copy(x: Any, dual: Any, rows: Any, memory: Any) -> Any:
    """A copy of what is passed by reference, and of all that it holds."""
    raise NotImplementedError("only for compiled code")


@overload(_copy, strict=False)
def _copied(x: Any, dual: Any, rows: Any, memory: Any) -> Any:
    to = becomes(x, dual)
    if isinstance(x, types.ClassInstanceType):
        return lambda x, dual, rows, memory: _copied_instance(x, dual, rows, memory)
    if isinstance(x, types.Set):
        return lambda x, dual, rows, memory: _of_type(to, x.copy())
    if isinstance(x, types.List):
        return lambda x, dual, rows, memory: _of_type(
            to, [_moved(it, dual, rows, memory) for it in x]
        )
    return _copy_list(to) if isinstance(x, types.ListType) else _copy_dict(to)


def _copy_list(to: Any) -> Any:
    item_type = to.item_type

    def copied(x: Any, dual: Any, rows: Any, memory: Any) -> Any:
        copy = List.empty_list(item_type, len(x))
        for it in x:
            copy.append(_moved(it, dual, rows, memory))
        return copy

    return copied


def _copy_dict(to: Any) -> Any:
    key_type, value_type = to.key_type, to.value_type

    def copied(x: Any, dual: Any, rows: Any, memory: Any) -> Any:
        copy = Dict.empty(key_type, value_type)
        for key, it in x.items():
            copy[key] = _moved(it, dual, rows, memory)
        return copy

    return copied


@intrinsic
def _copied_instance(typingctx: Any, instance: Any, dual: Any, rows: Any, memory: Any) -> Any:
    """A copy of an instance of a jitclass, and of all that it holds."""
    to = becomes(instance, dual)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source, *further = zip(sig.args, args, strict=True)
        return made_of(context, builder, to, source, _move_field, further)

    return to(instance, dual, rows, memory), codegen


def _move_field(x: Any, dual: Any, rows: Any, memory: Any) -> Any:
    return _moved(x, dual, rows, memory)


# ----------------------------------------------------------------------- addresses


@intrinsic
def _in_memory(typingctx: Any, array: Any, to: Any, address: Any, memory: Any) -> Any:
    """An array as another lies in memory, at an address in the memory of a third."""
    result = to.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        given = context.make_array(array)(context, builder, args[0])
        sizes = (context.get_abi_sizeof(context.get_data_type(it.dtype)) for it in (array, result))
        old, new = (context.get_constant(types.intp, size) for size in sizes)
        strides = cgutils.unpack_tuple(builder, given.strides, array.ndim)
        if array.dtype != result.dtype:
            strides = [builder.mul(builder.sdiv(it, old), new) for it in strides]
        it = context.make_array(result)(context, builder)
        owner = context.make_array(memory)(context, builder, args[3])
        arrayobj.populate_array(
            it, data=builder.inttoptr(args[2], it.data.type), shape=given.shape,
            strides=cgutils.pack_array(builder, strides, old.type), itemsize=new,
            meminfo=owner.meminfo,
        )  # fmt: skip
        return impl_ret_borrowed(context, builder, result, it._getvalue())

    return result(array, to, types.intp, memory), codegen


@intrinsic
def _referred(typingctx: Any, to: Any, address: Any, data: Any) -> Any:
    """What is passed by reference, of a type, by its addresses."""
    result = to.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = context.make_helper(builder, result)
        value.meminfo = builder.inttoptr(args[1], value.meminfo.type)
        if has_data(result):
            value.data = builder.inttoptr(args[2], value.data.type)
        return impl_ret_borrowed(context, builder, result, value._getvalue())

    return result(to, types.intp, types.intp), codegen


@intrinsic
def _of_type(typingctx: Any, to: Any, value: Any) -> Any:
    """A list or set as of another type: reflected or not, which are the same inside."""
    result = to.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return impl_ret_borrowed(context, builder, result, args[1])

    return result(to, value), codegen
