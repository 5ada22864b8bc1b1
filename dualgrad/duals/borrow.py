"""NumPy's own code, run on duals.

Most functions of NumPy are Python code that calls a few others, which take duals. Only where it
makes arrays, as by `np.asarray` or `np.empty`, it takes plain numbers for granted: a copy of the
code calls functions in their place that know duals.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy
from numba.np.numpy_support import from_dtype

from dualgrad.duals.classes import Dual, as_array, plain, wrapped
from dualgrad.duals.convert import raw_of
from dualgrad.duals.formulas import holds_dual, leaves_of, type_of_all
from dualgrad.duals.storage import dtype_of
from dualgrad.types import over

np: Any = numpy  # whose type hints know nothing of duals


def borrowed(function: Any) -> Callable[..., Any]:
    """What NumPy's code of a function does with duals."""
    original = inspect.unwrap(function)

    def run(*args: Any, keepdims: Any = None, **kws: Any) -> Any:
        # the axes that are kept are those of the value
        names = _numpy_of(type_of_all((args, kws)))
        named = {key: _in_array(it) for key, it in kws.items()}
        return names.copied(original)(*map(_in_array, args), **named)

    return run


def _in_array(it: Any) -> Any:
    """A list of numbers, of which some are duals, as an array."""
    numbers = (Dual, int, float, complex, np.number)
    in_list = isinstance(it, (list, tuple)) and holds_dual(it)
    return _array(it) if in_list and all(isinstance(x, numbers) for x in leaves_of(it)) else it


class _NumPy:
    """The modules of NumPy; what makes arrays there makes those of a type of duals."""

    def __init__(self, ty: Any) -> None:
        self._makers = _makers(ty)
        self._modules: dict[str, dict[str, Any]] = {}

    def copied(self, function: Any) -> Any:
        """A function that calls these."""
        names = self._names(function.__globals__)
        copy = FunctionType(
            function.__code__, names, function.__name__, function.__defaults__, function.__closure__
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        return copy

    def _names(self, module: dict[str, Any]) -> dict[str, Any]:
        name = module["__name__"]
        if name not in self._modules:
            names = self._modules[name] = dict(module)
            if name.startswith(_LIBRARY):
                names.update((key, self._member(it)) for key, it in module.items())
            names.update((key, make) for key, make in self._makers.items() if key in module)
        return self._modules[name]

    def _member(self, it: Any) -> Any:
        """A module that makes arrays, or a helper."""
        if isinstance(it, ModuleType) and hasattr(it, "asanyarray"):
            module = ModuleType(it.__name__)
            module.__dict__.update(self._names(vars(it)))
            return module
        if isinstance(it, FunctionType) and it.__module__.startswith(_LIBRARY):
            return self.copied(it)
        return it


#: Where NumPy has the functions that are Python code.
_LIBRARY = (
    "numpy.lib.", "numpy.linalg.", "numpy._core.fromnumeric", "numpy._core.function_base",
    "numpy.core.fromnumeric", "numpy.core.function_base",  # before NumPy 2
)  # fmt: skip

_numpy_of = functools.lru_cache(maxsize=16)(_NumPy)


def _makers(ty: Any) -> dict[str, Any]:
    """By their names in NumPy, what makes arrays of duals unless they are to hold integers."""

    def empty(shape: Any, dtype: Any = float, order: Any = "C", **kws: Any) -> Any:
        dtype = np.dtype(dtype)
        if dtype.kind not in "fc":
            return np.zeros(shape, dtype, order)
        return as_array(np.zeros(shape, dtype_of(over(ty, from_dtype(dtype))), order))

    def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", **kws: Any) -> Any:
        new = empty(shape, np.result_type(fill_value) if dtype is None else dtype, order)
        new[...] = fill_value
        return new

    def ones(shape: Any, dtype: Any = float, order: Any = "C", **kws: Any) -> Any:
        return full(shape, 1, dtype, order)

    def empty_like(a: Any, dtype: Any = None, shape: Any = None, **kws: Any) -> Any:
        return empty(np.shape(a) if shape is None else shape, a.dtype if dtype is None else dtype)

    return {
        "empty": empty, "zeros": empty, "ones": ones, "full": full,
        "empty_like": empty_like, "zeros_like": empty_like,
        "array": _array, "asarray": _as_array, "asanyarray": _as_array,
        "ascontiguousarray": _as_array, "_array_converter": _Converter,
        "compiled_interp": _interp, "compiled_interp_complex": _interp, "_lerp": _lerp,
        "_makearray": _make_array,
    }  # fmt: skip


def _array(a: Any, dtype: Any = None, copy: Any = True, *, ndmin: int = 0, **kws: Any) -> Any:
    if not holds_dual(a):
        return np.array(a, dtype, copy=copy, ndmin=ndmin, **kws)
    array = _as_array(a, dtype)
    array = array.copy() if copy and hasattr(a, "_dualgrad_data") else array
    return array.reshape((1,) * (ndmin - array.ndim) + array.shape)


def _as_array(a: Any, dtype: Any = None, order: Any = None, **kws: Any) -> Any:
    if not holds_dual(a):
        return np.asarray(a, dtype, order)
    array = as_array(raw_of(a))
    return array if dtype is None else array.astype(dtype)


class _Converter:
    """NumPy's own, which makes arrays and turns results back to what was given."""

    def __init__(self, *args: Any) -> None:
        self._arrays = tuple(map(_as_array, args))

    def __getitem__(self, k: int) -> Any:
        return self._arrays[k]

    def as_arrays(self, subok: bool = True) -> Any:
        return self._arrays

    def result_type(self, extra_dtype: Any = None, ensure_inexact: bool = False) -> Any:
        more = [extra_dtype] * (extra_dtype is not None) + [1.0] * ensure_inexact
        return np.result_type(*self._arrays, *more)

    def wrap(self, array: Any, to_scalar: Any = None) -> Any:
        return wrapped(raw_of(array))


def _make_array(a: Any) -> Any:
    """With what turns results to the class of an argument."""
    return _as_array(a), _as_array


def _lerp(a: Any, b: Any, t: Any, out: Any = None) -> Any:
    """Without the care that NumPy takes of the last bit of the value."""
    return a + (b - a) * t


def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """NumPy has this in C. At the sample points the slope is that to their right."""
    x, xp, fp = (_as_array(it) for it in (x, xp, fp))
    at, points = plain(x), plain(xp)
    if not at.size:
        return x
    k = np.clip(np.searchsorted(points, at, "right") - 1, 0, len(points) - 1)
    following = np.minimum(k + 1, len(points) - 1)
    inside = (points[0] <= at) & (at < points[-1])
    width = np.where(inside, xp[following] - xp[k], 1.0)
    y = fp[k] + np.where(inside, (x - xp[k]) * ((fp[following] - fp[k]) / width), 0.0)
    y = y if left is None else np.where(at < points[0], left, y)
    return y if right is None else np.where(at > points[-1], right, y)
