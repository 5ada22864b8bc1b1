"""Kernels of few lanes, for the few inputs of a first call, and what one does with many.

Numba tells calls apart by the types of arguments, not by their sizes. So the kernel itself notices,
and asks, once, for the one that is made for any size: it is compiled then and there, and found by
all later calls. The call that asked goes on as it began, in more sweeps.
"""

from __future__ import annotations

import ctypes
import warnings
import weakref
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from dualgrad.transforms.chunks import SMALLEST

#: More sweeps than these are many; of the fewest lanes, more than one.
SWEEPS = 2
_SYMBOL = "dualgrad_ask_for_more_lanes"
#: The transforms whose kernels may ask.
_users: weakref.WeakSet[Any] = weakref.WeakSet()


def listen(transform: Any) -> None:
    """Let the kernels of a transform ask for others."""
    with global_compiler_lock:
        _users.add(transform)


@ctypes.CFUNCTYPE(None, ctypes.c_char_p)
def _ask(name: bytes) -> None:
    with global_compiler_lock:
        asking = [
            (transform, arg_types)
            for transform in _users
            for arg_types, kernel in transform.overloads.items()
            if kernel.fndesc.llvm_func_name == name.decode()  # which it keeps on disk
        ]
    for transform, arg_types in asking:
        try:
            transform.widen(arg_types)
        except Exception as error:  # what the kernel computes is right without
            text = f"{transform!r} stays at few lanes: {error}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)


llvm.add_symbol(_SYMBOL, ctypes.cast(_ask, ctypes.c_void_p).value)


@intrinsic
def ask_for_more(typingctx: Any) -> Any:
    """Ask for the kernel of any size, the first time that this one comes here."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        name, flag = builder.function.name, ir.IntType(8)
        asked = cgutils.add_global_variable(builder.module, flag, f"{name}.asked")
        asked.linkage, asked.initializer = "internal", flag(0)
        first = builder.icmp_unsigned("==", builder.load(asked), flag(0))
        with builder.if_then(first, likely=False):
            builder.store(flag(1), asked)
            text = context.insert_const_string(builder.module, name)
            kind = ir.FunctionType(ir.VoidType(), [text.type])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, _SYMBOL), [text])
        return context.get_dummy_value()

    return types.void(), codegen


def asking(n: Any) -> list[str]:
    """Lines of a kernel that ask if it has many columns for its lanes, and these are few.

    That is how they are given if they are fitted to a first call (`tune.fitted`): alone in a tuple.
    """
    if not isinstance(n, tuple) or len(n) > 1:
        return []
    sweeps = 1 if n[0] <= SMALLEST else SWEEPS
    return [f"if columns > {sweeps * n[0]}:", "    ask_for_more()"]
