"""The same random numbers in all sweeps of a call.

Every sweep runs `f` anew. What it draws must be what the first sweep drew, or the columns of a
Jacobian would be those of different functions. In the end a call has drawn as often as `f` draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numba import njit, objmode
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_new_ref
from numba.cpython import randomimpl
from numba.extending import intrinsic, overload

from dualgrad import steering
from dualgrad.pages import new_array
from dualgrad.transforms.overlap import leaves

#: The states of a thread, by the names that Numba has for them: of `random` and of `np.random`.
_STATES = ("py", "np")
_KEPT = types.Array(types.uint8, 1, "C")


def keep(generators: Sequence[str], again: str) -> Iterator[str]:
    """Lines before the first sweep, where `again` is whether more may follow."""
    yield "draws = kept_draws()"
    for number, generator in enumerate(generators):
        yield f"again = {again}"
        yield f"drawn{number} = as_it_is({generator}, again)"


def repeat(generators: Sequence[str]) -> Iterator[str]:
    """Lines before each sweep."""
    yield "redraw(draws)"
    for number, generator in enumerate(generators):
        yield f"draw_like({generator}, drawn{number}, again)"


def generators_in(expression: str, ty: types.Type) -> list[str]:
    """The expressions of the generators of random numbers in an argument."""
    return [it for it, _ in leaves(expression, ty, types.NumPyRandomGeneratorType)]


def generators_among(args: Any) -> list[np.random.Generator]:
    """The generators of NumPy in nested tuples."""
    if isinstance(args, tuple):
        return [it for arg in args for it in generators_among(arg)]
    return [args] if isinstance(args, np.random.Generator) else []


def drawing_again(args: Any) -> Callable[[], None]:
    """What lets this thread and the generators draw again what they draw from now on."""
    kept = _kept()
    generators = [(it, it.bit_generator.state) for it in generators_among(args)]

    def draw_again() -> None:
        _redraw(kept)
        for generator, state in generators:
            generator.bit_generator.state = state

    return draw_again


def _copy_states(context: Any, builder: Any, kept: Any, back: bool) -> None:
    size = _size_of_state(context)
    for number, name in enumerate(_STATES):
        state = randomimpl.get_state_ptr(context, builder, name)
        place = cgutils.gep(builder, kept.data, number * size)
        state = builder.bitcast(state, place.type)
        target, source = (state, place) if back else (place, state)
        cgutils.raw_memcpy(builder, target, source, context.get_constant(types.intp, size), 1)


def _size_of_state(context: Any) -> int:
    return int(context.get_abi_sizeof(randomimpl.rnd_state_t))


@intrinsic
def kept_draws(typingctx: Any) -> Any:
    """The states of random numbers that belong to this thread."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        size = context.get_constant(types.intp, len(_STATES) * _size_of_state(context))
        kept = new_array(context, builder, _KEPT, [size])
        _copy_states(context, builder, kept, back=False)
        return impl_ret_new_ref(context, builder, _KEPT, kept._getvalue())

    return _KEPT(), codegen


@intrinsic
def note_draws(typingctx: Any) -> Any:
    """Note that a run may go otherwise the next time, as by a comparison of active numbers."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        steering.note(builder)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def redraw(typingctx: Any, kept: Any) -> Any:
    """Let this thread draw what it drew from these states on."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _copy_states(context, builder, context.make_array(kept)(context, builder, args[0]), True)
        return context.get_dummy_value()

    return types.void(kept), codegen


@njit(cache=True)
def _kept() -> Any:
    return kept_draws()


@njit(cache=True)
def _redraw(kept: Any) -> None:
    redraw(kept)


def as_it_is(generator: Any, again: bool) -> Any:
    """A copy of a generator of NumPy if one is needed."""
    raise NotImplementedError("only for compiled code")


def draw_like(generator: Any, other: Any, again: bool) -> None:
    """Let a generator draw what another one will."""
    raise NotImplementedError("only for compiled code")


# How large the state of a generator is, only its own methods know.


@overload(as_it_is)
def _as_it_is(generator: Any, again: Any) -> Any:
    kind = generator

    def impl(generator: Any, again: Any) -> Any:
        copy = generator
        if again:
            with objmode(copy=kind):
                copy = deepcopy(generator)
        return copy

    return impl


@overload(draw_like)
def _draw_like(generator: Any, other: Any, again: Any) -> Any:
    def impl(generator: Any, other: Any, again: Any) -> None:
        if again:
            with objmode():
                generator.bit_generator.state = other.bit_generator.state

    return impl
