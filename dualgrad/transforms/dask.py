"""Mapped transforms of Dask arrays: lazy results, computed block by block.

Nothing here is imported before a transform is called with a Dask array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dask
import dask.array as da
import numpy as np
from numba.core.dispatcher import OmittedArg


def lazily(transform: Any) -> Callable[..., Any]:
    """The function that stands for a transform of arguments among which are Dask arrays."""
    plan = transform.plan
    if not hasattr(plan, "axes_of"):
        raise TypeError(
            f"dg.{plan.name}: a Dask array is given to a transform at one point; map it over "
            "points with dg.vmap, or give it array.compute()"
        )
    return lambda *args: _mapped(transform, *args)


def _mapped(transform: Any, *args: Any) -> Any:
    *given, out = args
    if not _is_absent(out):
        raise TypeError("dg.vmap: out= takes no results of Dask arrays, which are lazy")
    while given and _is_absent(given[-1]):
        given.pop()
    axes = transform.plan.axes_of(len(given))
    leaves = [leaf for pair in zip(given, axes, strict=True) for leaf in _leaves(*pair)]
    blocks = _blocks(leaves)
    if not blocks:
        return transform(*dask.compute(*given))
    example = _example(transform, given, axes)
    parts: list[Any] = []
    for k, count in enumerate(blocks):
        start = sum(blocks[:k])
        block = [_block(*pair, blocks, k, start, count) for pair in zip(given, axes, strict=True)]
        shapes = _map(lambda it, count=count: (count, *it.shape[1:]), example)
        result = dask.delayed(_call, pure=False)(transform, block, shapes)
        parts.append((result, shapes))
    return _stacked(parts, example)


def _is_absent(argument: Any) -> bool:
    return argument is None or isinstance(argument, OmittedArg)


def _inner(axes: Any, k: int) -> Any:
    return axes[k] if isinstance(axes, tuple) else axes


def _leaves(argument: Any, axes: Any) -> Iterator[tuple[Any, int]]:
    """The arrays that are mapped, with their axes."""
    if isinstance(argument, tuple):
        for k, item in enumerate(argument):
            yield from _leaves(item, _inner(axes, k))
    elif axes is not None and not _is_absent(argument):
        yield argument, axes
