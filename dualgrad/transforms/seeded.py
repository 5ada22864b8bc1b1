"""Arguments whose duals are not in memory: `f` takes them item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numba.core import types

import dualgrad.arrays.seeds  # noqa: F401  (what array expressions do with seeds)
from dualgrad.compile.frontend import primal_type
from dualgrad.compile.itemwise import is_itemwise
from dualgrad.transforms.sweep import Input
from dualgrad.types import EntriesType, SeedsType, duals_in

#: Lanes of a sweep: a table of unit vectors for more would not fit in the first cache.
MOST_LANES = 64


@dataclass(frozen=True)
class Seeded(Input):
    """An argument that is an array of seeds."""

    coloured: bool = False
    probed: bool = False
    entries: EntriesType | None = None

    @property
    def buffer(self) -> types.Type:
        """The type of its duals."""
        return SeedsType(self.type, self.dual, self.coloured, self.probed, self.entries)


def is_seeded(function: Any, arg_types: Sequence[types.Type], k: int) -> bool:
    """Whether an argument can be one: an array of floats, of which `f` takes but items."""
    ty = arg_types[k]
    if not isinstance(ty, types.Array) or not isinstance(ty.dtype, types.Float) or ty.layout != "C":
        return False
    if any(dual for ty in arg_types for dual in duals_in(ty)):
        return False
    return is_itemwise(function, tuple(map(primal_type, arg_types)), k)
