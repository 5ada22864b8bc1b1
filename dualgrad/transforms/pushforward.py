"""The kernel of `jvp`: one sweep with one lane, the product of the Jacobian with a vector."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from numba.core import types
from numba.core.errors import NumbaError

from dualgrad.seeds import seeds
from dualgrad.transforms.checks import differentiable
from dualgrad.transforms.plans import JvpPlan
from dualgrad.transforms.seeded import Seeded, is_seeded
from dualgrad.transforms.sweep import Input, Output, Sweep, compiled, indented, tupled
from dualgrad.types import DualType


def kernel(plan: JvpPlan, arg_types: Any) -> Any:
    """The kernel for these types as a Python function."""
    sweep = _sweep(plan, *arg_types)
    text = sweep.source()  # which also says what names it uses
    return compiled(plan.name, text, sweep.names)


def _sweep(plan: JvpPlan, primals: Any, tangents: Any) -> Pushforward:
    """One without arrays of duals for arguments, if there can be one."""
    moving, arg_types = tangents_of(plan, primals, tangents)
    if any(_is_seeded(plan, arg_types, tangents, k) for k in moving):
        with suppress(NumbaError, NotImplementedError):  # which arrays of duals may not raise
            return SeededPushforward(plan, primals, tangents)
    return Pushforward(plan, primals, tangents)


def _is_seeded(plan: JvpPlan, arg_types: Any, tangents: Any, k: int) -> bool:
    """Whether the tangents of an argument can be read where they are."""
    ty, tangent = arg_types[k], tangents[k]
    in_row = isinstance(tangent, types.Array) and tangent.layout == "C"
    if not in_row or tangent.dtype != types.float64 or tangent.ndim != getattr(ty, "ndim", None):
        return False
    return is_seeded(plan.function, arg_types, k)


def tangents_of(
    plan: JvpPlan, primals: Any, tangents: Any
) -> tuple[tuple[int, ...], list[types.Type]]:
    """The arguments of `f` that move, and the types of all."""
    for given in (primals, tangents):
        if not isinstance(given, types.BaseTuple):
            raise TypeError(
                f"dg.{plan.name}: expected are two tuples, primals and tangents, with an entry "
                f"for each argument of the function; {given} came"
            )
    missing = [it for it in plan.defaults[len(primals) :] if it is inspect.Parameter.empty]
    if len(primals) != len(tangents) or len(primals) > len(plan.params) or missing:
        raise TypeError(
            f"dg.{plan.name}: {len(primals)} primals and {len(tangents)} tangents came for a "
            f"function of {len(plan.params)} arguments"
        )
    moving = tuple(
        k
        for k, pair in enumerate(zip(primals, tangents, strict=True))
        if k != plan.out_argnum and _moves(k, *pair)
    )
    if not moving:
        raise TypeError(f"dg.{plan.name}: no argument has a tangent; give a number or an array")
    omitted = [types.Omitted(default) for default in plan.defaults[len(primals) :]]
    return moving, [*primals, *omitted]


def _moves(k: int, primal: types.Type, tangent: types.Type) -> bool:
    """Whether an argument has a tangent. Counts and indices stay integers without one."""
    if isinstance(tangent, types.NoneType):
        return False
    item = tangent.dtype if isinstance(tangent, types.Array) else types.unliteral(tangent)
    if isinstance(item, (types.Integer, types.Boolean)):
        at = primal.dtype if isinstance(primal, types.Array) else types.unliteral(primal)
        return isinstance(at, (types.Float, DualType))
    differentiable(tangent, f"tangents[{k}]")
    return True


def check_tangent(plan: JvpPlan, it: Input, tangents: list[types.Type]) -> None:
    """Refuse a tangent that cannot have the shape of its primal."""
    tangent = tangents[it.k] if it.k < len(tangents) else None
    if tangent is None or isinstance(tangent, types.NoneType):
        return
    if isinstance(tangent, types.Array) != it.is_array or (
        it.is_array and tangent.ndim != it.type.ndim
    ):
        raise TypeError(
            f"dg.{plan.name}: tangents[{it.k}] is {tangent}, but primals[{it.k}] is {it.type}; "
            "a tangent has the shape of its primal"
        )


def same_shape(k: int) -> Iterator[str]:
    """Refuse a tangent of another shape than its primal."""
    yield f"if tangents[{k}].shape != a{k}.shape:"
    yield f"    raise ValueError('tangents[{k}]: its shape is not that of primals[{k}]')"


class Pushforward(Sweep):
    """Seed every argument with its tangent, sweep, read the only lane off."""

    as_items = True

    def __init__(self, plan: JvpPlan, primals: Any, tangents: Any) -> None:
        moving, arg_types = tangents_of(plan, primals, tangents)
        self.tangents = list(tangents)
        super().__init__(plan, arg_types, moving, (1,))
        for it in self.inputs:
            check_tangent(plan, it, self.tangents)

    def source(self) -> str:
        body = [*self._seed(), *self.buffer(), *self.run()]
        for o in self.outputs:
            body += self._read(o)
        body += self._kept()
        values, directions = (
            tupled([f"{letter}{o.i}" for o in self.outputs], self.one_output) for letter in "vr"
        )
        body.append(f"return {values}, {directions}")
        return "\n".join(["def kernel(primals, tangents):", *indented(body)])

    def _seed(self) -> Iterator[str]:
        for k in range(len(self.tangents)):
            yield f"a{k} = primals[{k}]"
        for it in self.inputs:
            if it.is_array:
                yield from same_shape(it.k)
            yield from self.seed(it)

    def seed(self, it: Input) -> Iterator[str]:
        """Make the duals of one argument."""
        k = it.k
        if not it.is_array:
            yield f"d{k}_1 = with_tangent(a{k}, tangents[{k}], D{k}_1)"
        else:
            yield f"d{k}_1 = as_array_of(a{k}, D{k}_1)"
            yield f"copy_lane(d{k}_1, tangents[{k}])"

    def _kept(self) -> Iterator[str]:
        """Lines after the last use of what an argument borrows."""
        return iter(())

    def _read(self, o: Output) -> Iterator[str]:
        """Copy the value of one output to `v`, its lane to `r`."""
        i = o.i
        self.names[f"R{i}"] = self.derivative_type(o, self.dual)
        if not o.active:
            yield from self.value(o)
            yield f"r{i} = np.zeros(y{i}_1.shape, R{i})" if o.is_array else f"r{i} = R{i}(0.0)"
        elif not o.is_array:
            yield from self.value(o)
            yield f"r{i} = lane(y{i}_1, 0)"
        else:
            yield f"v{i} = empty(y{i}_1.shape, R{i})"
            yield f"r{i} = empty(y{i}_1.shape, R{i})"
            yield f"for m in range(r{i}.size):"
            yield f"    item = item_at(g{i}_1, m)"
            yield f"    store_at(v{i}, m, {self.value_of('item')})"
            yield f"    store_at(r{i}, m, lane(item, 0))"


class SeededPushforward(Pushforward):
    """The same without arrays of duals for those arguments of which `f` takes but items."""

    def __init__(self, plan: JvpPlan, primals: Any, tangents: Any) -> None:
        super().__init__(plan, primals, tangents)
        self.names["seeds"] = seeds
        self.names |= {f"S{it.k}": it.buffer for it in self.inputs}

    def _input(self, k: int, outer: Any) -> Input:
        usual = super()._input(k, outer)
        if not _is_seeded(self.plan, self.types, self.tangents, k):
            return usual
        return Seeded(k, usual.type, usual.dual, probed=True)

    def seed(self, it: Input) -> Iterator[str]:
        if isinstance(it, Seeded):
            k = it.k
            yield f"d{k}_1 = seeds(borrowed(a{k}), 0, tangents[{k}], None, S{k})"
        else:
            yield from super().seed(it)

    def _kept(self) -> Iterator[str]:
        for it in self.inputs:
            yield f"keep(a{it.k})"
