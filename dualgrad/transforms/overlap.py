"""What a kernel does where arguments, or `out`, share memory.

It works on copies of what `f` writes to, and writes to `out` while it still reads its arguments.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable
from numba.np import arrayobj


def refusals(arg_types: Sequence[types.Type], written: Sequence[int], names: Any) -> Iterator[str]:
    """Lines of a kernel that raise an error if an argument shares memory with a written one.

    What `f` writes to the one it would not see in the other.
    """
    kinds = types.Array, types.ClassInstanceType
    given = [(k, it) for k, ty in enumerate(arg_types) for it in leaves(f"a{k}", ty, kinds)]
    for (k, one), (other, another) in itertools.combinations(given, 2):
        if not {k, other}.intersection(written) or not _may_meet(one[1], another[1]):
            continue
        yield f"if {_meet(one, another)}:"
        them = f"{names[k]} and {names[other]}" if k != other else f"items of {names[k]}"
        text = f"{them} share memory, and the function writes to it; pass a copy of one"
        yield f"    raise ValueError({text!r})"


def kept(
    arg_types: Sequence[types.Type], out: types.Type, names: Sequence[str] = ()
) -> Iterator[str]:
    """Lines of a kernel that replace arguments by copies if results are written to their memory."""
    for k, ty in enumerate(arg_types):
        name = names[k] if names else f"a{k}"
        given, results = leaves(name, ty, types.Array), leaves("out", out, types.Array)
        meet = [_meet(*pair) for pair in itertools.product(given, results)]
        if meet:
            yield f"if {' or '.join(meet)}:"
            yield f"    {name} = private({name})"


def _may_meet(a: types.Type, b: types.Type) -> bool:
    return a == b or (isinstance(a, types.Array) and isinstance(b, types.Array))


def leaves(expression: str, ty: types.Type, kind: Any) -> Iterator[tuple[str, Any]]:
    """What is of a kind in a nested tuple: the expression and the type of each."""
    if isinstance(ty, kind):
        yield expression, ty
    elif isinstance(ty, types.BaseTuple):
        for k, item in enumerate(ty):
            yield from leaves(f"{expression}[{k}]", item, kind)


def _meet(*pair: tuple[str, Any]) -> str:
    """The condition that two arrays, or instances, by expressions and types, share memory."""
    (a, of_a), (b, of_b) = pair
    if isinstance(of_a, types.ClassInstanceType):
        return f"same_instance({a}, {b})"
    conditions = [f"{a}.size", f"{b}.size", f"extents_meet({a}, {b})"]
    if "A" in (of_a.layout, of_b.layout):
        conditions.append(f"items_meet({a}, {b})")
    return f"({' and '.join(conditions)})"


def _parts(context: Any, builder: Any, ty: Any, value: Any) -> tuple[Any, Any, Any]:
    array = context.make_array(ty)(context, builder, value)
    shape = cgutils.unpack_tuple(builder, array.shape, ty.ndim)
    return array, shape, cgutils.unpack_tuple(builder, array.strides, ty.ndim)


@intrinsic
def same_instance(typingctx: Any, a: Any, b: Any) -> Any:
    """Whether two instances of a jitclass are one."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        places = [
            builder.ptrtoint(
                context.make_helper(builder, ty, value=value).data,
                context.get_value_type(types.intp),
            )
            for ty, value in zip(sig.args, args, strict=True)
        ]
        return builder.icmp_unsigned("==", *places)

    return types.boolean(a, b), codegen


@intrinsic
def extents_meet(typingctx: Any, a: Any, b: Any) -> Any:
    """Whether some item of an array lies between the first and the last of another."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        ends: list[Any] = []
        for ty, value in zip(sig.args, args, strict=True):
            array, *parts = _parts(context, builder, ty, value)
            ends += arrayobj.get_array_memory_extents(
                context, builder, ty, array, *parts, array.data
            )
        return arrayobj.extents_may_overlap(context, builder, *ends)

    return types.boolean(a, b), codegen


@intrinsic
def _put_addresses(typingctx: Any, array: Any, out: Any) -> Any:
    """Write where the items of an array lie to an array of integers of its shape."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        it, shape, strides = _parts(context, builder, sig.args[0], args[0])
        to, _, steps = _parts(context, builder, sig.args[1], args[1])
        intp = context.get_value_type(types.intp)
        with cgutils.loop_nest(builder, shape, intp=intp) as index:
            item, place = (
                cgutils.get_item_pointer2(context, builder, x.data, shape, s, ty.layout, index)
                for x, s, ty in zip((it, to), (strides, steps), sig.args, strict=True)
            )
            builder.store(builder.ptrtoint(item, intp), place)
        return context.get_dummy_value()

    return types.void(array, out), codegen


@register_jitable
def items_meet(a: Any, b: Any) -> Any:
    """Whether two arrays have a byte in common: items may also lie between those of the other."""
    of_a, of_b = np.empty(a.shape, np.intp), np.empty(b.shape, np.intp)
    _put_addresses(a, of_a)
    _put_addresses(b, of_b)
    first = of_a.min()
    taken = np.zeros(of_a.max() - first + a.itemsize, np.bool_)
    for address in of_a.flat:
        taken[address - first : address - first + a.itemsize] = True
    for address in of_b.flat:
        for place in range(address - first, address - first + b.itemsize):
            if 0 <= place < taken.size and taken[place]:
                return True
    return False
