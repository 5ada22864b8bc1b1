"""How an `@njit` function that is called with duals comes to its clone.

A dispatcher that meets new types asks itself for code. With duals among them the answer is the code
of its clone, which is kept apart: what the function has for plain numbers never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numba.core import sigutils, types
from numba.core.dispatcher import _DispatcherBase
from numba.core.typing.typeof import Purpose, typeof_impl

from dualgrad.duals.classes import Duals
from dualgrad.errors import NotDifferentiable
from dualgrad.types import duals_in

_get_call_template = _DispatcherBase.get_call_template
_get_overload = _DispatcherBase.get_overload
_compile_for_args = _DispatcherBase._compile_for_args
_search_new_conversions = _DispatcherBase._search_new_conversions


def holds_dual(it: Any) -> bool:
    """Whether an argument is a dual, an array of them, or a tuple or list with one."""
    if isinstance(it, tuple):
        return any(map(holds_dual, it))
    if isinstance(it, list):  # whose items have one type
        return any(map(holds_dual, it[:1]))
    return isinstance(it, Duals)


@typeof_impl.register(Duals)
def _typeof(it: Duals, c: Any) -> Any:
    if c.purpose is Purpose.constant:
        raise NotDifferentiable(
            "a dual number that is a global or closure variable would be frozen by Numba\n"
            "  way out: pass it to the function as an argument"
        )
    return it.numba_type


def _compiled(self: Any, *args: Any, **kws: Any) -> Any:
    if vars(self).pop("_dualgrad_closed", False):
        self._can_compile = False
    if getattr(self, "takes_duals", False) or not any(map(holds_dual, args)):
        return _compile_for_args(self, *args, **kws)
    from dualgrad.duals.compiled import boxed

    return boxed(self)._compile_for_args(*args, **kws)


def _search(self: Any, *args: Any, **kws: Any) -> Any:
    """A function with declared signatures is not asked for code: open it for this one call."""
    if any(map(holds_dual, args)):
        self._can_compile = self._dualgrad_closed = True
        return False
    return _search_new_conversions(self, *args, **kws)


def _clone_for(dispatcher: Any, arg_types: Iterable[types.Type]) -> Any:
    """The clone of a user's function for duals, None where it is called with others.

    Code that the clones' own pass does not see calls it: that of an `@overload`, of `@vectorize`,
    of `vmap`, of Numba's `map`.
    """
    from dualgrad.compile.frontend import DerivedDispatcher
    from dualgrad.compile.packages import is_users

    if isinstance(dispatcher, DerivedDispatcher) or not any(map(_with_duals, arg_types)):
        return None
    from dualgrad.compile.clone import clone_of

    return clone_of(dispatcher) if is_users(dispatcher.py_func) else None


def _with_duals(ty: types.Type) -> bool:
    return any(True for _ in duals_in(ty))


def _template(self: Any, args: Any, kws: Any) -> Any:
    clone = _clone_for(self, (*args, *kws.values()))
    return (
        _get_call_template(self, args, kws) if clone is None else clone.get_call_template(args, kws)
    )


def _overload(self: Any, sig: Any) -> Any:
    clone = _clone_for(self, sigutils.normalize_signature(sig)[0])
    return _get_overload(self, sig) if clone is None else clone.get_overload(sig)


_DispatcherBase.get_call_template = _template
_DispatcherBase.get_overload = _overload
_DispatcherBase._compile_for_args = _compiled
_DispatcherBase._search_new_conversions = _search
