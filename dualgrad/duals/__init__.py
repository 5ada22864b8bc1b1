"""Dual numbers as Python sees them: `Dual`, `DualArray`, and NumPy code that runs on them."""

from dualgrad.duals import hook  # noqa: F401  (registers with Numba)
from dualgrad.duals.classes import Dual, DualArray, seed
from dualgrad.duals.parts import tangent, value

__all__ = ["Dual", "DualArray", "seed", "tangent", "value"]
