"""What a function is: a hash of its code, its constants and everything that it calls.

Two functions with one fingerprint compile to the same machine code, in any process; so it says
which compiled code on disk is that of a function. What cannot be told apart for certain (an
object of an unknown kind) has none, and what uses it is compiled anew in each process.
"""

from __future__ import annotations

import builtins
import dis
import enum
import functools
import hashlib
import sys
import types as pytypes
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numba.core import types
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic
from numba.core.typing.templates import builtin_registry
from numba.np.ufunc.dufunc import DUFunc
from numba.np.ufunc.gufunc import GUFunc

from dualgrad.compile.packages import VERSIONED, module_of_code, package


class Unknown(Exception):
    """An object that has no fingerprint."""


def fingerprint(*things: Any) -> str:
    """A hash of things that compiled code is made from, as hexadecimal digits.

    Raises
    ------
    Unknown
        If one of them, or something that it uses, is of a kind that cannot be hashed.
    """
    return _Walk().digest((things, *_of_libraries()))


class _Walk:
    """Visits everything that an object consists of, each part once."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []  # an id is that of one object only while that exists

    def digest(self, things: Any) -> str:
        self._visit(things)
        return self._hash.hexdigest()

    def _say(self, *words: Any) -> None:
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            self._hash.update(b"%d:" % len(data))
            self._hash.update(data)

    def _visit(self, thing: Any) -> None:
        if id(thing) in self._seen:
            self._say("again", self._seen[id(thing)])
            return
        if isinstance(thing, _PLAIN):
            self._say(type(thing).__name__, repr(thing))
            return
        self._seen[id(thing)] = len(self._seen)
        self._alive.append(thing)
        kind, parts = _parts(thing)
        self._say(kind)
        for part in parts:
            self._visit(part)
        self._say("end")


_PLAIN = (
    type(None), bool, int, float, complex, str, bytes, type(Ellipsis), np.generic, np.dtype, slice,
    range,
)  # fmt: skip


def _parts(thing: Any) -> tuple[str, Any]:
    """The kind of an object, and what it consists of."""
    if hasattr(thing, "fingerprint_parts"):  # of our own objects
        return type(thing).__name__, thing.fingerprint_parts()
    # not `isinstance`, which for Numba's types asks each of their hundreds of subclasses
    bases = type(thing).__mro__
    for classes, kind, parts in _KINDS:
        if any(it in bases for it in classes):
            return kind, parts(thing)
    if is_dataclass(thing) and not isinstance(thing, type):
        return type(thing).__name__, [getattr(thing, field.name) for field in fields(thing)]
    raise Unknown(f"{type(thing).__name__} objects")


def _array(array: np.ndarray) -> list[Any]:
    if array.dtype.hasobject:
        raise Unknown("arrays of objects")
    layout = array.flags.c_contiguous, array.flags.f_contiguous, array.flags.writeable
    return [array.dtype, array.shape, layout, array.tobytes()]


def _code(code: pytypes.CodeType) -> list[Any]:
    """The code without names of files and numbers of lines."""
    return [
        code.co_code, getattr(code, "co_exceptiontable", b""), code.co_names, code.co_varnames,
        code.co_freevars, code.co_cellvars, code.co_flags, code.co_argcount,
        code.co_posonlyargcount, code.co_kwonlyargcount, *code.co_consts,
    ]  # fmt: skip


def _named(function: Any) -> list[Any]:
    return [function.__module__, function.__qualname__, *_overloads(function)]


def _function(function: pytypes.FunctionType) -> list[Any]:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    if package(module_of_code(function)) in VERSIONED:
        return [*_named(function), *cells]
    return [
        function.__name__, function.__code__, function.__defaults__, function.__kwdefaults__,
        *cells, *_globals(function.__code__, function), *_overloads(function),
    ]  # fmt: skip


def _globals(code: pytypes.CodeType, function: Any) -> Iterator[Any]:
    """What a function refers to by name, in its own code and that of functions inside it."""
    value: Any = None
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        if isinstance(value, pytypes.ModuleType) and package(value.__name__) not in VERSIONED:
            # what is done with a module otherwise than naming its members cannot be followed
            if instruction.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                raise Unknown("modules as values")
            value = getattr(value, name, None)
            yield from () if isinstance(value, pytypes.ModuleType) else (name, value)
            continue
        value = None
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            value = function.__globals__.get(name, getattr(builtins, name, None))
            own = isinstance(value, pytypes.ModuleType) and package(value.__name__) not in VERSIONED
            yield from () if own else (name, value)
        elif instruction.opname == "LOAD_DEREF" and name in code.co_freevars:
            names = function.__code__.co_freevars
            if name in names:
                value = function.__closure__[names.index(name)].cell_contents
    for constant in code.co_consts:
        if isinstance(constant, pytypes.CodeType):
            yield from _globals(constant, function)


def _overloads(function: Any) -> list[Any]:
    """The code that stands for a function where Numba compiles it, if a package gave some."""
    return [
        template._overload_func
        for known, kind in builtin_registry.globals
        if known is function
        for template in getattr(kind, "templates", ())
        if hasattr(template, "_overload_func")
        and package(module_of_code(template._overload_func)) != "numba"
    ]


def _of_libraries() -> Iterator[Any]:
    """What stands for functions, methods and attributes of libraries that others overloaded.

    Code that uses them need not name them: `x @ y`, `x.size`. What cannot be followed is known by
    the file that it is in.
    """
    count = len(builtin_registry.globals), len(builtin_registry.attributes)
    for template in _others_templates(*count):
        yield *_names(template), _known_somehow(template._overload_func)


def _known_somehow(code: pytypes.FunctionType) -> Any:
    try:
        return _Walk().digest(code)
    except Unknown:
        found = _digest_of(code.__code__.co_filename)
        if found is None:
            raise
        return found


def _digest_of(path: str) -> bytes | None:
    """That of a file, if there is one."""
    with suppress(OSError), open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()
    return None


def _names(template: Any) -> tuple[str, ...]:
    code = template._overload_func
    key, attribute = template.key, getattr(template, "_attr", "")
    named = getattr(key, "__qualname__", None) or getattr(key, "__name__", type(key).__name__)
    return tuple(map(str, (module_of_code(code), code.__qualname__, named, attribute)))


@functools.lru_cache(1)
def _others_templates(*count: int) -> list[Any]:
    """The templates, in any process in the same order; the count says whether there are more."""
    found = []
    known = (kind for _, kind in builtin_registry.globals)
    functions = (it for kind in known for it in getattr(kind, "templates", ()))
    for template in (*functions, *builtin_registry.attributes):
        code = getattr(template, "_overload_func", None)
        if code is not None and package(module_of_code(code)) not in ("numba", "dualgrad"):
            found.append(template)
    return sorted(found, key=_names)


def _module(module: pytypes.ModuleType) -> list[Any]:
    if package(module.__name__) not in VERSIONED:
        raise Unknown("modules as values")
    return [module.__name__]


def _dispatcher(dispatcher: Any) -> list[Any]:
    signatures = [] if dispatcher._can_compile else [str(sig) for sig in dispatcher.overloads]
    options = {key: value for key, value in dispatcher.targetoptions.items() if key != "cache"}
    return [dispatcher.py_func, options, dispatcher.locals, signatures]


def _vectorized(function: DUFunc) -> list[Any]:
    inner = function._dispatcher
    signatures = [str(sig) for sig in inner.overloads] if function._frozen else []
    return [inner.py_func, inner.targetoptions, function.identity, signatures]


def _generalized(function: GUFunc) -> list[Any]:
    builder = function.gufunc_builder
    return [builder.py_func, builder.signature, builder.targetoptions, [*map(str, builder._sigs)]]


def _class(cls: type) -> list[Any]:
    if package(cls.__module__) not in VERSIONED and not hasattr(cls, "_fields"):
        if issubclass(cls, types.Type):  # as of structures
            file = getattr(sys.modules.get(cls.__module__), "__file__", None)
            digest = None if file is None else _digest_of(file)
            if digest is not None:
                return [cls.__module__, cls.__qualname__, digest]
        if not issubclass(cls, (BaseException, enum.Enum)):
            raise Unknown("classes")
        members = list(cls.__members__.items()) if issubclass(cls, enum.Enum) else []
        return [cls.__module__, cls.__qualname__, [(name, it.value) for name, it in members]]
    return [cls.__module__, cls.__qualname__, getattr(cls, "_fields", ())]


_KINDS: list[tuple[tuple[type, ...], str, Any]] = [
    ((tuple, list), "sequence", lambda it: [type(it).__name__, getattr(it, "_fields", ()), *it]),
    ((dict,), "mapping", lambda it: [x for pair in it.items() for x in pair]),
    ((set, frozenset), "set", lambda it: sorted(map(repr, it))),
    ((np.ndarray,), "array", _array),
    ((np.ufunc,), "ufunc", lambda it: [it.__name__, it.types]),
    ((enum.Enum,), "enum", lambda it: [type(it), it.name]),
    ((Dispatcher,), "dispatcher", _dispatcher),
    ((DUFunc,), "dufunc", _vectorized),
    ((GUFunc,), "gufunc", _generalized),
    ((pytypes.FunctionType,), "function", _function),
    ((_Intrinsic,), "intrinsic", lambda it: [it._defn]),
    ((type(np.convolve),), "function of NumPy", _named),
    ((pytypes.CodeType,), "code", _code),
    ((pytypes.ModuleType,), "module", _module),
    ((pytypes.BuiltinFunctionType,), "builtin", _named),
    ((types.Type,), "type", lambda it: _type(it)),
    ((type,), "class", _class),
]

#: Types whose name says all about them. Others (of a function, of a class) name an address.
_TYPES = (
    types.Number, types.Boolean, types.NoneType, types.Omitted, types.UnicodeType, types.Literal,
    types.NumberClass, types.DType, types.Record, types.NestedArray, types.UnicodeCharSeq,
    types.EnumMember,
)  # fmt: skip


def _type(ty: types.Type) -> list[Any]:
    if isinstance(ty, types.Dispatcher):
        return [ty.dispatcher]
    inner = [getattr(ty, name, None) for name in ("dtype", "item_type", "key_type", "value_type")]
    if isinstance(ty, types.BaseTuple):
        return [type(ty).__name__, getattr(ty, "instance_class", None), *ty]
    if isinstance(ty, (types.Array, types.List, types.ListType, types.DictType)):
        return [type(ty).__name__, str(ty), *(it for it in inner if it is not None)]
    if isinstance(ty, types.Optional):
        return ["optional", ty.type]
    if isinstance(ty, _TYPES):
        return [str(ty)]
    raise Unknown(f"the type {ty}")
