"""`@stencil` kernels as plain loops, which are differentiated like any `@njit` function.

The loops call the kernel as a function of its own, which is passed each array together with the
place where it stands. Numba moves the indices in the code of the kernel; so does a pass here.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit
from numba.core import compiler, ir, ir_utils, types
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.errors import UnsupportedError
from numba.core.untyped_passes import IRProcessing
from numba.extending import overload
from numba.np.numpy_support import as_dtype

from dualgrad.generated import generated

OTHER_NDIM = (
    "Secondary stencil array does not have same number  of dimensions as the first stencil input."
)
TOO_SMALL = (
    "Secondary stencil array has some dimension smaller the same dimension in the first stencil "
    "input."
)

# ------------------------------------------------------------------------------- the loops


def as_loops(stencil: Any, signature: Any) -> Any:
    """The call of a stencil with this signature as an `@njit` function of the same arguments."""
    names = stencil.kernel_ir.arg_names
    extra = tuple(name for name in signature.pysig.parameters if name not in names)
    return _as_loops(stencil, signature.args, extra, signature.return_type)


@functools.cache
def _as_loops(stencil: Any, arg_types: Any, extra: tuple[str, ...], result: Any) -> Any:
    names = stencil.kernel_ir.arg_names
    index = [f"i{k}" for k in range(result.ndim)]
    reach, relative = _reach(stencil, arg_types[: len(names)], index)
    is_relative = [name in relative for name in names]
    body = [
        line
        for k in range(1, len(names))
        if is_relative[k]
        for line in _check(k, arg_types[k].ndim, result.ndim)
    ]
    if "out" not in extra:
        body.append("out = np.empty(a0.shape, dtype)")
        body += _border(reach)
    elif "cval" in stencil.options:
        body.append("out[:] = cval")
    for k, (low, high) in enumerate(reach):
        lines = f"range({-min(0, low)}, a0.shape[{k}] - {max(0, high)}):"
        body.append(f"{'    ' * k}for i{k} in {lines}")
    place = f"({', '.join(index)},)"
    items = [f"(a{k}, {place})" if it else f"a{k}" for k, it in enumerate(is_relative)]
    body.append(f"{'    ' * len(index)}out[{place}] = kernel({', '.join(items)})")
    parameters = [*(f"a{k}" for k in range(len(names))), *extra]
    source = "\n    ".join([f"def stencil({', '.join(parameters)}):", *body, "return out"])
    namespace = {
        "np": np,
        "dtype": as_dtype(result.dtype).type,
        "cval": stencil.options.get("cval", 0),
        "kernel": _kernel(stencil.kernel_ir.func_id.func, frozenset(relative)),
    }
    exec(compile(source, "<loops of a stencil>", "exec"), namespace)
    return njit(namespace["stencil"])


def _reach(stencil: Any, arg_types: Any, index: list[str]) -> tuple[Any, set[str]]:
    """How far the kernel looks in each direction, and the arrays that it indexes from its place."""
    _, typemap, calltypes = stencil.get_return_type(arg_types)
    kernel, calltypes = stencil.copy_ir_with_calltypes(stencil.kernel_ir, calltypes)
    ir_utils.remove_args(kernel.blocks)
    copies, _ = ir_utils.copy_propagate(kernel.blocks, typemap)
    names = ir_utils.get_name_var_table(kernel.blocks)
    ir_utils.apply_copy_propagate(kernel.blocks, copies, names, typemap, calltypes)
    reach, relative = stencil.add_indices_to_kernel(
        kernel, index, len(index), stencil.neighborhood,
        stencil.options.get("standard_indexing", []), typemap, calltypes,
    )  # fmt: skip
    if not all(isinstance(end, int) for ends in reach for end in ends):
        raise UnsupportedError("@stencil with a neighborhood that is no constant")
    return reach, relative


def _check(k: int, ndim: int, expected: int) -> Iterator[str]:
    """What Numba checks of a further array."""
    if ndim != expected:
        yield f"raise ValueError({OTHER_NDIM!r})"
    for axis in range(min(ndim, expected)):
        yield f"if a0.shape[{axis}] > a{k}.shape[{axis}]:"
        yield f"    raise ValueError({TOO_SMALL!r})"


def _border(reach: Any) -> Iterator[str]:
    """Fill what the loops leave out, and maybe more, by the slices that Numba fills."""
    for k, (low, high) in enumerate(reach):
        for part in (f":{-low}", f"{-high}:"):
            yield f"out[{', '.join([*[':'] * k, part, *[':'] * (len(reach) - k - 1)])}] = cval"


# ------------------------------------------------------------------------------ the kernel

#: kernel -> the names of its parameters that are indexed from its place
_RELATIVE: weakref.WeakKeyDictionary[Any, frozenset[str]] = weakref.WeakKeyDictionary()


def _kernel(function: Any, relative: frozenset[str]) -> Any:
    """A kernel as a function of pairs: an array, and the place where the kernel stands."""
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__,
        function.__closure__,
    )  # fmt: skip
    _RELATIVE[copy] = relative
    return njit(pipeline_class=_KernelCompiler)(copy)


def move_indices_of_kernels(pm: Any) -> None:
    """Add the pass that moves indices to a pipeline; it is for kernels only."""
    where = [step for step, _ in pm.passes].index(IRProcessing)
    pm.passes.insert(where, (_MoveIndices, "move the indices of a stencil kernel"))


class _KernelCompiler(compiler.CompilerBase):
    def define_pipelines(self) -> list[Any]:
        pm = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state, "dualgrad stencil")
        pm._finalized = False
        move_indices_of_kernels(pm)
        pm.finalize()
        return [pm]


@register_pass(mutates_CFG=False, analysis_only=False)
class _MoveIndices(FunctionPass):
    """``a[i]`` becomes ``a[moved(i, place)]`` for the arrays that come with a place."""

    _name = "dualgrad_move_indices"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        relative = _RELATIVE.get(state.func_id.func)
        if relative is None:
            return False
        places: dict[str, Any] = {}
        for label in sorted(state.func_ir.blocks):
            block = state.func_ir.blocks[label]
            body: list[Any] = []
            for statement in block.body:
                body += self._statement(statement, block.scope, relative, places)
            block.body = body
        state.func_ir._definitions = ir_utils.build_definitions(state.func_ir.blocks)
        return True

    def _statement(
        self, statement: Any, scope: Any, relative: frozenset[str], places: dict[str, Any]
    ) -> Iterator[Any]:
        value, loc = getattr(statement, "value", None), statement.loc
        if not isinstance(statement, ir.Assign):
            yield statement
        elif isinstance(value, ir.Arg) and value.name in relative:
            pair = scope.redefine("$pair", loc)
            place = places[statement.target.name] = scope.redefine("$place", loc)
            yield ir.Assign(value, pair, loc)
            for k, part in enumerate((statement.target, place)):
                yield ir.Assign(ir.Expr.static_getitem(pair, k, None, loc), part, loc)
        elif isinstance(value, ir.Expr) and value.op == "getitem" and value.value.name in places:
            function, index = scope.redefine("$moved", loc), scope.redefine("$index", loc)
            arguments = (value.index, places[value.value.name])
            yield ir.Assign(ir.Global("moved", moved, loc), function, loc)
            yield ir.Assign(ir.Expr.call(function, arguments, (), loc), index, loc)
            yield ir.Assign(ir.Expr.getitem(value.value, index, loc), statement.target, loc)
        else:
            if isinstance(value, ir.Var) and value.name in places:
                places[statement.target.name] = places[value.name]
            yield statement


def moved(index: Any, place: Any) -> Any:
    """An index of a kernel as one of the array: seen from the place where the kernel stands."""
    raise NotImplementedError("only for compiled code")


@overload(moved)
def _moved(index, place):  # type: ignore[no-untyped-def]
    if isinstance(index, types.BaseTuple):
        parts = [_part(ty, f"index[{k}]", k) for k, ty in enumerate(index)]
        return generated(f"lambda index, place: ({', '.join(parts)},)")
    return generated(f"lambda index, place: {_part(index, 'index', 0)}")


def _part(ty: Any, part: str, k: int) -> str:
    if isinstance(ty, types.SliceType):
        return f"slice({part}.start + place[{k}], {part}.stop + place[{k}])"
    return f"{part} + place[{k}]"
