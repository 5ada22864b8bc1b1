"""What finds a pattern: everything about it but the types of the arguments."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from dualgrad.transforms.plans import register_rules
from dualgrad.transforms.transform import Transform, transform


@dataclass(frozen=True)
class PatternPlan:
    """Which inputs each output depends on; or which pairs of inputs, for second derivatives."""

    function: Any  # the dispatcher of f
    params: tuple[str, ...]  # the names of its parameters
    argnum: int
    out_argnum: int | None
    second: bool
    name: str
    parallel: bool = False

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The kernel for these types as a Python function."""
        register_rules()
        from dualgrad.sparse.kernels import kernel

        return kernel(self, arg_types)


def sweep(plan: PatternPlan, cache: bool = True) -> Transform:
    """The compiled sweep of a plan, a function of seeds and the arguments of `f`."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    seeds = "seeds"
    while seeds in plan.params:
        seeds += "_"
    parameters = inspect.signature(plan.function.py_func).parameters
    given = [parameters[name] for name in plan.params]
    return transform(plan, None, inspect.Signature([inspect.Parameter(seeds, kind), *given]), cache)
