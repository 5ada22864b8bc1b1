"""What a transform refuses, in one or two lines: what came, what was expected, what to do."""

from __future__ import annotations

from numba.core import types

from dualgrad.compile.explain import readable
from dualgrad.types import DualType, is_complex


def differentiable(ty: types.Type, name: str) -> types.Type:
    """The scalar type, possibly dual, in which to differentiate by an argument of type `ty`."""
    if isinstance(ty, types.Omitted):
        raise TypeError(f"argument {name!r} is left at its default; pass it to differentiate by it")
    item = ty.dtype if isinstance(ty, types.Array) else types.unliteral(ty)
    if is_complex(item):
        raise TypeError(
            f"argument {name!r} is complex; differentiate by its real and imaginary parts instead"
        )
    if isinstance(item, (types.Float, DualType)):
        return item
    if isinstance(item, (types.Integer, types.Boolean)):
        return types.float64
    raise TypeError(
        f"argument {name!r} has type {ty}; a transform differentiates by numbers and arrays of "
        "numbers (see argnums)"
    )


#: For functions that return numbers, and what to use for others.
_INSTEAD = {"grad": "dg.jacobian", "hvp": "dg.jvp of dg.jacobian"}


def check_outputs(name: str, result: types.Type, items: list[types.Type]) -> None:
    """Refuse a kind of result that a transform is not for."""
    if isinstance(result, types.NoneType):
        raise TypeError(
            f"dg.{name}: the function returns None; return the result, or name the argument "
            "that it writes the result to with out_argnum="
        )
    numbers = [ty.dtype if isinstance(ty, types.Array) else ty for ty in items]
    for ty, item in zip(items, numbers, strict=True):
        if not isinstance(item, (types.Number, types.Boolean)):
            within = "a tuple with " if isinstance(result, types.BaseTuple) else ""
            raise TypeError(
                f"dg.{name}: the function returns {within}{readable(str(ty))}; expected are "
                "numbers, arrays of numbers, or a tuple of them"
            )
    scalar = isinstance(result, (types.Number, types.Boolean))
    if name in _INSTEAD and not scalar:
        raise TypeError(
            f"dg.{name}: the function must return a number, and returns "
            f"{readable(str(result))}; use {_INSTEAD[name]}"
        )
    if name in ("grad", "hessian", "hvp") and any(is_complex(it) for it in numbers):
        raise TypeError(
            f"dg.{name}: the function returns complex numbers; return real or imaginary parts"
        )
    if name == "jacobian" and scalar:
        raise TypeError(
            "dg.jacobian: the function must return an array, and returns a number; use dg.grad"
        )


def check_out(ty: types.Type, dtype: types.Type, ndim: int, shape: str) -> None:
    """Refuse an `out` that cannot take the result."""
    if not isinstance(ty, types.Array):
        raise TypeError(f"out: an array of {dtype} is expected, not {ty}")
    if ty.dtype != dtype:
        raise TypeError(f"out: its dtype must be that of the result, {dtype}, not {ty.dtype}")
    if ty.ndim != ndim:
        raise ValueError(f"out: it must have {ndim} dimensions, those of {shape}, not {ty.ndim}")
    if not ty.mutable:
        raise TypeError("out: the array is read-only")
