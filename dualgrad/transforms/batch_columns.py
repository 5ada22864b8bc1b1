"""The kernel of `vmap` over first derivatives: one set of buffers serves all points.

A point is a small problem, so what is done once for all counts: the buffers of duals are allocated
once, and where one sweep has room for all columns the seeds are set once too.
"""

from __future__ import annotations

import re
from typing import Any

from dualgrad.lanes import FLAGS_APART
from dualgrad.transforms import chunks
from dualgrad.transforms.batch import Mapped, is_array, kernel_of_points, point_types
from dualgrad.transforms.batch_exact import ColumnsApart, ExactColumns, exact_columns
from dualgrad.transforms.batch_sweeps import ColumnsOfPoints
from dualgrad.transforms.columns import sweeps
from dualgrad.transforms.overlap import kept
from dualgrad.transforms.plans import VmapPlan
from dualgrad.transforms.sweep import compiled, indented


def kernel(vmap: VmapPlan, arg_types: Any) -> Any:
    """The kernel for these types as a Python function.

    That of a part has two arguments more and computes the points from `p` to `end` alone.
    """
    *types_of_f, out = arg_types[: len(arg_types) - 2 * vmap.part]
    mapped = Mapped.of(vmap, types_of_f)
    types_of_point = point_types(mapped, types_of_f)
    plan, n = vmap.function.plan, vmap.function.chunk
    sizes = n if isinstance(n, tuple) else (n,)
    if n is None:
        sizes = chunks.sizes_at_point(plan.argnums, types_of_point)
    scalars = not any(is_array(types_of_point[k]) for k in plan.argnums)
    fits = n is not None  # the number of lanes that of columns, as far as one can know
    if scalars:
        fits = n is None or sizes[0] >= len(plan.argnums)
        sizes = (len(plan.argnums),) if fits else sizes
    phases = [ColumnsOfPoints(plan, types_of_point, out, size) for size in sizes]
    exact = exact_columns(vmap, phases[0]) if fits else None
    if exact:  # there may be points with more or fewer columns if these are of an array
        phases = [] if scalars else phases[1:] or phases
    text = _source(phases, exact, mapped, vmap.part)
    whole = [*phases, *([exact] if exact else [])]
    names = {name: value for sweep in whole for name, value in sweep.names.items()}
    function: Any = compiled(vmap.name, text, names)
    function.is_attempt = isinstance(exact, ColumnsApart) and exact.is_attempt
    return function


def in_vectors(kernel: str) -> bool:
    """Whether LLVM has put points into vectors, as its code for arithmetic on tangents says."""
    return bool(re.search(rf" = f\w+ (reassoc )?{' '.join(FLAGS_APART)} <\d+ x ", kernel))


def _borrow(names: list[str]) -> list[str]:
    """Lines that use arrays without counting references to them; they are kept until the end."""
    return [line for it in names for line in (f"kept_{it} = {it}", f"{it} = borrowed({it})")]


def _source(
    phases: list[ColumnsOfPoints], exact: ExactColumns | None, mapped: Mapped, part: bool
) -> str:
    """The source of the kernel; `exact` is for points whose inputs have the sizes that it knows."""
    first = [*phases, exact][0]
    assert first is not None
    point = [f"a{k} = {mapped.point(k)}" for k in range(len(first.types))]
    arrays = [name for name, ty in zip(mapped.names, mapped.types, strict=True) if is_array(ty)]
    body = [] if part else [*kept(mapped.types, first.out, mapped.names)]
    body += _borrow(arrays)
    body += [*mapped.count(), "if count == 0:", f"    {first.nothing(mapped)}"]
    body += [*([] if part else ["p = 0", "end = count"]), *point, *first.offsets()]
    body += ["total = columns", "begin = start = 0", "at = p"]
    sweeping = [*phases, *([exact] if exact else [])]
    buffers = [name for phase in sweeping for name in phase.buffer_names()]
    body += [line for phase in sweeping for line in phase.buffers()]
    body += _borrow(buffers)
    body += first.allocate(arrays=False)
    if exact:
        body += [f"if {exact.fits}:", *indented(["pass", *exact.seeds("1.0")])]
        loop = [*point, *exact.sweep(), "p += 1"]
        body += ["    while p < end:", *indented(indented(loop))]
    if phases:
        last = phases[-1]
        body += [f"single = total <= {last.n}", "if single:"]
        body += indented(["pass", *last.seeds("1.0")])
        loop = [*point, *(line for phase in phases for line in phase.renew(mapped))]
        loop += ["start = 0", *last.begin("not single"), *sweeps(phases), "p += 1"]
        body += ["while p < end:", *indented(loop)]
    body += [f"keep(kept_{it})" for it in [*arrays, *buffers]]
    body.append(f"return {first.result()}")
    return kernel_of_points(len(first.types), part, body)
