"""The kernel of `vmap` over first derivatives: one set of buffers serves all points.

A point is a small problem, so what is done once for all counts: the buffers of duals are allocated
once, and where one sweep has room for all columns the seeds are set once too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from dualgrad.lanes import FLAGS_APART
from dualgrad.transforms import chunks
from dualgrad.transforms.batch import (
    NO_POINTS,
    Mapped,
    is_absent,
    is_array,
    kernel_of_points,
    point_types,
)
from dualgrad.transforms.columns import Columns, sweeps
from dualgrad.transforms.plans import VmapPlan
from dualgrad.transforms.results import Result, part_of_out
from dualgrad.transforms.sweep import Input, Output, compiled, indented, tupled
from dualgrad.types import PointType
from dualgrad.vectormath import allows_approximations

#: Up to so many columns are unrolled; their duals take eight kilobytes of the stack.
LARGEST = 32
#: Up to so many tangents are numbers of their own: LLVM puts those of several points into a vector,
#: where it can; where it cannot they take little longer. Of more they would, and are so only where
#: it does, and functions like `exp` have vectors, too.
FEW, MORE = 4, 8


def kernel(vmap: VmapPlan, arg_types: Any) -> Any:
    """The kernel for these types as a Python function.

    That of a part has two arguments more and computes the points from `p` to `end` alone.
    """
    *types_of_f, out = arg_types[: len(arg_types) - 2 * vmap.part]
    mapped = Mapped.of(vmap, types_of_f)
    types_of_point = point_types(mapped, types_of_f)
    plan, n = vmap.function.plan, vmap.function.chunk
    sizes = n if isinstance(n, tuple) else (n,)
    if n is None:
        sizes = chunks.sizes_at_point(plan.argnums, types_of_point)
    phases = [_ColumnsOfPoints(plan, types_of_point, out, size) for size in sizes]
    exact, columns = None, phases
    scalars = not any(is_array(types_of_point[k]) for k in plan.argnums)
    attempt = False
    if (scalars or n is not None) and may_be_exact(phases[0]):
        fast = allows_approximations(plan.function.targetoptions.get("fastmath", False))
        attempt = vmap.apart and FEW < sizes[0] <= MORE and fast
        kind = _ColumnsApart if attempt or (vmap.apart and sizes[0] <= FEW) else _ExactColumns
        exact = kind(plan, types_of_point, out, sizes[0])
        columns = [] if scalars else phases[1:] or phases
    text = _source(columns, exact, mapped, vmap.part)
    sweeping = [*columns, *([exact] if exact else [])]
    names = {name: value for sweep in sweeping for name, value in sweep.names.items()}
    function: Any = compiled(vmap.name, text, names)
    function.is_attempt = attempt
    return function


def in_vectors(kernel: str) -> bool:
    """Whether LLVM has put points into vectors, as its code for arithmetic on tangents says."""
    return bool(re.search(rf" = f\w+ {' '.join(FLAGS_APART)} <\d+ x ", kernel))


def _source(
    phases: list[_ColumnsOfPoints], exact: _ExactColumns | None, mapped: Mapped, part: bool
) -> str:
    """The source of the kernel; `exact` is for points with as many columns as it has lanes."""
    first = [*phases, exact][0]
    assert first is not None
    point = [f"a{k} = {mapped.point(k)}" for k in range(len(first.types))]
    body = [f"A{k} = borrowed(A{k})" for k, ty in enumerate(mapped.types) if is_array(ty)]
    body += [*mapped.count(), "if count == 0:", f"    {first.nothing(mapped)}"]
    body += [*([] if part else ["p = 0", "end = count"]), *point, *first.offsets()]
    body += ["total = columns", "begin = start = 0", "at = p"]
    sweeping = [*phases, *([exact] if exact else [])]
    buffers = [name for phase in sweeping for name in phase.buffer_names()]
    body += [line for phase in sweeping for line in phase.buffers()]
    body += [line for it in buffers for line in (f"kept_{it} = {it}", f"{it} = borrowed({it})")]
    body += first.allocate(arrays=False)
    if exact:
        body += [f"if total == {exact.n}:", *indented(["pass", *exact.seeds("1.0")])]
        loop = [*point, *exact.sweep(), "p += 1"]
        body += ["    while p < end:", *indented(indented(loop))]
    if phases:
        last = phases[-1]
        body += [f"single = total <= {last.n}", "if single:"]
        body += indented(["pass", *last.seeds("1.0")])
        loop = [*point, *(line for phase in phases for line in phase.renew(mapped))]
        loop += ["start = 0", *sweeps(phases), "p += 1"]
        body += ["while p < end:", *indented(loop)]
    body += [f"keep(kept_{it})" for it in buffers]
    body.append(f"return {first.result()}")
    return kernel_of_points(len(first.types), part, body)


class _ColumnsOfPoints(Columns):
    at_first = "p == at and start == 0"
    recalls = False  # mostly there is one sweep at a point
    inline = True

    def prepare(self) -> Iterator[str]:
        """Nothing: the buffers are there."""
        yield "pass"

    def buffers(self) -> Iterator[str]:
        """Buffers of duals, for all points."""
        return super().prepare()

    def buffer_names(self) -> Iterator[str]:
        """The variables that are arrays of duals."""
        yield from (f"d{it.k}{self.tag}" for it in self.inputs if it.is_array)
        if self.plan.out_argnum is not None:
            yield f"b{self.tag}"
        if self.count is not None:
            yield f"s{self.tag}"

    def renew(self, mapped: Mapped) -> Iterator[str]:
        """The values of the next point; the tangents are what they were."""
        for it in self.inputs:
            if it.is_array and not self.is_written(it) and mapped.has(it.k):
                yield f"set_values(d{it.k}{self.tag}, a{it.k})"

    def seeds(self, value: str) -> Iterator[str]:
        """Set or clear the seeds of the arguments that are arrays and keep them."""
        for it in self.inputs:
            if it.is_array and not self.is_written(it):
                yield from self.set_seeds(it, value)

    def _seed(self) -> Iterator[str]:
        for it in self.inputs:
            if not it.is_array or self.is_written(it):
                yield from self.seed(it)
        yield "if not single:"
        yield from indented(["pass", *self.seeds("1.0")])

    def _unseed(self) -> Iterator[str]:
        yield "if not single:"
        yield from indented(["pass", *self.seeds("0.0")])

    # ------------------------------------------------------------------------------ results

    def allocate(self, arrays: bool) -> Iterator[str]:
        """Make the results for all points; those of arrays when the first point has their shape."""
        known = self.count is not None  # from the items, without a point
        if known and not arrays:
            yield f"y0{self.tag} = s{self.tag}"
        for o in self.outputs:
            if (o.is_array and not known) == arrays:
                if self.plan.with_value:
                    yield from self._value(o).allocate(self)
                for it in self.inputs:
                    yield from self._result(o, it).allocate(self)

    def values(self) -> Iterator[str]:
        """Copy the values of the outputs to the results."""
        if not self.plan.with_value:
            return
        yield "if start == 0:"
        for o in self.outputs:
            y, r = f"y{o.i}{self.tag}", self._value(o)
            item = f"item_at(g{o.i}{self.tag}, m)" if o.is_array else y
            value = self.value_of(item) if o.active else item
            yield f"    for m in range({f'{y}.size' if o.is_array else 1}):"
            yield f"        {r.store(f'{r.start(self)} + m', value)}"

    def _result(self, o: Output, it: Input) -> Result:
        places = [(1, False)] * self.plan.with_value + self.places(o, it)
        return Result(o, (it,), part_of_out(self.out, places), points=True)

    def _value(self, o: Output) -> Result:
        places = [(0, False), (o.i, self.one_output)]
        return Result(o, (), part_of_out(self.out, places), points=True)

    def nothing(self, mapped: Mapped) -> str:
        """What to do without points, where the shapes of outputs that are arrays are not known."""
        if not is_absent(self.out) or any(o.is_array for o in self.outputs):
            return f"raise ValueError({NO_POINTS!r})"

        def empty(result: Result) -> str:
            shape = "".join(f" + {mapped.shape(it.k)}" for it in result.inputs if it.is_array)
            return f"empty((0,){shape}, R{result.name})"

        return f"return {self._nested(empty)}"

    def result(self) -> str:
        """The nested result."""
        return self._nested(lambda result: f"r{result.name}")

    def _nested(self, expression: Callable[[Result], str]) -> str:
        derivatives = self.result_of(lambda o, it: expression(self._result(o, it)))
        if not self.plan.with_value:
            return derivatives
        values = [expression(self._value(o)) for o in self.outputs]
        return f"{tupled(values, self.one_output)}, {derivatives}"


def may_be_exact(columns: _ColumnsOfPoints) -> bool:
    """Whether there is a way for points whose columns are the lanes of one sweep."""
    few = columns.n <= LARGEST and columns.dual.depth == 1
    arrays = [it for it in columns.inputs if it.is_array]
    at_once = all(it.type.ndim == 1 and not columns.is_written(it) for it in arrays)
    cells = [(o, it) for o in columns.outputs for it in columns.inputs]
    in_rows = all(columns._result(*cell).contiguous for cell in cells)
    return few and len(arrays) < 2 and at_once and in_rows


class _ExactColumns(_ColumnsOfPoints):
    """Points whose columns are the lanes of one sweep: all seeds are known to the compiler.

    An argument that is an array is in registers where `f` takes its items one by one.
    """

    suffix = "e"

    def columns_of(self, it: Input) -> range:
        """The columns of an argument. There is one array at most."""
        scalars = [other.k for other in self.inputs if not other.is_array]
        size = self.n - len(scalars) if it.is_array else 1
        first = sum(k < it.k for k in scalars)
        first += sum(self.n - len(scalars) for o in self.inputs if o.is_array and o.k < it.k)
        return range(first, first + size)

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
        yield from self.run(gather=self.plan.with_value)
        yield f"if {self.at_first}:"
        yield from indented(["pass", *self.allocate(arrays=True)])
        yield from self.values()
        for o in self.outputs:
            for it in self.inputs:
                if o.active:
                    yield from self._read_whole(o, it)

    def _read_whole(self, o: Output, it: Input) -> Iterator[str]:
        """Copy those lanes of one output that are columns of one input."""
        y, r, columns = f"y{o.i}{self.tag}", self._result(o, it), self.columns_of(it)

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


class _ColumnsApart(_ExactColumns):
    """The same, for LLVM to compute several points at once."""

    levels = (PointType,)
