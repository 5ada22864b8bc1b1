"""The kernels of second derivatives: `hessian`, `value_grad_and_hessian` and `hvp`.

They sweep with duals of duals. The inner level carries rows in its lanes, which are vectors; the
outer one carries columns, or for `hvp` the one direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dualgrad.transforms import chunks
from dualgrad.transforms.overlap import kept
from dualgrad.transforms.plans import ColumnsPlan, HvpPlan
from dualgrad.transforms.pushforward import check_tangent, same_shape, tangents_of
from dualgrad.transforms.results import Result, part_of_out
from dualgrad.transforms.sweep import Input, Output, Sweep, compiled, indented, tupled


def hessian_kernel(plan: ColumnsPlan, arg_types: Any, n: int | None) -> Any:
    """The kernel of `hessian` and `value_grad_and_hessian` for these types."""
    *types_of_f, out = arg_types
    lanes = chunks.block(plan.function, plan.argnums, types_of_f, n)
    sweep = _Hessian(plan, list(types_of_f), out, lanes)
    return compiled(plan.name, sweep.source(), sweep.names)


def hvp_kernel(plan: HvpPlan, arg_types: Any, n: int | None) -> Any:
    """The kernel of `hvp` for these types."""
    primals, tangents, out = arg_types
    sweep = _Hvp(plan, primals, tangents, out, n)
    return compiled(plan.name, sweep.source(), sweep.names)


class _Second(Sweep):
    """What both have: rows of one chunk seeded in the inner level.

    Variables: ``o`` the first row of an argument; ``row`` and ``column`` the first of the sweep.
    """

    out: Any
    repeats = recalls = True

    @property
    def rows(self) -> int:
        """Rows that a sweep computes."""
        return self.lanes[0]

    @property
    def differentiated(self) -> list[Input]:
        """The arguments by which to differentiate."""
        return [it for it in self.inputs if it.k in self.plan.argnums]

    def offsets(self) -> Iterator[str]:
        """Where the rows of each argument start, and where its duals are."""
        before = "0"
        for it in self.differentiated:
            yield f"o{it.k} = {before}"
            before = f"o{it.k} + {it.size}"
        yield f"total = {before}"
        for it in self.inputs:
            if it.is_array:
                yield f"d{it.k}{self.tag} = as_array_of(a{it.k}, D{it.k}{self.tag})"
        yield from self.buffer()

    def seed(self, level: str, it: Input, value: str) -> Iterator[str]:
        """Set the seeds of the rows or columns of this sweep in an argument that is an array."""
        k, count = it.k, self.lanes[0] if level == "row" else self.lanes[1]
        setter = "set_inner_seed" if level == "row" else "set_seed"
        yield f"c = {level} - o{k}"
        yield f"for i in range(largest(c, 0), smallest(c + {count}, a{k}.size)):"
        yield f"    {setter}(d{k}{self.tag}, {it.place}, i - c, {value})"

    def refresh(self, it: Input) -> Iterator[str]:
        """Give back to an argument that `f` writes to what it had."""
        if it.is_array and self.is_written(it):
            yield f"copy_into(d{it.k}{self.tag}, a{it.k})"

    def room(self) -> Iterator[str]:
        """Allocate where the outputs that are numbers are put."""
        for o in self.outputs:
            if o.active and not o.is_array:
                self.names[f"G{o.i}"] = o.item
                yield f"g{o.i}{self.tag} = empty(1, G{o.i})"

    def in_memory(self) -> Iterator[str]:
        """Name the items of every output as an array, in which each tangent has an address."""
        for o in self.outputs:
            if o.active and not o.is_array:
                yield f"g{o.i}{self.tag}[0] = y{o.i}{self.tag}"

    def read(self, o: Output, body: list[str]) -> Iterator[str]:
        """`body` for every item `m` of an output."""
        yield f"for m in range(y{o.i}{self.tag}.size):" if o.is_array else "for m in range(1):"
        yield from indented(body)

    def size_of(self, it: Input) -> str:
        """The factor of an index in C order that counts the items of an argument."""
        return f"a{it.k}.size" if it.is_array else "1"


class _Hessian(_Second):
    """Blocks of rows and columns, only those on and below the diagonal."""

    def __init__(self, plan: ColumnsPlan, arg_types: Any, out: Any, lanes: tuple[int, int]) -> None:
        self.out = out
        super().__init__(plan, arg_types, plan.argnums, lanes)
        for it in self.inputs:
            self.names[f"E{it.k}"] = it.dual.base  # the inner level alone

    def source(self) -> str:
        rows, columns = self.lanes
        sweep = [*self._seed("1.0"), *self.run()]
        sweep += self.once("row == 0", self._allocate(arrays=True))
        sweep += self.in_memory()
        for o in self.outputs:
            if self.plan.with_value and not o.is_array:
                sweep += self.value(o)
            if o.active and self.plan.with_value:
                sweep += ["if column == 0:", *indented(["pass", *self._read_gradient(o)])]
            if o.active:
                sweep += self._read_hessian(o)
        sweep += [*self._seed("0.0"), f"row += {rows}"]
        body = [*kept(self.types, self.out), *self.offsets(), *self._allocate(arrays=False)]
        body += ["column = row = 0"]
        body += [*self.room(), *self.begin(f"total > {min(rows, columns)}")]
        body += ["while column < total or row == 0:", "    row = column"]
        body += indented(["while row < total or row == 0:", *indented(sweep)])
        body += [f"    column += {columns}", *self.end(), f"return {self._result()}"]
        parameters = ", ".join([*(f"a{k}" for k in range(len(self.types))), "out"])
        return "\n".join([f"def kernel({parameters}):", *indented(body)])

    def _seed(self, value: str) -> Iterator[str]:
        for it in self.inputs:
            k, tag = it.k, self.tag
            if it.is_array:
                yield from self.refresh(it) if value == "1.0" else ()
                yield from self.seed("row", it, value)
                yield from self.seed("column", it, value)
            elif value == "1.0":
                inner = f"seeded(a{k}, o{k} - row, E{k})"
                yield f"d{k}{tag} = seeded({inner}, o{k} - column, D{k}{tag})"

    def _allocate(self, arrays: bool) -> Iterator[str]:
        for o in self.outputs:
            if o.is_array != arrays:
                continue
            if self.plan.with_value and arrays:
                yield from self.value(o)
            for a in self.inputs:
                if self.plan.with_value:
                    yield from self._gradient(o, a).allocate(self)
                for b in self.inputs:
                    yield from self._second(o, a, b).allocate(self)

    def _place(self, it: Input) -> tuple[int, bool]:
        return self.plan.argnums.index(it.k), self.plan.one_argument

    def _gradient(self, o: Output, a: Input) -> Result:
        places = [(0, False), (o.i, self.one_output), self._place(a)]
        return Result(o, (a,), part_of_out(self.out, places))

    def _second(self, o: Output, a: Input, b: Input) -> Result:
        places = [(1, not self.plan.with_value), (o.i, self.one_output)]
        places += [self._place(a), self._place(b)]
        return Result(o, (a, b), part_of_out(self.out, places))

    def _read_gradient(self, o: Output) -> Iterator[str]:
        for a in self.inputs:
            size, k = self.size_of(a), a.k
            loop = [
                f"for i in range(largest(row, o{k}), smallest(row + {self.rows}, o{k} + {size})):",
                f"    d = second_at(g{o.i}{self.tag}, m, 0, 1 + i - row)",
                f"    {self._gradient(o, a).store(f'm * {size} + i - o{k}', 'd')}",
            ]
            yield from self.read(o, loop)

    def _read_hessian(self, o: Output) -> Iterator[str]:
        """Each second derivative of a row and a column, and its mirror image."""
        rows, columns = self.lanes
        for n, a in enumerate(self.inputs):
            for b in self.inputs[: n + 1]:
                size_a, size_b = self.size_of(a), self.size_of(b)
                i, j = f"(i - o{a.k})", f"(j - o{b.k})"
                block = f"m * {size_a} * {size_b}"
                below = self._second(o, a, b).store(f"{block} + {i} * {size_b} + {j}", "d")
                above = self._second(o, b, a).store(f"{block} + {j} * {size_a} + {i}", "d")
                last_row = f"smallest(row + {rows}, o{a.k} + {size_a})"
                last_column = f"smallest(column + {columns}, o{b.k} + {size_b})"
                loop = [
                    f"for j in range(largest(column, o{b.k}), {last_column}):",
                    f"    for i in range(largest(row, o{a.k}, j), {last_row}):",
                    f"        d = second_at(g{o.i}{self.tag}, m, 1 + j - column, 1 + i - row)",
                    f"        {below}",
                    f"        {above}",
                ]
                yield from self.read(o, loop)

    def _result(self) -> str:
        alone = self.plan.one_argument

        def derivatives(of_output: Any) -> str:
            return tupled([of_output(o) for o in self.outputs], self.one_output)

        hessian = derivatives(lambda o: tupled(
            [tupled([f"r{self._second(o, a, b).name}" for b in self.inputs], alone)
             for a in self.inputs], alone))  # fmt: skip
        if not self.plan.with_value:
            return hessian
        gradient = derivatives(
            lambda o: tupled([f"r{self._gradient(o, a).name}" for a in self.inputs], alone)
        )
        return (
            f"{tupled([f'v{o.i}' for o in self.outputs], self.one_output)}, {gradient}, {hessian}"
        )


class _Hvp(_Second):
    """Rows of the Hessian times the direction that the tangents are."""

    def __init__(self, plan: HvpPlan, primals: Any, tangents: Any, out: Any, n: int | None) -> None:
        self.moving, arg_types = tangents_of(plan, primals, tangents)
        rows = chunks.rows(plan.function, plan.argnums, arg_types, n)
        self.out, self.tangents = out, list(tangents)
        super().__init__(plan, arg_types, tuple(sorted({*self.moving, *plan.argnums})), (rows, 1))
        for it in self.inputs:
            self.names[f"E{it.k}"] = it.dual.base  # the inner level alone
            check_tangent(plan, it, self.tangents)

    def source(self) -> str:
        [o] = self.outputs
        sweep = [*self._seed("1.0"), *self.run(), *self.in_memory()]
        for a in self.differentiated if o.active else ():
            last = f"smallest(row + {self.rows}, o{a.k} + {self.size_of(a)})"
            sweep += [
                f"for i in range(largest(row, o{a.k}), {last}):",
                f"    d = second_at(g{o.i}{self.tag}, 0, 1, 1 + i - row)",
                f"    {self._product(a).store(f'i - o{a.k}', 'd')}",
            ]
        sweep += [*self._seed("0.0"), f"row += {self.rows}"]
        body = [f"a{k} = primals[{k}]" for k in range(len(self.tangents))]
        body += [*kept(self.types, self.out), *self.offsets()]
        for it in self.inputs:
            body += self._direct(it)
        for a in self.differentiated:
            body += self._product(a).allocate(self)
        body += ["row = 0", *self.room(), *self.begin(f"total > {self.rows}")]
        body += ["while row < total or row == 0:", *indented(sweep), *self.end()]
        results = [f"r{self._product(a).name}" for a in self.differentiated]
        body.append(f"return {tupled(results, self.plan.one_argument)}")
        return "\n".join(["def kernel(primals, tangents, out):", *indented(body)])

    def _direct(self, it: Input) -> Iterator[str]:
        """Write the direction into the outer level of an argument that is an array."""
        if it.is_array and it.k in self.moving:
            yield from same_shape(it.k)
            yield f"copy_lane(d{it.k}{self.tag}, tangents[{it.k}])"

    def _seed(self, value: str) -> Iterator[str]:
        for it in self.inputs:
            k, rows = it.k, it.k in self.plan.argnums
            if it.is_array:
                if value == "1.0" and self.is_written(it):
                    yield from [*self.refresh(it), *self._direct(it)]
                if rows:
                    yield from self.seed("row", it, value)
            elif value == "1.0":
                inner = f"seeded(a{k}, {f'o{k} - row' if rows else '-1'}, E{k})"
                tangent = f"tangents[{k}]" if k in self.moving else "0.0"
                yield f"d{k}{self.tag} = with_tangent({inner}, {tangent}, D{k}{self.tag})"

    def _product(self, a: Input) -> Result:
        [o] = self.outputs
        place = self.plan.argnums.index(a.k), self.plan.one_argument
        return Result(o, (a,), part_of_out(self.out, [place]))
