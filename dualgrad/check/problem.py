"""What is differentiated: a function at a point, and by which of its directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


def copied(argument: Any) -> Any:
    """The argument, or a copy where a callee could write to it."""
    return argument.copy() if isinstance(argument, np.ndarray) else argument


def as_point(x: Any) -> Any:
    """A real floating-point number or array, as a transform would make of `x`."""
    kind = np.asarray(x).dtype.kind
    if kind not in "biuf":
        raise TypeError(f"dg.check: the point must hold real numbers, not {np.asarray(x).dtype}")
    if np.ndim(x) == 0 and not isinstance(x, np.ndarray):
        return x if kind == "f" else float(x)
    array = np.asarray(x)
    return array if kind == "f" else array.astype(float)


@dataclass(frozen=True)
class Problem:
    """The derivative of `f` by its first argument at `x`, of order one or two.

    With `v` it is taken along that direction alone, twice for order two; with `u` it is that of
    the number ``sum(u * f(x))``.
    """

    f: Callable[..., Any]
    x: Any
    args: tuple[Any, ...] = ()
    order: int = 1
    v: Any = None
    u: Any = None
    y: np.ndarray = field(init=False)  # the value at x

    def __post_init__(self) -> None:
        y = np.asarray(self.call(self.x))
        if y.dtype.kind not in "biufc":
            raise TypeError(
                f"dg.check: the function must return numbers or an array of them, not {y.dtype}"
            )
        object.__setattr__(self, "y", y)
        for name, vector, like in (("v", self.v, self.x), ("u", self.u, y)):
            if vector is not None and np.shape(vector) != np.shape(like):
                raise ValueError(
                    f"dg.check: {name} must have the shape {np.shape(like)}, "
                    f"and has {np.shape(vector)}"
                )

    def call(self, x: Any) -> Any:
        """`f` at another point; it cannot write to ours, nor later to what it returned."""
        return copied(self.f(copied(x), *map(copied, self.args)))

    def along(self, v: Any) -> Problem:
        """The same derivative along `v` alone."""
        return replace(self, v=v)

    @property
    def y_shape(self) -> tuple[int, ...]:
        """The axes of the derivative that are those of the result."""
        return self.y.shape if self.u is None else ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the derivative."""
        return self.y_shape + (np.shape(self.x) * self.order if self.v is None else ())

    @property
    def eps(self) -> float:
        """The unit of rounding of the coarser of `x` and the result."""
        kinds = [it for it in (np.asarray(self.x).dtype, self.y.dtype) if it.kind in "fc"]
        return max(float(np.finfo(kind).eps) for kind in kinds)

    @property
    def typical(self) -> np.ndarray:
        """How large each entry would be if the point mattered to the result by itself."""
        typical: np.ndarray = np.abs(self.y if self.u is None else np.sum(self.u * self.y))
        if self.v is not None:
            return typical / self.scale[0] ** self.order
        for _ in range(self.order):
            typical = np.multiply.outer(typical, 1 / self.scale.reshape(np.shape(self.x)))
        return typical

    # The same as a function of vectors, for what knows no other. ---------------------------

    @property
    def origin(self) -> np.ndarray:
        """The point as a vector: that of `x`, or zero on the line along `v`."""
        x = np.asarray(self.x)
        return x.ravel() if self.v is None else np.zeros(1, x.dtype)

    @property
    def scale(self) -> np.ndarray:
        """How far one may think of going from the origin, for each of its entries."""
        size = np.abs(np.asarray(self.x).ravel())
        typical = np.max(size, initial=0.0) or 1.0
        if self.v is not None:
            return np.array([typical / (np.max(np.abs(self.v), initial=0.0) or 1.0)])
        return np.where(size > 0, size, min(typical, 1.0))

    def at(self, z: np.ndarray) -> np.ndarray:
        """The value, as a vector, at a vector `z`, which may be complex."""
        if self.v is not None:
            x = self.x + z[0] * self.v
        elif np.ndim(self.x) == 0:
            x = z[0].item() if type(self.x) is float else z[0]
        else:
            x = z.reshape(np.shape(self.x))
        y = np.asarray(self.call(x))
        return y.ravel() if self.u is None else np.sum(self.u * y)[None]
