"""Arrays of duals that are in no memory: seeds, and results of which only some entries are kept.

Long arrays of duals do not fit in caches, and moving them takes longer than the arithmetic on them.
An array of inputs is its values and the lane that is one of each item; the tangents of an item are
read from a small table of unit vectors. An array of results keeps of each item the entries that
its row of the Jacobian has. Both can be used item by item alone (`compile.itemwise`).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import (
    intrinsic,
    make_attribute_wrapper,
    overload,
    overload_attribute,
    overload_method,
)
from numba.np import arrayobj

from dualgrad import lanes
from dualgrad.types import EntriesType, Lanes, PlaceType, SeedsType, UnstoredType


def _pointer(ty: Any) -> Any:
    return types.CPointer(ty)


@register_default(EntriesType)
class _EntriesModel(models.StructModel):
    """Where entries go, where those of each row start, the lane of each, the number of rows."""

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        members = [
            ("data", _pointer(fe_type.dtype.base)),
            ("starts", _pointer(fe_type.index)),
            ("lanes", _pointer(types.int32)),
            ("rows", types.intp),
            ("shape", types.UniTuple(types.intp, fe_type.ndim)),
        ]
        super().__init__(dmm, fe_type, members)


@register_default(SeedsType)
class _SeedsModel(models.StructModel):
    """The values; of each item the lane that is one, which is -1 if none is."""

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        members = [
            ("data", _pointer(fe_type.dtype.base)),
            ("lanes", _pointer(types.int32)),
            ("shape", types.UniTuple(types.intp, fe_type.ndim)),
        ]
        if fe_type.entries is not None:
            members.append(("entries", fe_type.entries))
        super().__init__(dmm, fe_type, members)


@register_default(PlaceType)
class _PlaceModel(models.ProxyModel):
    """A change is a dual, anything else nothing."""

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        super().__init__(dmm, fe_type)
        self._proxied_model = dmm.lookup(fe_type.dual if fe_type.is_change else types.none)


make_attribute_wrapper(EntriesType, "shape", "shape")
make_attribute_wrapper(SeedsType, "shape", "shape")


# ------------------------------------------------------------------------ made by the kernel


@intrinsic
def seeds(typingctx: Any, x: Any, colours: Any, entries: Any, ty: Any) -> Any:
    """The items of a vector with the lanes of their colours; `entries` is None or goes with it."""
    result = ty.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = context.make_array(x)(context, builder, args[0])
        made = cgutils.create_struct_proxy(result)(context, builder)
        made.data = values.data
        made.lanes = context.make_array(colours)(context, builder, args[1]).data
        made.shape = values.shape
        if result.entries is not None:
            made.entries = args[2]
        return made._getvalue()

    return result(x, colours, entries, ty), codegen


@intrinsic
def entries(
    typingctx: Any, data: Any, starts: Any, lanes: Any, rows: Any, shape: Any, ty: Any
) -> Any:
    """An array of results of a shape, whose entries go to `data`."""
    result = ty.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        made = cgutils.create_struct_proxy(result)(context, builder)
        given = zip(("data", "starts", "lanes"), sig.args, args, strict=False)
        for name, array, value in given:
            setattr(made, name, context.make_array(array)(context, builder, value).data)
        made.rows = context.cast(builder, args[3], rows, types.intp)
        made.shape = args[4]
        return made._getvalue()

    return result(data, starts, lanes, rows, shape, ty), codegen


# --------------------------------------------------------------------- asked for by the clone


@intrinsic
def without_entries(typingctx: Any, x: Any) -> Any:
    """The seeds alone."""
    result = SeedsType(x.array, x.dtype)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = cgutils.create_struct_proxy(x)(context, builder, value=args[0])
        made = cgutils.create_struct_proxy(result)(context, builder)
        made.data, made.lanes, made.shape = source.data, source.lanes, source.shape
        return made._getvalue()

    return result(x), codegen


@intrinsic
def allocated(typingctx: Any, x: Any, shape: Any, zeros: Any) -> Any:
    """The array of results that goes with seeds, in place of `np.empty` or `np.zeros`."""
    result = x.entries.with_shape(len(shape) if isinstance(shape, types.BaseTuple) else 1)
    pair = types.UniTuple(types.intp, result.ndim)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = cgutils.create_struct_proxy(x)(context, builder, value=args[0])
        given = cgutils.create_struct_proxy(x.entries)(context, builder, value=source.entries)
        made = cgutils.create_struct_proxy(result)(context, builder)
        for name in ("data", "starts", "lanes", "rows"):
            setattr(made, name, getattr(given, name))
        sizes, kinds = [args[1]], [shape]
        if isinstance(shape, types.BaseTuple):
            sizes, kinds = cgutils.unpack_tuple(builder, args[1]), list(shape)
        sizes = [
            context.cast(builder, size, kind, types.intp)
            for size, kind in zip(sizes, kinds, strict=True)
        ]
        made.shape = context.make_tuple(builder, pair, sizes)
        with builder.if_then(args[2]):
            last = builder.load(builder.gep(given.starts, [given.rows]))
            count = context.cast(builder, last, result.index, types.intp)
            itemsize = context.get_abi_sizeof(context.get_data_type(result.dtype.base))
            size = builder.mul(count, count.type(itemsize))
            cgutils.memset(builder, given.data, size, 0)
        return made._getvalue()

    return result(x, shape, types.boolean), codegen


# ------------------------------------------------------------------------------------- items


def _place(context: Any, builder: Any, ty: Any, array: Any, index: Any, value: Any) -> Any:
    """Which item in C order an index stands for."""
    kinds, indices = [index], [value]
    if isinstance(index, types.BaseTuple):
        kinds, indices = list(index), cgutils.unpack_tuple(builder, value)
    indices = [
        arrayobj.normalize_index(context, builder, kind, it)
        for kind, it in zip(kinds, indices, strict=True)
    ]
    place = None
    sizes = cgutils.unpack_tuple(builder, array.shape, ty.ndim)
    for axis, ((kind, it), size) in enumerate(zip(indices, sizes, strict=True)):
        within = arrayobj.fix_integer_index(context, builder, kind, it, size)
        if context.enable_boundscheck:
            cgutils.do_boundscheck(context, builder, within, size, axis)
        place = within if place is None else builder.add(builder.mul(place, size), within)
    return place


def _is_index(index: Any, ndim: int) -> bool:
    kinds = list(index) if isinstance(index, types.BaseTuple) else [index]
    return len(kinds) == ndim and all(isinstance(kind, types.Integer) for kind in kinds)


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args: Sequence[Any], kws: Any) -> Any:
        array, index = args
        if isinstance(array, SeedsType) and _is_index(index, array.ndim):
            return signature(array.dtype, array, types.unliteral(index))
        if isinstance(array, EntriesType) and _is_index(index, array.ndim):
            return signature(PlaceType(array.dtype), array, types.unliteral(index))
        return None


@lower_builtin(operator.getitem, SeedsType, types.Any)
def _get(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    ty, index = sig.args
    array = cgutils.create_struct_proxy(ty)(context, builder, value=args[0])
    place = _place(context, builder, ty, array, index, args[1])
    dual = ty.dtype
    value = builder.load(builder.gep(array.data, [place]))
    lane = builder.sext(builder.load(builder.gep(array.lanes, [place])), place.type)
    row = builder.mul(builder.add(lane, lane.type(1)), lane.type(dual.n))
    table = cgutils.gep_inbounds(builder, _units(context, builder.module, dual.lanes), 0, row)
    stored = context.data_model_manager[dual.lanes].get_data_type()
    tangents = context.unpack_value(
        builder, dual.lanes, builder.bitcast(table, stored.as_pointer())
    )
    made = cgutils.create_struct_proxy(dual)(context, builder)
    made.value, made.lanes = value, tangents
    return made._getvalue()


def _units(context: Any, module: Any, ty: Lanes) -> Any:
    """A table of all tangents of seeds in a row: none of the lanes is one, the first, ..."""
    name = f"dualgrad_units_{ty.base}_{ty.n}"
    found = module.globals.get(name)
    if found is None:
        item = context.get_data_type(ty.base)
        numbers = [float(k == lane) for lane in range(-1, ty.n) for k in range(ty.n)]
        kind = ir.ArrayType(item, len(numbers))
        found = ir.GlobalVariable(module, kind, name)
        found.initializer = ir.Constant(kind, [item(number) for number in numbers])
        found.linkage, found.global_constant, found.align = "internal", True, 64
    return found


@lower_builtin(operator.getitem, EntriesType, types.Any)
def _get_place(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    ty, index = sig.args
    array = cgutils.create_struct_proxy(ty)(context, builder, value=args[0])
    _place(context, builder, ty, array, index, args[1])  # which may be out of bounds
    return context.get_dummy_value()


class _Change(AbstractTemplate):
    """What is added to an item of results, or subtracted from it."""

    def generic(self, args: Sequence[Any], kws: Any) -> Any:
        place, number = args
        if not isinstance(place, PlaceType) or place.is_change:
            return None
        if self.context.can_convert(number, place.dual) is None:
            return None
        return signature(PlaceType(place.dual, True), place, place.dual)


def _added(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return args[1]


def _subtracted(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    dual = sig.args[1]
    return lanes.call(context, builder, operator.neg, [dual], args[1:])[1]


for _operator, _lower in ((operator.iadd, _added), (operator.isub, _subtracted)):
    infer_global(_operator)(type(f"_{_operator.__name__}", (_Change,), {}))
    lower_builtin(_operator, PlaceType, types.Any)(_lower)


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args: Sequence[Any], kws: Any) -> Any:
        array, index, item = args
        if not isinstance(array, EntriesType) or not _is_index(index, array.ndim):
            return None
        if not isinstance(item, PlaceType):
            if self.context.can_convert(item, array.dtype) is None:
                return None
            item = array.dtype
        return signature(types.none, array, types.unliteral(index), item)


@lower_builtin(operator.setitem, EntriesType, types.Any, types.Any)
def _set(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    ty, index, item = sig.args
    array = cgutils.create_struct_proxy(ty)(context, builder, value=args[0])
    row = _place(context, builder, ty, array, index, args[1])
    # of a result of another shape the kernel knows after the sweep
    with builder.if_then(builder.icmp_unsigned("<", row, array.rows), likely=True):
        tangents = lanes.spilled(context, builder, ty.dtype, args[2])
        begin, end = (
            builder.sext(builder.load(builder.gep(array.starts, [it])), row.type)
            for it in (row, builder.add(row, row.type(1)))
        )
        with cgutils.for_range_slice(builder, begin, end, begin.type(1)) as (place, _):
            lane = builder.load(builder.gep(array.lanes, [place]))
            tangent = builder.load(builder.gep(tangents, [lane]))
            entry = builder.gep(array.data, [place])
            if isinstance(item, PlaceType):
                tangent = builder.fadd(builder.load(entry), tangent)
            builder.store(tangent, entry)
    return context.get_dummy_value()


# ------------------------------------------------------------------------------------ shapes


@overload(len, strict=False)
def _len(array: Any) -> Any:
    if isinstance(array, UnstoredType):
        return lambda array: array.shape[0]
    return None


def _like(array: Any) -> Any:
    if isinstance(array, SeedsType):
        dual = array.dtype
        return lambda array: np.empty(array.shape, dual)
    return None


def _zeros_like(array: Any) -> Any:
    if isinstance(array, SeedsType):
        dual = array.dtype
        return lambda array: np.zeros(array.shape, dual)
    return None


# before Numba's own, which take it for a number
overload(np.empty_like, target="cpu", strict=False)(_like)
overload(np.zeros_like, target="cpu", strict=False)(_zeros_like)


def _size(array: Any) -> Any:
    def size(array: Any) -> Any:
        product = 1
        for it in array.shape:
            product *= it
        return product

    return size


def _ndim(array: Any) -> Any:
    ndim = array.ndim
    return lambda array: ndim


@intrinsic
def _of_shape(typingctx: Any, array: Any, shape: Any) -> Any:
    """The same items in another shape."""
    result = array.with_shape(len(shape))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = cgutils.create_struct_proxy(array)(context, builder, value=args[0])
        made = cgutils.create_struct_proxy(result)(context, builder)
        for name in context.data_model_manager[array]._fields:
            setattr(made, name, args[1] if name == "shape" else getattr(source, name))
        return made._getvalue()

    return result(array, shape), codegen


@intrinsic
def _floats(typingctx: Any, array: Any) -> Any:
    """An array of the same shape, whose items are not to be looked at."""
    result = types.Array(types.uint8, array.ndim, "C")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = cgutils.create_struct_proxy(array)(context, builder, value=args[0])
        intp = context.get_value_type(types.intp)
        sizes = cgutils.unpack_tuple(builder, source.shape, array.ndim)
        step, strides = intp(1), list[Any]()
        for size in reversed(sizes):
            strides.insert(0, step)
            step = builder.mul(step, size)
        made = context.make_array(result)(context, builder)
        data = builder.bitcast(source.data, made.data.type)
        arrayobj.populate_array(
            made, data=data, shape=sizes, strides=strides, itemsize=intp(1), meminfo=None
        )
        return made._getvalue()

    return result(array), codegen


def _reshape(array: Any, *shape: Any) -> Any:
    return lambda array, *shape: _of_shape(array, _floats(array).reshape(*shape).shape)


def _ravel(array: Any) -> Any:
    return lambda array: _of_shape(array, (array.size,))


for _type in (SeedsType, EntriesType):
    overload_attribute(_type, "size", strict=False)(_size)
    overload_attribute(_type, "ndim", strict=False)(_ndim)
    overload_method(_type, "reshape", strict=False)(_reshape)
    overload_method(_type, "ravel", strict=False)(_ravel)
