"""Derivatives of a sum whose terms are known: `grad(f, terms=True)` and its kin.

A term depends on few inputs, so the Jacobian of the terms has few colours. Its rows added up are
the gradient; likewise the Hessians of the terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
from numba.core import types

from dualgrad.sparse.api import plan_parts
from dualgrad.sparse.compressed import CompressedPlan, PairsPlan
from dualgrad.sparse.hessians import BlocksOfColours
from dualgrad.sparse.structure import ByColumns, DensePairs, Structure
from dualgrad.sparse.transform import Sparse, result_type, sparse
from dualgrad.transforms import arguments
from dualgrad.transforms.checks import differentiable
from dualgrad.transforms.transform import transform
from dualgrad.types import DualType


def of_terms(
    name: str, f: Any, argnums: Any, chunk: Any, out_argnum: Any, cache: Any, parallel: Any,
    with_value: bool,
) -> Sparse:  # fmt: skip
    """The transform of that name for the sum of the terms that `f` returns."""
    if isinstance(argnums, tuple):
        raise TypeError(f"dg.{name}: with terms=True argnums is one number, not a tuple")
    parts = *plan_parts(name, f, argnums, out_argnum), True, with_value, bool(parallel)
    if name == "grad":
        return sparse(
            OfTerms, CompressedPlan(*parts), arguments.chunk(chunk), None, None, bool(cache)
        )
    plan = PairsPlan(*parts, dense=True)
    return sparse(HessianOfTerms, plan, arguments.chunk(chunk), None, None, bool(cache))


class OfTerms(Sparse):
    """A derivative of the sum of the terms that a function returns."""

    def cfunc(self, *_: Any, **__: Any) -> Any:
        """Nothing: patterns are found in Python."""
        raise TypeError(
            f"dg.{self.plan.name} with terms=True has no cfunc, as it finds patterns in Python; "
            "write a function for numba.cfunc that calls it"
        )

    def _of(self, matrix: Any) -> Structure:
        return ByColumns.of(matrix)

    def _buffer(self, structure: Structure, out: Any) -> Any:
        return out

    def _result(self, structure: Structure, data: Any, out: Any) -> Any:
        return data

    @property
    def _numba_type_(self) -> types.Type:
        """What it is in compiled code: a function that calls this object in Python."""
        return types.Dispatcher(transform(CallPlan(self), None, self.__signature__, False))


class HessianOfTerms(BlocksOfColours, OfTerms):
    """Second derivatives of the sum of the terms that a function returns, as a dense matrix."""

    def _of(self, matrix: Any) -> Structure:
        return DensePairs.of_terms(matrix, matrix)


@dataclass(frozen=True)
class CallPlan:
    """A call of a transform of terms from compiled code."""

    transform: OfTerms
    parallel: bool = False
    nogil: bool = False

    @property
    def function(self) -> Any:
        """The dispatcher of f."""
        return self.transform.plan.function

    @property
    def name(self) -> str:
        """The name of the transform."""
        return self.transform.plan.name

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The function that makes the call."""
        plan = self.transform.plan
        *types_of_f, out = arg_types
        if any(isinstance(getattr(ty, "dtype", ty), DualType) for ty in arg_types):
            raise TypeError(
                f"dg.{plan.name} with terms=True cannot be differentiated; differentiate the sum "
                "of the terms"
            )
        given = [
            f"{name}=a{k}"
            for k, (name, ty) in enumerate(zip(plan.params, types_of_f, strict=True))
            if not isinstance(ty, types.Omitted)
        ]
        if isinstance(out, (types.Array, types.BaseTuple)):
            given.append("out=out")
        parameters = ", ".join([*(f"a{k}" for k in range(len(types_of_f))), "out"])
        body = "with objmode(r=R):\n        r = call(" + ", ".join(given) + ")"
        names: dict[str, Any] = {"R": self._returned(types_of_f, out), "call": self.transform}
        names["objmode"] = numba.objmode
        exec(f"def kernel({parameters}):\n    {body}\n    return r", names)
        return names["kernel"]

    def _returned(self, arg_types: list[types.Type], out: types.Type) -> types.Type:
        from dualgrad.sparse.columns import check_vector

        plan = self.transform.plan
        terms: Any = result_type(plan, arg_types)
        check_vector(plan, terms)
        base = differentiable(arg_types[plan.argnum], plan.params[plan.argnum])
        dtype = terms.dtype if isinstance(terms.dtype, types.Float) else base
        axes = [1] if plan.name == "grad" else [1, 2] if plan.with_value else [2]
        results = [types.Array(dtype, ndim, "C") for ndim in axes]
        if isinstance(out, (types.Array, types.BaseTuple)):
            results = [out] if isinstance(out, types.Array) else list(out)
        return types.Tuple([terms.dtype, *results]) if plan.with_value else results[0]
