"""The best number of tangents for given arguments: by their sizes, or by measuring a few."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from dualgrad.transforms.chunks import AT_POINT, LARGE, SMALL, SMALLEST
from dualgrad.transforms.plans import ColumnsPlan, HvpPlan, VmapPlan
from dualgrad.transforms.transform import Transform
from dualgrad.transforms.transform import transform as transform_of

#: What is tried besides the default, and the most in each of equal sweeps, which are tried too.
CANDIDATES, MOST = (4, 8, 16, 32, 64), (32, 64)
#: Every candidate is called for so many seconds, in so many rounds by turns.
SAMPLE, ROUNDS = 2e-3, 7


def tune(
    transform: Transform, *args: Any, clock: Callable[[], float] = time.perf_counter
) -> Transform:
    """The same transform with the chunk that is fastest for given arguments.

    Parameters
    ----------
    transform : Transform
        What `grad`, `jacobian`, `hessian`, `hvp` or their `value_and_` forms returned, or `vmap`
        of one. The chunk that it has, by default one that is chosen by rule, is a candidate too.
    *args
        Arguments of the transform, of the types and sizes that it will be called with.
    clock : callable
        What tells the time, in seconds.

    Returns
    -------
    Transform
        The transform with the best chunk. Its results are the same, but for the order in which a
        sum is rounded.

    Raises
    ------
    TypeError
        If the transform has no chunk, as `jvp`, `derivative` and `taylor` have none.

    Notes
    -----
    A few numbers of tangents are compiled, at some tenths of a second each, and run by turns for
    about 0.1 s in all. Arithmetic wants as many tangents as fit into the processor's registers;
    functions whose values cost much want more. On the choice: Revels, Lubin and Papamarkou,
    *Forward-Mode Automatic Differentiation in Julia*, arXiv:1607.07892.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> x = np.linspace(0.0, 1.0, 12)
    >>> gradient = dg.tune(dg.grad(lambda x: np.sum(np.cos(x))), x)
    >>> bool(np.allclose(gradient(x), -np.sin(x)))
    True
    """
    if not isinstance(transform, Transform) or not _has_chunk(transform):
        name = transform.plan.name if isinstance(transform, Transform) else repr(transform)
        raise TypeError(f"dg.tune: a transform with a chunk is expected, and {name} has none")
    inputs = _inputs(transform, args)
    chunks = {n for n in CANDIDATES if n <= inputs}
    if inputs:
        chunks |= {ceil(inputs / ceil(inputs / most)) for most in MOST}
    ways = [transform, *(_with_chunk(transform, n) for n in sorted(chunks))]
    laps = _laps([partial(way, *args) for way in ways], clock)
    return ways[laps.index(min(laps))]


def fitted(transform: Transform, args: Sequence[Any]) -> Transform | None:
    """The same with lanes for just the inputs, if one sweep has room for all; else None.

    At many points there is one for each input; else as many as fill vectors. Kernels take any size:
    these are for that of the first call, which most others have too.
    """
    mapped = isinstance(transform.plan, VmapPlan)
    inner: Any = getattr(transform.plan, "function", None) if mapped else transform
    plan = getattr(inner, "plan", None)
    empty = any(isinstance(it, np.ndarray) and it.size == 0 for it in args)
    if type(plan) is not ColumnsPlan or inner.chunk is not None or empty:
        return None
    try:
        sizes = _sizes(transform, args)
    except (ValueError, IndexError):  # axes that do not fit: the kernel says which
        return None
    n = sum(sizes)
    if mapped:
        return _with_chunk(transform, (n,), sizes) if 1 < n <= AT_POINT else None
    lanes = SMALLEST if n <= SMALLEST else SMALL * ceil(n / SMALL)
    of_array = any(isinstance(args[k], np.ndarray) for k in plan.argnums if k < len(args))
    # alone: a second size for what is left in larger calls would take as long to compile
    return _with_chunk(transform, (lanes,)) if of_array and lanes < LARGE else None


def _has_chunk(transform: Transform) -> bool:
    plan = transform.plan
    if isinstance(plan, VmapPlan):
        return isinstance(plan.function, Transform) and _has_chunk(plan.function)
    return isinstance(plan, HvpPlan) or (
        isinstance(plan, ColumnsPlan) and plan.name != "derivative"
    )


def _inputs(transform: Transform, args: Sequence[Any]) -> int:
    """By how many numbers it differentiates, at one point if it is mapped."""
    return sum(_sizes(transform, args))


def _sizes(transform: Transform, args: Sequence[Any]) -> tuple[int, ...]:
    """How many each argument has of them."""
    plan = transform.plan
    if isinstance(plan, VmapPlan):
        axes = plan.axes_of(len(args))
        return _sizes(plan.function, [_at_point(*it) for it in zip(args, axes, strict=True)])
    primals = args[0] if isinstance(plan, HvpPlan) else args
    return tuple(np.size(primals[k]) for k in plan.argnums if k < len(primals))


def _at_point(arg: Any, axes: Any) -> Any:
    """An argument at the first point."""
    if isinstance(arg, tuple):
        each = axes if isinstance(axes, tuple) else (axes,) * len(arg)
        return tuple(_at_point(*it) for it in zip(arg, each, strict=True))
    return arg if axes is None else np.take(arg, 0, axes)


def _with_chunk(
    transform: Transform, n: int | tuple[int, ...], sizes: tuple[int, ...] = ()
) -> Transform:
    plan, chunk = transform.plan, transform.chunk
    if isinstance(plan, VmapPlan):
        plan = replace(plan, function=_with_chunk(plan.function, n, sizes), sizes=sizes)
    else:
        chunk = n
    return transform_of(plan, chunk, transform.signature, transform.cache)


def _laps(calls: Sequence[Callable[[], Any]], clock: Callable[[], float]) -> list[float]:
    """The shortest time of each call."""

    def lap(call: Callable[[], Any], times: int) -> float:
        begin = clock()
        for _ in range(times):
            call()
        return (clock() - begin) / times

    for call in calls:
        call()  # compiles
    times = [max(1, min(1000, int(SAMPLE / max(lap(call, 1), 1e-9)))) for call in calls]
    rounds = [
        [lap(call, count) for call, count in zip(calls, times, strict=True)] for _ in range(ROUNDS)
    ]
    return [min(took) for took in zip(*rounds, strict=True)]
