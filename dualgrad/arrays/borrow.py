"""Numba's own overload of a function for floats, compiled for duals.

Many overloads choose their code by the dtype: they raise on one they do not know or, worse, take
a branch that is not the one for floats (nan is handled there). Asked with float types they give
the code for floats; all it lacks is the dual type where it names the dtype of a result.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core import types
from numba.core.errors import NumbaNotImplementedError
from numba.extending import overload, overload_attribute, register_jitable
from numba.np.numpy_support import from_dtype

from dualgrad.calls import join
from dualgrad.types import DualType, over, primal


def floats(ty: Any) -> Any:
    """The type of an argument with each dual replaced by the float at its bottom."""
    if isinstance(ty, DualType):
        return primal(ty)
    if isinstance(ty, (types.Array, types.List)):
        return ty.copy(dtype=floats(ty.dtype))
    if isinstance(ty, types.NumberClass):
        return types.NumberClass(floats(ty.instance_type))
    if isinstance(ty, types.DType):
        return types.DType(floats(ty.dtype))
    if isinstance(ty, types.BaseTuple) and any(True for _ in duals(ty)):
        return types.Tuple([floats(item) for item in ty])
    return ty


def duals(ty: Any) -> Iterator[DualType]:
    """The dual types in the type of an argument."""
    if isinstance(ty, DualType):
        yield ty
    elif isinstance(ty, (types.Array, types.List, types.DType)):
        yield from duals(ty.dtype)
    elif isinstance(ty, types.NumberClass):
        yield from duals(ty.instance_type)
    elif isinstance(ty, types.BaseTuple):
        for item in ty:
            yield from duals(item)


def level_of(*args: Any) -> DualType | None:
    """The deepest dual type in the types of some arguments, None if there is no dual."""
    return join([dual for ty in args for dual in duals(ty)])


def dual_overload(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register an overload of `functions` that is tried before Numba's own.

    It is asked only if there is a dual among the arguments, and declines by returning None.
    """

    def decorate(typer: Callable[..., Any]) -> Callable[..., Any]:
        def for_duals(*args: Any, **kws: Any) -> Any:
            if level_of(*args, *kws.values()) is None:
                return None
            implementation = typer(*args, **kws)
            if implementation is not None:
                implementation.__annotations__ = {}
            return implementation

        # Numba wants both signatures to be equal, down to the annotations.
        parameters = inspect.signature(typer).parameters.values()
        for_duals.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [it.replace(annotation=it.empty) for it in parameters]
        )
        for function in functions:
            overload(function, target="cpu")(for_duals)
        return typer

    return decorate


def borrow(overload_function: Callable[..., Any], *functions: Any, helpers: str = "") -> None:
    """Let `functions` be, for duals, what Numba's `overload_function` is for floats.

    `helpers` names those of its helpers that make arrays of floats: `np.float64` and the dtypes
    that NumPy takes by default are those of duals in them.
    """

    @dual_overload(*functions)
    @functools.wraps(overload_function)
    def typer(*args: Any, **kws: Any) -> Any:
        level = level_of(*args, *kws.values())
        assert level is not None
        implementation = overload_function(
            *map(floats, args), **{name: floats(ty) for name, ty in kws.items()}
        )
        return None if implementation is None else _with_duals(implementation, level, names)

    names = helpers.split()


def _with_duals(function: Any, dual: DualType, helpers: list[str]) -> Any:
    """A closure with duals for the float dtypes that it closes over, and so its `helpers`."""
    names = function.__globals__
    if helpers:
        names = {**names, "np": _numpy_of(over(dual, types.float64))}

    def renewed(value: Any) -> Any:
        ty = _as_type(value)
        if isinstance(ty, (types.Float, types.Complex)):
            return over(dual, ty)
        if isinstance(value, FunctionType) and value.__name__ in helpers:
            return register_jitable(copied(value))
        return value

    def copied(function: Any) -> Any:
        cells = tuple(CellType(renewed(cell.cell_contents)) for cell in function.__closure__ or ())
        copy = FunctionType(
            function.__code__, names, function.__name__, function.__defaults__, cells
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        return copy

    for name in helpers:  # they call each other by name
        if name in names:
            names[name] = renewed(names[name])
    return copied(function)


@functools.cache
def _numpy_of(dual: Any) -> ModuleType:
    """NumPy with `dual` for its `float64`, which is what it fills new arrays with."""
    module = ModuleType(f"numpy of {dual}")
    module.__dict__.update(vars(np), float64=dual)
    for name in ("empty", "zeros", "ones"):
        module.__dict__[name] = _by_default(getattr(np, name), dual)

    @register_jitable
    def full(shape, fill_value, dtype=dual):  # type: ignore[no-untyped-def]
        return np.full(shape, fill_value, dtype)

    module.__dict__["full"] = full
    return module


def _by_default(function: Any, dual: Any) -> Any:
    """A function of NumPy that makes an array of duals where it is given no dtype."""
    return register_jitable(lambda shape, dtype=dual: function(shape, dtype))


def _as_type(value: Any) -> types.Type | None:
    """The Numba type that a value names as a dtype; None for any other value."""
    if isinstance(value, types.Type):
        return value
    if not isinstance(value, np.dtype) and not (
        isinstance(value, type) and issubclass(value, np.generic)
    ):
        return None
    try:
        return from_dtype(np.dtype(value))
    except NumbaNotImplementedError:
        return None


@overload_attribute(types.NumberClass, "type")
def _type(dtype):  # type: ignore[no-untyped-def]
    """`dtype.type`, as Numba's overloads write it, where the dtype is a dual type."""
    return lambda dtype: dtype
