"""The kernels that find patterns: sweeps with sets of inputs in place of tangents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import dualgrad.patterns  # noqa: F401  (what sets do where they are not tangents)
from dualgrad.arrays.linalg.parts import rows_of_floats
from dualgrad.sets import BITS
from dualgrad.transforms import draws
from dualgrad.transforms.sweep import Sweep, compiled, indented
from dualgrad.types import DualType, PatternType, RowsType, is_complex, primal, real_of

# A number without sets is the same for all inputs: so that this holds for one whose inputs have no
# set in this sweep, the last bit is set for every input, and so is the last lane of rows.

#: Words of sets of each number, and of those of second derivatives, of which every lane of rows has
#: as many again.
WORDS, WORDS_OF_PAIRS = 4, 1
#: Lanes of rows, and the groups of inputs that a sweep of second derivatives tells apart.
LANES = 8
ROWS = LANES - 1


def kernel(plan: Any, arg_types: Any) -> Any:
    """The kernel for these types as a Python function."""
    sweep = (PairsSweep if plan.second else SetsSweep)(plan, arg_types[1:])
    text = sweep.source()  # which also says what names it uses
    return compiled(plan.name, text, sweep.names)


class SetsSweep(Sweep):
    """Give every input its sets, run, read off the sets of every output.

    Further variables: ``s`` the words of the inputs' sets, ``w`` those of an array as integers,
    ``q`` the result, with a row of words for each item of the outputs, one after another, and
    ``t`` how many items the outputs before have.
    """

    levels: tuple[type[DualType], ...] = (PatternType,)
    repeats = True
    lanes_of_levels: tuple[int, ...] = (WORDS,)
    words = WORDS
    #: how many words one set of words is from the next in a number
    step = 1

    def __init__(self, plan: Any, arg_types: Any) -> None:
        super().__init__(plan, arg_types, (plan.argnum,), self.lanes_of_levels)
        [self.input] = self.inputs
        self.names |= {"rows_of_floats": rows_of_floats, "uint32": np.uint32}
        self.names["of_input"] = _unsigned(self.input.dual)
        for o in self.outputs:
            if o.active:
                self.names[f"of_output{o.i}"] = _unsigned(o.item)
                self.names[f"Y{o.i}"] = o.item

    def source(self) -> str:
        names = ", ".join(f"a{k}" for k in range(len(self.types)))
        body = [*self.begin("True"), *self._body()]
        if self.draws:  # the next run, and the derivative at this point, are to draw the same
            body += ["note_draws()", *draws.repeat(self.generators)]
        return "\n".join([f"def kernel(s, {names}):", *indented([*body, "return q"])])

    def _body(self) -> Iterator[str]:
        yield from self._seed()
        yield from self._run()
        yield f"q = np.zeros(({self._size}, {self.words}), uint32)"
        yield from self._read("q[t + m, k] |= w[m, {} + (1 + k) * {}]")

    @property
    def _size(self) -> str:
        """How many items all outputs have."""
        return " + ".join(f"y{o.i}{self.tag}.size" if o.is_array else "1" for o in self.outputs)

    def _seed(self) -> Iterator[str]:
        it = self.input
        duals = f"d{it.k}{self.tag}"
        place = it.place if it.is_array else "i"
        if it.is_array:
            yield f"d = as_array_of(a{it.k}, D{it.k}{self.tag})"
        else:
            yield f"d = empty(1, D{it.k}{self.tag})"
            yield f"d[0] = a{it.k}"
        yield f"w = {WORDS_OF.format('d', 'of_input')}"
        yield f"for i in range({it.size}):"
        yield f"    p = {place}"
        yield f"    for k in range({self.words}):"
        yield f"        w[p, (1 + k) * {self.step}] = s[i, k]"
        yield f"    w[p, {self.words * self.step}] |= of_input({1 << (BITS - 1)})"
        yield from indented(self._seed_rows())
        yield f"{duals} = d{'' if it.is_array else '[0]'}"

    def _seed_rows(self) -> Iterator[str]:
        return iter(())

    def _run(self) -> Iterator[str]:
        yield from self.buffer()
        yield from self.run()

    def _read(self, line: str) -> Iterator[str]:
        """Run a line for each word of each item of the outputs, in both parts of complex ones."""
        yield "t = 0"
        for o in self.outputs:
            if o.active:
                items = f"g{o.i}{self.tag}"
                if not o.is_array:
                    items = f"e{o.i}"
                    yield f"e{o.i} = empty(1, Y{o.i})"
                    yield f"e{o.i}[0] = y{o.i}{self.tag}"
                yield f"w = {WORDS_OF.format(items, f'of_output{o.i}')}"
                yield "for m in range(len(w)):"
                yield f"    for k in range({self.words}):"
                size = (1 + self.words) * self.step
                for start in (0, size) if is_complex(o.item) else (0,):
                    yield f"        {line.format(start, self.step)}"
            yield f"t += {f'y{o.i}{self.tag}.size' if o.is_array else '1'}"


#: The numbers of an array as unsigned integers, with a row for each item.
WORDS_OF = "rows_of_floats({}).view({})"


def _unsigned(item: Any) -> Any:
    return np.dtype(f"u{primal(real_of(item)).bitwidth // 8}").type


class PairsSweep(SetsSweep):
    """The same for second derivatives: which groups of inputs meet which sets.

    Further variables: ``r`` the group of each input, ``c`` how many there are, ``h`` the first of
    the groups that a sweep tells apart. The result has a row of words for each group and item.
    """

    levels = (RowsType, PatternType)
    lanes_of_levels = (LANES, WORDS_OF_PAIRS)
    words = WORDS_OF_PAIRS
    step = 1 + LANES

    def _body(self) -> Iterator[str]:
        yield "s, r, c = s"
        yield f"q = np.zeros((0, 0, {self.words}), uint32)"
        yield f"for h in range(0, c, {ROWS}):"
        yield from indented(self._sweep())

    def _sweep(self) -> Iterator[str]:
        yield from self._seed()
        yield from self._run()
        yield "if h == 0:"
        yield f"    q = np.zeros((c, {self._size}, {self.words}), uint32)"
        yield f"for j in range(smallest({ROWS}, c - h)):"
        yield from indented(self._read("q[h + j, t + m, k] |= w[m, {} + (1 + k) * {} + 1 + j]"))

    def _seed_rows(self) -> Iterator[str]:
        yield f"for k in range({ROWS}):"
        yield "    w[p, 1 + k] = ~of_input(0) if r[i] == h + k else of_input(0)"
        yield f"w[p, {LANES}] = ~of_input(0)"
