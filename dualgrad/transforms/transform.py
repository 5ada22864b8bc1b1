"""The object that a transform returns: a callable from Python and from compiled code."""

from __future__ import annotations

import functools
import gc
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numba.core import config, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import OmittedArg, _FunctionCompiler
from numba.core.errors import NumbaError
from numba.np.numpy_support import from_dtype, map_layout

from dualgrad.compile.activity import Summary, summarise
from dualgrad.compile.cache import DiskCache
from dualgrad.compile.explain import explain
from dualgrad.compile.frontend import DerivedDispatcher, derived
from dualgrad.pages import keep_freed_memory
from dualgrad.transforms import wider
from dualgrad.transforms.plans import ColumnsPlan, VmapPlan

#: Numbers of lanes: one, or those of sweeps, the first for what has as many columns; None is ours.
Chunk = int | tuple[int, ...] | None
#: Types of the items of most arrays.
_USUAL = {np.dtype(it).str for it in (np.float64, np.float32, np.complex128, np.int64, np.int32)}


class Transform(DerivedDispatcher):
    """Derivatives of one function: a compiled function of (mostly) the same arguments.

    A dispatcher like those that `@njit` makes, so that a call from Python costs what a call of an
    `@njit` function costs, and `@njit` code may call it or be passed it. Unlike theirs its
    function is written for the types of the call. `plan` writes it.
    """

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **kws: Any) -> Any:
            """The derivative, in the shape that the transform says."""

    def __init__(
        self, plan: Any, chunk: Chunk, signature: inspect.Signature, cache: bool,
        inner: bool = False,
    ) -> None:  # fmt: skip
        self.plan, self.chunk, self.signature, self.cache = plan, chunk, signature, cache
        # Duals have no Python wrapper, so a kernel that is called with them can have none either.
        wrapped = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True} if inner else {}
        nogil = getattr(plan, "nogil", True)
        options = {"nopython": True, "nogil": nogil, "parallel": plan.parallel, **wrapped}
        super().__init__(_stub(plan, signature), {}, options)
        self._compiler: Any = _KernelCompiler(self._compiler, plan, chunk)
        self._inner = self if inner else None
        keep_freed_memory()
        self._narrow: set[tuple[types.Type, ...]] = set()  # whose kernels are for few inputs
        self._callbacks: dict[Any, Any] = {}  # code that C may call must not be deleted
        if cache and not inner:
            self._cache = DiskCache(self)

    def _compile_for_args(self, *args: Any, **kws: Any) -> Any:
        # Numba calls what this returns, and asks again for types that it does not know.
        if any(map(_holds_dask_arrays, args)):
            from dualgrad.transforms.dask import lazily

            return lazily(self)
        try:
            with _without_collection():
                return self._fitted(args) or super()._compile_for_args(*args, **kws)
        except (NumbaError, NotImplementedError) as error:
            raise explain(error, self.plan) from error

    def typeof_pyval(self, val: Any) -> types.Type:
        # Numba asks first whether an array is masked, and so imports `numpy.ma`.
        if type(val) is not np.ndarray or val.dtype.str not in _USUAL:
            return self._type_by_numba(val)
        ty = types.Array(from_dtype(val.dtype), val.ndim, map_layout(val), not val.flags.writeable)
        self._types_active_call.add(ty)
        return ty

    def _type_by_numba(self, val: Any) -> types.Type:
        if not isinstance(val, (np.ndarray, np.generic)):
            return super().typeof_pyval(val)
        try:
            ty = super().typeof_pyval(val)
        except NumbaError:
            masked = isinstance(val, np.ma.MaskedArray)
            raise _unknown(val, "filled(...)" if masked else "astype(float)") from None
        if ty == types.pyobject or getattr(ty, "dtype", ty) == types.float16:
            raise _unknown(val, "astype(float)")
        return ty

    def _fitted(self, args: tuple[Any, ...]) -> Any:
        """The entry to what is compiled for the types of a call, and for its sizes if small."""
        in_sweeps = isinstance(self.plan, ColumnsPlan) and not self.plan.parallel
        if not in_sweeps and not isinstance(self.plan, VmapPlan):
            return None
        from dualgrad.transforms.tune import fitted

        given = [it.value if isinstance(it, OmittedArg) else it for it in args]
        other = fitted(self, given)
        if other is None:
            return None
        with global_compiler_lock:
            other._cache_hits, other._cache_misses = self._cache_hits, self._cache_misses
            entry = other._compile_for_args(*args)
            [fit] = [it for it in other.overloads.values() if it.entry_point is entry]
            arg_types = fit.signature.args
            if arg_types not in self.overloads:  # by another thread
                self.add_overload(fit)
                if in_sweeps:
                    self._narrow.add(arg_types)
                    wider.listen(self)
            return self.overloads[arg_types].entry_point

    def widen(self, arg_types: tuple[types.Type, ...]) -> None:
        """Compile the kernel for any size where there is one for the size of a first call."""
        with global_compiler_lock:
            if arg_types not in self._narrow:
                return
            narrow = self.overloads.pop(arg_types)
            try:
                self.compile(arg_types)
                self._narrow.remove(arg_types)
            finally:
                self.overloads.setdefault(arg_types, narrow)
                known = [*self.overloads.values()]
                self._reset_overloads()  # of two for the same types Numba would find neither
                for it in known:
                    self.add_overload(it)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        # What asks for more lanes must not run in threads of compiled code, which may hold the GIL.
        self.widen(tuple(self.fold_argument_types(args, kws)[1]))
        return super().get_call_template(args, kws)

    def get_compile_result(self, sig: Any) -> Any:
        self.widen(tuple(sig.args))
        return super().get_compile_result(sig)

    def for_duals(self) -> Transform:
        """The transform as functions of duals call it, one level of duals deeper."""
        if self._inner is None:
            plan = replace(self.plan, parallel=False)
            self._inner = Transform(plan, self.chunk, self.signature, False, inner=True)
        return self._inner

    def cfunc(self, signature: Any, shapes: tuple[tuple[int, ...], ...] = ()) -> Any:
        """A C callback of the transform, for libraries that take the address of a function.

        Parameters
        ----------
        signature : str or signature of Numba
            The types of C, as `numba.cfunc` takes them. `jvp` and `hvp` take all primals, then
            all tangents. One argument more than the function has is a pointer that the derivative
            is written to, as with ``out=``.
        shapes : tuple of tuple of int
            The shape of the array behind each pointer, C-contiguous; C itself passes none.

        Returns
        -------
        CFunc
            What `numba.cfunc` returns: it has `address`, `ctypes` and `native_name`, and
            `scipy.LowLevelCallable` takes its `ctypes`. It lives as long as the transform.

        Raises
        ------
        NotDifferentiable
            If the function has a construct without a derivative rule.
        TypeError
            For a result that a C function cannot return in that type, and a missing shape.

        Notes
        -----
        C has no exceptions: one in the function goes to `sys.unraisablehook`, which prints it, and
        the callback returns zero, as all callbacks of Numba do.

        Examples
        --------
        >>> import dualgrad as dg
        >>> callback = dg.derivative(lambda x: x**3).cfunc("float64(float64)")
        >>> callback.ctypes(2.0)
        12.0
        """
        from dualgrad.transforms.callback import callback

        key = str(signature), shapes
        if key not in self._callbacks:
            self._callbacks[key] = callback(self, signature, shapes)
        return self._callbacks[key]

    def fingerprint_parts(self) -> tuple[Any, ...]:
        """What it is, for the cache: see `dualgrad.compile.fingerprint`."""
        return self.plan, self.chunk

    def _reduce_states(self) -> dict[str, Any]:
        """What is pickled."""
        return dict(plan=self.plan, chunk=self.chunk, signature=self.signature, cache=self.cache)

    @classmethod
    def _rebuild(cls, **states: Any) -> Transform:
        return transform(**states)

    def effect(self, arg_types: tuple[types.Type, ...], active: tuple[bool, ...]) -> Summary:
        """What a call does to its arguments.

        It writes to `out`, which it returns, and where it is the loop of a `vmap` to what the
        function writes to. All else it copies.
        """
        is_out = tuple(name == "out" for name in [*self.signature.parameters][: len(active)])
        result = any(active)
        of_points = self._of_points(arg_types, active, is_out)
        written = [*zip(of_points.active_args, of_points.written_args, strict=True)]
        return Summary(
            tuple(
                on or (result and out) or (becomes and here)
                for on, out, (becomes, here) in zip(active, is_out, written, strict=True)
            ),
            tuple(out or here for out, (_, here) in zip(is_out, written, strict=True)),
            result or of_points.active_result,
            (
                *(frozenset({k, -1}) for k, out in enumerate(is_out) if out),
                *(group - {-1} for group in of_points.shared),  # results are new arrays
            ),
            draws=self._draws(arg_types),
        )

    def _of_points(
        self, arg_types: tuple[types.Type, ...], active: tuple[bool, ...], is_out: tuple[bool, ...]
    ) -> Summary:
        """What `vmap` lets its function do at the points; nothing for other transforms."""
        if not isinstance(self.plan, VmapPlan):
            return Summary.nothing(len(active))
        from dualgrad.transforms import batch

        given = [ty for ty, out in zip(arg_types, is_out, strict=True) if not out]
        at_point = tuple(batch.point_types(batch.Mapped.of(self.plan, given), given))
        effect = summarise(self.plan.function, at_point, active[: len(given)], False)
        rest = (False,) * sum(is_out)
        return effect._replace(
            active_args=effect.active_args + rest, written_args=effect.written_args + rest
        )

    def _draws(self, arg_types: tuple[types.Type, ...]) -> bool:
        """Whether `f` may draw random numbers."""
        if not isinstance(self.plan, ColumnsPlan):
            return True
        types_of_f = arg_types[: len(self.plan.params)]
        return summarise(self.plan.function, types_of_f, (True,) * len(types_of_f), False).draws


@contextmanager
def _without_collection() -> Iterator[None]:
    """Do not look for cyclic garbage meanwhile.

    Compiling makes so many objects that Python would do so hundreds of times: a tenth of the time
    of a first call, a fifth where large packages are loaded, whose objects are looked at as well.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            _count_as_old()
            gc.enable()


@functools.cache
def _count_as_old() -> None:
    """Let the next look for garbage be one at new objects, once.

    By then most are Numba's own code, which stays: to look at it takes a twentieth of a first call.
    """
    if gc.get_freeze_count() == 0:  # else somebody has put objects aside, which would come back
        gc.freeze()
        gc.unfreeze()


def _unknown(argument: Any, method: str) -> TypeError:
    kind = f"{type(argument).__name__} of {argument.dtype}"
    return TypeError(f"Numba does not know an argument, {kind}; pass .{method} of it")


def _holds_dask_arrays(argument: Any) -> bool:
    if isinstance(argument, tuple):
        return any(map(_holds_dask_arrays, argument))
    return type(argument).__module__.startswith("dask.array")


def transform(plan: Any, chunk: Chunk, signature: inspect.Signature, cache: bool) -> Transform:
    """The transform of a plan: one and the same whenever it is asked for."""
    known = derived(plan.function, "transforms")
    key = plan, chunk, cache
    if key not in known:
        kind = Transform
        if config.DISABLE_JIT:
            from dualgrad.transforms.interpreted import Interpreted as kind
        known[key] = kind(plan, chunk, signature, cache)
    found: Transform = known[key]
    return found


class _KernelCompiler(_FunctionCompiler):
    """Writes the kernel for the types of a call, then compiles it like any function."""

    def __init__(self, usual: _FunctionCompiler, plan: Any, chunk: Any) -> None:
        super().__init__(
            usual.py_func, usual.targetdescr, usual.targetoptions, usual.locals,
            usual.pipeline_class,
        )  # fmt: skip
        self.plan, self.chunk = plan, chunk
        self._kernel: Any = None

    def _get_implementation(self, args: Any, kws: Any) -> Any:
        self._kernel = self._kernel or self.plan.build(args, self.chunk)
        return self._kernel

    def _compile_core(self, args: Any, return_type: Any) -> Any:
        self._kernel = None
        result = super()._compile_core(args, return_type)
        if getattr(self._kernel, "is_attempt", False):
            from dualgrad.transforms.batch_columns import in_vectors

            if not in_vectors(result.library.get_llvm_str()):
                self._kernel = replace(self.plan, apart=False).build(args, self.chunk)
                result = super()._compile_core(args, return_type)
        return result


def _stub(plan: Any, signature: inspect.Signature) -> Any:
    """A function that has a signature and no body: Numba asks it for its parameters."""
    defaults = {
        key: p.default for key, p in signature.parameters.items() if p.default is not p.empty
    }
    params = [
        f"{'*' if p.kind is p.VAR_POSITIONAL else ''}{key}"
        + (f"=defaults[{key!r}]" if key in defaults else "")
        for key, p in signature.parameters.items()
    ]
    namespace: dict[str, Any] = {"defaults": defaults}
    exec(f"def {plan.name}({', '.join(params)}): raise NotImplementedError", namespace)
    stub = namespace[plan.name]
    stub.__qualname__ = f"{plan.name}({plan.function.__name__})"
    stub.__doc__ = plan.function.__doc__
    return stub
