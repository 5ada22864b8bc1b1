"""Code that is optimised where it is called, with what is known there: zeros among seeds."""

from __future__ import annotations

import weakref
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary, RuntimeLinker

from dualgrad.layout import everywhere
from dualgrad.vectormath import with_vector_functions

#: How Numba begins the names of variables that hold what compiled code uses of Python.
_ENVIRONMENT = "_ZN08NumbaEnv"
#: The functions of libraries without machine code, by name.
_without_machine_code: weakref.WeakValueDictionary[str, CloneLibrary] = (
    weakref.WeakValueDictionary()
)


class CloneLibrary(JITCodeLibrary):
    """The code of a clone. What calls it links it, so it has machine code of its own only if asked.

    It may use functions of vectors if the original allows that.
    """

    _final_module: Any
    approximate = False
    _is_emitted = False

    def _optimize_final_module(self) -> None:
        self._final_module = self._with_vector_functions(self._final_module)
        super()._optimize_final_module()

    def _with_vector_functions(self, module: Any) -> Any:
        _, _, features = self._codegen.magic_tuple()
        return with_vector_functions(module, features) if self.approximate else module

    def _finalize_final_module(self) -> None:
        functions = {it.name for it in self.get_defined_functions()}
        if self._recursive_calls() or not functions.isdisjoint(self._codegen._rtlinker._unresolved):
            self._emit()
            return
        _without_machine_code.update(dict.fromkeys(functions, self))
        # Numba will write the address of an environment to one of these.
        engine = self._codegen._engine
        names = [it.name for it in self._final_module.global_variables]
        names = [it for it in names if it.startswith(_ENVIRONMENT)]
        new = [it for it in names if not engine.is_symbol_defined(it)]
        if new:
            text = "".join(f"@{it} = common global ptr null\n" for it in new)
            self._codegen._add_module(llvm.parse_assembly(text))
            engine.finalize_object()
        self._finalized = True

    def _recursive_calls(self) -> list[str]:
        """The functions whose addresses it reads: they were not compiled to their end."""
        names = (it.name for it in self._final_module.global_variables)
        prefix = RuntimeLinker.PREFIX
        return [it.removeprefix(prefix) for it in names if it.startswith(prefix)]

    def _emit(self) -> None:
        self._is_emitted = True
        for name in self._recursive_calls():
            library = _without_machine_code.get(name)
            if library is not None and not library._is_emitted:
                library._emit()
        super()._finalize_final_module()

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        if not self._is_emitted and any(it.name == name for it in self.get_defined_functions()):
            self._emit()
        return super().get_pointer_to_function(name)


class DeferredLibrary(CloneLibrary):
    """The code of a clone, which LLVM optimises only as a part of what calls it.

    Numba would optimise it for callers of any kind first, and so answer "is this constant?" before
    the seeds have come.
    """

    def _optimize_final_module(self) -> None:
        # What is linked elsewhere must be copied now: machine code is made of the module in place.
        module = self._with_vector_functions(self._final_module.clone())
        for function in module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        self._shared_module = module


def is_deferred(context: Any) -> bool:
    """Whether the code that is being emitted is that of such a library."""
    return isinstance(context.active_code_library, DeferredLibrary)


def zero_if_known(builder: Any, scaled: Any, u: Any) -> Any:
    """`scaled`, a multiple of `u`, but zero where `u` is known to be when code is optimised.

    Of the number zero times another LLVM must assume that it may be nan. What it does not come to
    know costs nothing: then the question itself is gone.
    """
    name = f"llvm.is.constant.{_overloaded(u.type)}"
    kind = ir.FunctionType(ir.IntType(1), [u.type])
    known = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [u])
    nothing = ir.Constant(u.type, None)
    at_rest = builder.fcmp_ordered("==", u, nothing)
    at_rest = builder.and_(at_rest, everywhere(builder, at_rest.type, known))
    return builder.select(at_rest, nothing, scaled)


def _overloaded(ty: ir.Type) -> str:
    """A type in the name of an intrinsic."""
    if isinstance(ty, ir.VectorType):
        return f"v{ty.count}{_overloaded(ty.element)}"
    return "f32" if isinstance(ty, ir.FloatType) else "f64"
