"""The object that a transform returns: a callable from Python and from compiled code."""

from __future__ import annotations

import inspect
from typing import Any

from numba.core import types
from numba.core.dispatcher import _FunctionCompiler
from numba.core.errors import NumbaError
from numba.core.registry import CPUDispatcher

from dualgrad.compile.activity import Summary
from dualgrad.compile.explain import explain


class _KernelCompiler(_FunctionCompiler):
    """Writes the kernel for the types of a call, then compiles it like any function."""

    def __init__(self, template: _FunctionCompiler, plan: Any, params: list[str], n: Any) -> None:
        super().__init__(
            template.py_func,
            template.targetdescr,
            template.targetoptions,
            template.locals,
            template.pipeline_class,
        )
        self.plan, self.params, self.n = plan, params, n

    def _get_implementation(self, args: Any, kws: Any) -> Any:
        try:
            return self.plan.build(self.params, args, self.n)
        except NumbaError as error:
            raise explain(error, self.plan) from error


class KernelDispatcher(CPUDispatcher):
    """A dispatcher whose function is written for the types that it is called with."""

    def __init__(self, stub: Any, plan: Any, params: list[str], n: int | None, inner: bool) -> None:
        # Duals have no Python wrapper, so that a kernel called with them can have none either.
        wrapped = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True} if inner else {}
        super().__init__(stub, {}, {"nopython": True, "nogil": True, **wrapped})
        self._compiler = _KernelCompiler(self._compiler, plan, params, n)
        self._again = (stub, plan, params, n)
        self._inner = self if inner else None

    def for_duals(self) -> KernelDispatcher:
        """The clone of a kernel: it differentiates duals as they come, one level deeper."""
        if self._inner is None:
            self._inner = KernelDispatcher(*self._again, inner=True)
        return self._inner

    def effect(self, active: tuple[bool, ...]) -> Summary:
        """What a call does to its arguments: nothing, but to `out`, which it returns."""
        names = list(inspect.signature(self.py_func).parameters)[: len(active)]
        is_out = tuple(name == "out" for name in names)
        result = any(active)
        return Summary(
            tuple(on or (result and out) for on, out in zip(active, is_out, strict=True)),
            is_out,
            result,
            tuple(frozenset({k, -1}) for k, out in enumerate(is_out) if out),
        )


class Transform:
    """Derivatives of one function, as a function of the same arguments.

    Whatever `@njit` code may call it or be passed it.
    """

    def __init__(self, plan: Any, chunk: int | None, signature: inspect.Signature) -> None:
        self.plan, self.chunk = plan, chunk
        self._params = [name for name in signature.parameters if name != "out"]
        self._stub = _stub(plan.name, signature)
        self._kernels: dict[int | None, KernelDispatcher] = {}
        self.__name__ = f"{plan.name}({plan.function.__name__})"
        self.__doc__ = plan.function.__doc__
        self.__wrapped__ = plan.function

    def kernel(self, n: int | None) -> KernelDispatcher:
        """The dispatcher of the kernel with `n` lanes; with None the types decide."""
        if n not in self._kernels:
            self._kernels[n] = KernelDispatcher(
                self._stub, self.plan, self._params, n, inner=False
            )
        return self._kernels[n]

    def __call__(self, *args: Any, **kws: Any) -> Any:
        n = self.chunk or self.plan.lanes(args)
        try:
            kernel = self._kernels[n]
        except KeyError:
            kernel = self.kernel(n)
        try:
            return kernel(*args, **kws)
        except NumbaError as error:
            raise explain(error, self.plan) from error

    @property
    def _numba_type_(self) -> types.Type:
        return types.Dispatcher(self.kernel(self.chunk))

    def __repr__(self) -> str:
        return f"<dualgrad {self.__name__}>"


def _stub(name: str, signature: inspect.Signature) -> Any:
    """A function that has a signature and no body: Numba asks it for its parameters."""
    defaults = {key: p.default for key, p in signature.parameters.items() if p.default is not p.empty}
    params = [
        f"{'*' if p.kind is p.VAR_POSITIONAL else ''}{key}"
        + (f"=defaults[{key!r}]" if key in defaults else "")
        for key, p in signature.parameters.items()
    ]
    namespace: dict[str, Any] = {"defaults": defaults}
    exec(f"def {name}({', '.join(params)}): raise NotImplementedError", namespace)
    return namespace[name]
