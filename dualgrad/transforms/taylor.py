"""The kernel of `taylor`: one sweep with power series in place of duals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numba.core import types

import dualgrad.series  # noqa: F401  (what series do where they are not duals)
from dualgrad.transforms.checks import check_out, differentiable
from dualgrad.transforms.plans import TaylorPlan
from dualgrad.transforms.results import WRONG_SHAPE, part_of_out
from dualgrad.transforms.sweep import Output, Sweep, compiled, indented, tupled
from dualgrad.types import SeriesType


def kernel(plan: TaylorPlan, arg_types: Any) -> Any:
    """The kernel for these types as a Python function."""
    point, direction, *others, out = arg_types
    sweep = Taylor(plan, [point, *others], direction, out)
    text = sweep.source()  # which also says what names it uses
    return compiled(plan.name, text, sweep.names)


class Taylor(Sweep):
    """Seed the argument with the line, sweep, read all coefficients off.

    Further variables: ``v`` the direction, and for each output ``r`` its coefficients and ``h``
    their items in a row.
    """

    levels = (SeriesType,)

    def __init__(self, plan: TaylorPlan, arg_types: Any, direction: Any, out: Any) -> None:
        self.order, self.direction, self.out = plan.order, direction, out
        differentiable(direction, "v")
        super().__init__(plan, arg_types, (0,), (max(plan.order, 1),), [direction])
        [self.input] = self.inputs
        if isinstance(direction, types.Array) != self.input.is_array or (
            self.input.is_array and direction.ndim != self.input.type.ndim
        ):
            raise TypeError(
                f"dg.taylor: the direction v is {direction}, but the point is {self.input.type}; "
                "v has the shape of the point"
            )

    def source(self) -> str:
        body = [*self._seed(), *self.buffer(), *self.run()]
        for o in self.outputs:
            body += [*self._allocate(o), *self._read(o)]
        body.append(f"return {tupled([f'r{o.i}' for o in self.outputs], self.one_output)}")
        others = [f"a{k}" for k in range(1, len(self.types))]
        parameters = ", ".join(["a0", "v", *others, "out"])
        return "\n".join([f"def kernel({parameters}):", *indented(body)])

    def _seed(self) -> Iterator[str]:
        tag = self.tag
        if not self.input.is_array:
            yield f"d0{tag} = with_tangent(a0, v, D0{tag})"
            return
        yield "if v.shape != a0.shape:"
        yield "    raise ValueError('dg.taylor: the shape of v is not that of the point')"
        yield f"d0{tag} = as_array_of(a0, D0{tag})"
        yield f"copy_lane(d0{tag}, v)"

    def _allocate(self, o: Output) -> Iterator[str]:
        """Make the array of the coefficients, or take `out` for it."""
        i, rows = o.i, f"({self.order + 1},)"
        dtype = self.names[f"R{i}"] = self.derivative_type(o, self.dual)
        shape = f"{rows} + y{i}{self.tag}.shape" if o.is_array else rows
        given = part_of_out(self.out, [(i, self.one_output)])
        if given is None:
            yield f"r{i} = {'empty' if o.active else 'np.zeros'}({shape}, R{i})"
        else:
            expected = "(order + 1,) + y.shape"
            check_out(given[1], dtype, 1 + (o.type.ndim if o.is_array else 0), expected)
            yield f"r{i} = {given[0]}"
            yield f"if r{i}.shape != {shape}:"
            yield f"    raise ValueError({WRONG_SHAPE.format(expected)!r})"
            if not o.active:
                yield f"r{i}[...] = 0.0"
        yield f"h{i} = r{i}.flat"

    def _read(self, o: Output) -> Iterator[str]:
        i, tag = o.i, self.tag
        loop = []
        item, m, size = f"y{i}{tag}", "0", "1"
        if o.is_array:
            item, m, size = f"item_at(g{i}{tag}, m)", "m", f"y{i}{tag}.size"
            loop = [f"for m in range({size}):"]
        body = [f"c{i} = {item}", f"h{i}[{m}] = {f'value_of(c{i})' if o.active else f'c{i}'}"]
        if o.active:
            body.append(f"for k in range({self.order}):")
            body.append(f"    h{i}[(k + 1) * {size} + {m}] = lane(c{i}, k)")
        yield from [*loop, *indented(body)] if loop else body
