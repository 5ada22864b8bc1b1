"""The note that a comparison of numbers that depend on inputs has steered a run.

Compiled code finds the byte by the name of a symbol, so that it may be kept on disk.
"""

from __future__ import annotations

import ctypes
from typing import Any

from llvmlite import binding, ir

from dualgrad import sets

_SYMBOL = "dualgrad_steered"
_noted = ctypes.c_uint8(0)
binding.add_symbol(_SYMBOL, ctypes.addressof(_noted))


def exchange(value: bool) -> bool:
    """Whether a run has been steered since the last exchange; from now on, `value`."""
    before = bool(_noted.value)
    _noted.value = value
    return before


def note(builder: Any, words: Any = None) -> None:
    """Note that a number with these sets, if any, decides; without them it is noted anyway."""
    byte, module = ir.IntType(8), builder.module
    flag = module.globals.get(_SYMBOL) or ir.GlobalVariable(module, byte, _SYMBOL)
    decides = byte(1)
    if words is not None:
        decides = builder.zext(builder.not_(sets.is_empty(builder, words)), byte)
    builder.store(builder.or_(builder.load(flag), decides), flag)
