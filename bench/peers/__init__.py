"""Other packages that differentiate: a module for each, left out where it is not installed.

Each module offers `calls(problem)`: the ways in which its users would have that derivative. A way
is made by its first call, and what that takes is its compile time. hyperjet is not among them: its
source distribution lacks the directory that its build asks for.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import njit

import dualgrad as dg
from bench.common import Made

#: The modules here, and the packages that they need.
PEERS = {
    "jax": "jax", "torch": "torch", "autograd": "autograd", "casadi": "casadi",
    "num_dual": "num_dual", "differences": "scipy", "numdifftools": "numdifftools",
}  # fmt: skip

ALWAYS = {"__builtins__": builtins}  # PyTorch's compiler looks for them


@dataclass(frozen=True, eq=False)
class Problem:
    """A derivative, as a peer is asked for it."""

    kind: str  # "grad", "jacobian" or "hessian"
    function: Callable[..., Any]  # of x and args; compiled by Numba, and written with `np`
    x: np.ndarray
    args: tuple[Any, ...] = ()
    mapped: bool = False  # over the first axis of x and of each of args
    #: By the module of a peer: the same function, where the source of `function` will not do.
    versions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def written_for(self, peer: str, np: Any, erf: Any = None) -> Callable[..., Any]:
        """The source of the function, or of its version for that peer, with the peer's library."""
        return written_with({"np": np, "erf": erf}, self.versions.get(peer, self.function))


def written_with(names: Mapping[str, Any], function: Any) -> Callable[..., Any]:
    """The same source, where these names mean something else; so they do in what it calls."""
    source = getattr(function, "py_func", function)
    used = {
        name: written_with(names, value) if hasattr(value, "py_func") else value
        for name, value in source.__globals__.items()
        if name in names_in(source.__code__)
    }
    return FunctionType(source.__code__, {**used, **ALWAYS, **names}, closure=source.__closure__)


def names_in(code: CodeType) -> set[str]:
    """Those of a function and of the functions in it."""
    inner = [names_in(it) for it in code.co_consts if isinstance(it, CodeType)]
    return set(code.co_names).union(*inner)


def installed(name: str) -> ModuleType | None:
    """The module, or None."""
    try:
        return import_module(name)
    except ImportError:
        return None


def peers(problem: Problem, without: Collection[str] = ()) -> dict[str, Made]:
    """The ways of all peers but those named in `without`."""
    return {
        name: made
        for peer, package in PEERS.items()
        if peer not in without and installed(package)
        for name, made in import_module(f"bench.peers.{peer}").calls(problem).items()
        if name not in without
    }


@njit
def _square(x):
    return np.sum(x * x)


def warm_up() -> bool:
    """What the first use of each package brings with it is nobody's compile time."""
    x = np.ones(2)
    dg.grad(_square, cache=False)(x)
    for made in peers(Problem("grad", _square, x)).values():
        made.make()()
    return True
