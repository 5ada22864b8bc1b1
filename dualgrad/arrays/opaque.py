"""Functions whose every result is taken to depend on all they are given, in patterns."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic, overload
from numba.np import linalg

from dualgrad.arrays.borrow import dual_overload, level_of
from dualgrad.arrays.linalg.parts import array_like, with_value
from dualgrad.arrays.products import value_part, zero
from dualgrad.generated import generated
from dualgrad.types import DualType, PatternType, depth, is_complex, real_of


def opaque(function: Any, signature: str) -> None:
    """Let every result of a function depend on all its arguments where they are patterns."""
    names = [part.split("=")[0] for part in signature.split(", ")]
    values = ", ".join(f"below({name}, level)" for name in names)
    source = f"lambda {signature}: spread(function({values}), together(({', '.join(names)},)))"

    def typer(*args: Any, **kws: Any) -> Any:
        level = level_of(*args, *kws.values())
        if not isinstance(level, PatternType):
            return None
        return generated(source, **_NAMES, function=function, level=level)

    typer.__signature__ = inspect.signature(  # type: ignore[attr-defined]
        eval(f"lambda {signature}: None")
    )
    dual_overload(function)(typer)


def below(x: Any, level: Any) -> Any:
    """The value of an argument, one level down, in the same layout."""
    raise NotImplementedError("only for compiled code")


@overload(below, strict=False)
def _below(x: Any, level: Any) -> Any:
    dual = level.instance_type
    if isinstance(x, types.Array) and depth(x.dtype) == dual.depth:
        return lambda x, level: value_part(x, level)
    if isinstance(x, types.BaseTuple):
        items = ", ".join(f"below(x[{k}], level)" for k in range(len(x)))
        source = f"lambda x, level: ({items},)" if len(x) else "lambda x, level: ()"
        return generated(source, **_NAMES)
    if isinstance(x, DualType) and depth(x) == dual.depth:
        return lambda x, level: _base_of(x)
    return lambda x, level: x


@intrinsic
def _base_of(typingctx: Any, x: Any) -> Any:
    return x.base(x), lambda context, builder, sig, args: builder.extract_value(args[0], 0)


def together(arguments: Any) -> Any:
    """A number that depends on whatever one of the arguments does, and on all pairs of those."""
    raise NotImplementedError("only for compiled code")


@overload(together, strict=False)
def _together(arguments: Any) -> Any:
    level: Any = real_of(level_of(arguments))

    def together(arguments: Any) -> Any:
        total = _collected(arguments, zero(level))
        return total * total

    return together


def _collected(x: Any, total: Any) -> Any:
    raise NotImplementedError("only for compiled code")


@overload(_collected, strict=False)
def _collect(x: Any, total: Any) -> Any:
    if isinstance(x, types.BaseTuple):
        if not len(x):
            return lambda x, total: total
        return lambda x, total: _collected(x[1:], _collected(x[0], total))
    if isinstance(x, DualType):
        if is_complex(x):
            return lambda x, total: total + x.real + x.imag
        return lambda x, total: total + x
    if isinstance(x, types.Array) and isinstance(x.dtype, DualType):

        def of_array(x: Any, total: Any) -> Any:
            for item in x.flat:
                total = _collected(item, total)
            return total

        return of_array
    return lambda x, total: total


def spread(y: Any, total: Any) -> Any:
    """A result with what a number depends on."""
    raise NotImplementedError("only for compiled code")


@overload(spread, strict=False)
def _spread_over(y: Any, total: Any) -> Any:
    if isinstance(y, types.BaseTuple):
        items = ", ".join(f"spread(y[{k}], total)" for k in range(len(y)))
        return generated(f"lambda y, total: ({items},)", **_NAMES)
    item = y.dtype if isinstance(y, types.Array) else y
    if is_complex(item):
        return lambda y, total: _put(y, total * (1.0 + 1.0j))
    if isinstance(item, (types.Float, DualType)):
        return lambda y, total: _put(y, total)
    return lambda y, total: y


def _put(y: Any, total: Any) -> Any:
    raise NotImplementedError("only for compiled code")


@overload(_put, strict=False)
def _put_in(y: Any, total: Any) -> Any:
    if not isinstance(y, types.Array):
        return lambda y, total: with_value(total, y)
    item = total.over(y.dtype)

    def into_array(y: Any, total: Any) -> Any:
        result = array_like(y, item)
        for index in np.ndindex(y.shape):
            result[index] = with_value(total, y[index])
        return result

    return into_array


_NAMES = {"below": below, "together": together, "spread": spread}

for _function, _signature in (
    (np.linalg.solve, "a, b"), (np.linalg.inv, "a"), (np.linalg.det, "a"),
    (np.linalg.slogdet, "a"), (np.linalg.cholesky, "a"), (np.linalg.qr, "a"),
    (np.linalg.eigh, "a"), (np.linalg.eigvalsh, "a"), (np.linalg.eig, "a"),
    (np.linalg.eigvals, "a"), (np.linalg.svd, "a, full_matrices=1"),
    (np.linalg.pinv, "a, rcond=1.0e-15"), (np.linalg.lstsq, "a, b, rcond=-1.0"),
    (linalg._compute_singular_values, "a"), (linalg._oneD_norm_2, "a"),
):  # fmt: skip
    opaque(_function, _signature)
