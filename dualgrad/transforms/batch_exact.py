"""Points whose columns are the lanes of one sweep, so that the compiler knows all seeds.

Few tangents are numbers of their own: LLVM puts those of several points into a vector, where it
can, and where it cannot they take little longer. Of more they would.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dualgrad.transforms.batch_sweeps import ColumnsOfPoints
from dualgrad.transforms.plans import VmapPlan
from dualgrad.transforms.sweep import Input, Output
from dualgrad.types import PointType
from dualgrad.vectormath import allows_approximations

#: Up to so many columns are unrolled; their duals take eight kilobytes of the stack.
LARGEST = 32
#: Up to so many tangents are numbers; up to more where functions like `exp` have vectors, too, if
#: LLVM then makes vectors of points.
FEW, MORE = 4, 8


def exact_columns(vmap: VmapPlan, like: ColumnsOfPoints) -> ExactColumns | None:
    """The sweep for points that have as many columns as `like` has lanes, if there is one."""
    sizes = vmap.sizes if sum(vmap.sizes) == like.n else _sizes(like)
    if not _may_be_exact(like) or min(sizes) < 1:
        return None
    kind = ExactColumns
    if vmap.apart and like.n <= (MORE if _is_fast(like) else FEW):
        kind = ColumnsApart
    exact = kind(like.plan, like.types, like.out, like.n)
    exact.sizes = sizes
    return exact


def _sizes(columns: ColumnsOfPoints) -> tuple[int, ...]:
    """How many columns each input has if there are as many as lanes; zeros if that says nothing."""
    arrays = sum(it.is_array for it in columns.inputs)
    left = columns.n - len(columns.inputs) + arrays if arrays == 1 else 0
    return tuple(left if it.is_array else 1 for it in columns.inputs)


def _may_be_exact(columns: ColumnsOfPoints) -> bool:
    """Whether inputs and results are such that they can be taken item by item."""
    few = columns.n <= LARGEST and columns.dual.depth == 1
    arrays = [it for it in columns.inputs if it.is_array]
    at_once = all(it.type.ndim == 1 and not columns.is_written(it) for it in arrays)
    cells = [(o, it) for o in columns.outputs for it in columns.inputs]
    in_rows = all(columns.result_for(*cell).contiguous for cell in cells)
    return few and at_once and in_rows


def _is_fast(columns: ColumnsOfPoints) -> bool:
    """Whether `f` allows functions of vectors."""
    return allows_approximations(columns.plan.function.targetoptions.get("fastmath", False))


class ExactColumns(ColumnsOfPoints):
    """Points whose columns are the lanes of one sweep: all seeds are known to the compiler.

    An argument that is an array is in registers where `f` takes its items one by one.
    """

    suffix = "e"
    repeats = False
    #: How many columns each input has.
    sizes: tuple[int, ...]

    @property
    def fits(self) -> str:
        """The expression for whether a point has just these columns."""
        pairs = zip(self.inputs, self.sizes, strict=True)
        return " and ".join(f"{it.size} == {size}" for it, size in pairs)

    def columns_of(self, it: Input) -> range:
        """The columns of an input."""
        place = self.inputs.index(it)
        first = sum(self.sizes[:place])
        return range(first, first + self.sizes[place])

    def buffers(self) -> Iterator[str]:
        """Buffers of duals, for all points."""
        for it in self.inputs:
            if it.is_array:
                size = len(self.columns_of(it))
                yield f"d{it.k}{self.tag} = on_stack({size}, D{it.k}{self.tag})"
        yield from self.buffer()

    def set_seeds(self, it: Input, value: str) -> Iterator[str]:
        """Set the lanes of an argument that is an array."""
        for i, column in enumerate(self.columns_of(it)):
            yield f"put_known(d{it.k}{self.tag}, {i}, {column})"

    def sweep(self) -> Iterator[str]:
        """One point, with all loops over the lanes unrolled."""
        for it in self.inputs:
            k, columns = it.k, self.columns_of(it)
            if it.is_array:
                for i in range(len(columns)):
                    yield f"set_seed(d{k}{self.tag}, {i}, -1, a{k}[{i}])"
            else:
                yield f"d{k}{self.tag} = seeded(a{k}, {columns.start}, D{k}{self.tag})"
        yield from self.run(gather_items=self.plan.with_value)
        yield from self.once(self.at_first, self.allocate(arrays=True))
        yield from self.values()
        for o in self.outputs:
            for it in self.inputs:
                if o.active:
                    yield from self._read_whole(o, it)

    def _read_whole(self, o: Output, it: Input) -> Iterator[str]:
        """Copy those lanes of one output that are columns of one input."""
        y, r, columns = f"y{o.i}{self.tag}", self.result_for(o, it), self.columns_of(it)

        def copy(count: Any, m: Any, item: str) -> str:
            place = f"p * {count} + {m}"
            if not it.is_array:
                return r.store(place, f"lane({item}, {columns.start})")
            row = f"({place}) * {len(columns)}"
            return f"store_lanes(r{r.name}, {row}, {item}, {columns.start}, {columns.stop})"

        if self.count is not None:
            yield from (copy(self.count, m, f"y{self.tag}[{m}]") for m in range(self.count))
        elif o.is_array:
            yield f"for m in range({y}.size):"
            yield f"    {copy(f'{y}.size', 'm', f'item_at(g{o.i}{self.tag}, m)')}"
        else:
            yield copy(1, 0, y)


class ColumnsApart(ExactColumns):
    """The same, for LLVM to compute several points at once."""

    levels = (PointType,)

    @property
    def is_attempt(self) -> bool:
        """Whether it is worth it only if LLVM does."""
        return self.n > FEW
