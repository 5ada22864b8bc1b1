"""Sweeps of a kernel over points: what is done once for all of them, and what at each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dualgrad.transforms.batch import NO_POINTS, Mapped, is_absent
from dualgrad.transforms.columns import Columns
from dualgrad.transforms.results import Result, part_of_out
from dualgrad.transforms.sweep import Input, Output, indented, tupled


class ColumnsOfPoints(Columns):
    """Sweeps for the columns at one point, with buffers that serve all points."""

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
                    yield from self.result_for(o, it).allocate(self)

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

    def result_for(self, o: Output, it: Input) -> Result:
        """Where the derivatives of an output by an input go."""
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
        derivatives = self.result_of(lambda o, it: expression(self.result_for(o, it)))
        if not self.plan.with_value:
            return derivatives
        values = [expression(self._value(o)) for o in self.outputs]
        return f"{tupled(values, self.one_output)}, {derivatives}"
