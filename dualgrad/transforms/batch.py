"""The kernel of `vmap`: a function or transform at many points, results stacked.

`Mapped` says how the arguments of one point follow from those of all. The kernel here calls any
compiled function for each point; first derivatives have one of their own in `batch_columns`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numba.core import types

from dualgrad.compile.explain import readable
from dualgrad.transforms.checks import check_out
from dualgrad.transforms.overlap import kept
from dualgrad.transforms.plans import VmapPlan
from dualgrad.transforms.sweep import OTHER_SHAPE, compiled, indented, nested, tupled


@dataclass(frozen=True)
class Mapped:
    """Along which axis each argument is mapped, None where it is the same for all points."""

    arguments: tuple[tuple[str, Any, types.Type], ...]  # expression, axes, type

    @classmethod
    def of(cls, plan: VmapPlan, arg_types: Any) -> Mapped:
        """The mapping of a call with these types."""
        axes = plan.axes_of(len(arg_types))
        return cls(tuple((f"A{k}", axes[k], ty) for k, ty in enumerate(arg_types)))

    @property
    def names(self) -> list[str]:
        """The variables of the arguments."""
        return [f"A{k}" for k in range(len(self.types))]

    @property
    def types(self) -> list[types.Type]:
        """The types of the arguments."""
        return [ty for _, _, ty in self.arguments]

    def has(self, k: int) -> bool:
        """Whether an argument differs from point to point."""
        return any(True for _ in _leaves(*self.arguments[k]))

    def point(self, k: int) -> str:
        """The expression for an argument at point `p`."""
        return _point(*self.arguments[k])

    def shape(self, k: int) -> str:
        """The expression for the shape of an argument that is an array, at one point."""
        _, axes, ty = self.arguments[k]
        if axes is None:
            return f"A{k}.shape"
        axis = _axis(axes, ty)
        return f"A{k}.shape[:{axis}] + A{k}.shape[{axis + 1}:]"

    def count(self) -> Iterator[str]:
        """Set `count`, the number of points, on which all mapped arguments must agree."""
        leaves = [leaf for argument in self.arguments for leaf in _leaves(*argument)]
        if not leaves:
            raise ValueError("dg.vmap: in_axes maps no argument; one at least must have an axis")
        (first, axis), *others = leaves
        yield f"count = {first}.shape[{axis}]"
        for other, axis in others:
            yield f"if {other}.shape[{axis}] != count:"
            yield "    raise ValueError('dg.vmap: the mapped arguments have different lengths')"


def _leaves(expression: str, axes: Any, ty: types.Type) -> Iterator[tuple[str, int]]:
    """The arrays that are mapped, with their axes."""
    if is_absent(ty):
        return
    if isinstance(ty, types.BaseTuple):
        for k, item in enumerate(ty):
            yield from _leaves(f"{expression}[{k}]", _inner(axes, k, ty), item)
    elif axes is not None:
        yield expression, _axis(axes, ty)


def _point(expression: str, axes: Any, ty: types.Type) -> str:
    if isinstance(ty, types.BaseTuple):
        items = [_point(f"{expression}[{k}]", _inner(axes, k, ty), it) for k, it in enumerate(ty)]
        return tupled(items, False) if items else "()"
    if axes is None or is_absent(ty):
        return expression
    return f"{expression}[{', '.join([':'] * _axis(axes, ty) + ['p'])}]"


def _inner(axes: Any, k: int, ty: Any) -> Any:
    if not isinstance(axes, tuple):
        return axes
    if len(axes) != len(ty):
        raise ValueError(f"dg.vmap: in_axes has {len(axes)} entries for a tuple of {len(ty)}")
    return axes[k]


def _axis(axis: Any, ty: types.Type) -> int:
    """The axis of an array that is mapped, counted from the front."""
    if isinstance(axis, tuple):
        raise ValueError(f"dg.vmap: in_axes has a tuple for an argument that is {ty}")
    if not isinstance(ty, types.Array) or not -ty.ndim <= axis < ty.ndim:
        raise ValueError(
            f"dg.vmap: an argument that is {readable(str(ty))} has no axis {axis} to map; give it "
            "None in in_axes"
        )
    return int(axis % ty.ndim)


def point_types(mapped: Mapped, arg_types: Any) -> list[types.Type]:
    """The types of the arguments at one point."""
    return [
        _point_type(axes, ty) for (_, axes, _), ty in zip(mapped.arguments, arg_types, strict=True)
    ]


def _point_type(axes: Any, ty: types.Type) -> types.Type:
    if isinstance(ty, types.BaseTuple):
        return types.Tuple([_point_type(_inner(axes, k, ty), it) for k, it in enumerate(ty)])
    if axes is None or is_absent(ty):
        return ty
    axis = _axis(axes, ty)
    if ty.ndim == 1:
        return ty.dtype
    row = axis == (0 if ty.layout == "C" else ty.ndim - 1) and ty.layout in "CF"
    return ty.copy(ndim=ty.ndim - 1, layout=ty.layout if row else "A")


def kernel(plan: VmapPlan, arg_types: Any) -> Any:
    """The kernel that calls the mapped function for each point, as a Python function.

    That of a part has two arguments more and computes the points from `p` to `end` alone.
    """
    *types_of_f, out = arg_types[: len(arg_types) - 2 * plan.part]
    mapped = Mapped.of(plan, types_of_f)
    result = _result_type(plan, point_types(mapped, types_of_f))
    leaves = list(_leaves_of_result(result, None if is_absent(out) else out, ""))
    names: dict[str, Any] = {"f": plan.function}
    given = [k for k, ty in enumerate(types_of_f) if not is_absent(ty)]
    call = f"y = f({', '.join(mapped.point(k) for k in given)})"
    allocate, store, empty = [], [], []
    for number, (place, ty, out_type) in enumerate(leaves):
        is_array = isinstance(ty, types.Array)
        names[f"R{number}"] = ty.dtype if is_array else ty
        shape = f"(count,) + y{place}.shape" if is_array else "(count,)"
        empty.append(f"empty(0, R{number})")
        if out_type is None:
            allocate.append(f"r{number} = empty({shape}, R{number})")
        else:
            allocate += [f"r{number} = out{place}", f"if r{number}.shape != {shape}:"]
            # that of a part was made by another one
            allocate.append(f"    raise ValueError({OTHER_SHAPE if plan.part else WRONG_SHAPE!r})")
        if is_array:
            store += [f"if y{place}.shape != r{number}.shape[1:]:"]
            store.append(f"    raise ValueError({OTHER_SHAPE!r})")
        store.append(f"r{number}[p] = y{place}")
    nothing = f"return {nested(result, iter(empty))}"
    if out_type is not None or any(isinstance(ty, types.Array) for _, ty, _ in leaves):
        nothing = f"raise ValueError({NO_POINTS!r})"
    results = (f"r{number}" for number in range(len(leaves)))
    body = [] if plan.part else [*kept(mapped.types, out, mapped.names)]
    body += [*mapped.count(), "if count == 0:", f"    {nothing}"]
    body += [*([] if plan.part else ["p = 0", "end = count"]), call, *allocate, "while True:"]
    body += indented([*store, "p += 1", "if p >= end:", "    break", call])
    body.append(f"return {nested(result, results)}")
    return compiled("vmap", kernel_of_points(len(types_of_f), plan.part, body), names)


NO_POINTS = "dg.vmap: there are no points, so that the shapes of the results are not known"
WRONG_SHAPE = "out: its shape must be that of the result, with the points along the first axis"


def kernel_of_points(count: int, part: bool, body: list[str]) -> str:
    """The source of a kernel of so many arguments."""
    parameters = [*(f"A{k}" for k in range(count)), "out", *(["p", "end"] if part else [])]
    return "\n".join([f"def kernel({', '.join(parameters)}):", *indented(body)])


def is_array(ty: Any) -> bool:
    """Whether an argument is an array."""
    return isinstance(ty, types.Array)


def is_absent(ty: Any) -> bool:
    """Whether an optional argument did not come."""
    return isinstance(ty, (types.NoneType, types.Omitted))


def _result_type(plan: VmapPlan, types_of_point: list[types.Type]) -> types.Type:
    function = plan.function
    given = tuple(ty for ty in types_of_point if not isinstance(ty, types.Omitted))
    signature = types.Dispatcher(function).get_call_type(function.typingctx, given, {})
    return signature.return_type


def _leaves_of_result(
    ty: types.Type, out: types.Type | None, place: str
) -> Iterator[tuple[str, types.Type, types.Type | None]]:
    """The numbers and arrays of a result: where they are, their types, what came in `out`."""
    ty = types.unliteral(ty)
    if isinstance(ty, types.BaseTuple):
        if out is not None and (not isinstance(out, types.BaseTuple) or len(out) != len(ty)):
            raise TypeError("out: expected is a tuple of arrays, nested like the result")
        for k, item in enumerate(ty):
            yield from _leaves_of_result(item, out and out[k], f"{place}[{k}]")
        return
    item = ty.dtype if isinstance(ty, types.Array) else ty
    if not isinstance(item, (types.Number, types.Boolean)):
        raise TypeError(
            f"dg.vmap: the function returns {readable(str(ty))}; expected are numbers, arrays of "
            "numbers, or a tuple of them"
        )
    if out is not None:
        ndim = 1 + getattr(ty, "ndim", 0)
        check_out(out, item, ndim, "the result with the points along the first axis")
    yield place, ty, out
