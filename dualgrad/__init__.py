"""Exact derivatives of ordinary Numba and NumPy code, at native speed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dualgrad.compile.cache import cache_dir, clear_cache
from dualgrad.custom.jvp import custom_jvp
from dualgrad.duals import Dual, DualArray, seed, tangent, value
from dualgrad.errors import NotDifferentiable
from dualgrad.transforms.api import (
    derivative,
    grad,
    jacobian,
    jvp,
    value_and_derivative,
    value_and_grad,
    value_and_jacobian,
    vmap,
)
from dualgrad.transforms.higher import hessian, hvp, taylor, value_grad_and_hessian
from dualgrad.transforms.tune import tune

if TYPE_CHECKING:
    from dualgrad.check.api import (
        check_derivative,
        check_grad,
        check_hessian,
        check_jacobian,
        check_jvp,
        check_vjp,
    )
    from dualgrad.check.report import CheckReport, DerivativeMismatch
    from dualgrad.sparse.api import sparse_hessian, sparse_jacobian
    from dualgrad.sparse.finders import hessian_pattern, jacobian_pattern

__version__ = "0.1.0"

__all__ = [
    "CheckReport",
    "DerivativeMismatch",
    "Dual",
    "DualArray",
    "NotDifferentiable",
    "cache_dir",
    "check_derivative",
    "check_grad",
    "check_hessian",
    "check_jacobian",
    "check_jvp",
    "check_vjp",
    "clear_cache",
    "custom_jvp",
    "derivative",
    "grad",
    "hessian",
    "hessian_pattern",
    "hvp",
    "jacobian",
    "jacobian_pattern",
    "jvp",
    "seed",
    "sparse_hessian",
    "sparse_jacobian",
    "tangent",
    "taylor",
    "tune",
    "value",
    "value_and_derivative",
    "value_and_grad",
    "value_and_jacobian",
    "value_grad_and_hessian",
    "vmap",
]

#: Names that are imported when they are first asked for: a third of the import of all.
_LATER = {
    "dualgrad.check.api": (
        "check_derivative check_grad check_hessian check_jacobian check_jvp check_vjp"
    ),
    "dualgrad.check.report": "CheckReport DerivativeMismatch",
    "dualgrad.sparse.api": "sparse_hessian sparse_jacobian",
    "dualgrad.sparse.finders": "hessian_pattern jacobian_pattern",
}


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names.split():
            found = globals()[name] = getattr(import_module(module), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
