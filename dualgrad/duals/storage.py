"""Duals in NumPy's memory: structured arrays, laid out as compiled code lays out its duals.

The fields `value` and `tangent` of a structured array are views of shape ``S`` and ``S + (n,)``. A
complex dual is in memory its real and its imaginary part, each a dual, and its value and tangents
are put together when they are asked for. Fields of duals of duals are structured in turn.

Arrays here are plain ndarrays, structured ones for duals: the classes are one floor up.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
from numba.core import types
from numba.np.numpy_support import as_dtype, from_dtype

from dualgrad.types import DualType, complex_of, depth, is_complex, real_of

_PRECISE = frozenset(map(np.dtype, ("f4", "f8", "c8", "c16")))


@functools.cache
def dtype_of(ty: types.Type) -> np.dtype[Any]:
    """The dtype of numbers, or duals, of a type."""
    if not isinstance(ty, DualType):
        return np.dtype(as_dtype(ty))
    if is_complex(ty):
        return np.dtype([(name, dtype_of(real_of(ty))) for name in ("real", "imag")])
    base = dtype_of(ty.base)
    return np.dtype([("value", base), ("tangent", base, (ty.n,))])


@functools.cache
def type_of(dtype: np.dtype[Any]) -> Any:
    """The type of numbers, or duals, of a dtype; integers and booleans count as float64."""
    if dtype.names == ("real", "imag"):
        return complex_of(type_of(dtype["real"]))
    if dtype.names == ("value", "tangent"):
        item, (n,) = dtype["tangent"].subdtype  # type: ignore[misc]
        return DualType(type_of(item), n)
    if dtype in _PRECISE:
        return from_dtype(dtype)
    if dtype.kind in "biu":
        return types.float64
    raise TypeError(f"dual numbers are made of float32, float64 or complex numbers, not {dtype}")


def is_dual(raw: Any) -> bool:
    """Whether an array is one of duals."""
    return raw.dtype.names is not None


def value_of(raw: Any) -> Any:
    """The value of each dual, one level down: a view, unless it is complex."""
    return _part(raw, "value")


def tangent_of(raw: Any) -> Any:
    """The tangents of each dual, along a last axis: a view, unless they are complex."""
    return _part(raw, "tangent")


def _part(raw: Any, name: str) -> Any:
    if raw.dtype.names != ("real", "imag"):
        return raw[name]
    return joined(*(_part(raw[it], name) for it in ("real", "imag")))


def joined(real: Any, imag: Any) -> Any:
    """The complex numbers with these parts."""
    whole = np.empty(real.shape, dtype_of(complex_of(type_of(real.dtype))))
    for name, part in (("real", real), ("imag", imag)):
        real_or_imag(whole, name)[...] = part
    return whole


def real_or_imag(raw: Any, name: str) -> Any:
    """The real parts, or imaginary ones, as a view; reals have imaginary parts of zero."""
    if not is_dual(raw):
        return getattr(raw, name)
    if raw.dtype.names == ("real", "imag"):
        return raw[name]
    return raw if name == "real" else np.zeros(raw.shape, raw.dtype)


def made(value: Any, tangent: Any) -> Any:
    """New duals with these values, and tangents along a last axis, of the precision of values."""
    ty = _type_with(type_of(value.dtype), type_of(tangent.dtype), tangent.shape[-1])
    raw = np.empty(value.shape, dtype_of(ty))
    _fill(raw, lifted(value, ty.base), lifted(tangent, ty.base))
    return raw


@functools.cache  # types of Numba are slow to make
def _type_with(base: Any, other: Any, n: int) -> DualType:
    """The type of duals with values of one type and `n` tangents of another."""
    if depth(other) > depth(base):
        base = common((base, other))
    elif is_complex(other):
        base = complex_of(base)
    return DualType(base, n)


def _fill(raw: Any, value: Any, tangent: Any) -> None:
    if raw.dtype.names == ("real", "imag"):
        for name in ("real", "imag"):
            _fill(raw[name], real_or_imag(value, name), real_or_imag(tangent, name))
    else:
        raw["value"] = value
        raw["tangent"] = tangent


def common(tys: Iterable[Any]) -> Any:
    """The type that can hold numbers of all of some types."""
    return _common(frozenset(tys))


@functools.cache
def _common(tys: frozenset[Any]) -> Any:
    level = max(depth(ty) for ty in tys)
    if level == 0:
        return type_of(np.result_type(*map(dtype_of, tys)))
    counts = {ty.n for ty in tys if depth(ty) == level}
    if len(counts) > 1:
        raise TypeError(f"dual numbers with {' and '.join(map(str, sorted(counts)))} tangents meet")
    return DualType(common(ty.base if depth(ty) == level else ty for ty in tys), *counts)


def lifted(raw: Any, ty: Any) -> Any:
    """An array as one of a type, in which plain numbers have tangent zero."""
    if raw.dtype == dtype_of(ty):
        return raw
    own = type_of(raw.dtype)
    if depth(own) > depth(ty):
        raise TypeError("a place for plain numbers cannot hold a dual number")
    common((own, ty))  # raises for different numbers of tangents
    if is_complex(own) and not is_complex(ty):
        raise TypeError("a place for real numbers cannot hold a complex one")
    if not isinstance(ty, DualType):
        return raw.astype(dtype_of(ty))
    target = np.zeros(raw.shape, dtype_of(ty))
    if depth(own) < ty.depth:
        value, tangent = raw, np.zeros(raw.shape + (ty.n,), dtype_of(ty.base))
    else:
        value, tangent = value_of(raw), tangent_of(raw)
    _fill(target, lifted(value, ty.base), lifted(tangent, ty.base))
    return target
