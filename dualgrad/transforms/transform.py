"""The object that a transform returns: a callable from Python and from compiled code."""

from __future__ import annotations

import inspect
from typing import Any

from numba.core import types
from numba.core.dispatcher import _FunctionCompiler
from numba.core.errors import NumbaError
from numba.core.registry import CPUDispatcher

from dualgrad.compile.explain import explain
from dualgrad.transforms.chunks import for_call, for_types
from dualgrad.transforms.kernel import Kernel, Plan

OUT = "out"


class _KernelCompiler(_FunctionCompiler):  # type: ignore[misc]
    """Writes the kernel for the types of a call, then compiles it like any function."""

    plan: Plan
    chunk: int | None

    def _get_implementation(self, args: Any, kws: Any) -> Any:
        params = list(self.pysig.parameters)[:-1]
        n = for_types(self.plan, args) if self.chunk is None else self.chunk
        try:
            return Kernel(self.plan, params, args, n).function()
        except NumbaError as error:
            raise explain(error, self.plan) from error


class _KernelDispatcher(CPUDispatcher):  # type: ignore[misc]
    """A dispatcher whose function depends on the types that it is called with."""

    def __init__(self, stub: Any, plan: Plan, chunk: int | None) -> None:
        super().__init__(stub, {}, {"nopython": True, "nogil": True})
        compiler = _KernelCompiler(
            stub, self.targetdescr, self.targetoptions, self.locals, self._compiler.pipeline_class
        )
        compiler.plan, compiler.chunk = plan, chunk
        self._compiler = compiler


def _stub(plan: Plan) -> Any:
    """A function with the parameters of `f` and `out`: what the transform is called with."""
    signature = inspect.signature(plan.function.py_func)
    names = list(signature.parameters)
    params = ", ".join(
        name if p.default is p.empty else f"{name}=_defaults[{name!r}]"
        for name, p in signature.parameters.items()
    )
    defaults = {name: p.default for name, p in signature.parameters.items()}
    namespace: dict[str, Any] = {"_defaults": defaults}
    exec(f"def {plan.name}({params}, {OUT}=None): raise NotImplementedError", namespace)
    del names
    return namespace[plan.name]


class Transform:
    """Derivatives of one function.

    Call it like the function itself; the keyword `out` takes an array for the result. It may
    also be called from `@njit` code and passed to it.
    """

    def __init__(self, plan: Plan, chunk: int | None) -> None:
        self.plan, self.chunk = plan, chunk
        self._stub = _stub(plan)
        self._kernels: dict[int | None, _KernelDispatcher] = {}
        self.__name__ = f"{plan.name}({plan.function.__name__})"
        self.__doc__ = plan.function.__doc__
        self.__wrapped__ = plan.function

    def kernel(self, n: int | None) -> _KernelDispatcher:
        """The dispatcher of the kernel with `n` lanes; None lets the types decide."""
        if n not in self._kernels:
            self._kernels[n] = _KernelDispatcher(self._stub, self.plan, n)
        return self._kernels[n]

    def __call__(self, *args: Any, **kws: Any) -> Any:
        return self.kernel(self.chunk or for_call(self.plan, args))(*args, **kws)

    @property
    def _numba_type_(self) -> types.Type:
        return types.Dispatcher(self.kernel(self.chunk))

    def __repr__(self) -> str:
        return f"<dualgrad {self.__name__}>"
