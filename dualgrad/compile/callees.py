"""What is called: a function of the user's, or one whose effect on buffers is known by its name."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba.core import ir, ir_utils, types
from numba.core.ccallback import CFunc
from numba.core.typing import templates
from numba.np.ufunc.dufunc import DUFunc
from numba.np.ufunc.gufunc import GUFunc
from numba.stencils.stencil import StencilFunc

from dualgrad.compile import gufuncs, stencils
from dualgrad.compile.buffers import holds_buffers, is_buffer
from dualgrad.compile.frontend import Typed, as_dispatcher, constant, is_object_mode, typed
from dualgrad.compile.overloads import overload_of_user
from dualgrad.compile.packages import GENERAL, KNOWN, package_of
from dualgrad.instances import new_instance

UFUNCS = (np.ufunc, DUFunc)

#: methods and functions whose result may share memory with an argument
VIEWS = frozenset(
    """T asarray ascontiguousarray asfortranarray atleast_1d atleast_2d atleast_3d broadcast_arrays
    broadcast_to diagonal expand_dims flat flip fliplr flipud imag moveaxis ravel real reshape
    rot90 squeeze split array_split hsplit vsplit dsplit swapaxes transpose view nditer ndenumerate
    nan_to_num item as_strided sliding_window_view trimseq trim_zeros resize histogram
    asarray_chkfinite frombuffer""".split()
)
#: methods and functions that write into their first argument
WRITERS = frozenset("fill sort partition put itemset fill_diagonal copyto shuffle resize".split())
#: methods that write to nothing, of what is no array
READERS = frozenset(
    """get items keys values copy index count isdisjoint issubset issuperset union intersection
    difference symmetric_difference""".split()
)
#: methods that compare what they are given with items
COMPARERS = frozenset("index count remove".split())
#: functions that write into another argument, `out`, and its place where it is not named
OUTPUTS = {"dot": 2, "outer": 2, "around": 2, "round": 2, "round_": 2, "clip": 3}


def called_dispatcher(code: Typed, expr: Any) -> Any:
    """The `@njit` function that is called, or one that does the same; None if there is none."""
    kind = code.typemap.get(expr.func.name)
    if isinstance(kind, types.RecursiveCall):
        kind = kind.dispatcher_type
    if isinstance(kind, types.Dispatcher):
        return kind.dispatcher
    if isinstance(kind, types.FunctionType):
        function = constant(
            code.func_ir, ir_utils.guard(ir_utils.get_definition, code.func_ir, expr.func)
        )
        return as_dispatcher(function) if isinstance(function, CFunc) else None
    key = getattr(kind, "typing_key", None)
    if isinstance(key, GUFunc):
        return gufuncs.as_loops(key, tuple(map(types.unliteral, code.calltypes[expr].args)))
    if isinstance(key, StencilFunc):
        return stencils.as_loops(key, code.calltypes[expr])
    if isinstance(kind, types.Function):
        return overload_of_user(kind, code.calltypes[expr])
    return None


def reached(code: Typed, seen: Any = None) -> Iterator[tuple[Any, Typed]]:
    """The `@njit` functions that a function calls, with those that they call, and their code."""
    seen = set() if seen is None else seen
    for block in code.func_ir.blocks.values():
        for assign in block.find_insts(ir.Assign):
            expr = assign.value
            if not isinstance(expr, ir.Expr) or expr.op != "call":
                continue
            callee = called_dispatcher(code, expr)
            if callee is None or callee in seen or hasattr(callee, "for_duals"):
                continue
            seen.add(callee)
            if not is_object_mode(callee):
                its = typed(callee, code.calltypes[expr].args)
                yield callee, its
                yield from reached(its, seen)


def call_arguments(expr: Any) -> list[Any]:
    """The variables that a call passes, in order."""
    extra = [] if expr.vararg is None else [expr.vararg]
    return [*expr.args, *(var for _, var in expr.kws), *extra]


def folded_arguments(code: Typed, expr: Any) -> list[list[Any]]:
    """The variables that each parameter of a called `@njit` function receives."""
    pysig = code.calltypes[expr].pysig
    if expr.vararg is not None:
        n = len(code.calltypes[expr].args if pysig is None else pysig.parameters)
        everything = call_arguments(expr)
        return [list(everything) for _ in range(n)]
    if pysig is None:
        return [[var] for var in expr.args]
    folded: Any = templates.fold_arguments(
        pysig, tuple(expr.args), dict(expr.kws),
        lambda index, param, value: [value],
        lambda index, param, default: [],
        lambda index, param, values: list(values),
    )  # fmt: skip
    return list(folded)


def callee_name(code: Typed, expr: Any) -> str:
    """The plain name of what is called: of the method, or the function's own, not an alias."""
    kind = code.typemap.get(expr.func.name)
    definition = code.func_ir._definitions.get(expr.func.name, [None])[0]
    if isinstance(kind, types.BoundFunction) and getattr(definition, "op", "") == "getattr":
        return str(definition.attr)
    return str(getattr(getattr(kind, "typing_key", None), "__name__", ""))


def is_library(key: Any) -> bool:
    """Whether a called function is NumPy's or Python's own, whose behaviour we know."""
    return key is not None and package_of(key) in KNOWN


def may_draw(key: Any) -> bool:
    """Whether a function is of `random` or `np.random`, or of a package that we do not know."""
    if isinstance(getattr(key, "__self__", None), (random.Random, np.random.RandomState)):
        return True
    return package_of(key) not in KNOWN | GENERAL


def is_builtin(key: Any) -> bool:
    """Whether it is one of Python's functions: `zip`, `list`, ... pass on what they are given."""
    return getattr(key, "__module__", None) == "builtins"


def is_fresh(expr: Any, code: Typed) -> bool:
    """Whether an expression makes a new buffer rather than another name for an old one."""
    operands = [code.typemap.get(var.name) for var in expr.list_vars()]
    if expr.op == "build_list":
        return not any(is_buffer(ty) for ty in operands)
    if expr.op in ("binop", "unary"):
        return not any(holds_buffers(ty) for ty in operands)
    if expr.op != "call":
        return False
    kind = code.typemap.get(expr.func.name)
    name = callee_name(code, expr)
    if isinstance(kind, types.BoundFunction):
        return isinstance(kind.this, types.Array) and name not in VIEWS
    key = getattr(kind, "typing_key", None)
    if key is None:  # a constructor, or a function that is not known
        return not any(is_buffer(code.typemap.get(var.name)) for var in call_arguments(expr))
    if key is new_instance:
        return True
    if isinstance(key, UFUNCS):
        return len(call_arguments(expr)) <= key.nin
    if any(is_buffer(code.typemap.get(output.name)) for output in outputs(expr, name)):
        return False
    return is_library(key) and name not in VIEWS and not is_builtin(key)


def outputs(expr: Any, name: str) -> list[Any]:
    """The variables into which a call of NumPy's function `name` writes its result."""
    named = [var for key, var in expr.kws if key == "out"]
    place = OUTPUTS.get(name, len(expr.args))
    return [*named, *expr.args[place : place + 1]]
