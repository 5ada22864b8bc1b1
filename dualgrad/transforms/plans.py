"""What a transform computes: everything about it but the types of its arguments.

A plan is light. The machinery that turns one into a kernel is imported when the first is built,
as Numba too imports most of itself when it first compiles.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from numba.core import types


def register_rules() -> None:
    """Tell Numba of duals; of `scipy.special` too, once there is a function that may use it."""
    with _scipy_at_need():
        from dualgrad import arrays  # noqa: F401

    if "scipy.special" in sys.modules:
        from dualgrad import special  # noqa: F401


@contextmanager
def _scipy_at_need() -> Iterator[None]:
    """Let Numba not ask whether SciPy has BLAS: it does, and its import takes longer than ours.

    Each function that calls BLAS or LAPACK asks again.
    """
    from numba.np import linalg

    asked, linalg.ensure_blas = linalg.ensure_blas, lambda: None
    try:
        yield
    finally:
        linalg.ensure_blas = asked


@dataclass(frozen=True)
class ColumnsPlan:
    """Columns of a Jacobian: `derivative`, `grad`, `jacobian` and their `value_and_` forms."""

    function: Any  # the dispatcher of f
    params: tuple[str, ...]  # the names of its parameters
    name: str  # "derivative", "grad" or "jacobian"
    argnums: tuple[int, ...]
    one_argument: bool  # argnums was a number: results are not wrapped in a tuple
    out_argnum: int | None
    with_value: bool
    parallel: bool = False
    part: bool = False  # of a parallel one: see `dualgrad.transforms.parallel`
    apart: bool = True  # whether tangents may be in scalars, those of many terms in vectors

    def as_part(self) -> ColumnsPlan:
        """The plan of a part."""
        return replace(self, parallel=False, part=True)

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The kernel for these types and `n` lanes as a Python function."""
        register_rules()
        from dualgrad.transforms import columns, parallel

        is_array = [isinstance(arg_types[k], types.Array) for k in self.argnums]
        absent = isinstance(arg_types[-1], (types.NoneType, types.Omitted))
        # Numba's threads take arrays without axes, as `out` may then have, for numbers
        spread = self.parallel and (any(is_array) if absent else all(is_array))
        return (parallel.columns_kernel if spread else columns.kernel)(self, arg_types, n)


class HessianPlan(ColumnsPlan):
    """Second derivatives: `hessian` and `value_grad_and_hessian`."""

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The kernel for these types and `n` rows as a Python function."""
        register_rules()
        from dualgrad.transforms.second import hessian_kernel

        return hessian_kernel(self, arg_types, n)


@dataclass(frozen=True)
class JvpPlan:
    """A Jacobian-vector product; which arguments take part, the types of the tangents say."""

    function: Any  # the dispatcher of f
    params: tuple[str, ...]  # the names of its parameters
    out_argnum: int | None
    name: str = "jvp"
    parallel: bool = False

    @property
    def defaults(self) -> list[Any]:
        """The default of each parameter of `f`, `Parameter.empty` where it has none."""
        signature = inspect.signature(self.function.py_func)
        return [signature.parameters[name].default for name in self.params]

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The kernel for these types as a Python function."""
        register_rules()
        from dualgrad.transforms.pushforward import kernel

        return kernel(self, arg_types)


@dataclass(frozen=True)
class HvpPlan(JvpPlan):
    """A product of the Hessian with a vector."""

    argnums: tuple[int, ...] = (0,)
    one_argument: bool = True
    name: str = "hvp"

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The kernel for these types and `n` rows as a Python function."""
        register_rules()
        from dualgrad.transforms.second import hvp_kernel

        return hvp_kernel(self, arg_types, n)


@dataclass(frozen=True)
class TaylorPlan:
    """Taylor coefficients along a line."""

    function: Any  # the dispatcher of f
    params: tuple[str, ...]  # the names of its parameters
    order: int
    out_argnum: int | None = None
    name: str = "taylor"
    parallel: bool = False

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The kernel for these types as a Python function."""
        register_rules()
        from dualgrad.transforms.taylor import kernel

        return kernel(self, arg_types)


@dataclass(frozen=True)
class VmapPlan:
    """A function or transform at many points."""

    function: Any  # the dispatcher of what is mapped
    in_axes: Any  # an axis, None, or a tuple with an entry for each argument
    parallel: bool = False
    part: bool = False  # of a parallel one: see `dualgrad.transforms.parallel`
    sizes: tuple[int, ...] = ()  # of what is differentiated by, at the points that it is made for
    apart: bool = True  # whether tangents may be in scalars, those of many points in vectors
    name: str = "vmap"

    def as_part(self) -> VmapPlan:
        """The plan of a part."""
        return replace(self, parallel=False, part=True)

    def axes_of(self, count: int) -> tuple[Any, ...]:
        """The axes of each of so many arguments."""
        if not isinstance(self.in_axes, tuple):
            return (self.in_axes,) * count
        if len(self.in_axes) > count:
            raise ValueError(
                f"dg.vmap: in_axes has {len(self.in_axes)} entries for {count} arguments"
            )
        return self.in_axes + (None,) * (count - len(self.in_axes))

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The kernel for these types as a Python function."""
        register_rules()
        from dualgrad.transforms import batch, batch_columns, parallel

        if self.parallel:
            return parallel.points_kernel(self, arg_types, n)
        first = type(getattr(self.function, "plan", None)) is ColumnsPlan
        return (batch_columns if first else batch).kernel(self, arg_types)
