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
    """The derivatives of one output by one input, or by two for second derivatives.

    In a kernel it is the variable ``r``, and ``h`` is its items where they are not in a row.
    """

    output: Output
    inputs: tuple[Input, ...]
    out: tuple[str, types.Type] | None  # the expression for what came for it, and its type

    @property
    def name(self) -> str:
        """The suffix of its variables."""
        return "_".join(map(str, (self.output.i, *(it.k for it in self.inputs))))

    @property
    def is_array(self) -> bool:
        """Whether it has more than one item, or came as an array."""
        parts: list[Output | Input] = [self.output, *self.inputs]
        return self.out is not None or any(it.is_array for it in parts)

    @property
    def contiguous(self) -> bool:
        """Whether its items are in a row."""
        return self.out is None or self.out[1].layout == "C"

    def allocate(self, sweep: Sweep) -> Iterator[str]:
        """Make it, or take `out` for it."""
        output, name = self.output, self.name
        dtype = sweep.plain(output.item if output.active else self.inputs[0].dual)
        sweep.names[f"R{name}"] = dtype
        parts: list[tuple[str, Any]] = [(f"y{output.i}{sweep.tag}", output)]
        parts += [(f"a{it.k}", it) for it in self.inputs]
        shape = " + ".join(f"{variable}.shape" for variable, part in parts if part.is_array)
        if not self.is_array:
            yield f"r{name} = R{name}(0.0)"
            return
        if self.out is None:
            yield f"r{name} = np.{'empty' if output.active else 'zeros'}({shape}, R{name})"
        else:
            expected = " + ".join(["y.shape", *("x.shape" for _ in self.inputs)])
            ndim = sum(part.type.ndim for _, part in parts if part.is_array)
            check_out(self.out[1], dtype, ndim, expected)
            yield f"r{name} = {self.out[0]}"
            yield f"if r{name}.shape != {shape or '()'}:"
            yield f"    raise ValueError({WRONG_SHAPE.format(expected)!r})"
            if not output.active:
                yield f"r{name}[...] = 0.0"
        if not self.contiguous:
            yield f"h{name} = r{name}.flat"

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
