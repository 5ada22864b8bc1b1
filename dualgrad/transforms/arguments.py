"""What transforms are given, besides a function: read, and refused where it makes no sense."""

from __future__ import annotations

import inspect
import operator
from typing import Any

from dualgrad.compile.frontend import as_dispatcher
from dualgrad.transforms.transform import Transform


def function(f: Any) -> Any:
    """What was given to a transform, as a dispatcher."""
    if not callable(f):
        raise TypeError(f"a function is expected, not {f!r}")
    return as_dispatcher(f)


def signature(f: Any) -> inspect.Signature:
    """The signature of a dispatcher's function."""
    return inspect.signature(f.py_func)


def parameters(f: Any) -> tuple[str, ...]:
    """The names of the parameters of `f`; a transform's `out` is its own affair."""
    is_transform = isinstance(f, Transform)
    return tuple(name for name in signature(f).parameters if not (is_transform and name == "out"))


def signature_of(*names: str, **defaults: Any) -> inspect.Signature:
    """A signature of parameters with these names, and of some with defaults behind them."""
    params = [(name, inspect.Parameter.empty) for name in names]
    return inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
            for name, default in [*params, *defaults.items()]
        ]
    )


def with_out(params: list[inspect.Parameter], name: str) -> inspect.Signature:
    """A signature with `out` at the end, for the transform `name`."""
    if any(it.name == "out" for it in params):
        raise ValueError(
            f"dg.{name}: the function has a parameter `out`, which is a keyword of transforms; "
            "rename it"
        )
    starred = [it.name for it in params if it.kind is it.VAR_POSITIONAL]
    if starred:
        raise TypeError(
            f"dg.{name}: the function takes *{starred[0]}, which leaves no place for `out`; "
            "wrap it in a function that names its arguments, or takes a tuple"
        )
    usual = inspect.Parameter.POSITIONAL_OR_KEYWORD  # `out` is behind those by keyword only, too
    params = [it.replace(kind=usual) if it.kind is it.KEYWORD_ONLY else it for it in params]
    return inspect.Signature([*params, inspect.Parameter("out", usual, default=None)])


def in_axes(given: Any) -> Any:
    """The axes as nested tuples of numbers and None."""
    if isinstance(given, (tuple, list)):
        return tuple(in_axes(it) for it in given)
    if given is None:
        return None
    try:
        return operator.index(given)
    except TypeError:
        raise TypeError(
            f"dg.vmap: in_axes: an axis, None or a tuple of them is expected, not {given!r}"
        ) from None


def argnums(given: Any, f: Any) -> tuple[tuple[int, ...], bool]:
    """The numbers of the arguments to differentiate by, and whether just one was named."""
    one = not isinstance(given, tuple)
    numbers = tuple(argnum(k, f, "argnums") for k in ((given,) if one else given))
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(f"argnums: one or more different arguments are expected, not {given!r}")
    return numbers, one


def argnum(given: Any, f: Any, name: str) -> int:
    """A number of an argument of `f`, counted from the end if it is negative."""
    params = parameters(f)
    index = _whole_number(given)
    if index is None:
        raise TypeError(f"{name}: the number of an argument is expected, not {given!r}")
    if not -len(params) <= index < len(params):
        raise ValueError(
            f"{name}: {f.__name__} has {len(params)} arguments, counted from 0; "
            f"there is no number {index}"
        )
    return index % len(params)


def out_argnum(given: Any, f: Any) -> int | None:
    """The number of the argument that `f` writes its result to, if there is one."""
    return None if given is None else argnum(given, f, "out_argnum")


def order(given: Any) -> int:
    """The order of a Taylor polynomial."""
    return _at_least(0, given, "order: a whole number is", "order: zero or more is")


def chunk(given: Any) -> int | None:
    """How many tangents a sweep carries, or None where that is left to us."""
    if isinstance(given, str) and given == "auto":
        return None
    return _at_least(
        1, given, 'chunk: a whole number or "auto" is', "chunk: one or more tangents are"
    )


def _at_least(least: int, given: Any, number: str, size: str) -> int:
    """A whole number that is no smaller; `number` and `size` say what was expected."""
    count = _whole_number(given)
    if count is None:
        raise TypeError(f"{number} expected, not {given!r}")
    if count < least:
        raise ValueError(f"{size} expected, not {count}")
    return count


def _whole_number(given: Any) -> int | None:
    """A whole number, of whatever type; None for anything else, also for a truth value."""
    if isinstance(given, bool):
        return None
    try:
        return operator.index(given)
    except TypeError:
        return None
