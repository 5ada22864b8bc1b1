"""Clones: an `@njit` function compiled once more, for arguments that hold duals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial, update_wrapper
from types import FunctionType, MappingProxyType
from typing import Any

from numba.core import compiler, ir, types
from numba.core.compiler_machinery import register_pass
from numba.core.cpu import FastMathOptions
from numba.core.dispatcher import Dispatcher
from numba.core.errors import UnsupportedError
from numba.core.targetconfig import ConfigStack
from numba.core.typed_passes import NopythonTypeInference

from dualgrad.calls import join
from dualgrad.compile import introspection  # noqa: F401  (registers with Numba)
from dualgrad.compile.activity import Activity, summarise
from dualgrad.compile.frontend import (
    DerivedDispatcher,
    Pass,
    carries_dual,
    derived,
    jit_plain_callees,
    nopython_pipeline,
    primal_type,
    retyped,
)
from dualgrad.compile.fusion import fuse
from dualgrad.compile.promote import promoted
from dualgrad.compile.rewrite import Rewriter
from dualgrad.compile.stencils import move_indices_of_kernels
from dualgrad.deferred import CloneLibrary, DeferredLibrary
from dualgrad.types import DualType, can_carry, duals_in, over
from dualgrad.vectormath import allows_approximations, apart


@register_pass(mutates_CFG=True, analysis_only=False)
class _Promote(Pass):
    _name = "dualgrad_promote"

    def run_pass(self, state: Any) -> bool:
        callers = ConfigStack().top()  # a copy of ours: Numba keeps overloads by what is in it
        callers.no_cpython_wrapper = callers.no_cfunc_wrapper = False
        jit_plain_callees(state.func_ir, state.typingctx)
        wanted = state.pipeline.result
        duals = [dual for ty in state.args for dual in duals_in(ty)]
        level = join([*duals, wanted])
        if level is not None:
            code = retyped(state, state.pipeline.original)
            active = tuple(carries_dual(ty) for ty in state.args)
            activity = Activity(code, active, wanted is not None)
            if state.pipeline.from_python:
                check_writes(code, activity, active)
            for name, ty in state.locals.items():
                if name in code.typemap and activity.is_active(name):
                    state.locals = {**state.locals, name: promoted(ty, level)}
            deferred, as_items = state.pipeline.deferred, state.pipeline.as_items
            fastmath = state.flags.fastmath
            of_callee = partial(clone_of, deferred=deferred, fastmath=fastmath)
            original = state.pipeline.original
            rewriter = Rewriter(code, original, level, activity, state.args, of_callee, as_items)
            rewriter.run()
            state.pipeline.short = rewriter.short
            state.targetctx = apart(state.targetctx)
            kind = DeferredLibrary if deferred else CloneLibrary
            state.library = kind(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.approximate = allows_approximations(fastmath)
        return True


@register_pass(mutates_CFG=False, analysis_only=True)
class _CheckRecursion(Pass):
    """What others took a recursive function to return must be what it does return.

    Numba goes by the returns that need no recursive call, and reads the memory of another type.
    """

    _name = "dualgrad_check_recursion"

    def run_pass(self, state: Any) -> bool:
        for expr, call in state.calltypes.items():
            if isinstance(expr, ir.Expr) and expr.op == "call":
                kind = state.typemap[expr.func.name]
                called = getattr(kind, "dispatcher_type", kind)
                if isinstance(kind, types.RecursiveCall) and isinstance(called.dispatcher, Clone):
                    called.dispatcher.assumed.setdefault(call.args, set()).add(call.return_type)
        if not state.pipeline.assumed.get(state.args, set()) <= {state.return_type}:
            raise UnsupportedError("recursion through types that differ", state.func_ir.loc)
        return True


def check_writes(code: Any, activity: Activity, active: tuple[bool, ...]) -> None:
    """Refuse an argument that is to take derivatives and cannot: the caller would not see them."""
    effect = activity.summary(len(active))
    for k, holds_duals in enumerate(active):
        if effect.written_args[k] and effect.active_args[k] and not holds_duals:
            name = code.func_ir.arg_names[k]
            raise UnsupportedError(f"derivatives are written to argument {name}")


class _CloneCompiler(compiler.CompilerBase):
    original: Dispatcher
    #: whether Python calls it, with arrays that are its caller's
    from_python = False
    #: the dual type that the caller wants buffers that are returned to hold, if any
    result: DualType | None = None
    #: whether it is optimised as a part of its callers only
    deferred = False
    #: whether it returns the items of a short array in a tuple
    as_items = False
    #: the arrays that are on the stack: how many items they have
    short: Mapping[str, int] = MappingProxyType({})
    #: what functions that it calls took it to return, by the types of its arguments
    assumed: dict[tuple[types.Type, ...], set[types.Type]]

    def define_pipelines(self) -> list[Any]:
        what = "promote buffers, clone callees"
        pm = nopython_pipeline(self.state, "dualgrad clone", _Promote, what)
        pm._finalized = False
        move_indices_of_kernels(pm)
        pm.add_pass_after(_CheckRecursion, NopythonTypeInference)
        fuse(pm)
        pm.finalize()
        return [pm]


class Clone(DerivedDispatcher):
    """The dispatcher of a clone. Most are called by compiled code alone, and have no wrapper."""

    def __init__(
        self,
        original: Dispatcher,
        result: DualType | None,
        from_python: bool = False,
        inline: bool = False,
        deferred: bool = False,
        fastmath: Any = False,
        as_items: bool = False,
    ) -> None:
        options = {
            "fastmath": fastmath,  # or Numba would take that of whatever is being compiled
            **original.targetoptions,
            "no_cpython_wrapper": not from_python,
            "no_cfunc_wrapper": True,
            "parallel": False,
            "forceinline": inline,
        }
        parts: dict[str, Any] = {
            "original": original,
            "result": result,
            "from_python": from_python,
            "deferred": deferred or inline,
            "as_items": as_items or inline,
            "assumed": {},
        }
        pipeline = type("_CloneCompiler", (_CloneCompiler,), parts)
        # A recursive function comes back to its usual clone while this one is compiled: Numba would
        # take that for the same function.
        apart = from_python or inline or as_items
        py_func = _copied(original.py_func) if apart else original.py_func
        super().__init__(py_func, original.locals, options, pipeline)
        self.original, self.assumed = original, parts["assumed"]

    def get_call_template(self, args: Any, kws: Any) -> Any:
        if not self.original._can_compile:
            args, kws = self._declared(*self._compiler.fold_argument_types(args, kws)), {}
        return super().get_call_template(args, kws)

    def _declared(self, pysig: Any, args: tuple[types.Type, ...]) -> tuple[types.Type, ...]:
        """The argument types of a function with explicit signatures: numbers become what it says.

        A `float32` in a signature rounds what it is given, so must the value part of its dual; an
        `int64` makes it a constant.
        """
        primals = tuple(primal_type(ty) for ty in args)
        declared = types.Dispatcher(self.original).get_call_type(self.typingctx, primals, {})
        level = join([dual for ty in args for dual in duals_in(ty)])
        if declared is None or level is None:
            return args
        cast = tuple(
            (over(ty, to) if can_carry(to) else to) if isinstance(ty, DualType) else ty
            for ty, to in zip(args, declared.args, strict=True)
        )
        result = declared.return_type
        active = tuple(carries_dual(ty) for ty in args)
        if (
            isinstance(result, (types.Number, types.Boolean))
            and summarise(self.original, declared.args, active, False).active_result
        ):
            self.compile((over(level, result) if can_carry(result) else result)(*cast))
        return cast


def _copied(function: Any) -> Any:
    """Another function that does the same."""
    copy = FunctionType(function.__code__, function.__globals__, closure=function.__closure__)
    copy.__kwdefaults__, copy.__defaults__ = function.__kwdefaults__, function.__defaults__
    return update_wrapper(copy, function)


def clone_of(
    original: Dispatcher,
    result: DualType | None = None,
    inline: bool = False,
    deferred: bool = False,
    fastmath: Any = False,
    as_items: bool = False,
) -> Dispatcher:
    """The clone of an `@njit` function.

    `result` is the dual type that returned buffers must be able to hold, for a caller that
    writes derivatives into them. One that is `inline` becomes part of its caller's machine code,
    and may return the items of an array instead of that. One that is `deferred`, as callees of such
    a clone are, is optimised as a part of its callers only. `fastmath` is what it takes from its
    caller if it has no such option itself, as Numba does it. One that is called `as_items` returns
    a tuple in place of a short array.
    """
    if hasattr(original, "for_duals"):  # a transform, or a function with a rule of its own
        return original.for_duals()
    if isinstance(original, Clone):
        original = original.original
    known = derived(original, "clones")
    fastmath = FastMathOptions(original.targetoptions.get("fastmath", fastmath))
    key = result, inline, deferred, frozenset(fastmath.flags), as_items
    if key not in known:
        known[key] = Clone(original, result, False, inline, deferred, fastmath, as_items)
    return known[key]
