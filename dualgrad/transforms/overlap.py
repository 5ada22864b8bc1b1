"""What a kernel does where arguments, or `out`, share memory.

It works on copies of what `f` writes to, and writes to `out` while it still reads its arguments.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from numba.core import types

from dualgrad.transforms.extents import memory_kinds


def refusals(
    arg_types: Sequence[types.Type], written: Collection[int], names: Any
) -> Iterator[str]:
    """Lines of a kernel that raise an error if an argument shares memory with a written one.

    What `f` writes to the one it would not see in the other.
    """
    given = [(k, it) for k, ty in enumerate(arg_types) for it in leaves(f"a{k}", ty, types.Type)]
    for (k, one), (other, another) in itertools.combinations(given, 2):
        if {k, other}.intersection(written):
            them = f"{names[k]} and {names[other]}" if k != other else f"items of {names[k]}"
            yield from _refused(_meet(one, another), them)


def refused_repeats(expression: str, ty: types.Type, name: str) -> Iterator[str]:
    """Lines that raise an error if a written container whose items are copied holds one twice."""
    for container, of in leaves(expression, ty, types.Type):
        if not isinstance(of, types.Array) and memory_kinds(of):
            yield from _refused(f"meets_itself({container})", f"items of {name}")


def _refused(condition: str, them: str) -> Iterator[str]:
    if condition:
        text = f"{them} share memory, and the function writes to it; pass a copy of one"
        yield f"if {condition}:"
        yield f"    raise ValueError({text!r})"


def kept(
    arg_types: Sequence[types.Type], out: types.Type, names: Sequence[str] = ()
) -> Iterator[str]:
    """Lines of a kernel that replace arguments by copies if results are written to their memory."""
    results = list(leaves("out", out, types.Array))
    for k, ty in enumerate(arg_types):
        name = names[k] if names else f"a{k}"
        pairs = itertools.product(leaves(name, ty, types.Type), results)
        meet = [it for it in itertools.starmap(_meet, pairs) if it]
        if meet:
            yield f"if {' or '.join(meet)}:"
            yield f"    {name} = private({name})"


def leaves(expression: str, ty: types.Type, kind: Any) -> Iterator[tuple[str, Any]]:
    """What is of a kind in a nested tuple: the expression and the type of each."""
    if isinstance(ty, types.BaseTuple):
        for k, item in enumerate(ty):
            yield from leaves(f"{expression}[{k}]", item, kind)
    elif isinstance(ty, kind):
        yield expression, ty


def _meet(one: tuple[str, types.Type], other: tuple[str, types.Type]) -> str:
    """The condition that two values, by expressions and types, share memory; '' if they cannot."""
    (a, of_a), (b, of_b) = one, other
    if memory_kinds(of_a).isdisjoint(memory_kinds(of_b)):
        return ""
    if not all(isinstance(ty, types.Array) for ty in (of_a, of_b)):
        return f"memories_meet({a}, {b})"
    conditions = [f"{a}.size", f"{b}.size", f"extents_meet({a}, {b})"]
    if "A" in (of_a.layout, of_b.layout):  # items of one may lie between those of the other
        conditions.append(f"memories_meet({a}, {b})")
    return f"({' and '.join(conditions)})"
