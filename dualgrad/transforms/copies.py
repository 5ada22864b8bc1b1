"""Copies of what `f` writes to: it comes anew to every sweep, and stays as it is to the caller.

What lies in the same memory inside of an argument does so inside of the copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref
from numba.extending import intrinsic, overload, register_jitable

from dualgrad.compile.explain import readable
from dualgrad.compile.promote import as_array_of, each, present
from dualgrad.instances import OBJECTS, allocated, fill
from dualgrad.transforms.extents import (
    ARRAY,
    OBJECT,
    address_of,
    has_data,
    items_of,
    memory_kinds,
    memory_of,
    merged,
    reference_of,
)

#: What can be written to and cannot be copied. A record is an address, with no owner.
_UNIQUE = (types.Buffer, types.StructRef, types.Record, types.DeferredType)


def check_copies(ty: types.Type, name: str) -> None:
    """Refuse an argument that `f` writes to if there is no copying it."""
    if isinstance(ty, _UNIQUE) and not isinstance(ty, (types.Array, types.Bytes)):
        raise TypeError(
            f"argument {name!r} is written to, and {readable(str(ty))} cannot be copied for "
            "each sweep; use an array"
        )
    for item in items_of(ty):
        check_copies(item, name)


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
    if isinstance(x, types.BaseTuple) and memory_kinds(x):
        return each(x, "private(x[{}])", {"private": private}, "x")
    if isinstance(x, types.Optional):
        return lambda x: None if x is None else private(present(x))
    if not isinstance(x, OBJECTS):
        return lambda x: x
    if not any(memory_kinds(item) for item in items_of(x)):
        return lambda x: _copy(x, None, None)
    return _private_object


def _private_object(x: Any) -> Any:
    rows = merged(memory_of(x, False))
    return _moved(x, rows, _copied_arrays(rows))


# Beginning with what is passed by reference, all is copied at once: arrays that have bytes in
# common to one place, and what is met again is the copy that there is.


@register_jitable
def _copied_arrays(rows: Any) -> Any:
    """The memory of all arrays in one, with their distances from lines of the processor's cache.

    Where it lies is noted in the rows.
    """
    size = 0
    for row in rows:
        if row[2] == ARRAY:
            row[3] = (size + 63) // 64 * 64 + row[0] % 64
            size = row[3] + row[1] - row[0]
    memory = np.empty(size + 64, np.uint8)
    start = (address_of(memory) + 63) // 64 * 64
    for row in rows:
        if row[2] == ARRAY:
            row[2] = start + row[3]
            _copy_bytes(row[2], row[0], row[1] - row[0])
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


def _moved(x: Any, rows: Any, memory: Any) -> Any:
    """What `x` is in the copy: arrays in their new memory, objects copied if they are not yet."""
    raise NotImplementedError("only for compiled code")


@overload(_moved, strict=False)
def _move(x: Any, rows: Any, memory: Any) -> Any:
    if not memory_kinds(x):
        return lambda x, rows, memory: x
    if isinstance(x, types.Array):
        return _moved_array
    if isinstance(x, types.BaseTuple):
        names = {"moved": _moved, "rows": None, "memory": None}
        return each(x, "moved(x[{}], rows, memory)", names, "x, rows, memory")
    if isinstance(x, types.Optional):
        return lambda x, rows, memory: None if x is None else _moved(present(x), rows, memory)
    return _moved_object


def _moved_array(x: Any, rows: Any, memory: Any) -> Any:
    if x.size == 0:
        return _in_memory(x, address_of(memory), memory)
    address = address_of(x)
    row = _row_of(rows, address)
    return _in_memory(x, row[2] + address - row[0], memory)


def _moved_object(x: Any, rows: Any, memory: Any) -> Any:
    row = _row_of(rows, reference_of(x)[0])
    if row[2] != OBJECT:
        return _referred(x, row[2], row[3])
    copy = _copy(x, rows, memory)
    row[2], row[3] = reference_of(copy)
    return copy


def _copy(x: Any, rows: Any, memory: Any) -> Any:
    """A copy of what is passed by reference; of all that it holds if rows are given."""
    raise NotImplementedError("only for compiled code")


@overload(_copy, strict=False)
def _copied(x: Any, rows: Any, memory: Any) -> Any:
    if isinstance(x, types.ClassInstanceType):
        return lambda x, rows, memory: _copied_instance(x, rows, memory)
    if isinstance(x, types.List):
        return lambda x, rows, memory: _of_type(x, [_moved(it, rows, memory) for it in x])
    if isinstance(x, types.Set):
        return lambda x, rows, memory: _of_type(x, x.copy())
    if not any(memory_kinds(item) for item in items_of(x)):
        return lambda x, rows, memory: x.copy()
    return _copied_list if isinstance(x, types.ListType) else _copied_dict


def _copied_list(x: Any, rows: Any, memory: Any) -> Any:
    copy = x.copy()
    for k in range(len(copy)):
        copy[k] = _moved(copy[k], rows, memory)
    return copy


def _copied_dict(x: Any, rows: Any, memory: Any) -> Any:
    copy = x.copy()
    for key in x:
        copy[key] = _moved(x[key], rows, memory)
    return copy


@intrinsic
def _copied_instance(typingctx: Any, instance: Any, rows: Any, memory: Any) -> Any:
    """A copy of an instance of a jitclass, and of all that it holds."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        copy, fields = allocated(context, builder, instance)
        source, *further = zip(sig.args, args, strict=True)
        fill(context, builder, source, (instance, fields), _move_field, further)
        return impl_ret_new_ref(context, builder, instance, copy._getvalue())

    return instance(instance, rows, memory), codegen


def _move_field(x: Any, rows: Any, memory: Any) -> Any:
    return _moved(x, rows, memory)


# ----------------------------------------------------------------------- addresses


@intrinsic
def _copy_bytes(typingctx: Any, to: Any, source: Any, count: Any) -> Any:
    """Copy bytes from an address to another."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointers = [builder.inttoptr(it, cgutils.voidptr_t) for it in args[:2]]
        cgutils.raw_memcpy(builder, *pointers, args[2], 1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def _in_memory(typingctx: Any, array: Any, address: Any, memory: Any) -> Any:
    """An array with its items at an address in the memory of another array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        it = context.make_array(array)(context, builder, args[0])
        it.meminfo = context.make_array(memory)(context, builder, args[2]).meminfo
        it.parent = cgutils.get_null_value(it.parent.type)
        it.data = builder.inttoptr(args[1], it.data.type)
        return impl_ret_borrowed(context, builder, array, it._getvalue())

    return array(array, types.intp, memory), codegen


@intrinsic
def _referred(typingctx: Any, like: Any, address: Any, data: Any) -> Any:
    """What is passed by reference, of the type of another, by its addresses."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = context.make_helper(builder, like)
        value.meminfo = builder.inttoptr(args[1], value.meminfo.type)
        if has_data(like):
            value.data = builder.inttoptr(args[2], value.data.type)
        return impl_ret_borrowed(context, builder, like, value._getvalue())

    return like(like, types.intp, types.intp), codegen


@intrinsic
def _of_type(typingctx: Any, like: Any, value: Any) -> Any:
    """A list or set as of the type of another: reflected or not, which are the same inside."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return impl_ret_borrowed(context, builder, like, args[1])

    return like(like, value), codegen
