"""The statements of a function by the variables that they name, looked at once."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from numba.core import ir

from dualgrad.compile.frontend import Typed


class Statements:
    """Which statements name a variable, and which assign to it; those that return."""

    def __init__(self, code: Typed) -> None:
        self.code = code
        self.of: dict[str, list[Any]] = defaultdict(list)
        self.made: dict[str, list[ir.Assign]] = defaultdict(list)
        self.returns: list[ir.Return] = []
        for block in code.func_ir.blocks.values():
            for statement in block.body:
                for name in {var.name for var in statement.list_vars()}:
                    self.of[name].append(statement)
                if isinstance(statement, ir.Assign):
                    self.made[statement.target.name].append(statement)
                if isinstance(statement, ir.Return):
                    self.returns.append(statement)

    def value(self, name: str) -> Any:
        """What a variable is assigned, if there is one assignment."""
        made = self.made.get(name, [])
        return made[0].value if len(made) == 1 else None
