"""`@guvectorize` functions as plain loops, which are differentiated like any `@njit` function."""

from __future__ import annotations

import functools
from typing import Any

from numba import njit
from numba.core import types

WRONG_SHAPES = "Loop and array shapes are incompatible"
WRONG_CORES = (
    "Operand has a mismatch in one of its core dimensions. Please, check if all arguments to a "
    "@guvectorize function have the same core dimensions."
)


@functools.cache
def as_loops(gufunc: Any, arg_types: tuple[types.Type, ...]) -> Any:
    """The call of a gufunc with arguments of these types, as an `@njit` function of the same.

    Its loop runs over the leading dimensions of the first output, as that of Numba does; those of
    the inputs must be the same, or fewer.
    """
    builder = gufunc.gufunc_builder
    cores = [*builder.sin, *builder.sout]
    declared = gufunc.find_ewise_function(gufunc._get_ewise_dtypes(arg_types))[0].args
    fastmath = builder.targetoptions.get("fastmath", False)
    names = {
        "kernel": njit(error_model="numpy", fastmath=fastmath)(builder.py_func),
        **{f"T{k}": ty for k, ty in enumerate(declared)},
    }
    first = len(builder.sin)
    loop = arg_types[first].ndim - len(cores[first])
    index = [f"i{k}" for k in range(loop)]
    body = list(_checks(cores, arg_types, first, loop))
    for k, name in enumerate(index):
        body.append(f"{'    ' * k}for {name} in range(a{first}.shape[{k}]):")
    items = [
        _item(k, core, ty, index, k >= first, declared[k])
        for k, (core, ty) in enumerate(zip(cores, arg_types, strict=True))
    ]
    body.append(f"{'    ' * loop}kernel({', '.join(items)})")
    parameters = ", ".join(f"a{k}" for k in range(len(cores)))
    source = "\n    ".join([f"def {gufunc.__name__}({parameters}):", *body])
    exec(compile(source, f"<loops of {gufunc.__name__}>", "exec"), names)
    return njit(names[gufunc.__name__])


def _checks(cores: Any, arg_types: Any, first: int, loop: int) -> Any:
    """What Numba checks of the shapes before its loop."""
    seen: dict[Any, str] = {}
    for k, (core, ty) in enumerate(zip(cores, arg_types, strict=True)):
        if not isinstance(ty, types.Array):
            continue
        outer = ty.ndim - len(core)
        if core in seen and core:
            yield f"if {seen[core]} != a{k}.shape[{outer}:]:"
            yield f"    raise ValueError({WRONG_CORES!r})"
        seen.setdefault(core, f"a{k}.shape[{outer}:]")
        if k < first and outer:
            yield f"if a{k}.shape[:{outer}] != a{first}.shape[:{min(outer, loop)}]:"
            yield f"    raise ValueError({WRONG_SHAPES!r})"


def _item(k: int, core: Any, ty: Any, index: list[str], is_output: bool, declared: Any) -> str:
    """What the kernel gets of an argument: a slice, a number, or a place for one."""
    if not isinstance(ty, types.Array):
        return f"T{k}(a{k})" if ty != declared else f"a{k}"
    outer = ty.ndim - len(core)
    at = index[len(index) - outer :] if outer else []
    if is_output and not core:  # the kernel writes a number into an array of one item
        *others, last = at or [""]
        return f"a{k}[{', '.join([*others, f'{last}:{last} + 1'])}]" if at else f"a{k}.reshape(1)"
    if core:
        return f"a{k}[{', '.join([*at, '...'])}]" if at else f"a{k}"
    item = f"a{k}[{', '.join(at)}]" if at else f"a{k}[()]"
    return f"T{k}({item})" if ty.dtype != declared else item
