"""The kernel of `derivative`, `grad` and `jacobian`: columns of a Jacobian, chunk by chunk."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from dualgrad.transforms import chunks
from dualgrad.transforms.plans import ColumnsPlan
from dualgrad.transforms.results import Result, part_of_out
from dualgrad.transforms.sweep import Input, Output, Sweep, compiled, indented, tupled


def kernel(plan: ColumnsPlan, arg_types: Any, n: int | None) -> Any:
    """The kernel for these types as a Python function; with None the sizes of sweeps are ours."""
    *types_of_f, out = arg_types
    sizes = chunks.sizes(plan.function, plan.argnums, types_of_f) if n is None else (n,)
    phases = [Columns(plan, list(types_of_f), out, size) for size in sizes]
    text = source(phases)  # which also says what names it uses
    names = {name: value for phase in phases for name, value in phase.names.items()}
    return compiled(plan.name, text, names)


def source(phases: list[Columns]) -> str:
    """The kernel: sweeps of many lanes while there are columns for them, then of fewer.

    The first sweep also allocates the results, and there is one even if there is no column.
    """
    first = phases[0]
    parameters = ", ".join([*(f"a{k}" for k in range(len(first.types))), "out"])
    body = [*first.offsets(), *first.allocate(arrays=False), "start = 0"]
    for phase, following in itertools.zip_longest(phases, phases[1:]):
        enough = "total - start > 0" if following is None else f"total - start > {following.n}"
        if following is None:
            enough = f"{enough} or start == 0"
        body += [f"if {enough}:", *indented([*phase.prepare(), f"while {enough}:"])]
        body += indented(indented(phase.sweep()))
    body.append(f"return {first.result()}")
    return "\n".join([f"def kernel({parameters}):", *indented(body)])


class Columns(Sweep):
    """Seed a chunk of columns, sweep, copy the lanes to where the columns are.

    Further variables: ``o`` the first column of an argument, ``c`` the chunk's start among its
    columns; and those of `Result`.
    """

    def __init__(self, plan: ColumnsPlan, arg_types: Any, out: Any, n: int) -> None:
        self.out = out
        super().__init__(plan, arg_types, plan.argnums, (n,))
        self.n = n

    def sweep(self) -> Iterator[str]:
        cells = [(o, it) for o in self.outputs for it in self.inputs]
        yield from self._seed()
        yield from self.run()
        for o in self.outputs:
            if self.plan.with_value and not o.is_array:
                yield from self.value(o)
        yield "if start == 0:"
        yield from indented(["pass", *self.allocate(arrays=True)])
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
        yield f"total = {before}"

    def prepare(self) -> Iterator[str]:
        """Buffers of duals for the arguments that are arrays."""
        yield "pass"
        for it in self.inputs:
            if it.is_array:
                yield f"d{it.k}{self.tag} = as_array_of(a{it.k}, D{it.k}{self.tag})"

    def _seed(self) -> Iterator[str]:
        for it in self.inputs:
            k, tag = it.k, self.tag
            if not it.is_array:
                yield f"d{k}{tag} = seeded(a{k}, o{k} - start, D{k}{tag})"
                continue
            if self.is_written(it):
                yield f"copy_into(d{k}{tag}, a{k})"
            yield from self._set_seeds(it, "1.0")

    def _unseed(self) -> Iterator[str]:
        for it in self.inputs:
            if it.is_array and not self.is_written(it):
                yield from self._set_seeds(it, "0.0")

    def _set_seeds(self, it: Input, value: str) -> Iterator[str]:
        k = it.k
        yield f"c{k} = start - o{k}"
        yield f"for i in range(max(c{k}, 0), min(c{k} + {self.n}, a{k}.size)):"
        yield f"    set_seed(d{k}{self.tag}, {it.place}, i - c{k}, {value})"

    # ------------------------------------------------------------------------------ results

    def allocate(self, arrays: bool) -> Iterator[str]:
        """Make the results, for outputs that are arrays in the first sweep, which knows shapes."""
        for o in self.outputs:
            if o.is_array == arrays:
                if self.plan.with_value and arrays:
                    yield from self.value(o)
                for it in self.inputs:
                    yield from self._result(o, it).allocate(self)

    def _result(self, o: Output, it: Input) -> Result:
        plan = self.plan
        places = [(o.i, self.one_output), (plan.argnums.index(it.k), plan.one_argument)]
        return Result(o, (it,), part_of_out(self.out, places))

    def _read(self, o: Output, it: Input) -> Iterator[str]:
        """Copy the lanes of one output to the columns of one input."""
        if not o.active:
            return
        r, k, tag, n = self._result(o, it), it.k, self.tag, self.n
        item = f"item_at(g{o.i}{tag}, m)" if o.is_array else f"y{o.i}{tag}"
        loop = [f"for m in range(y{o.i}{tag}.size):"] if o.is_array else []
        if not it.is_array:
            yield f"q = o{k} - start"
            yield f"if 0 <= q < {n}:"
            body = [r.store("m" if o.is_array else "0", f"lane({item}, q)")]
        else:
            row = f"m * a{k}.size + c" if o.is_array else "c"
            yield f"c = start - o{k}"
            yield "first = max(0, -c)"
            yield f"stop = min({n}, a{k}.size - c)"
            yield "if first < stop:"
            if r.contiguous:
                body = [f"store_lanes(r{r.name}, {row} + first, {item}, first, stop)"]
            else:
                store = r.store(f"{row} + q", f"lane({item}, q)")
                body = ["for q in range(first, stop):", f"    {store}"]
        yield from indented([*loop, *(indented(body) if loop else body)])

    def result(self) -> str:
        plan = self.plan
        rows = [
            tupled([f"r{o.i}_{it.k}" for it in self.inputs], plan.one_argument)
            for o in self.outputs
        ]
        derivative = tupled(rows, self.one_output)
        values = tupled([f"v{o.i}" for o in self.outputs], self.one_output)
        return f"{values}, {derivative}" if plan.with_value else derivative
