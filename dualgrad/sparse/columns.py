"""The kernel of compressed Jacobians: a lane for each colour, from the lanes straight into `data`.

Columns of one colour have no row in common, so they share a lane: in each row it is the derivative
by the one column that the row has of that colour. Curtis, Powell and Reid, *On the Estimation of
Sparse Jacobian Matrices*, IMA J. Appl. Math. 13(1), 1974; Griewank and Walther, *Evaluating
Derivatives*, 2nd ed., SIAM 2008, chapter 8.

The pattern is an argument of the kernel (`structure.Structure`), which is compiled once for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from numba.core import types
from numba.core.errors import NumbaError

from dualgrad.compile.explain import readable
from dualgrad.sparse.compressed import CompressedPlan, WrongPattern
from dualgrad.sparse.uses import is_direct
from dualgrad.transforms import parallel
from dualgrad.transforms.checks import check_out
from dualgrad.transforms.overlap import kept
from dualgrad.transforms.results import part_of_out
from dualgrad.transforms.seeded import MOST_LANES
from dualgrad.transforms.sweep import Sweep, compiled, indented
from dualgrad.types import is_complex


def kernel(plan: CompressedPlan, arg_types: Any, n: int | None) -> Any:
    """The kernel for these types as a Python function.

    That of a part has two arguments more and computes the colours from `start` to `total` alone.
    """
    arg_types = arg_types[: len(arg_types) - 2 * plan.part]
    sweep = _direct(plan, arg_types, n or 1) or Compressed(plan, arg_types, n or 1)
    return compiled(plan.name, sweep.source(), sweep.names)


def _direct(plan: CompressedPlan, arg_types: Any, n: int) -> Compressed | None:
    """One sweep without arrays of duals, if there is only one and `f` allows it."""
    if plan.direct and n <= MOST_LANES and is_direct(plan, arg_types[: len(plan.params)]):
        from dualgrad.sparse.direct import Direct

        with suppress(NumbaError, NotImplementedError):  # which arrays of duals may not raise
            return Direct(plan, arg_types, n)
    return None


def parallel_kernel(plan: CompressedPlan, arg_types: Any, n: int | None) -> Any:
    """The kernel whose colours are spread over threads."""
    parameters = [
        *(f"a{k}" for k in range(len(arg_types) - len(plan.structure) - 1)),
        *plan.structure,
    ]
    ranges = [f"all, grain = count, {n}", "first = smallest(all, grain)"]
    result = "made[0], made[1]" if plan.with_value else "made"
    return parallel.driver(plan, n, arg_types, parameters, ranges, result)


class Compressed(Sweep):
    """Seed the columns of a chunk of colours, sweep, read each entry of a row from its lane.

    Further variables: ``start`` the first colour of the sweep, ``count`` the number of colours,
    ``r`` the result. `slots` are the colours of the entries of rows. The last colour is that of
    the probe, if one came: a direction v along which the result is compared with J v; ``error``
    holds for each row what is missing from J v, and the sum of the absolute values of its terms.
    """

    repeats = recalls = True

    def __init__(self, plan: CompressedPlan, arg_types: Any, n: int) -> None:
        *types_of_f, self.out = arg_types
        count = len(types_of_f) - len(plan.structure)
        types_of_f, given = types_of_f[:count], types_of_f[count:]
        self.types_of_structure = dict(zip(plan.structure, given, strict=True))
        self.n = n
        check_input(plan, types_of_f)
        super().__init__(plan, types_of_f, (plan.argnum,), (n,))
        self.names["WrongPattern"] = WrongPattern
        [self.input] = self.inputs
        [self.output] = self.outputs

    def check(self, result: types.Type, items: list[types.Type]) -> None:
        """Refuse what is no vector of real numbers to differentiate."""
        check_vector(self.plan, result)

    def source(self) -> str:
        parameters = [*(f"a{k}" for k in range(len(self.types))), *self.plan.structure, "out"]
        it = self.input
        body = [] if self.plan.part else [*kept(self.types, self.out)]
        body.append(f"if colours.size != a{it.k}.size:")
        body.append(f"    raise WrongPattern({wrong_size(self.plan, 'columns', 'argument')!r})")
        body += [*self._body(), f"return {'v, ' * self.plan.with_value}r"]
        if self.plan.part:
            parameters += ["start", "total"]
        return "\n".join([f"def kernel({', '.join(parameters)}):", *indented(body)])

    def _body(self) -> Iterator[str]:
        """Sweeps while there are colours."""
        it, tag, n = self.input, self.tag, self.n
        yield f"d{it.k}{tag} = room_for(a{it.k}, D{it.k}{tag})"
        yield from self.buffer()
        if not self.plan.part:
            yield "start, total = 0, count"
        sweep = [*self._seed(), *self.run(), *self.fits(), "if start == begin:"]
        sweep += indented(self._allocate())
        sweep += self._read() if self.output.active else ()
        sweep += [f"start += {n}", "if start >= total:", "    break"]
        yield from [*self.begin(f"total - start > {n}"), "begin = start", "while True:"]
        yield from [*indented(sweep), *self.end()]

    def fits(self) -> Iterator[str]:
        """Refuse a result that has another number of items than the pattern has rows."""
        yield f"if y{self.output.i}{self.tag}.size != rows:"
        yield f"    raise WrongPattern({wrong_size(self.plan, 'rows', 'result')!r})"

    def _seed(self) -> Iterator[str]:
        """Make the duals of this sweep."""
        k, tag = self.input.k, self.tag
        yield f"for i in range(a{k}.size):"
        yield f"    put_seeded(d{k}{tag}, i, a{k}[i], item_at(colours, i) - start)"
        yield f"c = {self.probe_lane}"
        yield f"if probe.size > 0 and 0 <= c < {self.n}:"
        yield f"    for i in range(a{k}.size):"
        yield f"        set_seed(d{k}{tag}, i, c, probe[i])"

    def _allocate(self) -> Iterator[str]:
        o, plan = self.output, self.plan
        dtype = self.names["R"] = self.derivative_type(o, self.dual)
        size = f"a{self.input.k}.size" if plan.sums else "slots.size"
        given = part_of_out(self.out, [])
        if given is None:
            fill = "zeros" if self.fills else "empty"
            yield f"r = np.{fill}({size}, R)"
        else:
            check_out(given[1], dtype, 1, "x.shape" if plan.sums else "the data of the pattern")
            yield "r = out"
            yield f"if r.size != {size}:"
            yield "    raise ValueError('out: its shape must be that of the result')"
            if self.fills:
                yield "if start == 0:"
                yield "    r[:] = 0.0"
        if plan.with_value:
            yield from self._value()

    @property
    def fills(self) -> bool:
        """Whether there may be items of the result that are not written to."""
        return self.plan.sums or not self.output.active

    def _value(self) -> Iterator[str]:
        """The sum of the terms."""
        o = self.output
        y = f"y{o.i}{self.tag}"
        if not o.active:
            yield f"v = np.sum({y})"
            return
        self.names["V"] = self.plain(o.item)
        yield f"values = empty({y}.size, V)"
        yield "for m in range(values.size):"
        yield f"    values[m] = {self.value_of(f'item_at(g{o.i}{self.tag}, m)')}"
        yield "v = np.sum(values)"

    def _read(self) -> Iterator[str]:
        """Read every entry whose column is of a colour of this sweep."""
        yield from self._add() if self.plan.sums else self._store()
        if self.verifies:
            yield f"c = {self.probe_lane}"
            yield f"if probe.size > 0 and 0 <= c < {self.n}:"
            yield "    for m in range(rows):"
            yield f"        error[0, m] += lane_at({self.items}, m, c)"

    @property
    def probe_lane(self) -> str:
        """The lane of the probe, if one came."""
        return "count - 1 - start"

    @property
    def items(self) -> str:
        """The items of the output in a row."""
        return f"g{self.output.i}{self.tag}"

    def _store(self) -> Iterator[str]:
        """Row by row, each entry to its place; `starts` are those of rows."""
        body = ["store_at(r, e, d)", *self._compare("m", "item_at(indices, e)")]
        # mostly one sweep has all colours, and nothing is compared: entries are all alike
        yield "if places.size > 0:"
        yield from indented(self._gather())
        yield "else:"
        yield "    for m in range(rows):"
        yield "        for e in range(item_at(starts, m), item_at(starts, m + 1)):"
        yield "            c = item_at(slots, e) - start"
        yield f"            if 0 <= c < {self.n}:"
        yield f"                d = lane_at({self.items}, m, c)"
        yield from indented(indented(indented(indented(body))))

    def _gather(self) -> Iterator[str]:
        """Each entry from its place in memory to its own, where one sweep has all."""
        yield "for e in range(r.size):"
        yield f"    store_at(r, e, number_at({self.items}, item_at(places, e)))"

    def _add(self) -> Iterator[str]:
        """Column by column, the sum of its entries; `starts` and `indices` are those of columns."""
        yield "for j in range(colours.size):"
        yield "    c = item_at(colours, j) - start"
        yield f"    if 0 <= c < {self.n}:"
        yield "        s = R(0.0)"
        yield "        for e in range(item_at(starts, j), item_at(starts, j + 1)):"
        yield f"            d = lane_at({self.items}, item_at(indices, e), c)"
        yield "            s += d"
        yield from indented(indented(indented(self._compare("item_at(indices, e)", "j"))))
        yield "        store_at(r, j, s)"

    def _compare(self, row: str, column: str) -> Iterator[str]:
        """Take an entry from what J v is still to be explained by."""
        if self.verifies:
            yield "if probe.size > 0:"
            yield from indented(explain(f"d * probe[{column}]", row))

    @property
    def verifies(self) -> bool:
        """Whether it can compare: duals of an outer transform are not compared."""
        return isinstance(self.names["R"], types.Float) and not self.plan.part


def check_input(plan: Any, arg_types: Any) -> None:
    """Refuse what is no vector to differentiate by."""
    ty = arg_types[plan.argnum]
    if not isinstance(ty, types.Array) or ty.ndim != 1:
        raise TypeError(
            f"dg.{plan.name}: argument {plan.params[plan.argnum]!r} must be an array of one "
            f"dimension, and is {ty}"
        )


def check_vector(plan: Any, result: types.Type) -> None:
    """Refuse a result of `f` that is no vector of real numbers."""
    if not isinstance(result, types.Array) or result.ndim != 1 or is_complex(result.dtype):
        terms = ("with terms=True ", ", the terms of a sum,") if plan.sums else ("", "")
        raise TypeError(
            f"dg.{plan.name}: {terms[0]}the function must return an array of one dimension of "
            f"real numbers{terms[1]} and returns {readable(str(result))}"
        )


def wrong_size(plan: Any, what: str, of: str) -> str:
    """The message for a pattern that does not fit."""
    return f"dg.{plan.name}: the pattern has another number of {what} than the {of} has items"


def explain(part: str, row: str, line: int = 0) -> Iterator[str]:
    """Take a part from what a product with the probe has in a row; the sizes of parts add up."""
    yield f"part = {part}"
    yield f"error[{line}, {row}] -= part"
    yield f"error[{line + 1}, {row}] += abs(part)"
