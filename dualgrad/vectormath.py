"""Functions of vectors where approximations are allowed, by the C library's.

A function with `fastmath=True`, or with the flag `afn`, lets LLVM replace `exp` and its kin by what
is not the same to the last bit. GNU's C library has such for vectors, in libmvec, with errors of at
most four units in the last place; calls that may use them say so here, and where LLVM makes a loop
one of vectors, it takes them. The names are those of the x86_64 vector function ABI,
https://sourceware.org/glibc/wiki/libmvec.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
from functools import cache
from typing import Any

import llvmlite.binding as llvm
from numba.core.cpu import FastMathOptions

#: What Numba calls by name.
UNARY = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "erf", "erfc", "exp", "exp2",
    "expm1", "log", "log10", "log1p", "log2", "sin", "sinh", "tan", "tanh",
)  # fmt: skip
BINARY = ("atan2", "hypot", "pow")
#: By what feature of the processor: letter in the names, and bits in a vector.
VECTORS = {"avx512f": ("e", 512), "avx2": ("d", 256), "sse2": ("b", 128)}
FLOATS = {"double": ("", "f64", 64), "float": ("f", "f32", 32)}
LIBRARY = "libmvec.so.1"
#: What allows approximations, alone.
APPROXIMATE = FastMathOptions({"afn"})

_CALL = re.compile(
    r"^(?P<call>.* call (?P<flags>(?:\w+ )*)(?P<float>double|float) @(?P<name>[\w.]+)\([^()]*\))",
    re.MULTILINE,
)


def allows_approximations(fastmath: Any) -> bool:
    """Whether a function with this option allows them."""
    return not {"fast", "afn"}.isdisjoint(FastMathOptions(fastmath).flags)


def reassociates(fastmath: Any) -> bool:
    """Whether a function with this option may add up in another order."""
    return bool(fastmath) and not {"fast", "reassoc"}.isdisjoint(FastMathOptions(fastmath).flags)


def apart(context: Any) -> Any:
    """The context, with code of its own for its flags.

    Numba keeps what it compiles for its own functions, such as `math.hypot`, and for the rules, by
    their code, whatever the flags are: the first who calls them would decide for all.
    """
    if not context.fastmath:
        return context
    known = _internal(frozenset(context.fastmath.flags))
    if context.cached_internal_func is not known:
        context = context.subtarget(cached_internal_func=known)
    return context


@cache
def _internal(flags: frozenset[str]) -> dict[Any, Any]:
    """What has been compiled with these flags."""
    return {}


@cache
def version() -> str:
    """The version of the library, which LLVM now knows; nothing where there is none."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return ""
    try:
        llvm.load_library_permanently(LIBRARY)
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, RuntimeError, ValueError):
        return ""


@cache
def names() -> frozenset[str]:
    """The functions of vectors that there are."""
    if not version():
        return frozenset()
    library = ctypes.CDLL(LIBRARY)
    functions = [*((name, "v") for name in UNARY), *((name, "vv") for name in BINARY)]
    found = (
        f"_ZGV{letter}N{bits // width}{kind}_{name}{suffix}"
        for letter, bits in VECTORS.values()
        for suffix, _, width in FLOATS.values()
        for name, kind in functions
    )
    return frozenset(name for name in found if hasattr(library, name))


def with_vector_functions(module: Any, features: str) -> Any:
    """An LLVM module whose calls say which functions of vectors are there, if some may be used."""
    text = str(module)
    available = [VECTORS[it] for it in VECTORS if f"+{it}," in f"{features},"]
    groups: dict[str, str] = {}  # of attributes, by the function that is called
    declared: dict[str, str] = {}

    def say(match: re.Match[str]) -> str:
        name, kind = match["name"], match["float"]
        if {"fast", "afn"}.isdisjoint(match["flags"].split()):
            return match[0]
        if name not in groups:
            variants = dict(_variants(name, kind, available))
            if not variants:
                return match[0]
            declared.update((it, declaration) for it, (_, declaration) in variants.items())
            mapping = ",".join(f"{shape}({it})" for it, (shape, _) in variants.items())
            groups[name] = f'"vector-function-abi-variant"="{mapping}"'
        return f"{match[0]} {groups[name]}"

    text = _CALL.sub(say, text)
    if not declared:
        return module
    changed = llvm.parse_assembly(text)
    changed.name = module.name
    # Declared in a module of their own: this may have been linked to others that know them, too.
    used = ", ".join(f"ptr @{name}" for name in declared)
    keep = f"@llvm.compiler.used = appending global [{len(declared)} x ptr] [{used}]"
    head = [f'target triple = "{module.triple}"', f'target datalayout = "{module.data_layout}"']
    text = "\n".join([*head, *declared.values(), f'{keep}, section "llvm.metadata"'])
    changed.link_in(llvm.parse_assembly(text))
    return changed


def _variants(name: str, kind: str, available: list[tuple[str, int]]) -> Any:
    """The functions of vectors for one of numbers: name, and the shape and declaration of each."""
    suffix, intrinsic, width = FLOATS[kind]
    plain = re.fullmatch(rf"llvm\.(\w+)\.{intrinsic}", name)
    base = plain[1] if plain else name.removesuffix(suffix)
    for letter, bits in available:
        count = bits // width
        for arguments in ("v", "vv"):
            symbol = f"_ZGV{letter}N{count}{arguments}_{base}{suffix}"
            if symbol in names():
                vector = f"<{count} x {kind}>"
                operands = ", ".join([vector] * len(arguments))
                effects = "nounwind willreturn memory(none)"
                declaration = f"declare {vector} @{symbol}({operands}) {effects}"
                yield symbol, (f"_ZGV_LLVM_N{count}{arguments}_{name}", declaration)
