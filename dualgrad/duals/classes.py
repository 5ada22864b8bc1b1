"""`Dual` and `DualArray`: a number, or an array of them, with tangents."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba.core import types
from numpy.lib.mixins import NDArrayOperatorsMixin

from dualgrad.duals.convert import raw_of
from dualgrad.duals.storage import (
    is_dual,
    lifted,
    made,
    real_or_imag,
    tangent_of,
    type_of,
    value_of,
)
from dualgrad.errors import NotDifferentiable
from dualgrad.types import is_complex


class Duals(NDArrayOperatorsMixin):
    """What numbers and arrays have in common. NumPy's functions and operators take them."""

    __slots__ = ("_dualgrad_data",)
    _dualgrad_data: Any

    @property
    def value(self) -> Any:
        """The values: one level down, a view if they are real."""
        return wrapped(value_of(self._dualgrad_data))

    @property
    def numba_type(self) -> Any:
        """The type in compiled code."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape; that of a number is ``()``."""
        return self._dualgrad_data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._dualgrad_data.ndim

    @property
    def size(self) -> int:
        """The number of items."""
        return self._dualgrad_data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return plain(self).dtype

    @property
    def real(self) -> Any:
        """The real part."""
        return wrapped(real_or_imag(self._dualgrad_data, "real"))

    @property
    def imag(self) -> Any:
        """The imaginary part, a constant zero for real numbers."""
        return wrapped(real_or_imag(self._dualgrad_data, "imag"))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kws: Any) -> Any:
        from dualgrad.duals.ufuncs import called

        return called(ufunc, method, inputs, kws)

    def __array_function__(self, function: Any, types: Any, args: Any, kws: Any) -> Any:
        from dualgrad.duals.functions import called

        return called(function, args, kws)

    # NumPy's arrays square where `np.power` takes logarithms: values are to be the same.

    def __pow__(self, other: Any) -> Any:
        return _powered(self, other)

    def __rpow__(self, other: Any) -> Any:
        return _powered(other, self)

    def astype(
        self, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: bool = True,
        copy: bool = True,
    ) -> Any:  # fmt: skip
        """With values of another precision, or complex; whole numbers are constants."""
        dtype = np.dtype(dtype)
        value = self.value.astype(dtype, order, casting, subok, copy)
        if dtype.kind in "biu":
            return plain(value)
        return wrapped(
            made(raw_of(value), raw_of(wrapped(tangent_of(self._dualgrad_data)).astype(dtype)))
        )

    def __bool__(self) -> bool:
        return bool(plain(self))

    def __int__(self) -> int:
        return int(plain(self))

    def __float__(self) -> float:
        raise NotDifferentiable(
            "a dual number would lose its tangents as a float\n"
            "  way out: np.sin rather than math.sin; np.zeros_like(x) or dg.DualArray for an array "
            "that is written to; dg.value(d) to drop the tangents"
        )

    def __complex__(self) -> complex:
        return complex(float(self))

    def __copy__(self) -> Any:
        return wrapped(self._dualgrad_data.copy())

    def __deepcopy__(self, memo: Any) -> Any:
        return self.__copy__()

    def __reduce__(self) -> Any:
        return wrapped, (self._dualgrad_data,)


class Dual(Duals):
    """A number and its tangents.

    Parameters
    ----------
    value : float or complex
        The value; a `Dual` for a dual number over dual numbers.
    tangent : float or array_like
        One tangent, or several, of which each is the derivative in one direction.

    Raises
    ------
    TypeError
        If `value` or `tangent` are no numbers.
    ValueError
        If `value` is an array, or there is no tangent.

    Notes
    -----
    Numbers are NumPy's: ``1 / Dual(0.0, 1.0)`` is infinite. Comparisons, `bool` and `hash` look at
    the value; `float` raises, as the tangents would be lost.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> x = dg.Dual(3.0, [1.0, 0.0])
    >>> x * x + 1
    Dual(10.0, [6., 0.])
    >>> np.sqrt(1 + x)
    Dual(2.0, [0.25, 0.  ])
    """

    __slots__ = ()

    def __init__(self, value: Any, tangent: Any) -> None:
        values, tangents = raw_of(value), np.atleast_1d(raw_of(tangent))
        if values.ndim or tangents.ndim != 1:
            raise ValueError("dg.Dual: a number and a vector of tangents are expected")
        self._dualgrad_data = _checked("dg.Dual", values, tangents)

    @property
    def tangent(self) -> Any:
        """The tangents, a vector."""
        return wrapped(tangent_of(self._dualgrad_data))

    @property
    def numba_type(self) -> Any:
        """The type in compiled code."""
        return type_of(self._dualgrad_data.dtype)

    def __hash__(self) -> int:
        return hash(self.value)

    def __round__(self, digits: int | None = None) -> Any:
        number: Any = self
        return round(plain(self)[()]) if digits is None else np.round(number, digits)

    def __floor__(self) -> int:
        return int(np.floor(plain(self)))

    def __ceil__(self) -> int:
        return int(np.ceil(plain(self)))

    def __trunc__(self) -> int:
        return int(plain(self))

    def item(self) -> Dual:
        """Itself."""
        return self

    def __repr__(self) -> str:
        value = self.value
        text = repr(value if isinstance(value, Duals) else value.item())
        return f"Dual({text}, {_text(self.tangent, len(text) + 7)})"

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        value = self.value
        text = format(value if isinstance(value, Duals) else value.item(), spec)
        return f"Dual({text}, {_text(self.tangent, len(text) + 7, spec)})"


class DualArray(Duals):
    """An array of numbers and their tangents.

    Parameters
    ----------
    value : array_like
        The values, of some shape ``S``; a `DualArray` for dual numbers over dual numbers.
    tangents : array_like
        Their tangents, of shape ``S + (n,)``.

    Raises
    ------
    TypeError
        If `value` or `tangents` are no numbers.
    ValueError
        If the shapes do not fit, or there is no tangent.

    Notes
    -----
    The memory is that of an array of dual numbers in compiled code: a function of `@njit` works on
    it in place, and `value` and `tangents` are views of it (copies, if they are complex). The
    arrays given are copied.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> x = dg.DualArray([3.0, 4.0], [[1.0], [2.0]])
    >>> np.sum(x**2)
    Dual(25.0, [22.])
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any, tangents: Any) -> None:
        values, rows = raw_of(value), raw_of(tangents)
        if rows.shape[:-1] != values.shape or rows.ndim != values.ndim + 1:
            raise ValueError(
                f"dg.DualArray: for values of shape {values.shape} the tangents must have shape "
                f"{values.shape} + (n,), not {rows.shape}"
            )
        self._dualgrad_data = _checked("dg.DualArray", values, rows)

    @property
    def tangents(self) -> Any:
        """The tangents along a last axis."""
        return wrapped(tangent_of(self._dualgrad_data))

    @property
    def numba_type(self) -> Any:
        """The type in compiled code."""
        raw = self._dualgrad_data
        layout = "C" if raw.flags.c_contiguous else "F" if raw.flags.f_contiguous else "A"
        return _array_type(raw.dtype, raw.ndim, layout, not raw.flags.writeable)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, which can be set where the memory stays as it is."""
        return self._dualgrad_data.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        view = self._dualgrad_data.view()  # others may have the same memory
        view.shape = shape
        self._dualgrad_data = view

    @property
    def T(self) -> DualArray:
        """The transpose, a view."""
        return as_array(self._dualgrad_data.T)

    @property
    def flat(self) -> Any:
        """The items one after another."""
        return self.ravel()

    @property
    def flags(self) -> Any:
        """How the items lie in memory."""
        return self._dualgrad_data.flags

    def __array_wrap__(self, array: Any, *how: Any) -> Any:
        """What NumPy's own code, before NumPy 2, makes of its results."""
        return array

    __array_prepare__ = __array_wrap__

    def __len__(self) -> int:
        return len(self._dualgrad_data)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        return wrapped(self._dualgrad_data[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        raw = self._dualgrad_data
        raw[index] = lifted(raw_of(value), type_of(raw.dtype))

    def __ipow__(self, other: Any) -> Any:
        self[...] = self**other
        return self

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def reshape(self, *shape: Any, **kws: Any) -> DualArray:
        """The same items in another shape, a view where NumPy gives one."""
        return as_array(self._dualgrad_data.reshape(*shape, **kws))

    def transpose(self, *axes: Any) -> DualArray:
        """The axes in another order, a view."""
        return as_array(self._dualgrad_data.transpose(*axes))

    def ravel(self, order: Any = "C") -> DualArray:
        """The items in a row, a view where NumPy gives one."""
        return as_array(self._dualgrad_data.ravel(order))

    def flatten(self, order: Any = "C") -> DualArray:
        """The items in a row, a copy."""
        return as_array(self._dualgrad_data.flatten(order))

    def copy(self, order: Any = "C") -> DualArray:
        """A copy."""
        return as_array(self._dualgrad_data.copy(order))

    def fill(self, value: Any) -> None:
        """Set all items."""
        self[...] = value

    def sort(self, axis: int = -1) -> None:
        """Sort by value, in place."""
        array: Any = self
        self[...] = np.sort(array, axis)

    def partition(self, kth: Any, axis: int = -1) -> None:
        """Sort by value in part, in place."""
        array: Any = self
        self[...] = np.partition(array, kth, axis)

    def item(self, *index: Any) -> Any:
        """One item as a number."""
        if not index and self.size != 1:
            raise ValueError("item: the array has not just one item")
        at = np.unravel_index(*index, self.shape) if len(index) == 1 else index
        return self[at] if index else self.ravel()[0]

    def tolist(self) -> Any:
        """Nested lists of numbers."""
        return [it.tolist() if isinstance(it, DualArray) else it for it in self]

    def __repr__(self) -> str:
        return f"DualArray({_text(self.value, 10)},\n          {_text(self.tangents, 10)})"


#: Methods that are the NumPy function of their name.
_METHODS = (
    "all any argmax argmin argsort clip compress cumprod cumsum diagonal dot max mean min nonzero "
    "prod repeat round searchsorted squeeze std sum swapaxes take trace var"
).split()


def _method(name: str) -> Any:
    function = getattr(np, name)

    def method(self: Any, *args: Any, **kws: Any) -> Any:
        return function(self, *args, **kws)

    method.__name__, method.__doc__ = name, f"``np.{name}`` of the array."
    return method


for _name in _METHODS:
    setattr(DualArray, _name, _method(_name))
for _name in (*_METHODS, "copy", "ravel", "reshape", "transpose"):
    setattr(Dual, _name, _method(_name))

# In an array of objects, such as `np.array([x, y])` makes of numbers, NumPy asks each for a method.
for _name, _ufunc in vars(np).items():  # `dir` would have NumPy import all of its modules
    if isinstance(_ufunc, np.ufunc) and _ufunc.nin == 1 and not hasattr(Dual, _name):
        setattr(Dual, _name, _method(_name))
# A number is not changed by `x += 1`: x becomes another one.
for _name in "add sub mul truediv floordiv mod pow".split():
    setattr(Dual, f"__i{_name}__", getattr(Duals, f"__{_name}__"))
for _kind in (Dual, DualArray):
    for _name in ("conj", "conjugate"):
        setattr(_kind, _name, _method(_name))


def seed(x: Any) -> Any:
    """A point as dual numbers whose tangents are the identity: those of its own coordinates.

    Parameters
    ----------
    x : float or array_like
        The point.

    Returns
    -------
    Dual or DualArray
        For an array of shape ``S`` with `n` items the tangents have shape ``S + (n,)``, those of
        the items in C order. A number has one tangent, 1.

    Raises
    ------
    TypeError
        If `x` is no number or array of real numbers.
    ValueError
        If `x` has no items.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> x, y = dg.seed([3.0, 4.0])
    >>> np.hypot(x, y)
    Dual(5.0, [0.6, 0.8])
    """
    raw = raw_of(x)
    ty = type_of(raw.dtype)
    if is_complex(ty):
        raise TypeError("dg.seed: x is complex; seed its real and imaginary parts instead")
    rows = np.eye(raw.size).reshape(raw.shape + (raw.size,))
    return wrapped(_checked("dg.seed", raw, lifted(rows, ty)))


def _checked(name: str, values: Any, tangents: Any) -> Any:
    if tangents.shape[-1] == 0:
        raise ValueError(f"{name}: there must be at least one tangent")
    type_of(values.dtype), type_of(tangents.dtype)
    return made(values, tangents)


def wrapped(raw: Any) -> Any:
    """What users see: of duals a `Dual` or `DualArray`, of plain numbers a number or an array."""
    if raw.dtype.names is None:
        return raw if getattr(raw, "ndim", 0) else raw[()]
    return as_array(raw) if raw.ndim else as_number(raw)


def as_array(raw: Any) -> DualArray:
    """The `DualArray` of an array of duals, also of one without axes."""
    array = DualArray.__new__(DualArray)
    array._dualgrad_data = raw
    return array


def as_number(raw: Any) -> Dual:
    """The `Dual` of an array without axes or an item of an array, which is copied."""
    number = Dual.__new__(Dual)
    number._dualgrad_data = np.array(raw, raw.dtype)
    return number


@functools.cache
def _array_type(dtype: np.dtype[Any], ndim: int, layout: str, readonly: bool) -> types.Array:
    return types.Array(type_of(dtype), ndim, layout, readonly)


def plain(x: Any) -> Any:
    """The values at the bottom."""
    raw = raw_of(x)
    while is_dual(raw):
        raw = value_of(raw)
    return raw


def _powered(x: Any, y: Any) -> Any:
    from dualgrad.duals.ufuncs import evaluated

    return evaluated(np.power, (x, y), operator.pow)


def _text(x: Any, indent: int, spec: str = "") -> str:
    if isinstance(x, Duals):
        return repr(x).replace("\n", "\n" + " " * indent)
    how: Any = {"all": lambda item: format(item, spec)} if spec else None
    return np.array2string(np.asarray(x), separator=", ", prefix=" " * indent, formatter=how)
