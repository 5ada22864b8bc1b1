"""Mapped transforms of Dask arrays: lazy results, computed block by block.

A block of points is one task, on whatever scheduler Dask has. Nothing here is imported before a
transform is called with a Dask array.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import dask
import dask.array as da
import numpy as np
from numba.core.dispatcher import OmittedArg

from dualgrad.transforms.plans import VmapPlan
from dualgrad.transforms.transform import Transform, transform


def lazily(mapped: Transform) -> Callable[..., Any]:
    """What a transform is for arguments among which are Dask arrays."""
    plan = mapped.plan
    if not isinstance(plan, VmapPlan):
        raise TypeError(
            f"dg.{plan.name}: a Dask array is a batch of points, and this is a transform at one "
            "point; map it with dg.vmap, or pass array.compute()"
        )
    # Dask spreads the points; threads inside its threads are too many.
    serial = transform(replace(plan, parallel=False), mapped.chunk, mapped.signature, mapped.cache)
    return lambda *args: _blockwise(serial, *args)


def _blockwise(mapped: Transform, *args: Any) -> Any:
    *given, out = args
    if not _is_absent(out):
        raise TypeError("dg.vmap: results of Dask arrays are lazy, and cannot be written to out=")
    arguments = tuple(itertools.dropwhile(_is_absent, reversed(given)))[::-1]
    axes = mapped.plan.axes_of(len(arguments))
    counts = _counts(arguments, axes)
    example = _example(mapped, arguments, axes)
    # for each leaf its blocks, or the one that all have
    split = _map(lambda it, axis: _split(it, axis, counts), arguments, axes)
    results = []
    for k, count in enumerate(counts):
        block = _map(lambda it, _, k=k: it[k % len(it)], split, None)
        results.append(dask.delayed(_run, pure=False)(mapped, block, example, count))
    return _stacked(results, counts, example)


def _is_absent(argument: Any) -> bool:
    return argument is None or isinstance(argument, OmittedArg)


def _is_lazy(argument: Any) -> bool:
    return isinstance(argument, da.Array)


def _map(function: Any, argument: Any, axes: Any) -> Any:
    """Nested tuples with `function` of each leaf and its axis in place of the leaf."""
    if isinstance(argument, tuple):
        inner = axes if isinstance(axes, tuple) else (axes,) * len(argument)
        return tuple(map(lambda it, axis: _map(function, it, axis), argument, inner))
    return function(argument, axes)


def _counts(arguments: Any, axes: Any) -> tuple[int, ...]:
    """How many points each block has: as many as those of the first mapped Dask array."""
    leaves: list[tuple[Any, int]] = []
    _map(lambda it, axis: leaves.append((it, axis)), arguments, axes)
    leaves = [(it, axis) for it, axis in leaves if axis is not None and not _is_absent(it)]
    for it, axis in leaves:
        if not -np.ndim(it) <= axis < np.ndim(it):
            raise ValueError(
                f"dg.vmap: an argument has no axis {axis} to map; give it None in in_axes"
            )
    chunks = [it.chunks[axis] if _is_lazy(it) else (np.shape(it)[axis],) for it, axis in leaves]
    if not chunks:
        raise ValueError("dg.vmap: in_axes maps no argument; one at least must have an axis")
    if any(np.isnan(sum(it)) for it in chunks):
        raise ValueError("dg.vmap: a Dask array of unknown size; call its compute_chunk_sizes()")
    if len({sum(it) for it in chunks}) > 1:
        raise ValueError("dg.vmap: the mapped arguments have different lengths")
    lazy = (own for own, (it, _) in zip(chunks, leaves, strict=True) if _is_lazy(it))
    return next(lazy, chunks[0])


def _example(mapped: Transform, arguments: Any, axes: Any) -> Any:
    """The results at one point: a lazy array has a shape and a dtype before it is computed."""

    def one(it: Any, axis: int | None) -> Any:
        if axis is None or _is_absent(it):
            return np.ones(it.shape, it.dtype) if _is_lazy(it) else it
        shape = list(it.shape)
        shape[axis] = 1
        return np.ones(shape, it.dtype)

    try:
        return mapped(*_map(one, arguments, axes))
    except (ArithmeticError, ValueError) as error:
        raise ValueError(
            f"dg.vmap: the shapes of lazy results are found at arguments that are all ones, where "
            f"the function raises {type(error).__name__}: {error}; use dask's map_blocks instead"
        ) from error


def _split(argument: Any, axis: int | None, counts: tuple[int, ...]) -> list[Any]:
    """The blocks of an argument: arrays, delayed where it is lazy."""
    if axis is None or _is_absent(argument):
        if _is_lazy(argument):
            return list(argument.rechunk(-1).to_delayed(optimize_graph=False).flat)
        return [argument]
    if _is_lazy(argument):
        chunks = dict.fromkeys(range(argument.ndim), -1) | {axis % argument.ndim: counts}
        return list(argument.rechunk(chunks).to_delayed(optimize_graph=False).flat)
    return np.split(argument, np.cumsum(counts)[:-1], axis)


def _run(mapped: Transform, arguments: Any, example: Any, count: int) -> Any:
    """The results at the points of a block."""

    def empty(it: Any, _: None) -> Any:
        return np.empty((0, *it.shape[1:]), it.dtype)

    if count == 0:
        return _map(empty, example, None)
    results = mapped(*arguments)
    shapes, expected = (_map(lambda it, _: it.shape[1:], y, None) for y in (results, example))
    if shapes != expected:
        raise ValueError("dg.vmap: the shape of the results differs from point to point")
    return results


def _stacked(results: list[Any], counts: tuple[int, ...], example: Any) -> Any:
    """The results of all blocks as lazy arrays, nested like the example."""
    if isinstance(example, tuple):
        return tuple(
            _stacked([it[k] for it in results], counts, item) for k, item in enumerate(example)
        )
    return da.concatenate(
        [
            da.from_delayed(it, (count, *example.shape[1:]), example.dtype)
            for it, count in zip(results, counts, strict=True)
        ]
    )
