"""The code that users gave by `@overload` for functions that Numba compiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from dualgrad.compile.packages import is_users, package


def overload_of_user(kind: Any, sig: Any) -> Any:
    """The code that a user gave by `@overload` for the function, if Numba has chosen one.

    It was chosen by types, of which dual numbers have others. A function with a rule needs none,
    and that of a ufunc (numba-scipy) calls C.
    """
    if isinstance(kind.typing_key, np.ufunc) or any(map(_is_rule, kind.templates)):
        return None
    entry = kind._impl_keys.get(sig.args)
    for template in kind.templates:
        choose = getattr(template, "_overload_func", None)
        if entry is None or choose is None or not is_users(choose):
            continue
        found = chosen_code(template, sig.args)
        if found is not None and found.overloads[sig.args].entry_point == entry:
            return found
    return None


def chosen_code(template: Any, arg_types: tuple[types.Type, ...]) -> Any:
    """The function that an `@overload` has chosen for these types, None if Numba has none."""
    for found, _ in getattr(template, "_impl_cache", {}).values():
        if found is not None and arg_types in found.overloads:
            return found
    return None


def _is_rule(template: Any) -> bool:
    """Whether a template is one of ours, for dual numbers."""
    code = getattr(template, "_overload_func", None) or getattr(template, "generic", None)
    return package(getattr(code, "__module__", None)) == "dualgrad"
