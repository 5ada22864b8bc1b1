"""Arrays of results that are not arrays of duals: each item goes to the entries of its row.

Where `f` does no more with its result than to set items, or to add to them, the sparse Jacobian has
all that is ever asked of them (`compile.itemwise`).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

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
from dualgrad.types import EntriesType, PlaceType, is_item


@register_default(EntriesType)
class _EntriesModel(models.StructModel):
    """Where entries go, where those of each row start, the lane of each, the number of rows."""

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        members = [
            ("data", types.CPointer(fe_type.dtype.base)),
            ("starts", types.CPointer(fe_type.index)),
            ("lanes", types.CPointer(types.int32)),
            ("rows", types.intp),
            ("shape", types.UniTuple(types.intp, fe_type.ndim)),
        ]
        if fe_type.compares:
            members.append(("columns", types.CPointer(fe_type.index)))
            members += [(name, types.CPointer(types.float64)) for name in ("probe", "error")]
        super().__init__(dmm, fe_type, members)


@register_default(PlaceType)
class _PlaceModel(models.ProxyModel):
    """A change is a dual, anything else nothing."""

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        super().__init__(dmm, fe_type)
        self._proxied_model = dmm.lookup(fe_type.dual if fe_type.is_change else types.none)


make_attribute_wrapper(EntriesType, "shape", "shape")


_POINTERS = ("data", "starts", "lanes", "columns", "probe", "error")


@intrinsic
def entries(typingctx: Any, arrays: Any, rows: Any, shape: Any, ty: Any) -> Any:
    """An array of results of a shape, whose entries go to the first of the arrays.

    The others say of entries where those of each row start, and the lane and the column of each; a
    direction to compare along, and what its lane has that the entries of a row do not explain.
    """
    result = ty.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        made = cgutils.create_struct_proxy(result)(context, builder)
        given = zip(_POINTERS, arrays, cgutils.unpack_tuple(builder, args[0]), strict=True)
        for name, array, value in given:
            if name in context.data_model_manager[result]._fields:
                setattr(made, name, context.make_array(array)(context, builder, value).data)
        made.rows = context.cast(builder, args[1], rows, types.intp)
        made.shape = args[2]
        return made._getvalue()

    return result(arrays, rows, shape, ty), codegen


@intrinsic
def allocated(typingctx: Any, x: Any, shape: Any, zeros: Any) -> Any:
    """The array of results that goes with seeds, in place of `np.empty` or `np.zeros`."""
    result = x.entries.with_shape(len(shape) if isinstance(shape, types.BaseTuple) else 1)
    pair = types.UniTuple(types.intp, result.ndim)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = cgutils.create_struct_proxy(x)(context, builder, value=args[0])
        given = cgutils.create_struct_proxy(x.entries)(context, builder, value=source.entries)
        made = cgutils.create_struct_proxy(result)(context, builder)
        for name in context.data_model_manager[result]._fields:
            if name != "shape":
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


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args: Sequence[Any], kws: Any) -> Any:
        array, index = args
        if isinstance(array, EntriesType) and is_item(index, array.ndim):
            return signature(PlaceType(array.dtype), array, types.unliteral(index))
        return None


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


def _put(builder: Any, pointer: Any, number: Any, is_change: bool) -> None:
    """Store a number, or add it to what is there."""
    if is_change:
        number = builder.fadd(builder.load(pointer), number)
    builder.store(number, pointer)


class _Comparison:
    """What the lane of the probe has that the entries of a row do not explain."""

    def __init__(self, context: Any, builder: Any, ty: EntriesType, array: Any, tangents: Any):
        self.context, self.builder, self.array, self.ty = context, builder, array, ty
        if ty.compares:
            last = builder.load(builder.gep(tangents, [ir.IntType(32)(ty.dtype.n - 1)]))
            self.missing = cgutils.alloca_once_value(builder, self._double(last))
            self.size = cgutils.alloca_once_value(builder, ir.DoubleType()(0.0))

    def _double(self, number: Any) -> Any:
        return self.context.cast(self.builder, number, self.ty.dtype.base, types.float64)

    def explain(self, place: Any, tangent: Any) -> None:
        """Take the part of an entry away; the sizes of parts add up."""
        if not self.ty.compares:
            return
        builder = self.builder
        column = builder.load(builder.gep(self.array.columns, [place]))
        along = builder.load(builder.gep(self.array.probe, [column]))
        part = builder.fmul(self._double(tangent), along)
        size = self.context.get_function(abs, types.float64(types.float64))(builder, (part,))
        _put(builder, self.missing, builder.fneg(part), True)
        _put(builder, self.size, size, True)

    def store(self, row: Any, is_change: bool) -> None:
        """Keep what was found for a row."""
        if self.ty.compares:
            builder, error = self.builder, self.array.error
            for place, found in (
                (row, self.missing),
                (builder.add(self.array.rows, row), self.size),
            ):
                _put(builder, builder.gep(error, [place]), builder.load(found), is_change)


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args: Sequence[Any], kws: Any) -> Any:
        array, index, item = args
        if not isinstance(array, EntriesType) or not is_item(index, array.ndim):
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
        is_change = isinstance(item, PlaceType)
        comparison = _Comparison(context, builder, ty, array, tangents)
        with cgutils.for_range_slice(builder, begin, end, begin.type(1)) as (place, _):
            lane = builder.load(builder.gep(array.lanes, [place]))
            tangent = builder.load(builder.gep(tangents, [lane]))
            comparison.explain(place, tangent)
            _put(builder, builder.gep(array.data, [place]), tangent, is_change)
        comparison.store(row, is_change)
    return context.get_dummy_value()


# ------------------------------------------------------------------------------------ shapes


@overload(len, strict=False)
def _len(array: Any) -> Any:
    return (lambda array: array.shape[0]) if isinstance(array, EntriesType) else None


@overload_attribute(EntriesType, "size", strict=False)
def _size(array: Any) -> Any:
    def size(array: Any) -> Any:
        product = 1
        for it in array.shape:
            product *= it
        return product

    return size


@overload_attribute(EntriesType, "ndim", strict=False)
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
def _bytes(typingctx: Any, array: Any) -> Any:
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


@overload_method(EntriesType, "reshape", strict=False)
def _reshape(array: Any, *shape: Any) -> Any:
    return lambda array, *shape: _of_shape(array, _bytes(array).reshape(*shape).shape)


@overload_method(EntriesType, "ravel", strict=False)
def _ravel(array: Any) -> Any:
    return lambda array: _of_shape(array, (array.size,))
