"""The packages that functions are from: whose behaviour, or whose code, is known."""

from __future__ import annotations

from typing import Any

#: Of their functions we know what they do to their arguments.
KNOWN = frozenset("numpy math cmath operator _operator builtins".split())
#: Their code is for types of any kind, dual numbers too: that of all others is a user's.
GENERAL = frozenset("dualgrad numba numpy scipy".split())
#: Their functions are known by name to the cache, as the versions are part of every key.
VERSIONED = frozenset("numpy numba llvmlite scipy math cmath operator builtins random".split())


def package(module: str | None) -> str:
    """The package of a module, both by name; an empty one for what is in none."""
    return (module or "").split(".")[0]


def package_of(thing: Any) -> str:
    """The package that an object says it is from, or else its class."""
    return package(getattr(thing, "__module__", None) or type(thing).__module__)


def module_of_code(function: Any) -> str | None:
    """The module of the code of a function, which `__module__` of a wrapper need not be."""
    name: str | None = getattr(function, "__globals__", {}).get("__name__")
    return name


def is_users(function: Any) -> bool:
    """Whether the code of a function is a user's, which also may be evaluated in no module."""
    return package(module_of_code(function)) not in GENERAL
