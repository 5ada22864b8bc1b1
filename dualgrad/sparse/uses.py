"""How `f` uses its argument and its result: a kernel may do without arrays of their duals."""

from __future__ import annotations

from numba.core import types

from dualgrad.compile.frontend import primal_type, typed
from dualgrad.compile.itemwise import allocation, is_itemwise
from dualgrad.sparse.compressed import CompressedPlan
from dualgrad.transforms.seeded import is_seeded


def is_direct(plan: CompressedPlan, arg_types: list[types.Type]) -> bool:
    """Whether `f` uses its argument item by item."""
    x = arg_types[plan.argnum]
    if not plan.has_direct or not isinstance(x, types.Array) or x.ndim != 1:
        return False
    return is_seeded(plan.function, arg_types, plan.argnum)


def result_set(plan: CompressedPlan, arg_types: list[types.Type]) -> types.Array | None:
    """The type of the array that `f` makes or is given for its result, if it but sets items."""
    out, primals = plan.out_argnum, _primals(arg_types)
    if plan.sums:  # several rows may add to an item
        return None
    if out is not None:
        given = primals[out]
        of_floats = isinstance(given, types.Array) and isinstance(given.dtype, types.Float)
        return given if of_floats and is_itemwise(plan.function, primals, out, True) else None
    code = typed(plan.function, primals)
    made = allocation(code)
    return None if made is None else types.Array(code.typemap[made.target.name].dtype, 1, "C")


def _primals(arg_types: list[types.Type]) -> tuple[types.Type, ...]:
    return tuple(map(primal_type, arg_types))
