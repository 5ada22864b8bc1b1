"""The kernels of compressed Hessians: duals of duals, whose outer lanes are colours.

For a number, the inner lanes are rows: the sweeps compute the Hessian times a matrix that adds up
the columns of each colour, from which a star colouring lets every entry be read. Coleman and Moré,
*Estimation of Sparse Hessian Matrices and Graph Coloring Problems*, Mathematical Programming 28,
1984.

For a sum of terms the inner lanes are colours too. Inputs of one term have different colours, so
each pair of colours is one pair of inputs in each term: the number of sweeps does not grow with n.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numba.core import types

from dualgrad.compile.explain import readable
from dualgrad.sparse.columns import check_input, check_vector, explain, wrong_size
from dualgrad.sparse.compressed import CompressedPlan, PairsPlan, StarPlan, WrongPattern
from dualgrad.transforms.checks import check_out
from dualgrad.transforms.chunks import COLUMNS
from dualgrad.transforms.overlap import kept
from dualgrad.transforms.results import part_of_out
from dualgrad.transforms.sweep import Sweep, compiled, indented
from dualgrad.types import is_complex


def star_kernel(plan: StarPlan, arg_types: Any, n: int | None) -> Any:
    """The kernel of a Hessian of a number for these types."""
    sweep = _Star(plan, arg_types, n or 1)
    return compiled(plan.name, sweep.source(), sweep.names)


def pairs_kernel(plan: PairsPlan, arg_types: Any, n: int | None) -> Any:
    """The kernel of a Hessian of a sum of terms for these types."""
    sweep = _Pairs(plan, arg_types, n or 1)
    return compiled(plan.name, sweep.source(), sweep.names)


def check_number(plan: Any, result: types.Type) -> None:
    """Refuse a result of `f` that is no real number."""
    if not isinstance(result, (types.Number, types.Boolean)) or is_complex(result):
        raise TypeError(
            f"dg.{plan.name}: the function must return a real number, and returns "
            f"{readable(str(result))}; if it returns the terms of a sum, say terms=True"
        )


class _Second(Sweep):
    """Blocks of rows, in the inner lanes, and of colours, in the outer ones.

    Further variables: ``row`` and ``column`` the first of the block, ``r`` the result.
    """

    repeats = recalls = True

    def __init__(self, plan: CompressedPlan, arg_types: Any, n: int) -> None:
        *types_of_f, self.out = arg_types
        types_of_f = types_of_f[: len(types_of_f) - len(plan.structure)]
        check_input(plan, types_of_f)
        super().__init__(plan, types_of_f, (plan.argnum,), (n, min(n, COLUMNS)))
        self.names["WrongPattern"] = WrongPattern
        [self.input] = self.inputs
        [self.output] = self.outputs
        self.duals, self.items = f"d{plan.argnum}{self.tag}", f"g{self.output.i}{self.tag}"
        self.names["R"] = self.derivative_type(self.output, self.dual)

    def kernel(self, blocks: list[str], end: str) -> str:
        """The source: what is done for all blocks, and what is returned."""
        x, it, parameters = f"a{self.input.k}", self.input, self.plan.structure
        body = [*kept(self.types, self.out), f"if colours.size != {x}.size:"]
        body.append(f"    raise WrongPattern({wrong_size(self.plan, 'columns', 'argument')!r})")
        body += [f"{self.duals} = room_for({x}, D{it.k}{self.tag})", *self.buffer()]
        body += [*self.begin("True"), *blocks, *self.end()]
        arguments = ", ".join([*(f"a{k}" for k in range(len(self.types))), *parameters, "out"])
        return "\n".join([f"def kernel({arguments}):", *indented([*body, f"return {end}"])])

    def allocate(self, result: str, place: int, size: str, shape: str, ndim: int) -> Iterator[str]:
        """Make an array of zeros, or take what came for it."""
        given = part_of_out(self.out, [(place, not self.plan.with_value)])
        if given is None:
            yield f"{result} = np.zeros({size}, R)"
            return
        check_out(given[1], self.names["R"], ndim, shape)
        yield f"{result} = {given[0]}"
        yield f"if {result}.shape != {size}:"
        yield f"    raise ValueError('out: its shape must be {shape}')"
        yield f"{result}[...] = 0.0"

    def seed_probe(self, setter: str, level: str, n: int) -> Iterator[str]:
        """Set the last lane of a level to the direction to compare along."""
        yield f"c = count - 1 - {level}"
        yield f"if probe.size > 0 and 0 <= c < {n}:"
        yield f"    for i in range(a{self.input.k}.size):"
        yield f"        {setter}({self.duals}, i, c, probe[i])"

    def seed_colours(self, setter: str, level: str, n: int) -> Iterator[str]:
        """Set the lanes of a level that are the colours of the inputs."""
        yield f"for i in range(a{self.input.k}.size):"
        yield f"    c = item_at(colours, i) - {level}"
        yield f"    if 0 <= c < {n}:"
        yield f"        {setter}({self.duals}, i, c, 1.0)"
        yield from self.seed_probe(setter, level, n)

    @property
    def verifies(self) -> bool:
        """Whether it can compare: duals of an outer transform are not compared."""
        return isinstance(self.names["R"], types.Float)


class _Star(_Second):
    """Rows of the Hessian of a number times the matrix that adds up columns of one colour."""

    def check(self, result: types.Type, items: list[types.Type]) -> None:
        """Refuse what is no real number to differentiate."""
        check_number(self.plan, result)

    def source(self) -> str:
        rows, columns = self.lanes
        k, o = self.input.k, self.output
        sweep = [f"copy_into({self.duals}, a{k})"]
        sweep += [f"for i in range(row, smallest(row + {rows}, a{k}.size)):"]
        sweep += [f"    set_inner_seed({self.duals}, i, i - row, 1.0)"]
        sweep += [*self.seed_colours("set_seed", "column", columns), *self.run()]
        sweep += self._read() if o.active else ()
        self.names["G"] = o.item
        blocks = [*self.allocate("r", 0, "indices.shape", "that of the data", 1)]
        blocks.append(f"{self.items} = empty(1, G)")
        blocks += [f"for column in range(0, count, {columns}):"]
        blocks += [f"    for row in range(0, a{k}.size, {rows}):", *indented(indented(sweep))]
        if self.verifies:
            blocks += ["if probe.size > 0:", f"    for i in range(a{k}.size):"]
            blocks += ["        for e in range(tops[i], tops[i + 1]):"]
            blocks += indented(indented(indented(explain("r[e] * probe[indices[e]]", "i"))))
        return self.kernel(blocks, "r")

    def _read(self) -> Iterator[str]:
        rows, columns = self.lanes
        yield f"{self.items}[0] = y{self.output.i}{self.tag}"
        at = f"second_at({self.items}, 0, 1 + c, 1 + i - row)"
        yield f"for i in range(row, smallest(row + {rows}, a{self.input.k}.size)):"
        yield "    for e in range(item_at(starts, i), item_at(starts, i + 1)):"
        yield "        c = item_at(slots, e) - column"
        yield f"        if 0 <= c < {columns}:"
        yield f"            store_at(r, item_at(places, e), {at})"
        if self.verifies:
            yield "    c = count - 1 - column"
            yield f"    if probe.size > 0 and 0 <= c < {columns}:"
            yield f"        error[0, i] += {at}"


class _Pairs(_Second):
    """Second derivatives of terms by pairs of colours, on and below the diagonal, added up."""

    plan: PairsPlan

    def check(self, result: types.Type, items: list[types.Type]) -> None:
        """Refuse what is no vector of real numbers to differentiate."""
        check_vector(self.plan, result)

    def source(self) -> str:
        rows, columns = self.lanes
        k, o, plan = self.input.k, self.output, self.plan
        sweep = [f"copy_into({self.duals}, a{k})"]
        sweep += self.seed_colours("set_inner_seed", "row", rows)
        sweep += [*self.seed_colours("set_seed", "column", columns), *self.run()]
        sweep += [f"if y{o.i}{self.tag}.size != rows:"]
        sweep.append(f"    raise WrongPattern({wrong_size(plan, 'rows', 'result')!r})")
        if plan.with_value:
            sweep += ["if row == 0:", *indented(["pass", *self.value(o), f"s = np.sum(v{o.i})"])]
        if o.active:
            sweep += self._read()
        size, shape = (f"(a{k}.size, a{k}.size)", "x.shape + x.shape")
        if not plan.dense:
            size, shape = "(entries,)", "that of the data"
        blocks = [*self.allocate("r", 1, size, shape, 1 + plan.dense)]
        if plan.with_value:
            blocks += self.allocate("gradient", 0, f"a{k}.shape", "x.shape", 1)
        blocks += ["column = row = 0", "while column < count or row == 0:", "    row = column"]
        blocks += ["    while row < count or row == 0:"]
        blocks += [*indented(indented([*sweep, f"row += {rows}"])), f"    column += {columns}"]
        return self.kernel(blocks, "s, gradient, r" if plan.with_value else "r")

    def _read(self) -> Iterator[str]:
        rows, columns = self.lanes
        entries = "range(item_at(starts, m), item_at(starts, m + 1))"
        gradient = [
            f"d = second_at({self.items}, m, 0, 1 + a)",
            "j = item_at(indices, p)",
            *(["gradient[j] += d"] if self.plan.with_value else []),
            *self._compare(0, "d * probe[j]"),
        ]
        pair = [
            f"d = second_at({self.items}, m, 1 + b, 1 + a)",
            *self._add("p", "q"),
            "if p != q:",
            *indented(self._add("q", "p")),
        ]
        yield "for m in range(rows):"
        yield f"    for p in {entries}:"
        yield "        a = item_at(slots, p) - row"
        yield f"        if 0 <= a < {rows}:"
        yield "            if column == 0:"
        yield from indented(indented(indented(indented(gradient))))
        yield f"            for q in {entries}:"
        yield "                b = item_at(slots, q) - column"
        yield f"                if 0 <= b < {columns} and b + column <= a + row:"
        yield from indented(indented(indented(indented(indented(pair)))))
        if self.verifies:
            yield "    a, b = count - 1 - row, count - 1 - column"
            yield f"    if probe.size > 0 and 0 <= a < {rows}:"
            yield "        if column == 0:"
            yield f"            error[0, m] += second_at({self.items}, m, 0, 1 + a)"
            yield f"        if 0 <= b < {columns}:"
            yield f"            error[2, m] += second_at({self.items}, m, 1 + b, 1 + a)"

    def _add(self, p: str, q: str) -> Iterator[str]:
        """Add an entry of the Hessian of a term to that of the sum."""
        i, j = f"item_at(indices, {p})", f"item_at(indices, {q})"
        compare = self._compare(2, f"d * probe[{i}] * probe[{j}]")
        if self.plan.dense:
            yield f"r[{i}, {j}] += d"
            yield from compare
            return
        yield "length = item_at(starts, m + 1) - item_at(starts, m)"
        yield f"e = item_at(pairs, m) + ({p} - item_at(starts, m)) * length"
        yield f"at = item_at(places, e + {q} - item_at(starts, m))"
        yield "if at >= 0:"
        yield from indented(["r[at] += d", *compare])

    def _compare(self, line: int, part: str) -> Iterator[str]:
        """Take an entry from what a product is still to be explained by."""
        if self.verifies:
            yield "if probe.size > 0:"
            yield from indented(explain(part, "m", line))
