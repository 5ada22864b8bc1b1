"""What a kernel does where arguments, or `out`, share memory.

It works on copies of what `f` writes to, and writes to `out` while it still reads its arguments.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from numba.core import types

from dualgrad.transforms.copies import can_copy, is_entangled
from dualgrad.transforms.extents import memory_kinds


def refusals(
    arg_types: Sequence[types.Type], written: Collection[int], names: Any, joint: Collection[int]
) -> Iterator[str]:
    """Lines of a kernel that raise an error if an argument shares memory with a written one.

    What `f` writes to the one it would not see in the other. Copies of the `joint` ones, and of
    what an argument holds in objects, have in common what the arguments have.
    """
    given = [(k, it) for k, ty in enumerate(arg_types) for it in leaves(f"a{k}", ty, types.Type)]
    for (k, one), (other, another) in itertools.combinations(given, 2):
        in_common = is_entangled(arg_types[k]) if k == other else {k, other} <= set(joint)
        condition = "" if in_common else _meet(one, another)
        if condition and {k, other}.intersection(written):
            them = f"{names[k]} and {names[other]}" if k != other else f"items of {names[k]}"
            text = f"{them} share memory, and the function writes to it; pass a copy of one"
            yield f"if {condition}:"
            yield f"    raise ValueError({text!r})"


def entangled(arg_types: Sequence[types.Type], written: Collection[int]) -> tuple[list[int], str]:
    """The arguments that have to be copied together where a condition holds, and that."""
    found, conditions = set(), []
    for k, other in itertools.combinations(range(len(arg_types)), 2):
        pair = arg_types[k], arg_types[other]
        apart = memory_kinds(pair[0]).isdisjoint(memory_kinds(pair[1]))
        if apart or not any(map(is_entangled, pair)) or not all(map(can_copy, pair)):
            continue
        if {k, other}.intersection(written):
            found |= {k, other}
            conditions.append(f"memories_meet(a{k}, a{other})")
    return sorted(found), " or ".join(conditions)


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
