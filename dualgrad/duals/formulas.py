"""Functions whose value NumPy computes, and whose tangents a formula has.

So values are those of NumPy to the last bit, and what is wrong with a call is said by NumPy itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy

from dualgrad.duals.classes import Duals, plain
from dualgrad.duals.convert import raw_of
from dualgrad.duals.storage import common, is_dual, real_or_imag, tangent_of, type_of
from dualgrad.duals.ufuncs import dual, split
from dualgrad.errors import NotDifferentiable

np: Any = numpy  # whose type hints know nothing of duals


def with_value(function: Any, formula: Callable[..., Any]) -> Any:
    """A formula that gives the tangents of a function, whose value is computed by NumPy."""

    def evaluated(*args: Any, **kws: Any) -> Any:
        everything = (args, kws)
        leaves = leaves_of(everything)
        values, _ = split(leaves)
        plain_args, plain_kws = rebuilt(everything, iter(values))
        y = function(*plain_args, **plain_kws)
        ty = type_of_all(leaves)
        try:
            with np.errstate(all="ignore"):
                return _replaced(formula(*args, **kws), y, ty)
        except NotDifferentiable:
            raise
        except (TypeError, AttributeError, NotImplementedError) as error:
            raise NotDifferentiable(
                f"{name_of(function)} has no derivative rule for dual numbers with these arguments"
                "\n  way out: write it with functions that have one, or give it one with "
                "dg.custom_jvp"
            ) from error

    return evaluated


def name_of(function: Any) -> str:
    """The name users know a function of NumPy by."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{function.__name__}"
    module = function.__module__.removeprefix("numpy").removeprefix(".")
    return ".".join(it for it in ("np", module, function.__name__) if it)


def holds_dual(it: Any) -> bool:
    """Whether an argument is a dual, or holds one."""
    if isinstance(it, dict):
        it = tuple(it.values())
    return any(map(holds_dual, it)) if isinstance(it, (list, tuple)) else isinstance(it, Duals)


def type_of_all(it: Any) -> Any:
    """The type of duals that can hold each of those in arguments."""
    return common(type_of(raw_of(leaf).dtype) for leaf in leaves_of(it) if isinstance(leaf, Duals))


def leaves_of(it: Any) -> list[Any]:
    """What is in nested lists, tuples and dictionaries."""
    if isinstance(it, dict):
        it = tuple(it.values())
    return (
        [leaf for item in it for leaf in leaves_of(item)] if isinstance(it, (list, tuple)) else [it]
    )


def rebuilt(it: Any, leaves: Iterator[Any]) -> Any:
    """The same lists, tuples and dictionaries with other leaves."""
    if isinstance(it, dict):
        return {key: rebuilt(item, leaves) for key, item in it.items()}
    if isinstance(it, tuple) and hasattr(it, "_fields"):
        return type(it)(*[rebuilt(item, leaves) for item in it])
    if isinstance(it, (list, tuple)):
        return type(it)([rebuilt(item, leaves) for item in it])
    return next(leaves)


def _replaced(result: Any, y: Any, ty: Any) -> Any:
    """Results with other values; those that are no real or complex numbers have no tangents."""
    if isinstance(y, (list, tuple)):
        items = [_replaced(*it, ty) for it in zip(result, y, strict=True)]
        return type(y)(*items) if hasattr(y, "_fields") else type(y)(items)
    own = raw_of(result)
    if not is_dual(own) or type_of(own.dtype).depth < ty.depth:
        return dual(y, None, ty.n)  # a constant
    tangent = tangent_of(own).reshape(np.shape(y) + (ty.n,))
    real = plain(y).dtype.kind == "f"  # a cast may take the imaginary part away
    return dual(y, real_or_imag(tangent, "real") if real else tangent, ty.n)
