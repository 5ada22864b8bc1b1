"""The arrays that a kernel writes derivatives to: allocated, or parts of what came as `out`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numba.core import types

from dualgrad.transforms.checks import check_out
from dualgrad.transforms.sweep import Input, Output, Sweep

WRONG_SHAPE = "out: its shape must be that of the result, {}"


@dataclass(frozen=True)
class Result:
    """Derivatives of one output by one input, by two for second ones, by none for values.

    In a kernel it is the variable ``r``, and ``h`` is its items where they are not in a row.
    """

    output: Output
    inputs: tuple[Input, ...]
    out: tuple[str, types.Type] | None  # the expression for what came for it, and its type
    points: bool = False  # one for each of `count` points along the first axis; now of point `p`
    boxed: bool = False  # an array even if it is one number: then one of one item

    @property
    def name(self) -> str:
        """The suffix of its variables."""
        return "_".join(map(str, (self.output.i, *(it.k for it in self.inputs))))

    @property
    def is_array(self) -> bool:
        """Whether it has more than one item, or came as an array."""
        parts: list[Output | Input] = [self.output, *self.inputs]
        always = self.points or self.boxed or self.out is not None
        return always or any(it.is_array for it in parts)

    @property
    def contiguous(self) -> bool:
        """Whether its items are in a row."""
        # what is no array has no layout; `allocate` refuses it
        return self.out is None or getattr(self.out[1], "layout", "") == "C"

    def allocate(self, sweep: Sweep) -> Iterator[str]:
        """Make it, or take `out` for it."""
        output, name = self.output, self.name
        dtype = sweep.names[f"R{name}"] = self._dtype(sweep)
        parts = self._parts(sweep)
        shape = " + ".join(f"{variable}.shape" for variable, part in parts if part.is_array)
        shape = " + ".join(["(count,)"] * self.points + [shape] * bool(shape))
        shape = shape or ("(1,)" if self.boxed else "()")
        if not self.is_array:
            yield f"r{name} = R{name}(0.0)"
            return
        if self.out is None:
            yield f"r{name} = {'empty' if output.active else 'np.zeros'}({shape}, R{name})"
        else:
            expected = " + ".join(
                ["(points,)"] * self.points + ["y.shape", *("x.shape" for _ in self.inputs)]
            )
            axes = self.points + sum(part.type.ndim for _, part in parts if part.is_array)
            ndim = max(axes, int(self.boxed))
            check_out(self.out[1], dtype, ndim, expected)
            yield f"r{name} = {self.out[0]}"
            yield f"if r{name}.shape != {shape}:"
            yield f"    raise ValueError({WRONG_SHAPE.format(expected)!r})"
            if not output.active:
                yield f"r{name}[...] = 0.0"
        if not self.contiguous:
            yield f"h{name} = r{name}.flat"

    def _dtype(self, sweep: Sweep) -> types.Type:
        if self.inputs:
            return sweep.derivative_type(self.output, self.inputs[0].dual)
        return sweep.plain(self.output.item) if self.output.active else self.output.item

    def _parts(self, sweep: Sweep) -> list[tuple[str, Any]]:
        """What its axes are those of, with their variables."""
        output = (f"y{self.output.i}{sweep.tag}", self.output)
        return [output, *((f"a{it.k}", it) for it in self.inputs)]

    def start(self, sweep: Sweep) -> str:
        """The index of its first item: of that of this point, if it has points."""
        sizes = [f"{variable}.size" for variable, part in self._parts(sweep) if part.is_array]
        return " * ".join(["p", *sizes]) if self.points else "0"

    def store(self, index: str, value: str) -> str:
        """The statement that sets an item, counted in C order."""
        if not self.is_array:
            return f"r{self.name} = {value}"
        if self.contiguous:
            return f"store_at(r{self.name}, {index}, {value})"
        return f"h{self.name}[{index}] = {value}"


def part_of_out(
    out: types.Type, places: list[tuple[int, bool]], expression: str = "out"
) -> tuple[str, types.Type] | None:
    """The part of `out` at these places; a place is an index and whether its item stands alone."""
    if isinstance(out, (types.NoneType, types.Omitted)):
        return None
    for index, alone in places:
        if not alone:
            if not isinstance(out, types.BaseTuple) or index >= len(out):
                raise TypeError("out: expected is a tuple of arrays, nested like the result")
            expression, out = f"{expression}[{index}]", out[index]
    return expression, out
