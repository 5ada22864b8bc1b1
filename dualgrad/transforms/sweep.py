"""A sweep: one run of the clone of `f` on duals. Its source is what all kernels share.

One kernel is written, as Python source, for each transform, types of arguments and number of
lanes; Numba compiles it like any other function.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core import types

from dualgrad.arrays.short import gather, on_stack
from dualgrad.calls import join
from dualgrad.compile.activity import Summary, summarise
from dualgrad.compile.buffers import is_buffer
from dualgrad.compile.clone import clone_of
from dualgrad.compile.frontend import primal_type
from dualgrad.compile.promote import (
    as_array_of,
    copy_into,
    is_promoted,
    present,
    promote,
    promoted,
    room_for,
)
from dualgrad.compile.rewrite import is_items
from dualgrad.compile.short import returned_length
from dualgrad.conversions import value_of
from dualgrad.recall import recall_values, record_values
from dualgrad.transforms import draws, extents, lanes_io, overlap, plans, streams
from dualgrad.transforms.checks import check_outputs, differentiable
from dualgrad.transforms.copies import check_copies, check_repeats, may_repeat, private, together
from dualgrad.transforms.runtime import largest, place, smallest
from dualgrad.transforms.wider import ask_for_more
from dualgrad.types import (
    DualType,
    RecallType,
    complex_of,
    depth,
    duals_in,
    is_complex,
    over,
    primal,
)


@dataclass(frozen=True)
class Input:
    """An argument that the transform differentiates by."""

    k: int  # its number among the arguments, and the suffix of its variables
    type: types.Type
    dual: DualType

    @property
    def is_array(self) -> bool:
        return isinstance(self.type, types.Array)

    @property
    def size(self) -> str:
        return f"a{self.k}.size" if self.is_array else "1"

    @property
    def buffer(self) -> types.Type:
        """The type of its duals, in the layout of the argument: NumPy sums in memory order."""
        if not self.is_array:
            return self.dual
        return types.Array(self.dual, self.type.ndim, self.type.layout)

    @property
    def place(self) -> str:
        """Where in memory the item is that is the `i`-th in C order."""
        return f"place(i, a{self.k}.shape)" if self.type.layout == "F" else "i"


@dataclass(frozen=True)
class Output:
    """A result of `f`: a number, an array, or one of a tuple of them."""

    i: int
    type: types.Type
    level: int
    optional: bool  # f may return None in its place, by its type

    @property
    def is_array(self) -> bool:
        return isinstance(self.type, types.Array)

    @property
    def item(self) -> Any:
        return self.type.dtype if self.is_array else self.type

    @property
    def active(self) -> bool:
        """Whether it depends on the inputs at all, as far as its type knows."""
        return depth(self.item) == self.level


#: What every kernel may call.
NAMES: dict[str, Any] = {"np": np, "largest": largest, "smallest": smallest} | {
    function.__name__: function
    for function in (
        as_array_of, ask_for_more, copy_into, place, present, private, promote, room_for, value_of,
        draws.as_it_is, draws.draw_like, draws.kept_draws, draws.note_draws,
        draws.redraw, lanes_io.number_at,
        lanes_io.borrowed, lanes_io.copy_lane, lanes_io.item_at, lanes_io.keep, lanes_io.lane,
        lanes_io.lane_at, lanes_io.put_known, on_stack, gather,
        lanes_io.put_seeded, lanes_io.second_at, lanes_io.seeded, lanes_io.set_inner_seed,
        lanes_io.set_seed, lanes_io.set_values, lanes_io.store_at, lanes_io.store_lanes,
        lanes_io.with_tangent, extents.extents_meet, together, extents.memories_meet,
        recall_values,
        record_values, streams.columns_before, streams.empty,
        streams.end_stream, streams.stream_lanes, streams.streams,
    )
}  # fmt: skip


OTHER_SHAPE = "the result of the function does not have the same shape each time"


class Sweep:
    """How `f` is called with duals, and what comes out.

    `lanes` are the numbers of lanes of the levels that the sweep adds, the innermost first: one
    for first derivatives, two for second.

    Variables of a kernel are named by a letter and the number of an argument or output: ``a``
    argument, ``v`` value of an output; and, with the number of lanes behind, as a kernel may
    have sweeps with several: ``d`` duals of an argument, ``y`` output, ``g`` its items in a row;
    ``b`` an array for `f` to write to, ``s`` one for the items that `f` returns without an array.

    `further` are the types of what else the kernel is given, that may hold duals.
    """

    #: The types of the levels that it adds.
    levels: tuple[type[DualType], ...] = (DualType, DualType)
    #: Whether there may be many, of the same run of `f`.
    repeats = False
    #: Whether sweeps recall what the first has computed.
    recalls = False
    #: Whether the clone becomes part of the kernel's machine code.
    inline = False
    #: Whether it may return the items of a short array in place of that.
    as_items = False
    #: What sets its variables apart from those of another sweep with as many lanes.
    suffix = ""

    def __init__(
        self,
        plan: Any,
        arg_types: list[types.Type],
        argnums: tuple[int, ...],
        lanes: tuple[int, ...],
        further: Sequence[types.Type] = (),
    ) -> None:
        self.plan, self.types, self.lanes = plan, arg_types, lanes
        self.tag = "_" + "x".join(map(str, lanes)) + self.suffix
        self.names: dict[str, Any] = {}
        outer = join([dual for ty in [*arg_types, *further] for dual in duals_in(ty)])
        self.inputs = [self._input(k, outer) for k in argnums]
        self.dual = max((it.dual for it in self.inputs), key=depth)
        self.names[f"dual{self.tag}"] = self.dual
        self.effect = self._effect()
        self.call, result = self._call()
        self.outputs = self._outputs(result)

    # -------------------------------------------------------------- types and effects of f

    def _input(self, k: int, outer: DualType | None) -> Input:
        base = differentiable(self.types[k], self.plan.params[k])
        dual: Any = base if outer is None else over(outer, base)
        levels = self.levels
        if self.recalls and outer is None:  # else this is part of a sweep, whose record goes on
            levels = (RecallType, *levels[1:])
        for level, n in zip(levels, self.lanes, strict=False):
            dual = level(dual, n)
        self.names[f"D{k}{self.tag}"] = dual
        return Input(k, self.types[k], dual)

    def _effect(self) -> Summary:
        """What the activity analysis says of the arguments of `f`."""
        inputs = {it.k: it for it in self.inputs}
        primals, active = [], []
        for k, ty in enumerate(self.types):
            if k in inputs:
                item = primal(inputs[k].dual)
                primals.append(ty.copy(dtype=item) if inputs[k].is_array else item)
            else:
                primals.append(primal_type(ty))
            active.append(k in inputs or k == self.plan.out_argnum or any(duals_in(ty)))
        return summarise(self.plan.function, tuple(primals), tuple(active), False)

    def is_written(self, it: Input) -> bool:
        """Whether `f` writes into an argument, so that every sweep needs it anew."""
        return self.effect.written_args[it.k]

    def _call(self) -> tuple[str, types.Type]:
        """The call of the clone, and the type of what it returns."""
        clone = self.names[f"f{self.tag}"] = clone_of(
            self.plan.function, inline=self.inline, as_items=self._returns_items()
        )
        tag, inputs = self.tag, {it.k: it for it in self.inputs}
        arguments, kws = [], {}
        self.copies: dict[int, tuple[str, str]] = {}  # of arguments, and the dual type if any
        self.joint, self.in_common = overlap.entangled(self._hidden(inputs), self.written)
        for k, (name, ty) in enumerate(zip(self.plan.params, self.types, strict=False)):
            if isinstance(ty, types.Omitted):
                continue
            if self.repeats:
                check_repeats(ty, name)
            if k in inputs:
                expression, given = f"d{k}{tag}", inputs[k].buffer
            elif k == self.plan.out_argnum:
                expression, given = f"b{tag}", self.out_type()
            else:
                active = self.effect.active_args[k] and is_buffer(ty)
                given = promoted(ty, self.dual) if active else ty
                dual, expression = f"dual{tag}" if active else "None", f"a{k}"
                copy = self._copy(k, dual)
                if copy != expression or k in self.joint:
                    self.copies[k] = copy, dual
                    expression = f"p{k}{tag}"
            arguments.append(f"{name}={expression}")
            kws[name] = given
        signature = types.Dispatcher(clone).get_call_type(clone.typingctx, (), kws)
        return f"f{tag}({', '.join(arguments)})", signature.return_type

    def _returns_items(self) -> bool:
        """Whether the clone is one that returns the items of a short array."""
        primals = tuple(map(primal_type, self.types))
        return self.as_items and returned_length(self.plan.function, primals) is not None

    def _copy(self, k: int, dual: str) -> str:
        """What a sweep is given of an argument: that, or a copy, if need be with duals."""
        ty, active, copy = self.types[k], dual != "None", f"a{k}"
        if self.effect.written_args[k]:
            check_copies(ty, self.plan.params[k])
            if may_repeat(ty):
                return f"together({copy}, {dual})"
            if not (active and is_promoted(ty, self.dual)):  # which copies it, too
                copy = f"private({copy})"
        return f"promote({copy}, {dual})" if active else copy

    @property
    def written(self) -> list[int]:
        """The arguments that `f` writes to, but for that for its result."""
        out = self.plan.out_argnum
        return [k for k, on in enumerate(self.effect.written_args) if on and k != out]

    def _hidden(self, which: Collection[int]) -> list[types.Type]:
        """The types of arguments, without some."""
        out = self.plan.out_argnum
        return [types.none if k in which or k == out else ty for k, ty in enumerate(self.types)]

    def out_type(self) -> types.Type:
        """The type of the array that `f` writes its result to."""
        return promoted(self.types[self.plan.out_argnum], self.dual)

    def _outputs(self, result: types.Type) -> list[Output]:
        if self.plan.out_argnum is not None:
            result = promoted(self.types[self.plan.out_argnum], self.dual)
        self.count = len(result) if is_items(result) else None
        if self.count is not None:
            self.names[f"I{self.tag}"] = result.dtype
            result = types.Array(result.dtype, 1, "C")
        self.one_output = not isinstance(result, types.BaseTuple)
        items = [result] if self.one_output else list(result)
        optional = [isinstance(ty, types.Optional) for ty in items]
        items = [
            getattr(ty, "type", ty) if maybe else ty
            for ty, maybe in zip(items, optional, strict=True)
        ]
        self.check(items[0] if self.one_output else result, items)
        return [
            Output(i, ty, self.dual.depth, maybe)
            for i, (ty, maybe) in enumerate(zip(items, optional, strict=True))
        ]

    def check(self, result: types.Type, items: list[types.Type]) -> None:
        """Refuse a kind of result that the transform is not for."""
        check_outputs(self.plan.name, result, items)

    def plain(self, dual: Any) -> Any:
        """A dual type without the levels that the sweep has added."""
        for _ in self.lanes:
            dual = dual.base
        return dual

    def derivative_type(self, o: Output, dual: DualType) -> Any:
        """The type of the derivative of an output by an argument, which decides it if it is 0."""
        if o.active:
            return self.plain(o.item)
        return complex_of(self.plain(dual)) if is_complex(o.item) else self.plain(dual)

    def value_of(self, item: str) -> str:
        """The expression for the value part of one."""
        for _ in self.lanes:
            item = f"value_of({item})"
        return item

    # ----------------------------------------------------------------- lines of the source

    def begin(self, again: str) -> Iterator[str]:
        """Lines before the sweeps of one run of `f`; `again` says whether there are several."""
        if self.recalls:
            yield f"record_values({again})"
        if self.repeats and self.draws:
            yield from draws.keep(self.generators, again)

    def end(self) -> Iterator[str]:
        """Lines after the sweeps."""
        if self.recalls:
            yield "record_values(False)"

    @property
    def draws(self) -> bool:
        """Whether `f` may draw random numbers."""
        return self.effect.draws or bool(self.generators)

    @property
    def generators(self) -> list[str]:
        """The generators of random numbers that it is given."""
        return [it for k, ty in enumerate(self.types) for it in draws.generators_in(f"a{k}", ty)]

    def buffer(self) -> Iterator[str]:
        """Allocate the array that `f` writes its result to, or that takes the items of one."""
        if self.plan.out_argnum is not None:
            yield f"b{self.tag} = promote(a{self.plan.out_argnum}, dual{self.tag})"
        if self.count is not None:
            yield f"s{self.tag} = on_stack({self.count}, I{self.tag})"

    def fill(self) -> Iterator[str]:
        """Give the array that `f` writes its result to the items that `f` finds there."""
        yield f"copy_into(b{self.tag}, a{self.plan.out_argnum})"

    def apart(self) -> Iterator[str]:
        """Refuse arguments that share memory, except with the buffer for the result."""
        yield from overlap.refusals(self._hidden([]), self.written, self.plan.params, self.joint)

    def copied(self) -> Iterator[str]:
        """Name copies of the arguments that `f` writes to, or that need duals for floats."""
        alone = [f"p{k}{self.tag} = {copy}" for k, (copy, _) in self.copies.items()]
        if not self.joint:
            yield from alone
            return
        given = tupled([f"a{k}" for k in self.joint], False)
        duals = tupled([self.copies[k][1] for k in self.joint], False)
        yield f"if {self.in_common}:"
        names = ", ".join(f"p{k}{self.tag}" for k in self.joint)
        yield f"    {names} = together({given}, {duals})"
        others = [k for k in self.copies if k not in self.joint]
        yield from indented(f"p{k}{self.tag} = {self.copies[k][0]}" for k in others)
        yield "else:"
        yield from indented(alone)

    def run(self, gather_items: bool = True) -> Iterator[str]:
        """Call `f` and name its outputs; those that come as items need not be gathered."""
        tag, result = self.tag, f"y{self.tag}"
        yield from self.apart()
        yield from self.copied()
        if self.recalls:
            yield "recall_values()"
        if self.repeats and self.draws:
            yield from draws.repeat(self.generators)
        if self.plan.out_argnum is not None:
            result = f"b{tag}"
            yield from self.fill()
        yield f"y{tag} = {self.call}"
        if self.count is not None:
            result = f"s{tag}"
            yield f"gather(s{tag}, y{tag})" if gather_items else ""
        for o in self.outputs:
            part = result if self.one_output else f"{result}[{o.i}]"
            if o.optional:
                yield f"if {part} is None:"
                yield "    raise TypeError('the function returned None, which has no derivative')"
            yield f"y{o.i}{tag} = {f'present({part})' if o.optional else part}"
            if o.is_array:
                in_row = o.type.layout == "C"  # else a copy puts the items in a row
                yield f"g{o.i}{tag} = y{o.i}{tag}{'' if in_row else '.ravel()'}"

    def once(self, first: str, body: Iterable[str]) -> Iterator[str]:
        """Lines for the first sweep, which knows the shapes of results; those of others agree."""
        arrays = [o for o in self.outputs if o.is_array]
        yield f"if {first}:"
        yield from indented(["pass", *body])
        yield from (f"    shape{o.i} = y{o.i}{self.tag}.shape" for o in arrays)
        for o in arrays:
            yield f"elif y{o.i}{self.tag}.shape != shape{o.i}:"
            yield f"    raise ValueError({OTHER_SHAPE!r})"

    def value(self, o: Output) -> Iterator[str]:
        """Copy the value part of an output to `v`."""
        i, tag = o.i, self.tag
        if not o.active:
            yield f"v{i} = y{i}{tag}{'.copy()' if o.is_array else ''}"
        elif not o.is_array:
            yield f"v{i} = {self.value_of(f'y{i}{tag}')}"
        else:
            self.names[f"V{i}"] = self.plain(o.item)
            yield f"v{i} = empty(y{i}{tag}.shape, V{i})"
            yield f"for m in range(v{i}.size):"
            item = self.value_of(f"item_at(g{i}{tag}, m)")
            yield f"    store_at(v{i}, m, {item})"


def compiled(name: str, source: str, names: dict[str, Any]) -> Callable[..., Any]:
    """The function `kernel` of a source text, ready to be compiled by Numba."""
    # in a module, or else the namespace would be part of what the cache stores
    namespace = {**NAMES, **names, "__name__": plans.__name__}
    exec(compile(source, f"<dualgrad {name}>", "exec"), namespace)
    kernel: Callable[..., Any] = namespace["kernel"]
    return kernel


def tupled(items: list[str], alone: bool) -> str:
    """The source of a tuple, or of its one item alone."""
    return items[0] if alone else f"({', '.join(items)},)"


def nested(ty: types.Type, items: Iterator[str]) -> str:
    """The source of a nested tuple of a type, or of its one item alone."""
    if isinstance(ty, types.BaseTuple):
        return tupled([nested(item, items) for item in ty], False)
    return next(items)


def indented(lines: Iterable[str]) -> list[str]:
    """Lines of source one level deeper."""
    return [f"    {line}" for line in lines]
