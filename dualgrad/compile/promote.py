"""Values with duals in place of floats: numbers, arrays, containers and instances."""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref
from numba.extending import intrinsic
from numba.np import arrayobj
from numba.typed import Dict, List

from dualgrad.generated import generated
from dualgrad.instances import OBJECTS, made_of, with_fields
from dualgrad.pages import new_array
from dualgrad.types import DualType, can_carry, depth, over


def promoted(ty: types.Type, dual: DualType) -> types.Type:
    """The type of `promote(value, dual)` for a value of type `ty`."""
    if can_carry(ty):
        return over(dual, ty) if depth(ty) < dual.depth else ty
    if isinstance(ty, types.Array):
        dtype = promoted(ty.dtype, dual)
        return ty if dtype == ty.dtype else types.Array(dtype, ty.ndim, ty.layout)
    if isinstance(ty, types.List):
        dtype = promoted(ty.dtype, dual)
        return ty if dtype == ty.dtype else types.List(dtype)
    if isinstance(ty, types.ListType):
        return types.ListType(_slot(ty.item_type, dual))
    if isinstance(ty, types.DictType):
        return types.DictType(ty.key_type, _slot(ty.value_type, dual))
    if isinstance(ty, types.BaseTuple):
        items = [promoted(item, dual) for item in ty]
        return types.BaseTuple.from_types(items, getattr(ty, "instance_class", None))
    if isinstance(ty, types.ClassInstanceType):
        return with_fields(ty, lambda field: promoted(field, dual))
    if isinstance(ty, types.Optional):
        return types.Optional(promoted(ty.type, dual))
    return ty


def is_promoted(ty: types.Type, dual: DualType) -> bool:
    """Whether all buffers in a value of this type become buffers of duals, and so are copied."""
    if isinstance(ty, types.ClassInstanceType):
        return False  # some fields may be of other types
    if isinstance(ty, types.Optional):
        return is_promoted(ty.type, dual)
    if isinstance(ty, types.BaseTuple):
        return all(is_promoted(item, dual) for item in ty)
    for name in ("dtype", "item_type", "value_type"):
        inner = getattr(ty, name, None)
        if isinstance(inner, types.Type) and not isinstance(inner, types.Number):
            return is_promoted(inner, dual)
    return promoted(ty, dual) != ty


def _slot(ty: types.Type, dual: DualType) -> types.Type:
    """The type of the items of a container, for arrays of any layout if it was."""
    item = promoted(ty, dual)
    return item.copy(layout=ty.layout) if isinstance(ty, types.Array) else item


@intrinsic
def present(typingctx: Any, x: Any) -> Any:
    """The value of an optional; a TypeError where there is none."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = context.cast(builder, args[0], x, x.type)
        return impl_ret_borrowed(context, builder, x.type, value)

    return x.type(x), codegen


@intrinsic
def promote(typingctx: Any, value: Any, dual: Any) -> Any:
    """`value` with duals for its floats: a copy, or the same object where it needs none."""
    result = promoted(value, dual.instance_type)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if result == value:
            return impl_ret_borrowed(context, builder, result, args[0])
        if not isinstance(value, OBJECTS):
            return _promoted(context, builder, sig, args)
        copy = cgutils.alloca_once_value(builder, context.get_constant_null(result))
        given = context.make_helper(builder, value, value=args[0])
        with builder.if_then(cgutils.is_not_null(builder, given.meminfo)):  # else it was never set
            builder.store(_promoted(context, builder, sig, args), copy)
        return builder.load(copy)

    return result(value, dual), codegen


def _promoted(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    value, result = sig.args[0], sig.return_type
    if isinstance(value, types.Array):
        return _copied(context, builder, value, result, args[0])
    if isinstance(value, types.ClassInstanceType):
        source, level = zip(sig.args, args, strict=True)
        return made_of(context, builder, result, source, _promote_field, [level])
    copied = _item_by_item(value, result, sig.args[1].instance_type)
    if copied is not None:
        return context.compile_internal(builder, copied, result(value), args[:1])
    return context.cast(builder, args[0], value, result)


def _promote_field(x: Any, dual: Any) -> Any:
    return promote(x, dual)


def _item_by_item(source: Any, result: Any, dual: Any) -> Any:
    """The function that copies a container, its items promoted; None for what is no container."""
    if isinstance(source, types.List):
        return lambda items: [promote(it, dual) for it in items]
    if isinstance(source, types.Optional):
        return lambda items: None if items is None else promote(present(items), dual)
    if isinstance(source, types.BaseTuple):
        return each(source, "promote(items[{}], dual)", {"promote": promote, "dual": dual})
    if isinstance(source, types.ListType):
        item_type = result.item_type

        def list_of_duals(items: Any) -> Any:
            copy = List.empty_list(item_type)
            for it in items:
                copy.append(promote(it, dual))
            return copy

        return list_of_duals
    if isinstance(source, types.DictType):
        key_type, value_type = result.key_type, result.value_type

        def dict_of_duals(items: Any) -> Any:
            copy = Dict.empty(key_type, value_type)
            for key, it in items.items():
                copy[key] = promote(it, dual)
            return copy

        return dict_of_duals
    return None


def each(ty: types.BaseTuple, item: str, names: dict[str, Any], parameter: str = "items") -> Any:
    """The function that makes a tuple of another: `item` is the source of the item of a number."""
    named = getattr(ty, "instance_class", None)
    items = ", ".join(item.format(k) for k in range(len(ty)))
    source = f"lambda {parameter}: {'named' if named else ''}({items},)"
    return generated(source, **names, named=named)


@intrinsic
def converted(typingctx: Any, x: Any, dual: Any) -> Any:
    """A number as a dual of another precision: ``np.float32(x)``."""
    result = dual.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.cast(builder, args[0], x, result)

    return result(x, dual), codegen


@intrinsic
def as_array_of(typingctx: Any, array: Any, dtype: Any) -> Any:
    """A copy of an array with another type of items, of the same layout."""
    result = types.Array(dtype.instance_type, array.ndim, array.layout)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _copied(context, builder, array, result, args[0])

    return result(array, dtype), codegen


@intrinsic
def room_for(typingctx: Any, array: Any, dtype: Any) -> Any:
    """A new array in the shape and layout of another, with another type of items: not filled."""
    result = types.Array(dtype.instance_type, array.ndim, array.layout)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source = context.make_array(array)(context, builder, args[0])
        shape = cgutils.unpack_tuple(builder, source.shape, array.ndim)
        _, room = _in_memory(context, builder, result, shape)
        return impl_ret_new_ref(context, builder, result, room._getvalue())

    return result(array, dtype), codegen


@intrinsic
def copy_into(typingctx: Any, target: Any, source: Any) -> Any:
    """Copy the items of an array into one of the same shape, with the type of its items."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        to, array = (
            context.make_array(ty)(context, builder, arg)
            for ty, arg in zip((target, source), args, strict=True)
        )
        _copy_items(context, builder, source, array, target, to)
        return context.get_dummy_value()

    return types.void(target, source), codegen


def _copied(context: Any, builder: Any, source: Any, target: Any, value: Any) -> Any:
    array = context.make_array(source)(context, builder, value)
    shape = cgutils.unpack_tuple(builder, array.shape, source.ndim)
    in_memory, copy = _in_memory(context, builder, target, shape)
    _copy_items(context, builder, source, array, in_memory, copy)
    return impl_ret_new_ref(context, builder, target, copy._getvalue())


def _in_memory(context: Any, builder: Any, ty: Any, shape: Any) -> tuple[Any, Any]:
    """A new array, and the type of how it lies in memory: in C order where the layout is any.

    Its own type says any all the same: of such an array some functions return a copy (`ravel`)
    that of a contiguous one return a view.
    """
    in_memory = ty.copy(layout="C") if ty.layout == "A" else ty
    return in_memory, new_array(context, builder, in_memory, shape)


def _copy_items(
    context: Any, builder: Any, source: Any, array: Any, target: Any, copy: Any
) -> None:
    shape = cgutils.unpack_tuple(builder, array.shape, source.ndim)
    strides = cgutils.unpack_tuple(builder, array.strides, source.ndim)
    copy_strides = cgutils.unpack_tuple(builder, copy.strides, target.ndim)
    intp = context.get_value_type(types.intp)
    with cgutils.loop_nest(builder, shape, intp=intp) as index:
        pointer = cgutils.get_item_pointer2(
            context, builder, array.data, shape, strides, source.layout, index
        )
        item = arrayobj.load_item(context, builder, source, pointer)
        item = context.cast(builder, item, source.dtype, target.dtype)
        pointer = cgutils.get_item_pointer2(
            context, builder, copy.data, shape, copy_strides, target.layout, index
        )
        arrayobj.store_item(context, builder, target, item, pointer)
