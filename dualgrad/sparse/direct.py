"""The kernel of compressed Jacobians that takes one sweep, and stores no more than it must.

What a sweep over a large problem takes its time for is to move arrays of duals between memory and
the processor. Where `f` uses its argument item by item, the array of its duals is not made; where
it also sets its result item by item, each item goes to the entries of its row at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numba.core import types

from dualgrad.compile.promote import promoted
from dualgrad.entries import entries
from dualgrad.seeds import seeds
from dualgrad.sparse.columns import Compressed
from dualgrad.sparse.compressed import CompressedPlan
from dualgrad.sparse.uses import result_set
from dualgrad.transforms.seeded import Seeded
from dualgrad.transforms.sweep import Input, Output
from dualgrad.types import DualType, EntriesType


class Direct(Compressed):
    """One sweep with all colours. If the result is compared, the last lane is that of the probe.

    A further variable: ``z`` the entries as an array of results, if `f` sets its items.
    """

    repeats = recalls = False

    def __init__(self, plan: CompressedPlan, arg_types: Any, n: int) -> None:
        in_row = getattr(arg_types[-1], "layout", "C") == "C"
        self.result = result_set(plan, arg_types[: len(plan.params)]) if in_row else None
        super().__init__(plan, arg_types, n)
        self.names |= {"seeds": seeds, "entries": entries}
        self.names["S"] = self.input.buffer
        if self.result is not None:
            self.names["Z"] = self._entries(self.input.dual)

    def _input(self, k: int, outer: Any) -> Input:
        usual = super()._input(k, outer)
        goes_along = self.result is not None and self.plan.out_argnum is None
        entries = self._entries(usual.dual) if goes_along else None
        return Seeded(
            k, usual.type, usual.dual, coloured=True, probed=self.plan.compares, entries=entries
        )

    def _entries(self, dual: DualType) -> EntriesType:
        array = self.result
        index = self.types_of_structure["starts"].dtype
        return EntriesType(array, promoted(array, dual).dtype, index, self.plan.compares)

    def out_type(self) -> types.Type:
        """The type of the array that `f` writes its result to."""
        return super().out_type() if self.result is None else self._entries(self.dual)

    def _outputs(self, result: types.Type) -> list[Output]:
        if isinstance(result, EntriesType):
            result = types.Array(result.dtype, result.ndim, "C")
        return super()._outputs(result)

    def _body(self) -> Iterator[str]:
        k, out, tag = self.input.k, self.plan.out_argnum, self.tag
        yield "start = 0"
        if self.result is None:
            yield from self.buffer()
        else:
            yield from self._allocate()
            shape = "(rows,)" if out is None else f"a{out}.shape"
            arrays = "r, starts, slots, indices, probe, error"
            yield f"z = entries(({arrays}), rows, {shape}, Z)"
            yield "" if out is None else f"b{tag} = z"
        along = "z" if self.result is not None and out is None else "None"
        yield f"d{k}{tag} = seeds(borrowed(a{k}), colours, probe, {along}, S)"
        yield from self.run()
        yield f"keep(a{k})"
        yield from self.fits()
        if self.result is None:
            yield from self._allocate()
            yield from self._read() if self.output.active else ()

    def fill(self) -> Iterator[str]:
        if self.result is None:
            yield from super().fill()
        else:  # items that `f` does not set do not depend on anything
            yield "r[:] = 0.0"

    @property
    def verifies(self) -> bool:
        return self.plan.compares

    @property
    def probe_lane(self) -> str:
        return f"{self.n - 1}"

    @property
    def fills(self) -> bool:
        return self.plan.sums if self.plan.compares else not self.output.active

    def _read(self) -> Iterator[str]:
        if self.plan.compares:
            yield from super()._read()
        elif not self.plan.sums:
            yield from self._gather()
        else:
            yield "for j in range(r.size):"
            yield "    s = R(0.0)"
            yield "    for e in range(item_at(starts, j), item_at(starts, j + 1)):"
            yield f"        s += number_at({self.items}, item_at(places, e))"
            yield "    store_at(r, j, s)"
