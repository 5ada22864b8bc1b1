"""Spread what a kernel does over threads: columns of one derivative, or points of many.

A *part* of a plan is a kernel that computes a range of the columns or points, into results that it
is given. The first range is computed alone, as it is what makes the results: only then are shapes
known. The others share nothing but the results, in which each has its own places.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from numba import get_num_threads, njit, prange
from numba.core import types

from dualgrad.transforms import batch, columns, draws
from dualgrad.transforms.batch import is_absent
from dualgrad.transforms.columns import Columns
from dualgrad.transforms.overlap import kept
from dualgrad.transforms.plans import ColumnsPlan, VmapPlan
from dualgrad.transforms.sweep import Input, Output, compiled, indented, nested
from dualgrad.transforms.transform import Transform

#: Ranges for each thread: more than one, as some cost more than others.
SHARE = 4


def columns_kernel(plan: ColumnsPlan, arg_types: Any, n: int | None) -> Any:
    """The kernel of a first derivative whose columns are spread over threads."""
    phases = columns.phases_of(plan.as_part(), arg_types, n)
    large, small = phases[0], phases[-1]
    sizes = " + ".join(it.size for it in large.inputs)
    ranges = [
        f"all = {sizes}",
        f"grain = {large.n} if all > {large.n} * threads() else {small.n}",
        "first = min(all, grain)",
    ]
    derivatives = "made[1]" if plan.with_value else "made"
    result = large.result_of(lambda o, it: _number_or_array(derivatives, large, o, it))
    parameters = [f"a{k}" for k in range(len(large.types))]
    result = f"made[0], {result}" if plan.with_value else result
    return driver(plan, n, arg_types, parameters, ranges, result)


def _number_or_array(derivatives: str, sweep: Columns, o: Output, it: Input) -> str:
    """A part of the results; that of a number by a number came as an array of one."""
    place = "".join(f"[{k}]" for k, alone in sweep.places(o, it) if not alone)
    scalar = not (o.is_array or it.is_array) and is_absent(sweep.out)
    return f"{derivatives}{place}{'[0]' if scalar else ''}"


def points_kernel(plan: VmapPlan, arg_types: Any, n: int | None) -> Any:
    """The kernel of `vmap` whose points are spread over threads."""
    *types_of_f, _ = arg_types
    axes = zip(plan.axes_of(len(types_of_f)), types_of_f, strict=True)
    # to a part a default comes as a number
    plan = replace(plan, in_axes=tuple(None if is_absent(ty) else axis for axis, ty in axes))
    ranges = [*batch.Mapped.of(plan, types_of_f).count(), "all, grain = count, 1"]
    ranges.append("first = min(all, 1)")
    parameters = [f"A{k}" for k in range(len(types_of_f))]
    return driver(plan, n, arg_types, parameters, ranges, "made", one_run=False)


def driver(
    plan: Any, n: int | None, arg_types: Any, parameters: list[str], ranges: list[str], result: str,
    one_run: bool = True,
) -> Any:  # fmt: skip
    """The kernel that gives ranges to threads.

    `ranges` are lines that set `first`, where the first range ends, `stop`, where the last one
    does, and `grain`, what the sizes of the others are multiples of. The first range has `made`
    the results, of which `result` is an expression. All of `one_run` draw the same random numbers.
    """
    if any(draws.generators_in("", ty) for ty in arg_types):
        raise TypeError(
            f"dg.{plan.name}: threads cannot share a generator of random numbers; pass what it "
            "draws, or leave out parallel=True"
        )
    part = _part(plan, n, parameters)
    made = types.Dispatcher(part).get_call_type(
        part.typingctx, (*arg_types, types.intp, types.intp), {}
    )
    # values of a Jacobian are those of the first sweep: the others write derivatives alone
    values_apart = getattr(plan, "with_value", False)
    place, ty = ("made[1]", made.return_type[1]) if values_apart else ("made", made.return_type)
    arrays = [expression for expression, _ in _leaves(ty, place)]
    arguments = ", ".join([*parameters, *(f"r{k}" for k in range(len(arrays)))])
    out = nested(ty, (f"r{k}" for k in range(len(arrays))))
    call = f"part({', '.join(parameters)}, {out}, start, stop)"
    attempt = [f"def kernel({arguments}, draws, start, stop):", "    failed = False"]
    attempt += ["    own = kept_draws()", "    redraw(draws)"] if one_run else []
    attempt += ["    try:", f"        {call}", "    except Exception:"]
    attempt += ["        failed = True"]  # a thread cannot raise: what it computed raises again
    attempt += ["    redraw(own)"] if one_run else []
    attempt.append("    return failed")
    names = {"part": part, "prange": prange, "threads": get_num_threads}
    names["attempt"] = njit(nogil=True)(compiled("attempt", "\n".join(attempt), names))
    bounds = [
        "start = first + b * grains // parts * grain",
        "stop = min(all, first + (b + 1) * grains // parts * grain)",
    ]
    *types_of_f, type_of_out = arg_types
    body = [
        *kept(types_of_f, type_of_out, parameters),
        *ranges,
        "draws = kept_draws()",
        f"made = part({', '.join(parameters)}, out, 0, first)",
        *(f"r{k} = {expression}" for k, expression in enumerate(arrays)),
        "grains = (all - first + grain - 1) // grain",
        f"parts = min(grains, {SHARE} * threads())",
        "failed = np.zeros(parts, np.bool_)",
        "for b in prange(parts):",
        *indented([*bounds, f"failed[b] = attempt({arguments}, draws, start, stop)"]),
        "for b in range(parts):",
        "    if failed[b]:",
        *indented(indented([*bounds, *(["redraw(draws)"] if one_run else []), call])),
        f"return {result}",
    ]
    source = "\n".join([f"def kernel({', '.join(parameters)}, out):", *indented(body)])
    return compiled(plan.name, source, names)


def _leaves(ty: types.Type, expression: str) -> Iterator[tuple[str, types.Type]]:
    """The arrays of a nested result. Numba's threads take no nested tuples."""
    if isinstance(ty, types.BaseTuple):
        for k, item in enumerate(ty):
            yield from _leaves(item, f"{expression}[{k}]")
    else:
        yield expression, ty


def _part(plan: Any, n: int | None, parameters: list[str]) -> Transform:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = [*parameters, "out", "start", "stop"]
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    return Transform(plan.as_part(), n, signature, cache=False)
