"""Values of costly functions, computed in the first sweep of a kernel and recalled in the others.

All sweeps of a kernel run `f` along the same path, on the same values: what differs is the tangents
alone. So each call of a costly function writes its operands, its result and its derivatives to a
record, one call behind the other, and the next sweep reads them back in that order. A call that
does not find its own operands at its place computes them, so that whatever runs beside the sweeps,
or in another order, is right: it is only slower.

A thread has one record, which it keeps. Compiled code finds it by the names of symbols, so that it
may be kept on disk.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

#: Words of 64 bits in a record: its head, and what calls have written. 4 MiB, of which the system
#: provides what is touched.
CAPACITY = 1 << 19
#: Words that the longest entry has, with the tag of the next.
_SPARE = 16
_NEXT, _LIMIT, _HEAD = 0, 1, 2  # where in the head is what, and how long it is

_WORD, _INT = ir.IntType(64), ir.IntType(32)
_POINTER = _WORD.as_pointer()
_KEY, _NOTHING, _OF_THREAD = "dualgrad_recall_key", "dualgrad_recall_nothing", "dualgrad_recall"
_KEEP, _ALLOCATE = "dualgrad_recall_keep", "dualgrad_recall_allocate"


def _library() -> tuple[Any, Any, Any, int]:
    """What threads keep and get back by a key, zeroed memory, and the key."""
    if sys.platform == "win32":
        kernel = ctypes.windll.kernel32
        return kernel.TlsGetValue, kernel.TlsSetValue, ctypes.cdll.msvcrt.calloc, kernel.TlsAlloc()
    library, key = ctypes.CDLL(None), ctypes.c_ulong(0)
    if library.pthread_key_create(ctypes.byref(key), library.free):
        raise OSError("no more keys for the data of threads")
    return library.pthread_getspecific, library.pthread_setspecific, library.calloc, key.value


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address
    return address


_get, _set, _calloc, _number = _library()
_key = ctypes.c_uint64(_number)
#: The record of a thread that has none: nothing is found in it, and nothing fits.
_nothing = (ctypes.c_uint64 * (_HEAD + _SPARE))()
_nothing[_NEXT] = ctypes.addressof(_nothing) + 8 * _HEAD
for _name, _where in (
    (_KEY, ctypes.addressof(_key)),
    (_NOTHING, ctypes.addressof(_nothing)),
    (_OF_THREAD, _address(_get)),
    (_KEEP, _address(_set)),
    (_ALLOCATE, _address(_calloc)),
):
    binding.add_symbol(_name, _where)


def recalled(
    builder: Any,
    tag: int,
    operands: Sequence[Any],
    count: int,
    compute: Callable[[], Sequence[Any]],
) -> list[Any]:
    """The `count` numbers that `compute` emits, unless they are found in the record.

    `tag`, which is not zero, says of which function of the operands they are; all are doubles.
    """
    record = _record(builder)
    place = builder.load(_at(builder, record, _NEXT))
    entry = builder.inttoptr(place, _POINTER)
    size = 1 + len(operands) + count
    wanted = [_WORD(tag), *(builder.bitcast(it, _WORD) for it in operands)]
    found = ir.IntType(1)(1)
    for k, word in enumerate(wanted):
        same = builder.icmp_unsigned("==", builder.load(_at(builder, entry, k)), word)
        found = builder.and_(found, same)
    after = builder.add(place, _WORD(8 * size))
    with builder.if_else(found, likely=True) as (recall, work):
        with recall:
            here = [builder.load(_at(builder, entry, len(wanted) + k)) for k in range(count)]
            here = [builder.bitcast(it, ir.DoubleType()) for it in here]
            builder.store(after, _at(builder, record, _NEXT))
            recalling = builder.block
        with work:
            new = list(compute())
            limit = builder.load(_at(builder, record, _LIMIT))
            with builder.if_then(builder.icmp_unsigned("<", place, limit)):
                words = [*wanted, *(builder.bitcast(it, _WORD) for it in new), _WORD(0)]
                for k, word in enumerate(words):
                    builder.store(word, _at(builder, entry, k))
                builder.store(after, _at(builder, record, _NEXT))
            working = builder.block
    results = []
    for pair in zip(here, new, strict=True):
        phi = builder.phi(ir.DoubleType())
        for it, block in zip(pair, (recalling, working), strict=True):
            phi.add_incoming(it, block)
        results.append(phi)
    return results


def tag(function: Any, how: Any) -> int:
    """The number of a function compiled in some way: the same in every process, and not zero."""
    name = f"{getattr(function, '__module__', '')}.{function.__name__} {how}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") | 1


def _at(builder: Any, words: Any, k: int) -> Any:
    return builder.gep(words, [_WORD(k)])


def _record(builder: Any) -> Any:
    """The record of this thread, or that of a thread without.

    It stays the same while a function runs, so that loops need not ask again. To have asked before
    there was one does no harm: nothing is recalled.
    """
    own = _asked_for(builder, ("readnone", "nounwind"))
    nothing = builder.bitcast(_global(builder.module, _NOTHING), _POINTER)
    return builder.select(cgutils.is_null(builder, own), nothing, own)


def _asked_for(builder: Any, attributes: tuple[str, ...] = ()) -> Any:
    """The record of this thread, null if it has none."""
    module = builder.module
    function = _function(module, _OF_THREAD, ir.FunctionType(_POINTER, [_WORD]))
    return builder.call(function, [builder.load(_global(module, _KEY))], attrs=attributes)


def _global(module: Any, name: str) -> Any:
    found = module.globals.get(name)
    if found is None:
        found = ir.GlobalVariable(module, _WORD, name)
        found.global_constant = True
    return found


def _function(module: Any, name: str, ty: Any) -> Any:
    return module.globals.get(name) or ir.Function(module, ty, name)


@intrinsic
def record_values(typingctx: Any, wanted: Any) -> Any:
    """Begin a record of this thread, if there will be more sweeps than one, or end it."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        module = builder.module
        # asked each time: in a loop that this is part of, a record may have been made meanwhile
        slot = cgutils.alloca_once_value(builder, _asked_for(builder))
        missing = cgutils.is_null(builder, builder.load(slot))
        with builder.if_then(builder.and_(missing, args[0])):
            calloc = _function(module, _ALLOCATE, ir.FunctionType(_POINTER, [_WORD, _WORD]))
            made = builder.call(calloc, [_WORD(CAPACITY), _WORD(8)])
            keep = _function(module, _KEEP, ir.FunctionType(_INT, [_WORD, _POINTER]))
            builder.call(keep, [builder.load(_global(module, _KEY)), made])
            builder.store(made, slot)
        record = builder.load(slot)
        with builder.if_then(cgutils.is_not_null(builder, record)):
            start = builder.ptrtoint(_at(builder, record, _HEAD), _WORD)
            room = builder.select(args[0], _WORD(8 * (CAPACITY - _HEAD - _SPARE)), _WORD(0))
            builder.store(start, _at(builder, record, _NEXT))
            builder.store(builder.add(start, room), _at(builder, record, _LIMIT))
            builder.store(_WORD(0), _at(builder, record, _HEAD))
        return context.get_dummy_value()

    return types.void(types.boolean), codegen


@intrinsic
def recall_values(typingctx: Any) -> Any:
    """Go back to the start of the record of this thread, before each sweep."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        record = _record(builder)
        start = builder.ptrtoint(_at(builder, record, _HEAD), _WORD)
        builder.store(start, _at(builder, record, _NEXT))
        return context.get_dummy_value()

    return types.void(), codegen
