"""The kernel of `derivative`, `grad` and `jacobian`: columns of a Jacobian, chunk by chunk."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from numba.core.errors import NumbaError

from dualgrad.compile.frontend import primal_type
from dualgrad.compile.loops import has_terms
from dualgrad.seeds import seeds
from dualgrad.transforms import chunks
from dualgrad.transforms.overlap import kept
from dualgrad.transforms.plans import ColumnsPlan
from dualgrad.transforms.results import Result, part_of_out
from dualgrad.transforms.seeded import MOST_LANES, Seeded, is_seeded
from dualgrad.transforms.streams import is_streamed
from dualgrad.transforms.sweep import Input, Output, Sweep, compiled, indented, tupled
from dualgrad.transforms.wider import asking
from dualgrad.types import PointType, duals_in
from dualgrad.vectormath import reassociates

#: Up to so many tangents are numbers of their own, if the terms of a sum may be in vectors.
FEW = 4


def kernel(plan: ColumnsPlan, arg_types: Any, n: Any) -> Any:
    """The kernel for these types as a Python function.

    That of a part has two arguments more and computes the columns from `start` to `total` alone.
    """
    phases = phases_of(plan, arg_types[: len(arg_types) - 2 * plan.part], n)
    text = source(phases, asking(n))  # which also says what names it uses
    names = {name: value for phase in phases for name, value in phase.names.items()}
    function: Any = compiled(plan.name, text, names)
    function.is_attempt = phases[0].in_scalars
    return function


def phases_of(plan: ColumnsPlan, arg_types: Any, n: Any) -> list[Columns]:
    """The sweeps of a kernel for these types; with None their sizes are ours."""
    *types_of_f, out = arg_types
    sizes = n if isinstance(n, tuple) else (n,)
    if n is None:
        sizes = chunks.sizes(plan.function, plan.argnums, types_of_f)
    hows = [(size, _may_be_in_scalars(plan, types_of_f, size)) for size in sizes]
    seeded = any(is_seeded(plan.function, types_of_f, k) for k in plan.argnums)
    if seeded and max(sizes) <= MOST_LANES:
        with suppress(NumbaError, NotImplementedError):  # which arrays of duals may not raise
            return [SeededColumns(plan, list(types_of_f), out, *how) for how in hows]
    return [Columns(plan, list(types_of_f), out, *how) for how in hows]


def _may_be_in_scalars(plan: ColumnsPlan, arg_types: Sequence[Any], n: int) -> bool:
    """Whether LLVM may put terms of a sum into vectors, rather than we their few tangents."""
    if any(dual for ty in arg_types for dual in duals_in(ty)) or not plan.apart or plan.part:
        return False
    may = n <= FEW and reassociates(plan.function.targetoptions.get("fastmath"))
    return may and has_terms(plan.function, tuple(map(primal_type, arg_types)))


def source(phases: list[Columns], asking: Iterable[str] = ()) -> str:
    """The source of the kernel, with lines that ask for another if there are many columns."""
    first = phases[0]
    parameters = [*(f"a{k}" for k in range(len(first.types))), "out"]
    body = [] if first.plan.part else [*kept(first.types, first.out)]
    body += [*first.offsets(), *asking, *first.allocate(arrays=False)]
    if first.plan.part:
        parameters += ["start", "total"]
    else:
        body += [f"start = {first.start()}", "total = columns"]
    body += ["begin = start", *first.begin(f"total - start > {first.n}"), *sweeps(phases)]
    body += [*first.end(), f"return {first.result()}"]
    return "\n".join([f"def kernel({', '.join(parameters)}):", *indented(body)])


def sweeps(phases: Sequence[Columns]) -> Iterator[str]:
    """Sweeps of many lanes while there are columns for them, then of fewer.

    The first sweep also allocates the results, and there is one even if there is no column.
    """
    for phase, following in itertools.zip_longest(phases, phases[1:]):
        enough = "total - start > 0" if following is None else f"total - start > {following.n}"
        if following is None:
            enough = f"{enough} or start == begin"
        yield f"if {enough}:"
        yield from indented([*phase.prepare(), f"while {enough}:"])
        yield from indented(indented(phase.sweep()))


class Columns(Sweep):
    """Seed a chunk of columns, sweep, copy the lanes to where the columns are.

    Further variables: ``o`` the first column of an argument, ``c`` the chunk's start among its
    columns; and those of `Result`.
    """

    repeats = recalls = as_items = True
    #: In which sweep results are allocated that take their shapes from the output.
    at_first = "start == begin"

    def __init__(
        self, plan: ColumnsPlan, arg_types: Any, out: Any, n: int, in_scalars: bool = False
    ) -> None:
        self.out, self.in_scalars = out, in_scalars
        if in_scalars:
            self.levels, self.recalls = (PointType,), False
        super().__init__(plan, arg_types, plan.argnums, (n,))
        self.n = n

    def start(self) -> str:
        """The first column; less than zero if so the next sweep begins at a line of the cache."""
        o, it = self.outputs[0], self.inputs[0]
        alone = self.one_output and self.plan.one_argument
        if not alone or self.result_for(o, it).out is None or not self._is_streamed(o, it):
            return "0"  # what is allocated here begins at a line
        return f"-columns_before(out, a{it.k}.size)"

    def sweep(self) -> Iterator[str]:
        cells = [(o, it) for o in self.outputs for it in self.inputs]
        yield from self._seed()
        yield from self.run()
        yield from self.once(self.at_first, self.allocate(arrays=True))
        yield from self.values()
        for cell in cells:
            yield from self._read(*cell)
        yield from self._unseed()
        yield f"start += {self.n}"

    # -------------------------------------------------------------------------------- seeds

    def offsets(self) -> Iterator[str]:
        """Where the columns of each argument start."""
        before = "0"
        for it in self.inputs:
            yield f"o{it.k} = {before}"
            before = f"o{it.k} + {it.size}"
        yield f"columns = {before}"

    def prepare(self) -> Iterator[str]:
        """Buffers of duals for the arguments that are arrays."""
        yield "pass"
        for it in self.inputs:
            if it.is_array:
                yield from self.duals(it)
        yield from self.buffer()

    def duals(self, it: Input) -> Iterator[str]:
        """Allocate those of an argument that is an array."""
        yield f"d{it.k}{self.tag} = as_array_of(a{it.k}, D{it.k}{self.tag})"

    def _seed(self) -> Iterator[str]:
        for it in self.inputs:
            yield from self.seed(it)

    def seed(self, it: Input) -> Iterator[str]:
        """Make the duals of one argument for this sweep."""
        k, tag = it.k, self.tag
        if not it.is_array:
            yield f"d{k}{tag} = seeded(a{k}, o{k} - start, D{k}{tag})"
            return
        if self.is_written(it):
            yield f"copy_into(d{k}{tag}, a{k})"
        yield from self.set_seeds(it, "1.0")

    def _unseed(self) -> Iterator[str]:
        for it in self.inputs:
            if it.is_array and not self.is_written(it):
                yield from self.set_seeds(it, "0.0")

    def set_seeds(self, it: Input, value: str) -> Iterator[str]:
        """Set those lanes of an argument that are the columns of this sweep."""
        k = it.k
        yield f"c{k} = start - o{k}"
        yield f"for i in range(largest(c{k}, 0), smallest(c{k} + {self.n}, a{k}.size)):"
        yield f"    set_seed(d{k}{self.tag}, {it.place}, i - c{k}, {value})"

    # ------------------------------------------------------------------------------ results

    def allocate(self, arrays: bool) -> Iterator[str]:
        """Make the results, for outputs that are arrays in the first sweep, which knows shapes."""
        for o in self.outputs:
            if o.is_array == arrays:
                if self.plan.with_value and arrays:
                    yield from self.value(o)
                for it in self.inputs:
                    yield from self.result_for(o, it).allocate(self)

    def values(self) -> Iterator[str]:
        """Keep the values of outputs that are numbers; arrays were kept by `allocate`."""
        for o in self.outputs:
            if self.plan.with_value and not o.is_array:
                yield from self.value(o)

    def result_for(self, o: Output, it: Input) -> Result:
        """Where the derivatives of an output by an input go."""
        return Result(o, (it,), part_of_out(self.out, self.places(o, it)), boxed=self.plan.part)

    def places(self, o: Output, it: Input) -> list[tuple[int, bool]]:
        """Where the derivative of an output by an input is in the nested result."""
        plan = self.plan
        return [(o.i, self.one_output), (plan.argnums.index(it.k), plan.one_argument)]

    def _read(self, o: Output, it: Input) -> Iterator[str]:
        """Copy the lanes of one output to the columns of one input."""
        if not o.active:
            return
        r, k, tag, n = self.result_for(o, it), it.k, self.tag, self.n
        item = f"item_at(g{o.i}{tag}, m)" if o.is_array else f"y{o.i}{tag}"
        loop = [f"for m in range(y{o.i}{tag}.size):"] if o.is_array else []
        before = f"{r.start(self)} + " if r.points else ""
        if not it.is_array:
            yield f"q = o{k} - start"
            yield f"if 0 <= q < {n}:"
            body = [r.store(f"{before}{'m' if o.is_array else '0'}", f"lane({item}, q)")]
        else:
            row = f"{before}m * a{k}.size + c" if o.is_array else f"{before}c"
            yield f"c = start - o{k}"
            yield "first = largest(0, -c)"
            yield f"stop = smallest({n}, a{k}.size - c)"
            yield from self._stream(o, it, item, row)
            yield f"{'elif' if self._is_streamed(o, it) else 'if'} first < stop:"
            if r.contiguous:
                body = [f"store_lanes(r{r.name}, {row} + first, {item}, first, stop)"]
            else:
                store = r.store(f"{row} + q", f"lane({item}, q)")
                body = ["for q in range(first, stop):", f"    {store}"]
        yield from indented([*loop, *(indented(body) if loop else body)])

    def _is_streamed(self, o: Output, it: Input) -> bool:
        """Whether columns of an output by an input may be written past the caches."""
        r, dual = self.result_for(o, it), o.item
        whole = o.is_array and it.is_array and r.contiguous and not r.points
        return whole and is_streamed(self.derivative_type(o, it.dual), dual)

    def _stream(self, o: Output, it: Input, item: str, row: str) -> Iterator[str]:
        """Write all lanes of one output past the caches, if the result is so long."""
        if self._is_streamed(o, it):
            r, k, tag = self.result_for(o, it), it.k, self.tag
            yield f"if stop - first == {self.n} and streams(r{r.name}, a{k}.size, c):"
            yield f"    for m in range(y{o.i}{tag}.size):"
            yield f"        stream_lanes(r{r.name}, {row}, {item})"
            yield "    end_stream()"

    def result(self) -> str:
        """The nested result."""
        derivatives = self.result_of(lambda o, it: f"r{o.i}_{it.k}")
        values = tupled([f"v{o.i}" for o in self.outputs], self.one_output)
        return f"{values}, {derivatives}" if self.plan.with_value else derivatives

    def result_of(self, derivative: Callable[[Output, Input], str]) -> str:
        """The derivatives as they are nested."""
        rows = [
            tupled([derivative(o, it) for it in self.inputs], self.plan.one_argument)
            for o in self.outputs
        ]
        return tupled(rows, self.one_output)


class SeededColumns(Columns):
    """The same without arrays of duals for those arguments of which `f` takes but items.

    It reads their values again in each sweep, where they are, and the tangents of an item from a
    table that stays in the first cache.
    """

    def __init__(
        self, plan: ColumnsPlan, arg_types: Any, out: Any, n: int, in_scalars: bool = False
    ) -> None:
        super().__init__(plan, arg_types, out, n, in_scalars)
        self.names["seeds"] = seeds
        self.names |= {f"S{it.k}{self.tag}": it.buffer for it in self.inputs}

    def _input(self, k: int, outer: Any) -> Input:
        usual = super()._input(k, outer)
        if not is_seeded(self.plan.function, self.types, k):
            return usual
        return Seeded(k, usual.type, usual.dual)

    def duals(self, it: Input) -> Iterator[str]:
        if not isinstance(it, Seeded):
            yield from super().duals(it)

    def seed(self, it: Input) -> Iterator[str]:
        if isinstance(it, Seeded):
            k, tag = it.k, self.tag
            yield f"d{k}{tag} = seeds(borrowed(a{k}), o{k} - start, None, None, S{k}{tag})"
        else:
            yield from super().seed(it)

    def set_seeds(self, it: Input, value: str) -> Iterator[str]:
        if not isinstance(it, Seeded):
            yield from super().set_seeds(it, value)
        elif value == "0.0":
            yield f"keep(a{it.k})"
