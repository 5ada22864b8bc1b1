"""Instances of jitclasses with duals in place of floats, and how one is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import default_manager
from numba.core.imputils import impl_ret_new_ref
from numba.extending import intrinsic

#: What is passed by reference, and holds other values.
OBJECTS = (
    types.ClassInstanceType, types.List, types.ListType, types.DictType, types.Set,
)  # fmt: skip


class DualInstanceType(types.ClassInstanceType):
    """The type of an instance of a jitclass some of whose fields hold duals.

    For Numba it is one of the same class with other types of fields, so that attributes work.
    """

    def __init__(self, original: types.ClassInstanceType, fields: Mapping[str, types.Type]) -> None:
        super().__init__(original.class_type)
        self.original, self._fields = original, dict(fields)
        self.name += f"[{', '.join(map(str, self._fields.values()))}]"

    @property
    def key(self) -> Any:
        return self.original.key, tuple(self._fields.values())

    @property
    def struct(self) -> dict[str, types.Type]:
        return self._fields


@cache
def _teach_layout() -> None:
    """Tell Numba once how such instances lie in memory."""
    default_manager.register(DualInstanceType, _jitclass().InstanceModel)


def _jitclass() -> Any:
    from numba.experimental.jitclass import base  # who has an instance has imported it

    return base


def with_fields(
    ty: types.ClassInstanceType, change: Callable[[types.Type], types.Type]
) -> types.ClassInstanceType:
    """The type of instances whose fields have other types, made of those that they have.

    An instance that may be linked to others of its class stays what it is.
    """
    if any(map(_is_deferred, ty.struct.values())):
        return ty
    original = getattr(ty, "original", ty)
    fields = {name: change(field) for name, field in ty.struct.items()}
    if fields == dict(original.struct):
        return original
    _teach_layout()
    return DualInstanceType(original, fields)


def items_of(ty: types.Type) -> list[types.Type]:
    """The types of what values of this type hold."""
    if isinstance(ty, types.ClassInstanceType):
        return list(ty.struct.values())
    if isinstance(ty, types.BaseTuple):
        return list(ty)
    names = {
        types.Optional: "type", types.List: "dtype", types.Set: "dtype",
        types.ListType: "item_type", types.DictType: "value_type",
    }  # fmt: skip
    return [getattr(ty, name) for kind, name in names.items() if isinstance(ty, kind)]


def _is_deferred(ty: types.Type) -> bool:
    return isinstance(ty, types.DeferredType) or any(map(_is_deferred, items_of(ty)))


def allocated(context: Any, builder: Any, ty: Any) -> tuple[Any, Any]:
    """A new instance, all zeros, and its fields."""
    data_type = context.get_data_type(ty.get_data_type())
    size = context.get_constant(types.uintp, context.get_abi_sizeof(data_type))
    instance = context.make_helper(builder, ty)
    free = _destructor(context, builder.module, ty)
    instance.meminfo = context.nrt.meminfo_alloc_dtor(builder, size, free)
    data = context.nrt.meminfo_data(builder, instance.meminfo)
    instance.data, fields = _fields(context, builder, ty, data)
    builder.store(cgutils.get_null_value(data_type), instance.data)
    return instance, fields


def _destructor(context: Any, module: Any, ty: Any) -> Any:
    """The function that frees what an instance holds.

    That of a jitclass takes fields to lie in memory as they do in registers.
    """
    void_pointer, size = map(context.get_value_type, (types.voidptr, types.uintp))
    kind = ir.FunctionType(ir.VoidType(), [void_pointer, size, void_pointer])
    free = cgutils.get_or_insert_function(module, kind, f"dualgrad.free.{ty.name}")
    if free.is_declaration:
        free.linkage = "linkonce_odr"
        builder = ir.IRBuilder(free.append_basic_block())
        _, fields = _fields(context, builder, ty, free.args[0])
        for name, field in ty.struct.items():
            context.nrt.decref(builder, field, getattr(fields, _jitclass()._mangle_attr(name)))
        builder.ret_void()
    return free


def _fields(context: Any, builder: Any, ty: Any, data: Any) -> tuple[Any, Any]:
    """The pointer to the fields of an instance of a type, and the fields."""
    kind = ty.get_data_type()
    pointer = builder.bitcast(data, context.get_data_type(kind).as_pointer())
    return pointer, context.make_data_helper(builder, kind, ref=pointer)


def made_of(
    context: Any, builder: Any, to: Any, source: tuple[Any, Any], function: Any, further: Any = ()
) -> Any:
    """A new instance of a type, whose fields are what a function makes of those of another.

    That is a pair of type and value, and so is what is further given to the function.
    """
    instance, fields = allocated(context, builder, to)
    source_type, value = source
    it = context.make_helper(builder, source_type, value=value)
    given = context.make_data_helper(builder, source_type.get_data_type(), ref=it.data)
    arg_types, args = zip(*further, strict=True) if further else ((), ())
    for name, ty in to.struct.items():
        field, of_source = _jitclass()._mangle_attr(name), source_type.struct[name]
        item = context.compile_internal(
            builder, function, ty(of_source, *arg_types), [getattr(given, field), *args]
        )
        setattr(fields, field, item)
    return impl_ret_new_ref(context, builder, to, instance._getvalue())


@intrinsic
def new_instance(typingctx: Any, ty: Any) -> Any:
    """An instance of which no method has been called, not `__init__` either."""
    instance_type = ty.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        instance, _ = allocated(context, builder, instance_type)
        return impl_ret_new_ref(context, builder, instance_type, instance._getvalue())

    return instance_type(ty), codegen
