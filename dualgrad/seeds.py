"""Arrays of inputs that are not arrays of duals: values, and which lane of each item is one.

Long arrays of duals do not fit in caches, and moving them takes longer than the arithmetic on them.
The tangents of an input come from a small table of unit vectors instead. A view of it is a view of
its values: Numba's own code makes it. `compile.itemwise` knows what else can be done with one.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.core.imputils import RefType, impl_ret_borrowed, iternext_impl, lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, overload, overload_attribute, overload_method
from numba.np import arrayobj
from numba.np.numpy_support import as_dtype

from dualgrad import lanes
from dualgrad.calls import pack
from dualgrad.layout import LINE
from dualgrad.types import Lanes, SeedsIteratorType, SeedsType, is_view


@register_default(SeedsType)
class _SeedsModel(models.StructModel):
    """The values; of each item, or of the first, the lane that is one; a direction.

    None of its lanes is one if there is no such lane.
    """

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        lanes = types.CPointer(types.int32) if fe_type.coloured else types.intp
        members = [("values", fe_type.array), ("lanes", lanes)]
        if fe_type.probed:
            members.append(("probe", types.CPointer(types.float64)))
        if fe_type.entries is not None:
            members.append(("entries", fe_type.entries))
        super().__init__(dmm, fe_type, members)


@intrinsic
def seeds(typingctx: Any, x: Any, colours: Any, probe: Any, entries: Any, ty: Any) -> Any:
    """The items of an array with the lanes of their colours; `entries` is None or goes with it.

    A number in place of colours is the lane of the first item. The array is borrowed: it lives as
    long as the kernel runs.
    """
    result = ty.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        made = cgutils.create_struct_proxy(result)(context, builder)
        made.values = args[0]
        if result.coloured:
            made.lanes = context.make_array(colours)(context, builder, args[1]).data
        else:
            made.lanes = args[1]
        if result.probed:
            made.probe = context.make_array(probe)(context, builder, args[2]).data
        if result.entries is not None:
            made.entries = args[3]
        return made._getvalue()

    return result(x, colours, probe, entries, ty), codegen


@intrinsic
def without_entries(typingctx: Any, x: Any) -> Any:
    """The seeds alone."""
    result = x.of(x.array)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = cgutils.create_struct_proxy(x)(context, builder, value=args[0])
        made = cgutils.create_struct_proxy(result)(context, builder)
        for name in context.data_model_manager[result]._fields:
            setattr(made, name, getattr(source, name))
        return made._getvalue()

    return result(x), codegen


# ------------------------------------------------------------------------------------- items


def _place(context: Any, builder: Any, ty: SeedsType, seeds: Any, pointer: Any) -> Any:
    """How many items after the first one that is which has its value at a pointer."""
    values = context.make_array(ty.array)(context, builder, seeds.values)
    intp = context.get_value_type(types.intp)
    begin, at = (builder.ptrtoint(it, intp) for it in (values.data, pointer))
    size = context.get_abi_sizeof(context.get_data_type(ty.array.dtype))
    return builder.sdiv(builder.sub(at, begin), intp(size), flags=["exact"])


def item(context: Any, builder: Any, ty: SeedsType, seeds: Any, pointer: Any) -> Any:
    """The dual that has its value at a pointer."""
    dual = ty.dtype
    place = _place(context, builder, ty, seeds, pointer)
    tangents = _tangents(context, builder, ty, seeds, place)
    if ty.probed:
        along = builder.load(builder.gep(seeds.probe, [place]))
        along = context.cast(builder, along, types.float64, dual.base)
        tangents = lanes.put(context, builder, dual.lanes, tangents, dual.n - 1, along)
    value = arrayobj.load_item(context, builder, ty.array, pointer)
    return pack(context, builder, dual, value, tangents)


def _tangents(context: Any, builder: Any, ty: SeedsType, seeds: Any, place: Any) -> Any:
    """The tangents of an item, but for the lane of a direction."""
    dual, intp = ty.dtype, context.get_value_type(types.intp)
    if ty.probed and dual.n == 1:
        return lanes.zero(context, dual.lanes)
    if ty.coloured:  # of which none is out of range, but -1 for no colour
        lane = builder.sext(builder.load(builder.gep(seeds.lanes, [place])), intp)
        row = builder.add(lane, intp(1))
    else:
        lane = builder.add(seeds.lanes, place)
        is_lane = builder.icmp_unsigned("<", lane, intp(dual.n))
        row = builder.select(is_lane, builder.add(lane, intp(1)), intp(0))
    row = builder.mul(row, intp(dual.n))
    table = cgutils.gep_inbounds(builder, _units(context, builder.module, dual.lanes), 0, row)
    stored = context.data_model_manager[dual.lanes].get_data_type().as_pointer()
    return context.unpack_value(builder, dual.lanes, builder.bitcast(table, stored))


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
        found.linkage, found.global_constant, found.align = "internal", True, LINE
    return found


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    """An item, or a view of some."""

    def generic(self, args: Sequence[Any], kws: Any) -> Any:
        array, index = args
        if not isinstance(array, SeedsType) or not is_view(index):
            return None
        of_values = self.context.resolve_function_type(operator.getitem, (array.array, index), {})
        view = of_values.return_type
        several = isinstance(view, types.Array)
        result = array.of(view) if several else array.dtype
        return signature(result, array, of_values.args[1])


@lower_builtin(operator.getitem, SeedsType, types.Any)
def _get(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    ty, index = sig.args
    source = cgutils.create_struct_proxy(ty)(context, builder, value=args[0])
    if isinstance(sig.return_type, SeedsType):
        of_values = signature(sig.return_type.array, ty.array, index)
        get = context.get_function(operator.getitem, of_values)
        view = get(builder, (source.values, args[1]))
        return _viewed(context, builder, ty, source, sig.return_type, view)
    kinds, indices = [index], [args[1]]
    if isinstance(index, types.BaseTuple):
        kinds, indices = list(index), cgutils.unpack_tuple(builder, args[1])
    values = context.make_array(ty.array)(context, builder, source.values)
    kinds, indices = arrayobj.normalize_indices(context, builder, kinds, indices)
    pointer, _, _ = arrayobj.basic_indexing(
        context, builder, ty.array, values, kinds, indices, boundscheck=context.enable_boundscheck
    )
    return item(context, builder, ty, source, pointer)


@register_default(SeedsIteratorType)
class _IteratorModel(models.StructModel):
    """The seeds, and the next index."""

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        members = [("index", types.EphemeralPointer(types.intp)), ("seeds", fe_type.seeds)]
        super().__init__(dmm, fe_type, members)


@lower_builtin("getiter", SeedsType)
def _iterator(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    made = context.make_helper(builder, sig.return_type)
    made.index = cgutils.alloca_once_value(builder, context.get_constant(types.intp, 0))
    made.seeds = args[0]
    return impl_ret_borrowed(context, builder, sig.return_type, made._getvalue())


@lower_builtin("iternext", SeedsIteratorType)
@iternext_impl(RefType.UNTRACKED)
def _next(context: Any, builder: Any, sig: Any, args: Any, result: Any) -> None:
    ty = sig.args[0].seeds
    iterator = context.make_helper(builder, sig.args[0], value=args[0])
    source = cgutils.create_struct_proxy(ty)(context, builder, value=iterator.seeds)
    values = context.make_array(ty.array)(context, builder, source.values)
    index = builder.load(iterator.index)
    [size] = cgutils.unpack_tuple(builder, values.shape, 1)
    result.set_valid(builder.icmp_signed("<", index, size))
    with builder.if_then(result.is_valid()):
        pointer = cgutils.get_item_pointer(context, builder, ty.array, values, [index])
        result.yield_(item(context, builder, ty, source, pointer))
        builder.store(cgutils.increment_index(builder, index), iterator.index)


# ------------------------------------------------------------------------------------- views


def _viewed(
    context: Any, builder: Any, ty: SeedsType, source: Any, result: SeedsType, view: Any
) -> Any:
    """Seeds whose values are a view of those of others."""
    made = cgutils.create_struct_proxy(result)(context, builder)
    made.values = view
    pointer = context.make_array(result.array)(context, builder, view).data
    place = _place(context, builder, ty, source, pointer)
    move = builder.add if not ty.coloured else lambda lanes, place: builder.gep(lanes, [place])
    made.lanes = move(source.lanes, place)
    if ty.probed:
        made.probe = builder.gep(source.probe, [place])
    return made._getvalue()


@intrinsic
def _values(typingctx: Any, array: Any) -> Any:
    """The values, as an array that they belong to as long as the kernel runs."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = cgutils.create_struct_proxy(array)(context, builder, value=args[0])
        return impl_ret_borrowed(context, builder, array.array, source.values)

    return array.array(array), codegen


@intrinsic
def _seen_as(typingctx: Any, array: Any, view: Any) -> Any:
    """Seeds in another shape, whose values are a view of those of others."""
    result = array.of(view)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = cgutils.create_struct_proxy(array)(context, builder, value=args[0])
        return _viewed(context, builder, array, source, result, args[1])

    return result(array, view), codegen


@overload(len, strict=False)
def _len(array: Any) -> Any:
    return (lambda array: len(_values(array))) if isinstance(array, SeedsType) else None


@overload(np.empty_like, target="cpu", strict=False)  # before Numba's own, which takes a number
def _empty_like(array: Any) -> Any:
    dual = getattr(array, "dtype", None)
    is_ours = isinstance(array, SeedsType)
    return (lambda array: np.empty(_values(array).shape, dual)) if is_ours else None


@overload(np.zeros_like, target="cpu", strict=False)
def _zeros_like(array: Any) -> Any:
    dual = getattr(array, "dtype", None)
    is_ours = isinstance(array, SeedsType)
    return (lambda array: np.zeros(_values(array).shape, dual)) if is_ours else None


for _name, _attribute in {
    "size": lambda array: lambda array: _values(array).size,
    "shape": lambda array: lambda array: _values(array).shape,
    "ndim": lambda array: lambda array: _values(array).ndim,
    "T": lambda array: lambda array: _seen_as(array, _values(array).T),
}.items():
    overload_attribute(SeedsType, _name, strict=False)(_attribute)


@overload_method(SeedsType, "reshape", strict=False)
def _reshape(array: Any, *shape: Any) -> Any:
    return lambda array, *shape: _seen_as(array, _values(array).reshape(*shape))


@overload_method(SeedsType, "ravel", strict=False)
def _ravel(array: Any) -> Any:
    return lambda array: _seen_as(array, _values(array).ravel())


# -------------------------------------------------------------------------------------- sums


def _sum(array: Any) -> Any:
    """Of all items, in the order of memory."""
    if not isinstance(array, SeedsType):
        return None
    if array.ndim > 1:
        return lambda array: np.sum(array.ravel())
    zero = as_dtype(array.array.dtype).type(0)

    def total(array: Any) -> Any:
        found = zero
        for it in array:
            found += it
        return found

    return total


def _mean(array: Any) -> Any:
    """Likewise, of items in double precision."""
    if not isinstance(array, SeedsType):
        return None
    return lambda array: np.sum(array) / array.size if array.size else np.nan


for _function, _reduction in ((np.sum, _sum), (np.mean, _mean)):
    overload(_function, target="cpu", strict=False)(_reduction)
    overload_method(SeedsType, _function.__name__, strict=False)(_reduction)
