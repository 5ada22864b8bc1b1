"""The kernel of `derivative`, `grad` and `jacobian`: columns of a Jacobian, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numba.core import types

from dualgrad.transforms import chunks
from dualgrad.transforms.checks import check_out
from dualgrad.transforms.sweep import Input, Output, Sweep, indented, tupled


@dataclass(frozen=True)
class ColumnsPlan:
    """What such a transform computes: everything but the types of its arguments."""

    function: Any  # the dispatcher of f
    name: str  # "derivative", "grad" or "jacobian"
    argnums: tuple[int, ...]
    one_argument: bool  # argnums was a number: results are not wrapped in a tuple
    out_argnum: int | None
    with_value: bool

    def build(self, params: list[str], arg_types: Any, n: int | None) -> Any:
        """The kernel for these types as a Python function."""
        lanes = chunks.for_types(self.argnums, arg_types) if n is None else n
        return Columns(self, params, list(arg_types), lanes).function()

    def lanes(self, args: tuple[Any, ...]) -> int | None:
        """The number of lanes for a call from Python; None where the types decide."""
        return chunks.for_call(self.argnums, args)


class Columns(Sweep):
    """Seed a chunk of columns, sweep, copy the lanes to where the columns are.

    Further variables: ``o`` the first column of an argument, ``c`` the chunk's start among its
    columns, ``r`` a result and ``h`` its items in a row.
    """

    def __init__(self, plan: ColumnsPlan, params: list[str], arg_types: Any, n: int) -> None:
        *arg_types, self.out = arg_types
        super().__init__(plan, params, arg_types, plan.argnums, n)

    def source(self) -> str:
        parameters = ", ".join([*(f"a{k}" for k in range(len(self.types))), "out"])
        cells = [(o, it) for o in self.outputs for it in self.inputs]
        sweep = [*self._seed(), *self.run()]
        sweep += ["if start == 0:", *indented(self._allocate())]
        sweep += [line for cell in cells for line in self._read(*cell)]
        sweep += [*self._unseed(), f"start += {self.n}", "if start >= total:", "    break"]
        total = " + ".join(it.size for it in self.inputs)
        body = [*self._prepare(), f"total = {total}", "start = 0", "while True:"]
        body += [*indented(sweep), f"return {self._result()}"]
        return "\n".join([f"def kernel({parameters}):", *indented(body)])

    # -------------------------------------------------------------------------------- seeds

    def _prepare(self) -> Iterator[str]:
        """Buffers of duals for the arguments that are arrays, and where each starts."""
        before = "0"
        for it in self.inputs:
            yield f"o{it.k} = {before}"
            before = f"o{it.k} + {it.size}"
            if it.is_array:
                yield f"d{it.k} = as_array_of(a{it.k}, D{it.k})"

    def _seed(self) -> Iterator[str]:
        for it in self.inputs:
            k = it.k
            if not it.is_array:
                yield f"d{k} = seeded(a{k}, o{k} - start, D{k})"
                continue
            if self.is_written(it):
                yield f"copy_into(d{k}, a{k})"
            yield from self._set_seeds(it, "1.0")

    def _unseed(self) -> Iterator[str]:
        for it in self.inputs:
            if it.is_array and not self.is_written(it):
                yield from self._set_seeds(it, "0.0")

    def _set_seeds(self, it: Input, value: str) -> Iterator[str]:
        k = it.k
        yield f"c{k} = start - o{k}"
        yield f"for i in range(max(c{k}, 0), min(c{k} + {self.n}, a{k}.size)):"
        yield f"    set_seed(d{k}, {it.place}, i - c{k}, {value})"

    # ------------------------------------------------------------------------------ results

    def _allocate(self) -> Iterator[str]:
        """What the first sweep does, as it knows the shapes of the results."""
        for o in self.outputs:
            if self.plan.with_value:
                yield from self.value(o)
            for it in self.inputs:
                yield from self._cell(o, it)

    def _cell(self, o: Output, it: Input) -> Iterator[str]:
        """Allocate the derivative of one output by one input, or take `out` for it."""
        cell = f"{o.i}_{it.k}"
        dtype = self.names[f"R{cell}"] = o.item.base if o.active else it.dual.base
        arrays = [(f"y{o.i}", o), (f"a{it.k}", it)]
        shape = " + ".join(f"{name}.shape" for name, part in arrays if part.is_array)
        out = self._out(o, it)
        if out is None and not shape:
            yield f"r{cell} = R{cell}(0.0)"
            return
        if out is None:
            yield f"r{cell} = np.{'empty' if o.active else 'zeros'}({shape}, R{cell})"
        else:
            check_out(out[1], dtype, sum(part.type.ndim for _, part in arrays if part.is_array))
            yield f"r{cell} = {out[0]}"
            yield f"if r{cell}.shape != {shape or '()'}:"
            yield "    raise ValueError('out: its shape must be that of the result, y.shape + x.shape')"
            if not o.active:
                yield f"r{cell}[...] = 0.0"
        yield f"h{cell} = r{cell}.{'ravel()' if self._is_contiguous(o, it) else 'flat'}"

    def _out(self, o: Output, it: Input) -> tuple[str, types.Type] | None:
        """The part of `out` that belongs to one output and one input."""
        expression, ty = "out", self.out
        if isinstance(ty, (types.NoneType, types.Omitted)):
            return None
        wrapped = [(o.i, self.one_output)]
        wrapped += [(self.plan.argnums.index(it.k), self.plan.one_argument)]
        for index, alone in wrapped:
            if not alone:
                if not isinstance(ty, types.BaseTuple) or index >= len(ty):
                    raise TypeError("out: expected is a tuple of arrays, nested like the result")
                expression, ty = f"{expression}[{index}]", ty[index]
        return expression, ty

    def _is_contiguous(self, o: Output, it: Input) -> bool:
        out = self._out(o, it)
        return out is None or out[1].layout == "C"

    def _read(self, o: Output, it: Input) -> Iterator[str]:
        """Copy the lanes of one output to the columns of one input."""
        if not o.active:
            return
        cell, k = f"{o.i}_{it.k}", it.k
        item = f"g{o.i}[m]" if o.is_array else f"y{o.i}"
        loop = [f"for m in range(g{o.i}.size):"] if o.is_array else []
        if not it.is_array:
            yield f"q = o{k} - start"
            yield f"if 0 <= q < {self.n}:"
            if o.is_array or self._out(o, it) is not None:
                body = [f"h{cell}[{'m' if o.is_array else '0'}] = lane({item}, q)"]
            else:
                body = [f"r{cell} = lane({item}, q)"]
        else:
            row = f"m * a{k}.size + c" if o.is_array else "c"
            yield f"c = start - o{k}"
            yield "first = max(0, -c)"
            yield f"stop = min({self.n}, a{k}.size - c)"
            yield "if first < stop:"
            if self._is_contiguous(o, it):
                body = [f"store_lanes(h{cell}, {row} + first, {item}, first, stop)"]
            else:
                body = ["for q in range(first, stop):", f"    h{cell}[{row} + q] = lane({item}, q)"]
        yield from indented([*loop, *(indented(body) if loop else body)])

    def _result(self) -> str:
        plan = self.plan
        rows = [
            tupled([f"r{o.i}_{it.k}" for it in self.inputs], plan.one_argument)
            for o in self.outputs
        ]
        derivative = tupled(rows, self.one_output)
        values = tupled([f"v{o.i}" for o in self.outputs], self.one_output)
        return f"{values}, {derivative}" if plan.with_value else derivative
