"""C callbacks of a transform, for libraries that call a function by its address."""

from __future__ import annotations

from typing import Any

import numba
from numba.core import sigutils, types
from numba.core.errors import NumbaError

from dualgrad.compile.explain import explain, readable
from dualgrad.transforms.plans import JvpPlan
from dualgrad.transforms.sweep import compiled, tupled


def callback(transform: Any, signature: Any, shapes: tuple[tuple[int, ...], ...]) -> Any:
    """The C callback with this signature: see `Transform.cfunc`."""
    name = f"dg.{transform.plan.name}"
    arg_types, result = sigutils.normalize_signature(signature)
    if result is None:
        raise TypeError(f"{name}.cfunc: the signature lacks the type that is returned")
    arguments, given = _arguments(name, arg_types, shapes)
    arguments, given, has_out = _as_called(transform, arguments, given)
    try:
        transform.signature.bind(*arguments)
    except TypeError as error:
        raise TypeError(f"{name}.cfunc: {error} for {transform.__name__}") from None
    try:
        call_type = types.Dispatcher(transform).get_call_type(transform.typingctx, given, {})
    except (NumbaError, NotImplementedError) as error:
        raise explain(error, transform.plan) from error
    call, returned = f"f({', '.join(arguments)})", call_type.return_type
    if has_out and getattr(transform.plan, "with_value", False):
        call, returned = f"{call}[0]", returned[0]
    if result == types.void and has_out:
        body = call
    elif _fits(returned, result):
        body = f"return {call}"
    else:
        raise TypeError(
            f"{name}.cfunc: the result is {readable(str(returned))}, which a C function cannot "
            f"return as {result}; a pointer after the arguments receives an array, for anything "
            "else write a function for numba.cfunc that calls the transform"
        )
    parameters = ", ".join(f"a{k}" for k in range(len(arg_types)))
    names = {"f": transform, "carray": numba.carray}
    source = f"def kernel({parameters}):\n    {body}"
    function = compiled(transform.plan.name, source, names)
    return numba.cfunc(result(*arg_types))(function)


def _arguments(
    name: str, arg_types: tuple[types.Type, ...], shapes: tuple[tuple[int, ...], ...]
) -> tuple[list[str], tuple[types.Type, ...]]:
    """What the arguments of C are in compiled code, and their types: pointers become arrays."""
    pointers = [k for k, ty in enumerate(arg_types) if isinstance(ty, types.CPointer)]
    if len(pointers) != len(shapes):
        raise TypeError(
            f"{name}.cfunc: the signature has {len(pointers)} pointers and shapes has "
            f"{len(shapes)} entries; give the shape of the array behind each, as C does not"
        )
    arguments, given = [f"a{k}" for k in range(len(arg_types))], list(arg_types)
    for k, shape in zip(pointers, shapes, strict=True):
        arguments[k] = f"carray(a{k}, {tuple(map(int, shape))})"
        given[k] = types.Array(arg_types[k].dtype, len(shape), "C")
    return arguments, tuple(given)


def _as_called(
    transform: Any, arguments: list[str], given: tuple[types.Type, ...]
) -> tuple[list[str], tuple[types.Type, ...], bool]:
    """The arguments as the transform takes them, and whether the last of them is `out`.

    One more than the function has is `out`. Those of products come one after the other.
    """
    plan, parameters = transform.plan, list(transform.signature.parameters)
    if not isinstance(plan, JvpPlan):
        return arguments, given, "out" in parameters and len(given) == len(parameters)
    half, odd = divmod(len(given), 2)
    last = slice(2 * half, None)
    pairs = [tupled(arguments[:half], False), tupled(arguments[half : 2 * half], False)]
    grouped = types.Tuple(given[:half]), types.Tuple(given[half : 2 * half])
    return pairs + arguments[last], (*grouped, *given[last]), bool(odd)


def _fits(returned: types.Type, result: types.Type) -> bool:
    """Whether a number may be returned to C in this type: floats are not cut to integers."""
    if isinstance(returned, (types.Integer, types.Boolean)):
        return isinstance(result, types.Number)
    return isinstance(returned, types.Number) and type(returned) is type(result)
