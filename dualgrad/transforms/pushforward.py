"""The kernel of `jvp`: one sweep with one lane, the product of the Jacobian with a vector."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from numba.core import types

from dualgrad.transforms.checks import differentiable
from dualgrad.transforms.plans import JvpPlan
from dualgrad.transforms.sweep import Input, Output, Sweep, compiled, indented, tupled
from dualgrad.types import DualType


def kernel(plan: JvpPlan, arg_types: Any) -> Any:
    """The kernel for these types as a Python function."""
    sweep = Pushforward(plan, *arg_types)
    text = sweep.source()  # which also says what names it uses
    return compiled(plan.name, text, sweep.names)


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

    def __init__(self, plan: JvpPlan, primals: Any, tangents: Any) -> None:
        moving, arg_types = tangents_of(plan, primals, tangents)
        self.tangents = list(tangents)
        super().__init__(plan, arg_types, moving, (1,))
        for it in self.inputs:
            check_tangent(plan, it, self.tangents)

    def source(self) -> str:
        body = [*self._seed(), *self.buffer(), *self.run()]
        for o in self.outputs:
            body += [*self.value(o), *self._read(o)]
        values, directions = (
            tupled([f"{letter}{o.i}" for o in self.outputs], self.one_output) for letter in "vr"
        )
        body.append(f"return {values}, {directions}")
        return "\n".join(["def kernel(primals, tangents):", *indented(body)])

    def _seed(self) -> Iterator[str]:
        for k in range(len(self.tangents)):
            yield f"a{k} = primals[{k}]"
        for it in self.inputs:
            k = it.k
            if not it.is_array:
                yield f"d{k}_1 = with_tangent(a{k}, tangents[{k}], D{k}_1)"
                continue
            yield from same_shape(k)
            yield f"d{k}_1 = as_array_of(a{k}, D{k}_1)"
            yield f"copy_lane(d{k}_1, tangents[{k}])"

    def _read(self, o: Output) -> Iterator[str]:
        """Copy the lane of one output to `r`."""
        i = o.i
        self.names[f"R{i}"] = self.derivative_type(o, self.dual)
        if not o.is_array:
            yield f"r{i} = lane(y{i}_1, 0)" if o.active else f"r{i} = R{i}(0.0)"
            return
        yield f"r{i} = {'empty' if o.active else 'np.zeros'}(y{i}_1.shape, R{i})"
        if o.active:
            yield f"for m in range(r{i}.size):"
            yield f"    store_at(r{i}, m, lane(item_at(g{i}_1, m), 0))"
