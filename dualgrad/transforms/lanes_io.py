"""What a kernel does with single tangents: make seeds, read lanes off."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np import arrayobj

from dualgrad import lanes
from dualgrad.calls import pack


@intrinsic
def seeded(typingctx: Any, x: Any, k: Any, dual: Any) -> Any:
    """The number `x` as a dual whose lane `k` is one; all are zero if there is no such lane."""
    ty = dual.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = context.cast(builder, args[0], x, ty.base)
        one = context.cast(builder, context.get_constant(types.float64, 1), types.float64, ty.base)
        tangents = lanes.zero(context, ty.lanes)
        for lane in range(ty.n):
            here = builder.icmp_signed("==", args[1], args[1].type(lane))
            item = builder.select(here, one, lanes.get(context, builder, ty.lanes, tangents, lane))
            tangents = lanes.put(context, builder, ty.lanes, tangents, lane, item)
        return pack(context, builder, ty, value, tangents)

    return ty(x, types.intp, dual), codegen


@intrinsic
def set_seed(typingctx: Any, duals: Any, i: Any, k: Any, number: Any) -> Any:
    """Set lane `k` of the `i`-th dual, in memory order, of a contiguous array to a number."""
    dual = duals.dtype

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _lane_pointer(context, builder, duals, *args[:3])
        value = context.cast(builder, args[3], number, dual.base)
        context.pack_value(builder, dual.base, value, pointer)
        return context.get_dummy_value()

    return types.void(duals, types.intp, types.intp, number), codegen


@intrinsic
def put_seeded(typingctx: Any, duals: Any, i: Any, number: Any, k: Any) -> Any:
    """Set the `i`-th dual, in memory order, of a contiguous array to `number` with lane `k` one.

    Its other lanes are zero; all are if `k` is no lane.
    """
    ty = duals.dtype

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array, i, x, k = args
        data = context.make_array(duals)(context, builder, array).data
        value = context.cast(builder, x, number, ty.base)
        dual = pack(context, builder, ty, value, lanes.zero(context, ty.lanes))
        context.pack_value(builder, ty, dual, builder.gep(data, [i]))
        is_lane = builder.icmp_unsigned("<", k, k.type(ty.n))
        with builder.if_then(is_lane):
            one = context.cast(
                builder, context.get_constant(types.float64, 1), types.float64, ty.base
            )
            pointer = _lane_pointer(context, builder, duals, array, i, k)
            context.pack_value(builder, ty.base, one, pointer)
        return context.get_dummy_value()

    return types.void(duals, types.intp, number, types.intp), codegen


@intrinsic(prefer_literal=True)
def put_known(typingctx: Any, duals: Any, i: Any, k: Any) -> Any:
    """Set the tangents of the `i`-th of a vector of duals to a constant: lane `k` is one."""
    ty, lane_ = duals.dtype, k.literal_value

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(duals)(context, builder, args[0]).data
        one = context.cast(builder, context.get_constant(types.float64, 1), types.float64, ty.base)
        zero = lanes.zero(context, ty.lanes)
        tangents = lanes.put(context, builder, ty.lanes, zero, lane_, one)
        pointer = cgutils.gep_inbounds(builder, builder.gep(data, [args[1]]), 0, 1)
        context.pack_value(builder, ty.lanes, tangents, pointer)
        return context.get_dummy_value()

    return types.void(duals, i, k), codegen


@intrinsic
def lane_at(typingctx: Any, duals: Any, m: Any, k: Any) -> Any:
    """Lane `k` of the `m`-th dual of a C-contiguous array, read where it is; `k` is not checked."""
    dual = duals.dtype

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _lane_pointer(context, builder, duals, *args)
        return context.unpack_value(builder, dual.base, pointer)

    return dual.base(duals, types.intp, types.intp), codegen


@intrinsic
def number_at(typingctx: Any, duals: Any, place: Any) -> Any:
    """A number of the memory of a C-contiguous array of duals: a value is followed by its lanes."""
    dual = duals.dtype

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(duals)(context, builder, args[0]).data
        numbers = builder.bitcast(data, context.get_data_type(dual.base).as_pointer())
        return context.unpack_value(builder, dual.base, builder.gep(numbers, [args[1]]))

    return dual.base(duals, types.intp), codegen


def _lane_pointer(context: Any, builder: Any, ty: Any, array: Any, i: Any, k: Any) -> Any:
    """A pointer to lane `k` of item `i` of a contiguous array of duals."""
    data = context.make_array(ty)(context, builder, array).data
    numbers = builder.bitcast(data, context.get_data_type(ty.dtype.base).as_pointer())
    index = builder.mul(i, i.type(1 + ty.dtype.n))
    return builder.gep(numbers, [builder.add(index, builder.add(k, k.type(1)))])


def _part(context: Any, builder: Any, ty: Any, array: Any, m: Any, j: Any, i: Any) -> Any:
    """A pointer to part `i` of part `j` of an item: a dual of duals is a matrix in memory.

    Part 0 is the value, part 1 the first lane. `ty` is the type of a contiguous array.
    """
    outer, inner = ty.dtype, ty.dtype.base
    data = context.make_array(ty)(context, builder, array).data
    numbers = builder.bitcast(data, context.get_data_type(inner.base).as_pointer())
    row = builder.add(builder.mul(m, m.type(1 + outer.n)), j)
    return builder.gep(numbers, [builder.add(builder.mul(row, m.type(1 + inner.n)), i)])


@intrinsic
def set_inner_seed(typingctx: Any, duals: Any, m: Any, k: Any, number: Any) -> Any:
    """Set lane `k` of the value of the `m`-th dual of duals, in memory order, to a number."""
    base = duals.dtype.base.base

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array, index, lane_, value = args
        lane_ = builder.add(lane_, lane_.type(1))
        pointer = _part(context, builder, duals, array, index, index.type(0), lane_)
        context.pack_value(builder, base, context.cast(builder, value, number, base), pointer)
        return context.get_dummy_value()

    return types.void(duals, types.intp, types.intp, number), codegen


@intrinsic
def second_at(typingctx: Any, duals: Any, m: Any, j: Any, i: Any) -> Any:
    """Part `i` of part `j` of the `m`-th dual of duals: a number; part 0 is the value."""
    base = duals.dtype.base.base

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.unpack_value(builder, base, _part(context, builder, duals, *args))

    return base(duals, types.intp, types.intp, types.intp), codegen


@intrinsic
def with_tangent(typingctx: Any, x: Any, t: Any, dual: Any) -> Any:
    """The number `x` as a dual of one lane, which is `t`."""
    ty = dual.instance_type

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value, tangent = (
            context.cast(builder, arg, source, ty.base)
            for arg, source in zip(args[:2], (x, t), strict=True)
        )
        one = lanes.put(context, builder, ty.lanes, lanes.zero(context, ty.lanes), 0, tangent)
        return pack(context, builder, ty, value, one)

    return ty(x, t, dual), codegen


@intrinsic
def lane(typingctx: Any, d: Any, k: Any) -> Any:
    """Lane `k` of a dual."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if d.n == 1:
            return lanes.get(context, builder, d.lanes, builder.extract_value(args[0], 1), 0)
        pointer = builder.gep(lanes.spilled(context, builder, d, args[0]), [args[1]])
        return context.unpack_value(builder, d.base, pointer)

    return d.base(d, types.intp), codegen


@intrinsic
def borrowed(typingctx: Any, array: Any) -> Any:
    """The same array without a reference count, whose updates are atomic: for small loops.

    Its memory lives for as long as another variable holds the array; see `keep`.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        view = context.make_array(array)(context, builder, args[0])
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        view.parent = cgutils.get_null_value(view.parent.type)
        return view._getvalue()

    return array(array), codegen


@intrinsic
def keep(typingctx: Any, array: Any) -> Any:
    """Nothing; but an array is not freed before its last use."""
    return types.void(array), lambda context, builder, sig, args: context.get_dummy_value()


@intrinsic
def item_at(typingctx: Any, array: Any, i: Any) -> Any:
    """The `i`-th item, in C order, of an array of any shape."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return arrayobj.load_item(context, builder, array, _item(context, builder, array, *args))

    return array.dtype(array, types.intp), codegen


@intrinsic
def store_at(typingctx: Any, array: Any, i: Any, number: Any) -> Any:
    """Set the `i`-th item, in C order, of an array of any shape."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        *place, number_in = args
        number_in = context.cast(builder, number_in, number, array.dtype)
        pointer = _item(context, builder, array, *place)
        arrayobj.store_item(context, builder, array, number_in, pointer)
        return context.get_dummy_value()

    return types.void(array, types.intp, number), codegen


def _item(context: Any, builder: Any, ty: Any, value: Any, i: Any) -> Any:
    """A pointer to the `i`-th item of an array in C order."""
    array = context.make_array(ty)(context, builder, value)
    if ty.layout == "C":
        return builder.gep(array.data, [i])
    shape, strides = (
        cgutils.unpack_tuple(builder, it, ty.ndim) for it in (array.shape, array.strides)
    )
    offset = i.type(0)
    for axis in reversed(range(ty.ndim)):
        index = builder.urem(i, shape[axis]) if axis else i
        i = builder.udiv(i, shape[axis]) if axis else i
        offset = builder.add(offset, builder.mul(index, strides[axis]))
    return cgutils.pointer_add(builder, array.data, offset)


@intrinsic
def store_lanes(typingctx: Any, out: Any, offset: Any, d: Any, first: Any, stop: Any) -> Any:
    """Copy the lanes from `first` to `stop` to a C-contiguous array, from item `offset` on.

    Bounds are not checked.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(out)(context, builder, args[0])
        target = builder.gep(array.data, [args[1]])
        first, stop = args[3], args[4]
        whole = builder.and_(
            builder.icmp_signed("==", first, first.type(0)),
            builder.icmp_signed("==", stop, stop.type(d.n)),
        )
        with builder.if_else(whole, likely=True) as (all_lanes, some_lanes):
            with all_lanes:
                model = context.data_model_manager[d.lanes]
                data = model.as_data(builder, builder.extract_value(args[2], 1))
                pointer = builder.bitcast(target, model.get_data_type().as_pointer())
                builder.store(data, pointer)
            with some_lanes:
                source = builder.gep(lanes.spilled(context, builder, d, args[2]), [first])
                count = builder.sub(stop, first)
                cgutils.raw_memcpy(
                    builder, target, source, count,
                    context.get_abi_sizeof(context.get_data_type(d.base)),
                )  # fmt: skip
        return context.get_dummy_value()

    return types.void(out, types.intp, d, types.intp, types.intp), codegen


@intrinsic
def copy_lane(typingctx: Any, duals: Any, tangents: Any) -> Any:
    """Write an array of numbers into the one lane of an array of duals of the same shape."""
    return _into_part(duals, tangents, 1)


@intrinsic
def set_values(typingctx: Any, duals: Any, values: Any) -> Any:
    """Write an array of numbers into the value parts of an array of duals of the same shape."""
    return _into_part(duals, values, 0)


def _into_part(duals: Any, tangents: Any, part: int) -> Any:
    """Copy numbers into the value (part 0) or a lane of each dual of an array."""
    dual = duals.dtype

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        target, source = (
            context.make_array(ty)(context, builder, arg)
            for ty, arg in zip((duals, tangents), args, strict=True)
        )
        shape = cgutils.unpack_tuple(builder, source.shape, tangents.ndim)
        strides = [
            cgutils.unpack_tuple(builder, array.strides, tangents.ndim)
            for array in (target, source)
        ]
        base = context.get_data_type(dual.base).as_pointer()
        with cgutils.loop_nest(builder, shape, intp=context.get_value_type(types.intp)) as index:
            to, at = (
                cgutils.get_item_pointer2(
                    context, builder, array.data, shape, steps, ty.layout, index
                )
                for array, steps, ty in zip(
                    (target, source), strides, (duals, tangents), strict=True
                )
            )
            tangent = arrayobj.load_item(context, builder, tangents, at)
            tangent = context.cast(builder, tangent, tangents.dtype, dual.base)
            slot = builder.gep(builder.bitcast(to, base), [ir.IntType(32)(part)])
            context.pack_value(builder, dual.base, tangent, slot)
        return context.get_dummy_value()

    return types.void(duals, tangents), codegen
