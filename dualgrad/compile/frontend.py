"""Numba's front end alone: a function's typed intermediate representation, nothing compiled."""

from __future__ import annotations

import functools
import inspect
import types as pytypes
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, typeof
from numba.core import compiler, config, ir, ir_utils, types
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError, TypingError, UnsupportedError
from numba.core.registry import CPUDispatcher
from numba.core.targetconfig import ConfigStack
from numba.core.typed_passes import NopythonTypeInference, type_inference_stage
from numba.core.typing import Context, signature

from dualgrad.compile.overloads import as_functions
from dualgrad.compile.packages import package
from dualgrad.compile.stencils import move_indices_of_kernels
from dualgrad.errors import NotDifferentiable
from dualgrad.instances import DualInstanceType
from dualgrad.types import DualType, EntriesType, SeedsType, primal


@dataclass
class Typed:
    """A function's intermediate representation with the types of its variables."""

    func_ir: Any
    typemap: dict[str, types.Type]
    calltypes: dict[Any, Any]
    return_type: types.Type


def primal_type(ty: types.Type) -> types.Type:
    """The type that `ty` has in the primal function: every dual replaced by its float."""
    if isinstance(ty, DualType):
        return primal(ty)
    if isinstance(ty, types.Array):
        return ty.copy(dtype=primal_type(ty.dtype))
    if isinstance(ty, types.NamedTuple):
        return types.NamedTuple([primal_type(item) for item in ty], ty.instance_class)
    if isinstance(ty, types.NamedUniTuple):
        return types.NamedUniTuple(primal_type(ty.dtype), ty.count, ty.instance_class)
    if isinstance(ty, (types.StarArgTuple, types.StarArgUniTuple)):
        return types.StarArgTuple([primal_type(item) for item in ty])
    if isinstance(ty, types.BaseTuple):
        return types.Tuple([primal_type(item) for item in ty])
    if isinstance(ty, types.List):
        return ty.copy(dtype=primal_type(ty.dtype))
    if isinstance(ty, types.ListType):
        return types.ListType(primal_type(ty.item_type))
    if isinstance(ty, types.DictType):
        return types.DictType(primal_type(ty.key_type), primal_type(ty.value_type))
    if isinstance(ty, types.Optional):
        return types.Optional(primal_type(ty.type))
    if isinstance(ty, DualInstanceType):
        return ty.original
    if isinstance(ty, (EntriesType, SeedsType)):
        return ty.array
    return ty


def carries_dual(ty: types.Type) -> bool:
    """Whether a value of this type holds duals."""
    return primal_type(ty) != ty


class _Derived(dict[Any, Any]):
    """What was made from one function. It does not travel with the function to other processes."""

    owner: Any = None

    def __reduce__(self) -> Any:
        return _Derived, ()


def derived(owner: Any, kind: str) -> dict[Any, Any]:
    """A dictionary for what is made from a function, which lives as long as the function."""
    known = vars(owner).get("_dualgrad")
    if known is None or known.owner is not owner:  # wrappers are given what they wrap has
        known = owner._dualgrad = _Derived()
        known.owner = owner
    found: dict[Any, Any] = known.setdefault(kind, {})
    return found


class DerivedDispatcher(CPUDispatcher):
    """A dispatcher of code that was made from that of another one.

    It keeps no intermediate representation: that refers to the other, which refers to this, and
    Numba holds what a dispatcher has compiled until the dispatcher is gone.
    """

    def add_overload(self, cres: Any) -> None:
        cres.fndesc.typemap = cres.fndesc.calltypes = None
        super().add_overload(cres._replace(type_annotation=""))


class PlainDispatcher(CPUDispatcher):
    """What `@njit` makes of a function, but that may call plain Python functions."""

    def __init__(self, py_func: Any, locals: Any = None, targetoptions: Any = None) -> None:
        options = targetoptions or {"nopython": True, "boundscheck": None}
        super().__init__(py_func, locals or {}, options, WithPlainCallees)


def as_dispatcher(function: Any) -> Dispatcher:
    """The `@njit` form of a function; one that is compiled by Numba already is itself."""
    known = (
        function if isinstance(function, Dispatcher) else getattr(function, "_numba_type_", None)
    )
    if isinstance(known, types.Dispatcher):  # a transform
        known = known.dispatcher
    if known is None:
        if not isinstance(function, pytypes.FunctionType | CFunc):
            function = _plain(function)
        forms = derived(function, "njit")
        known = forms.get(None)
        if known is None and isinstance(function, CFunc):
            known = njit(function._sig)(function._pyfunc)
        forms[None] = known = known or PlainDispatcher(function)
    if not hasattr(known, "for_duals") and not _UNUSUAL.isdisjoint(
        it.kind for it in inspect.signature(known.py_func).parameters.values()
    ):  # kernels pass arguments by name, which Numba cannot do here: what calls it in order can
        forms = derived(known, "usual")
        forms[None] = known = forms.get(None) or PlainDispatcher(calling(known))
    return known


_UNUSUAL = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_ONLY}


def jitted(function: Any, **options: Any) -> Dispatcher:
    """A dispatcher, also where NUMBA_DISABLE_JIT makes `njit` return the function itself."""
    if config.DISABLE_JIT:
        return CPUDispatcher(function, {}, {"nopython": True, **options})
    return njit(**options)(function)


@functools.cache
def _plain(function: Any) -> Any:
    """A function without Python code (a ufunc, a function of C) as one that has some."""
    is_method = isinstance(function, pytypes.MethodType)
    if is_method or _is_callable_object(function):
        what = f"{function.__qualname__} is a method" if is_method else f"{function!r} is an object"
        raise NotDifferentiable(
            f"{what}, and Numba compiles functions alone; pass one that takes what it uses of the "
            "object as arguments"
        )
    return calling(function)


def _is_callable_object(function: Any) -> bool:
    """Whether it is an object of a class in Python, and not one of Numba's."""
    kind = type(function)
    call = inspect.getattr_static(kind, "__call__", None)
    return isinstance(call, pytypes.FunctionType) and package(kind.__module__) != "numba"


def calling(function: Any) -> Any:
    """A Python function with the parameters and the name of `function` that calls it."""
    fixed: dict[str, Any] = {}
    if isinstance(function, functools.partial):
        fixed, parameters = _filled_in(function)
        function = function.func
    else:
        parameters = _parameters(function)
    of_numpy = _is_numpys(function)  # Numba takes parameters by name from NumPy's alone
    free = [p for p in parameters if p.name not in fixed]
    defaults = {p.name: p.default for p in free if p.default is not p.empty}
    params = [f"{p.name}=defaults[{p.name!r}]" if p.name in defaults else p.name for p in free]
    names = {"function": function, "defaults": defaults}
    tail = "_" * (1 + max((len(p.name) for p in parameters), default=0))  # as no name has
    names |= {f"{name}{tail}": it for name, it in fixed.items()}
    passed = [
        f"{f'{p.name}=' if of_numpy and p.kind is p.KEYWORD_ONLY else ''}"
        f"{p.name}{tail if p.name in fixed else ''}"
        for p in parameters
    ]
    caller = eval(f"lambda {', '.join(params)}: function({', '.join(passed)})", names)
    caller.__name__ = getattr(function, "__name__", getattr(function, "symbol", "function"))
    caller.__qualname__ = getattr(function, "__qualname__", caller.__name__)
    caller.__module__ = getattr(function, "__module__", None) or caller.__module__
    caller.__doc__ = getattr(function, "__doc__", None)
    return caller


def _filled_in(partial: Any) -> tuple[dict[str, Any], list[inspect.Parameter]]:
    """What a partial function passes, and the parameters of the function, in order.

    Numba knows few functions of libraries by the names of their parameters: all are passed by
    place, unless one between them is not passed.
    """
    parameters = _parameters(partial.func, also=partial.keywords)
    for p in parameters:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise NotDifferentiable(
                f"a partial of a function that takes *{p.name}; write one that calls it"
            )
    with suppress(ValueError):  # for a function of C that has no signature
        inspect.signature(partial.func).bind_partial(*partial.args, **partial.keywords)
    places = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    fixed = {p.name: it for p, it in zip(places, partial.args, strict=False)} | partial.keywords
    return fixed, parameters


def _parameters(function: Any, also: Collection[str] = ()) -> list[inspect.Parameter]:
    """The parameters of a function; those of a ufunc or a function of C get names.

    Of one of NumPy those that have defaults are left out, but for `also`.
    """
    if isinstance(function, np.ufunc):
        count = function.nin
    elif (signature := _declared(function)) is not None:
        count = len(signature.args)
    else:
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except ValueError:
            name = getattr(function, "__name__", function)
            raise NotDifferentiable(
                f"Python does not know the parameters of {name}; write a function that calls it"
            ) from None
        if _is_numpys(function):
            # Numba takes few of NumPy's options, and not the default of all that it takes
            parameters = _without_options(parameters, also)
        return parameters
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [inspect.Parameter(f"x{k}", kind) for k in range(count)]


def _is_numpys(function: Any) -> bool:
    return package(getattr(function, "__module__", None)) == "numpy"


def _without_options(
    parameters: list[inspect.Parameter], also: Collection[str]
) -> list[inspect.Parameter]:
    kept = []
    by_name = False  # from the first on that is left out
    for p in parameters:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        if p.default is p.empty or p.name in also:
            kept.append(p.replace(kind=p.KEYWORD_ONLY) if by_name else p)
        else:
            by_name = True
    return kept


def _declared(function: Any) -> Any:
    """The signature that Numba reads off a function of C (of ctypes or cffi), None for others."""
    try:
        ty = function if isinstance(function, types.Type) else typeof(function)
    except ValueError:
        return None
    return getattr(ty, "sig", None) or getattr(ty, "signature", None)


#: The modules whose functions make transforms: in Python, not in compiled code.
_MAKE_TRANSFORMS = frozenset(
    f"dualgrad.{name}" for name in ("transforms.api", "transforms.higher", "sparse.api")
)


def jit_plain_callees(func_ir: Any, typingctx: Any) -> None:
    """Let undecorated Python functions that `f` calls be called as if they were `@njit`."""
    for block in func_ir.blocks.values():
        for assign in block.find_insts(ir.Assign):
            function = constant(func_ir, assign.value)
            if isinstance(function, pytypes.FunctionType) and not is_known(typingctx, function):
                if function.__module__ in _MAKE_TRANSFORMS:
                    name = f"dg.{function.__name__}"
                    raise UnsupportedError(f"{name} is called in compiled code", assign.loc)
                jitted = as_dispatcher(function)
                assign.value = ir.Global(function.__name__, jitted, assign.loc)
    func_ir._definitions = ir_utils.build_definitions(func_ir.blocks)


def constant(func_ir: Any, value: Any) -> Any:
    """What a global, a free variable or an attribute of a module is; None for anything else."""
    if isinstance(value, (ir.Global, ir.FreeVar)):
        return value.value
    if isinstance(value, ir.Expr) and value.op == "getattr":
        owner = ir_utils.guard(ir_utils.get_definition, func_ir, value.value)
        module = constant(func_ir, owner) if owner is not None else None
        if isinstance(module, pytypes.ModuleType):
            return getattr(module, value.attr, None)
    return None


def is_known(typingctx: Any, function: Any) -> bool:
    """Whether Numba itself has a meaning for a Python function (an overload, say)."""
    try:
        return typingctx.resolve_value_type(function) is not None
    except (NumbaError, ValueError):
        return False


class Pass(FunctionPass):
    """A pass of ours: Numba's base class is abstract in its constructor."""

    def __init__(self) -> None:
        super().__init__()


@register_pass(mutates_CFG=True, analysis_only=False)
class JitPlainCallees(Pass):
    """The pass that makes plain Python callees callable."""

    _name = "dualgrad_jit_plain_callees"

    def run_pass(self, state: Any) -> bool:
        jit_plain_callees(state.func_ir, state.typingctx)
        return True


def nopython_pipeline(state: Any, name: str, extra: Any, what: str) -> Any:
    """Numba's own passes, with an extra one before type inference."""
    pm = compiler.DefaultPassBuilder.define_nopython_pipeline(state, name)
    where = [step for step, _ in pm.passes].index(NopythonTypeInference)
    pm.passes.insert(where, (extra, what))
    pm._finalized = False
    pm.finalize()
    return pm


class WithPlainCallees(compiler.CompilerBase):
    """Numba's own compiler, but plain Python functions may be called."""

    def define_pipelines(self) -> list[Any]:
        name = "dualgrad nopython"
        return [nopython_pipeline(self.state, name, JitPlainCallees, "jit plain callees")]


@register_pass(mutates_CFG=False, analysis_only=True)
class _Stop(Pass):
    _name = "dualgrad_stop"

    def run_pass(self, state: Any) -> bool:
        state.cr = Typed(state.func_ir, state.typemap, state.calltypes, state.return_type)
        return True


class _FrontEnd(compiler.CompilerBase):
    def define_pipelines(self) -> list[Any]:
        pm = compiler.DefaultPassBuilder.define_untyped_pipeline(self.state, "dualgrad front end")
        pm.add_pass(JitPlainCallees, "jit plain callees")
        pm.add_pass(NopythonTypeInference, "type inference")
        pm.add_pass(_Stop, "stop before lowering")
        move_indices_of_kernels(pm)
        pm.finalize()
        return [pm]


#: Calls in progress whose results are inferred from a part of their code.
_in_part: set[Any] = set()


class _TypesOnly(Context):
    """A typing context that does not compile an `@njit` function to know what a call returns.

    Numba compiles it then and there, and if it is recursive, for a function that is not compiled
    but typed here: neither could be called any more. In all else it is the usual context, and equal
    to it: what Numba keeps for one, as overloads that are compiled, it finds for the other.
    """

    __slots__ = ("usual",)

    def __init__(self, context: Context) -> None:
        self.__dict__ = context.__dict__  # type: ignore[misc]  # Context has one
        self.usual = getattr(context, "usual", context)

    def __eq__(self, other: object) -> bool:
        return self.usual is getattr(other, "usual", other)

    def __hash__(self) -> int:
        return hash(self.usual)

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        if _in_part and isinstance(func, types.Dispatcher):
            return self._resolve_user_function_type(func, args, kws)  # not known to fail for good
        return super().resolve_function_type(func, args, kws)

    def _resolve_user_function_type(self, func: Any, args: Any, kws: Any, *rest: Any) -> Any:
        if isinstance(func, types.Dispatcher):
            dispatcher = func.dispatcher
            usual = type(dispatcher).get_call_template is Dispatcher.get_call_template
            usual = usual and not dispatcher.targetoptions.get("forceobj")
            if usual and dispatcher._can_compile and not dispatcher.is_compiling:
                pysig, args = dispatcher.fold_argument_types(args, kws)
                return signature(self._returned(dispatcher, args), *args).replace(pysig=pysig)
        return super()._resolve_user_function_type(func, args, kws, *rest)

    def _returned(self, dispatcher: Dispatcher, args: tuple[types.Type, ...]) -> types.Type:
        frame = self.callstack.match(dispatcher.py_func, args)
        if frame is None or not isinstance(frame.typeinfer.context, _TypesOnly):  # a clone's
            return typed(dispatcher, args).return_type
        result = None
        if frame not in _in_part:
            _in_part.add(frame)
            try:
                result = frame.typeinfer.return_types_from_partial()
            finally:
                _in_part.remove(frame)
        if result is None:
            raise TypingError("cannot type infer runaway recursion")
        frame.add_return_type(result)
        return result


def is_object_mode(dispatcher: Any) -> bool:
    """Whether what is called is a block ``with objmode``, run by Python."""
    return not hasattr(dispatcher, "targetdescr")


def typed(dispatcher: Dispatcher, arg_types: tuple[types.Type, ...]) -> Typed:
    """The front end's result for a function and the types of its arguments."""
    if is_object_mode(dispatcher):
        raise UnsupportedError("object mode block", dispatcher.func_ir.loc)
    known = derived(dispatcher, "typed")
    if arg_types not in known:
        with global_compiler_lock, _usual_flags(dispatcher) as flags:
            found = compiler.compile_extra(
                _TypesOnly(dispatcher.typingctx), dispatcher.targetctx, dispatcher.py_func,
                arg_types, None, flags, dispatcher.locals, pipeline_class=_FrontEnd,
            )  # fmt: skip
            as_functions(found.func_ir, found.typemap, found.calltypes)
            known[arg_types] = found
    return known[arg_types]


def retyped(state: Any, dispatcher: Dispatcher) -> Typed:
    """The types that a function under compilation would have for its primal arguments."""
    args = tuple(primal_type(ty) for ty in state.args)
    context = _TypesOnly(state.typingctx)
    with _usual_flags(dispatcher) as flags, ConfigStack().enter(flags):
        result = type_inference_stage(
            context, state.targetctx, state.func_ir, args, None, state.locals
        )
    as_functions(state.func_ir, result.typemap, result.calltypes)
    return Typed(state.func_ir, result.typemap, result.calltypes, result.return_type)


@contextmanager
def _usual_flags(dispatcher: Dispatcher) -> Iterator[compiler.Flags]:
    """The flags of a function that Python calls, whatever is being compiled.

    Numba keeps overloads by the flags of their caller, and inherits some of them.
    """
    nobody = compiler.Flags()
    nobody.nrt = True
    flags = compiler.Flags()
    with ConfigStack().enter(nobody):
        dispatcher.targetdescr.options.parse_as_flags(flags, dispatcher.targetoptions)
        yield flags
