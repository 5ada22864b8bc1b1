"""The objects that sparse Hessians are."""

from __future__ import annotations

from typing import Any

from numba import typeof
from numba.core import types

from dualgrad.sparse.structure import Pairs, Star, Structure, canonical, lanes
from dualgrad.sparse.transform import Sparse, result_type


class SparseHessian(Sparse):
    """The Hessian of a function that returns a number."""

    def _detect(self, args: tuple[Any, ...]) -> tuple[Structure, bool]:
        from dualgrad.sparse import patterns

        plan = self.plan
        self._check(result_type(plan, [typeof(arg) for arg in args]))
        found = patterns.hessian(plan.function, args, plan.argnum, plan.out_argnum)
        return self._of(canonical(found.matrix)), found.is_local

    def _check(self, result: types.Type) -> None:
        from dualgrad.sparse.second import check_number

        check_number(self.plan, result)

    def _of(self, matrix: Any) -> Structure:
        n, m = matrix.shape
        if n != m:
            raise ValueError(f"pattern: that of a Hessian is square, not {n} x {m}")
        return Star.of(canonical(matrix + matrix.T))

    def _shape(self, args: tuple[Any, ...]) -> tuple[int, int]:
        return (args[self.plan.argnum].size,) * 2

    def _lanes(self, structure: Structure, spare: bool = False) -> int:
        from dualgrad.transforms.chunks import ROWS

        return ROWS if self.chunk is None else self.chunk

    def _sweeps(self, structure: Structure) -> int:
        from dualgrad.transforms.chunks import COLUMNS

        rows = self._lanes(structure)
        columns = min(rows, COLUMNS)
        return -(-structure.colours.size // rows) * -(-structure.count // columns)


class BlocksOfColours(Sparse):
    """What Hessians of sums of terms have in common: blocks on and below the diagonal."""

    def _lanes(self, structure: Structure, spare: bool = False) -> int:
        from dualgrad.transforms.chunks import ROWS

        return lanes(min(structure.count + spare, ROWS)) if self.chunk is None else self.chunk

    def _sweeps(self, structure: Structure) -> int:
        from dualgrad.transforms.chunks import COLUMNS

        count, rows = structure.count, self._lanes(structure)
        return sum(-(-(count - first) // rows) for first in range(0, count, min(rows, COLUMNS)))


class SparseHessianOfTerms(BlocksOfColours):
    """The Hessian of the sum of the terms that a function returns."""

    def _detect(self, args: tuple[Any, ...]) -> tuple[Structure, bool]:
        from dualgrad.sparse import patterns

        self._check(result_type(self.plan, [typeof(arg) for arg in args]))
        at = self.plan.function, args, self.plan.argnum, self.plan.out_argnum
        terms, found = patterns.jacobian(*at), patterns.hessian(*at, terms=True)
        structure = Pairs.of_terms(canonical(terms.matrix), canonical(found.matrix))
        return structure, terms.is_local or found.is_local
