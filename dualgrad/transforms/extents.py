"""Which memory values lie in: rows of a first byte, the byte after the last, and what is there.

Arrays lie where their items do, also inside of containers and of instances of jitclasses. What is
passed by reference, such as a list, lies at its own address, as one byte.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic, overload, register_jitable
from numba.np import arrayobj

from dualgrad.compile.promote import present, promoted
from dualgrad.generated import generated
from dualgrad.instances import OBJECTS, items_of


def memory_kinds(ty: types.Type) -> set[Any]:
    """What kinds of memory values of a type lie in; those of no common kind share none."""
    kinds = {it for item in items_of(ty) for it in memory_kinds(item)}
    if isinstance(ty, (types.Buffer, types.Record)):
        kinds.add(types.Buffer)
    elif isinstance(ty, OBJECTS):
        kinds.add(ty)
    return kinds


# ------------------------------------------------------------------------ addresses


def array_parts(context: Any, builder: Any, ty: Any, value: Any) -> tuple[Any, Any, Any]:
    """An array as a structure, its shape and its strides."""
    array = context.make_array(ty)(context, builder, value)
    shape = cgutils.unpack_tuple(builder, array.shape, ty.ndim)
    return array, shape, cgutils.unpack_tuple(builder, array.strides, ty.ndim)


def _ends(context: Any, builder: Any, ty: Any, value: Any) -> tuple[Any, Any]:
    array, *parts = array_parts(context, builder, ty, value)
    return arrayobj.get_array_memory_extents(context, builder, ty, array, *parts, array.data)


@intrinsic
def _extent(typingctx: Any, array: Any) -> Any:
    """Where the first item of an array that has some begins in memory, and where the last ends."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return cgutils.pack_array(builder, _ends(context, builder, array, args[0]))

    return types.UniTuple(types.intp, 2)(array), codegen


@intrinsic
def _count(typingctx: Any, array: Any) -> Any:
    """The number of items of an array, or of bytes and the like, which do not tell it."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.make_array(array)(context, builder, args[0]).nitems

    return types.intp(array), codegen


@intrinsic
def extents_meet(typingctx: Any, a: Any, b: Any) -> Any:
    """Whether some item of an array lies between the first and the last of another."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        ends = [
            it for pair in zip(sig.args, args, strict=True) for it in _ends(context, builder, *pair)
        ]
        return arrayobj.extents_may_overlap(context, builder, *ends)

    return types.boolean(a, b), codegen


@intrinsic
def _put_addresses(typingctx: Any, array: Any, out: Any) -> Any:
    """Write where the items of an array lie to an array of integers of its shape."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        it, shape, strides = array_parts(context, builder, sig.args[0], args[0])
        to, _, steps = array_parts(context, builder, sig.args[1], args[1])
        intp = context.get_value_type(types.intp)
        with cgutils.loop_nest(builder, shape, intp=intp) as index:
            item, place = (
                cgutils.get_item_pointer2(context, builder, x.data, shape, s, ty.layout, index)
                for x, s, ty in zip((it, to), (strides, steps), sig.args, strict=True)
            )
            builder.store(builder.ptrtoint(item, intp), place)
        return context.get_dummy_value()

    return types.void(array, out), codegen


@intrinsic
def address_of(typingctx: Any, array: Any) -> Any:
    """Where the items of an array begin, in the order of their indices."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        return builder.ptrtoint(data, context.get_value_type(types.intp))

    return types.intp(array), codegen


@intrinsic
def address_of_record(typingctx: Any, record: Any) -> Any:
    """Where a record is."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], context.get_value_type(types.intp))

    return types.intp(record), codegen


def has_data(ty: types.Type) -> bool:
    """Whether what is passed by reference has its data at an address of their own."""
    return not isinstance(ty, (types.List, types.Set))


@intrinsic
def reference_of(typingctx: Any, x: Any) -> Any:
    """The addresses of what is passed by reference and of its data; 0 for fields never set."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = context.make_helper(builder, x, value=args[0])
        intp = context.get_value_type(types.intp)
        places = value.meminfo, value.data if has_data(x) else value.meminfo
        return cgutils.pack_array(builder, [builder.ptrtoint(it, intp) for it in places])

    return types.UniTuple(types.intp, 2)(x), codegen


# ----------------------------------------------------------------------------- rows

# The columns of a row are the first byte, the byte after the last, what is there, and the sizes of
# an item there and in a copy; the last is 0 if the copy has to be alone.

#: What is there: an object, or items that stay as they are in a copy. Another number says of what
#: type the items are, and that they become duals.
OBJECT, RAW = 0, 1


def becomes(ty: Any, dual: Any) -> Any:
    """The type of the copy of a value; `dual` is the type of None if it stays what it is."""
    return ty if isinstance(dual, types.NoneType) else promoted(ty, dual.instance_type)


@intrinsic
def size_of(typingctx: Any, item: Any) -> Any:
    """How many bytes an item of an array is."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data_type = context.get_data_type(item.instance_type)
        return context.get_constant(types.intp, context.get_abi_sizeof(data_type))

    return types.intp(item), codegen


@register_jitable
def _in_steps_of_items(x: Any) -> bool:
    """Whether items are whole items apart: those of a field of records need not be."""
    whole = True
    for step in x.strides:
        whole &= step % x.itemsize == 0
    return whole


@register_jitable
def _put_row(rows: Any, n: int, first: int, end: int, kind: int, size: int, to: int) -> int:
    if n < len(rows):
        rows[n, 0], rows[n, 1], rows[n, 2], rows[n, 3], rows[n, 4] = first, end, kind, size, to
    return n + 1


def _noted(x: Any, dual: Any, rows: Any, n: int, exact: bool) -> int:
    """Put a row for all that is in `x` from row `n` on, while there is room; the next number.

    Arrays that are not contiguous have a row for each item where it has to be exact: the items of
    others may lie between theirs.
    """
    raise NotImplementedError("only for compiled code")


@overload(_noted, strict=False)  # strict would compare type hints, which lambdas cannot have
def _note(x: Any, dual: Any, rows: Any, n: Any, exact: Any) -> Any:
    if not memory_kinds(x):
        return lambda x, dual, rows, n, exact: n
    if isinstance(x, (types.Buffer, types.Record)):
        return _note_items(x, dual)
    if isinstance(x, types.Optional):
        return lambda x, dual, rows, n, exact: (
            n if x is None else _noted(present(x), dual, rows, n, exact)
        )
    if isinstance(x, types.BaseTuple):
        level = "dual[{}]" if isinstance(dual, types.BaseTuple) else "dual"
        return _one_by_one([(f"x[{k}]", level.format(k)) for k in range(len(x))], "n")
    if isinstance(x, types.ClassInstanceType):
        fields = [(f"x.{name}", "dual") for name, ty in x.struct.items() if memory_kinds(ty)]
        return _one_by_one(fields, "note_object(x, rows, n)", "reference_of(x)[0] == 0")
    if not any(memory_kinds(item) for item in items_of(x)):
        return lambda x, dual, rows, n, exact: _note_object(x, rows, n)
    return _note_values if isinstance(x, types.DictType) else _note_list


def _one_by_one(items: list[tuple[str, str]], start: str, absent: str = "False") -> Any:
    source = start
    for item, dual in items:
        source = f"noted({item}, {dual}, rows, {source}, exact)"
    return generated(
        f"lambda x, dual, rows, n, exact: n if {absent} else {source}",
        noted=_noted, note_object=_note_object, reference_of=reference_of,
    )  # fmt: skip


@register_jitable
def _note_object(x: Any, rows: Any, n: int) -> int:
    address = reference_of(x)[0]
    return _put_row(rows, n, address, address + 1, OBJECT, 0, 0) if address else n


def _note_items(x: Any, dual: Any) -> Any:
    """Items of an array, or the bytes of a record."""
    if isinstance(x, types.Record):
        size = x.size
        return lambda x, dual, rows, n, exact: _put_row(
            rows, n, address_of_record(x), address_of_record(x) + size, RAW, 1, 1
        )
    item, to = x.dtype, becomes(x.dtype, dual)
    kind = RAW if item == to else crc32(str(item).encode()) + 2

    @register_jitable
    def note_all(x: Any, rows: Any, n: int) -> int:
        if _count(x) == 0:
            return n
        first, end = _extent(x)
        in_place = kind == RAW or _in_steps_of_items(x)
        return _put_row(rows, n, first, end, kind, size_of(item), size_of(to) * in_place)

    def note_array(x: Any, dual: Any, rows: Any, n: Any, exact: Any) -> Any:
        return note_all(x, rows, n)

    def note_scattered(x: Any, dual: Any, rows: Any, n: Any, exact: Any) -> Any:
        if not exact or _count(x) == 0:
            return note_all(x, rows, n)
        if len(rows) == 0:
            return n + _count(x)
        addresses, size = np.empty(x.shape, np.intp), size_of(item)
        _put_addresses(x, addresses)
        for first in addresses.flat:
            n = _put_row(rows, n, first, first + size, kind, size, size)
        return n

    return note_scattered if x.layout == "A" else note_array


def _note_list(x: Any, dual: Any, rows: Any, n: Any, exact: Any) -> Any:
    if reference_of(x)[0] == 0:
        return n
    n = _note_object(x, rows, n)
    for it in x:
        n = _noted(it, dual, rows, n, exact)
    return n


def _note_values(x: Any, dual: Any, rows: Any, n: Any, exact: Any) -> Any:
    if reference_of(x)[0] == 0:
        return n
    n = _note_object(x, rows, n)
    for it in x.values():
        n = _noted(it, dual, rows, n, exact)
    return n


@register_jitable
def memory_of(x: Any, dual: Any, exact: bool) -> Any:
    """The rows of all that is in `x`, in the order of their first bytes."""
    rows = np.empty((_noted(x, dual, np.empty((0, 5), np.intp), 0, exact), 5), np.intp)
    _noted(x, dual, rows, 0, exact)
    _sort(rows)
    return rows


@register_jitable
def _sort(rows: Any) -> None:
    """Shell's sort by the first column: np.argsort takes five times as long to compile."""
    gap = len(rows) // 2
    while gap:
        for start in range(gap, len(rows)):
            k = start
            while k >= gap and rows[k, 0] < rows[k - gap, 0]:
                for column in range(5):
                    this, other = rows[k, column], rows[k - gap, column]
                    rows[k, column], rows[k - gap, column] = other, this
                k -= gap
        gap = 1 if gap == 2 else gap * 5 // 11


@register_jitable
def merged(rows: Any) -> Any:
    """Rows without a byte in common, for the same memory.

    Items that become duals have no bytes in common but with others of their type.
    """
    n = 0
    for row in rows:
        if n and row[0] < rows[n - 1, 1]:
            last = rows[n - 1]
            apart = row[2] != RAW and (row[0] - last[0]) % max(row[3], 1)
            alone = min(row[4], last[4]) == 0 and row[2] != OBJECT
            if row[2] != last[2] or apart or alone:
                raise ValueError(
                    "arguments share memory in which the function keeps derivatives, and that is "
                    "of several types or must not change; pass a copy of one"
                )
            last[1] = max(row[1], last[1])
        else:
            for column in range(5):  # row by row, it takes Numba seconds to compile its errors
                rows[n, column] = row[column]
            n += 1
    return rows[:n]


@register_jitable
def memories_meet(x: Any, y: Any) -> bool:
    """Whether some memory is in `x` and in `y`."""
    a, b = merged(memory_of(x, None, True)), merged(memory_of(y, None, True))
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i, 1] <= b[j, 0]:
            i += 1
        elif b[j, 1] <= a[i, 0]:
            j += 1
        else:
            return True
    return False
