"""Copies of what `f` writes to: it comes anew to every sweep, and stays as it is to the caller."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.core.imputils import impl_ret_new_ref
from numba.extending import intrinsic, overload

from dualgrad.compile.buffers import is_buffer
from dualgrad.compile.explain import readable
from dualgrad.compile.promote import as_array_of, each
from dualgrad.transforms.lanes_io import present

#: What can be written to and cannot be copied.
_UNIQUE = (types.Buffer, types.StructRef, types.Record)  # a record is an address, with no owner


def check_copies(ty: types.Type, name: str) -> None:
    """Refuse an argument that `f` writes to if there is no copying it."""
    for it in _items(ty):
        if isinstance(it, _UNIQUE) and not isinstance(it, types.Array):
            raise TypeError(
                f"argument {name!r} is written to, and {readable(str(it))} cannot be copied for "
                "each sweep; use an array"
            )


def check_repeats(ty: types.Type, name: str) -> None:
    """Refuse an argument that one run of `f` uses up."""
    for it in _items(ty):
        if isinstance(it, types.IteratorType):
            raise TypeError(
                f"argument {name!r} is {readable(str(it))}, which one sweep would use up; pass "
                "what it runs over"
            )


def _items(ty: types.Type) -> list[types.Type]:
    """The types of what a nested tuple holds, or of what is none alone."""
    if isinstance(ty, types.Optional):
        return _items(ty.type)
    if isinstance(ty, types.BaseTuple):
        return [it for item in ty for it in _items(item)]
    return [ty]


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
    if isinstance(x, types.List):
        return lambda x: [private(it) for it in x]
    if isinstance(x, types.Set):
        return lambda x: x.copy()
    if isinstance(x, (types.ListType, types.DictType)):
        return _private_items(x)
    if isinstance(x, types.BaseTuple) and is_buffer(x):
        return each(x, "private(x[{}])", {"private": private}, "x")
    if isinstance(x, types.ClassInstanceType):
        return lambda x: _copied_instance(x)
    if isinstance(x, types.Optional):
        return lambda x: None if x is None else private(present(x))
    return lambda x: x


def _private_items(container: Any) -> Any:
    is_list = isinstance(container, types.ListType)
    if not is_buffer(container.item_type if is_list else container.value_type):
        return lambda x: x.copy()

    def list_of_copies(x: Any) -> Any:
        copy = x.copy()
        for k in range(len(copy)):
            copy[k] = private(copy[k])
        return copy

    def dict_of_copies(x: Any) -> Any:
        copy = x.copy()
        for key in x:
            copy[key] = private(x[key])
        return copy

    return list_of_copies if is_list else dict_of_copies


@intrinsic
def _copied_instance(typingctx: Any, instance: Any) -> Any:
    """A copy of an instance of a jitclass, and of all that it holds."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        from numba.experimental.jitclass import base as jitclass  # who passes one has imported it

        fields = instance.get_data_type()
        size = context.get_abi_sizeof(context.get_data_type(fields))
        free = jitclass.imp_dtor(context, builder.module, instance)
        memory = context.nrt.meminfo_alloc_dtor(
            builder, context.get_constant(types.uintp, size), free
        )
        source = context.make_helper(builder, instance, value=args[0])
        copy = context.make_helper(builder, instance)
        copy.meminfo = memory
        data = context.nrt.meminfo_data(builder, memory)
        copy.data = builder.bitcast(data, copy.data.type)
        here, there = (
            context.make_data_helper(builder, fields, ref=it.data) for it in (source, copy)
        )
        for name, ty in instance.struct.items():
            field = jitclass._mangle_attr(name)
            value = context.compile_internal(
                builder, lambda x: private(x), ty(ty), [getattr(here, field)]
            )
            setattr(there, field, value)
        return impl_ret_new_ref(context, builder, instance, copy._getvalue())

    return instance(instance), codegen
