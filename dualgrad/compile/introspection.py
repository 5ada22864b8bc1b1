"""Questions about types, answered for a dual as for the number that it stands for."""

from __future__ import annotations

from typing import Any

from numba.cpython.builtins import ol_isinstance
from numba.extending import overload

from dualgrad.compile.frontend import carries_dual, primal_type


@overload(isinstance, target="cpu", strict=False)  # strict would compare type hints
def _isinstance(var: Any, typs: Any) -> Any:
    return ol_isinstance(primal_type(var), typs) if carries_dual(var) else None
