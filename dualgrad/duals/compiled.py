"""Duals to compiled code and back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numba.core import boxing, cgutils, pythonapi, types
from numba.core.errors import NumbaError
from numba.extending import NativeValue, box, intrinsic, overload, unbox
from numba.np import arrayobj

from dualgrad import arrays, lanes  # noqa: F401  (registers with Numba)
from dualgrad.compile.clone import Clone
from dualgrad.compile.explain import explain
from dualgrad.compile.frontend import as_dispatcher, calling, derived
from dualgrad.duals.classes import as_array, as_number
from dualgrad.duals.storage import dtype_of
from dualgrad.types import DualType, primal

# --------------------------------------------------------------------------------- boxing

_box_array, _unbox_array = boxing.box_array, boxing.unbox_array


def _unbox(ty: Any, obj: Any, c: Any) -> Any:
    """An array; one of duals is in Python an object around a structured array."""
    if not isinstance(ty.dtype, DualType):
        return _unbox_array(ty, obj, c)
    raw = c.pyapi.object_getattr_string(obj, "_dualgrad_data")
    native = _unbox_array(ty, raw, c)
    c.pyapi.decref(raw)
    return native


def _box(ty: Any, value: Any, c: Any) -> Any:
    if not isinstance(ty.dtype, DualType):
        return _box_array(ty, value, c)
    return _boxed(ty, value, c, as_array)


def _boxed(ty: Any, value: Any, c: Any, wrap: Any) -> Any:
    """An array of duals as what a Python function makes of its structured array."""
    dtype, function = (
        c.env_manager.read_const(c.env_manager.add_const(it)) for it in (dtype_of(ty.dtype), wrap)
    )
    raw = c.pyapi.nrt_adapt_ndarray_to_python(ty, value, dtype)
    c.context.nrt.decref(c.builder, ty, value)
    result = c.pyapi.call_function_objargs(function, [raw])
    c.pyapi.decref(raw)
    return result


pythonapi._boxers.functions[types.Array] = _box
pythonapi._unboxers.functions[types.Array] = _unbox


def _alone(ty: DualType) -> Any:
    """The type of an array without axes."""
    return types.Array(ty, 0, "C")


@unbox(DualType)
def _unbox_dual(ty: Any, obj: Any, c: Any) -> Any:
    native = _unbox(_alone(ty), obj, c)
    array = c.context.make_array(_alone(ty))(c.context, c.builder, native.value)
    item = arrayobj.load_item(c.context, c.builder, _alone(ty), array.data)
    c.context.nrt.decref(c.builder, _alone(ty), native.value)
    return NativeValue(item, is_error=native.is_error)


@box(DualType)
def _box_dual(ty: Any, value: Any, c: Any) -> Any:
    # an array on the stack will do, as `as_number` copies it
    data_type = c.context.get_data_type(ty)
    data = cgutils.alloca_once(c.builder, data_type)
    arrayobj.store_item(c.context, c.builder, _alone(ty), value, data)
    array = c.context.make_array(_alone(ty))(c.context, c.builder)
    size = c.context.get_constant(types.intp, c.context.get_abi_sizeof(data_type))
    arrayobj.populate_array(array, data, (), (), size, None)
    return _boxed(_alone(ty), array._getvalue(), c, as_number)


# ------------------------------------------------------------------------- called with duals


class _BoxedClone(Clone):
    """The clone that Python calls with duals."""

    takes_duals = True

    def __init__(self, original: Any) -> None:
        super().__init__(original, None, from_python=True)

    def _compile_for_args(self, *args: Any, **kws: Any) -> Any:
        known = self.overloads.get(tuple(map(self.typeof_pyval, args)))
        self._types_active_call.clear()
        if known is not None:  # Python comes here for each call
            return known.entry_point
        try:
            return super()._compile_for_args(*args, **kws)
        except (NumbaError, NotImplementedError) as error:
            plan = SimpleNamespace(name="Dual", function=self.original)
            raise explain(error, plan) from error


def boxed(function: Any) -> Any:
    """What answers a call of an `@njit` function with duals from Python."""
    known = derived(function, "boxed")
    if None not in known:
        # a transform, and a function with declared signatures, know what to do when called
        direct = not hasattr(function, "for_duals") and function._can_compile
        original = function if direct else as_dispatcher(calling(function))
        known[None] = _BoxedClone(original)
    return known[None]


# ---------------------------------------------------------------------- parts, in compiled code


def values_of(d: Any) -> Any:
    """The values of an array of duals, as a new array."""
    raise NotImplementedError


def tangents_of(d: Any) -> Any:
    """The tangents of a dual or of an array of duals, as a new array."""
    raise NotImplementedError


@overload(values_of, strict=False)
def _values_of(d: Any) -> Any:
    from dualgrad.duals.parts import value

    plain = primal(d.dtype)

    def values(d: Any) -> Any:
        out = np.empty(d.shape, plain)
        for index in np.ndindex(d.shape):
            out[index] = value(d[index])
        return out

    return values


@overload(tangents_of, strict=False)
def _tangents_of(d: Any) -> Any:
    dual = d.dtype if isinstance(d, types.Array) else d
    base, n = dual.base, dual.n

    def of_number(d: Any) -> Any:
        out = np.empty(n, base)
        _store(out, 0, d)
        return out

    def of_array(d: Any) -> Any:
        out = np.empty(d.shape + (n,), base)
        start = 0
        for index in np.ndindex(d.shape):
            _store(out, start, d[index])
            start += n
        return out

    return of_array if isinstance(d, types.Array) else of_number


@intrinsic
def _store(typingctx: Any, out: Any, start: Any, d: Any) -> Any:
    """Copy the tangents of a dual to a C-contiguous array, from item `start` on."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(out)(context, builder, args[0]).data
        for k in range(d.n):
            item = lanes.get(context, builder, d.lanes, builder.extract_value(args[2], 1), k)
            pointer = builder.gep(data, [builder.add(args[1], args[1].type(k))])
            arrayobj.store_item(context, builder, out, item, pointer)
        return context.get_dummy_value()

    return types.void(out, types.intp, d), codegen
