"""What the kernels of sparse derivatives compute: everything but the types of their arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from dualgrad.transforms.plans import register_rules


class WrongPattern(ValueError):
    """A pattern whose shape is not that of the derivative."""


@dataclass(frozen=True)
class CompressedPlan:
    """The Jacobian of an array by the colours of its columns, or the sum of its rows."""

    function: Any  # the dispatcher of f
    params: tuple[str, ...]  # the names of its parameters
    name: str
    argnum: int
    out_argnum: int | None
    sums: bool = False  # f returns the terms of a sum, and the derivative is that of the sum
    with_value: bool = False
    parallel: bool = False
    part: bool = False  # of a parallel one: see `dualgrad.transforms.parallel`
    direct: bool = False  # one sweep has all colours; `f` uses its argument item by item
    compares: bool = False  # such a result is compared with a product

    #: Whether there is a kernel for that.
    has_direct: ClassVar[bool] = True
    #: What the kernel is given beside the arguments of `f`: the arrays of a `Structure`, a vector
    #: to compare along and what the comparison finds.
    structure: ClassVar[tuple[str, ...]] = (
        "colours", "count", "rows", "starts", "slots", "indices", "places", "probe", "error",
    )  # fmt: skip

    def as_part(self) -> CompressedPlan:
        """The plan of a part."""
        return replace(self, parallel=False, part=True)

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The kernel for these types and `n` lanes as a Python function."""
        register_rules()
        from dualgrad.sparse import columns

        build = columns.parallel_kernel if self.parallel else columns.kernel
        return build(self, arg_types, n)


@dataclass(frozen=True)
class StarPlan(CompressedPlan):
    """The Hessian of a number by the colours of its columns."""

    has_direct: ClassVar[bool] = False
    structure: ClassVar[tuple[str, ...]] = (
        "colours", "count", "starts", "slots", "places", "tops", "indices", "probe", "error",
    )  # fmt: skip

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The kernel for these types and `n` rows as a Python function."""
        register_rules()
        from dualgrad.sparse.second import star_kernel

        return star_kernel(self, arg_types, n)


@dataclass(frozen=True)
class PairsPlan(CompressedPlan):
    """The Hessian of a sum of terms by pairs of colours."""

    dense: bool = False

    has_direct: ClassVar[bool] = False
    structure: ClassVar[tuple[str, ...]] = (
        "colours", "count", "rows", "starts", "slots", "indices", "pairs", "places", "entries",
        "probe", "error",
    )  # fmt: skip

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The kernel for these types and `n` colours as a Python function."""
        register_rules()
        from dualgrad.sparse.second import pairs_kernel

        return pairs_kernel(self, arg_types, n)
