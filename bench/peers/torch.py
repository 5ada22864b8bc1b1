"""PyTorch: `torch.func` compiled by Inductor."""

from __future__ import annotations

import logging
import warnings
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch

from bench.common import Call, Made
from bench.peers import Problem
from bench.threads import COUNT

torch.set_num_threads(COUNT)
torch._logging.set_logs(all=logging.CRITICAL)

WAYS: dict[str, Any] = {
    "grad": torch.func.jacfwd,
    "jacobian": torch.func.jacfwd,
    "hessian": torch.func.hessian,  # forward over reverse
    "elementwise": lambda f: lambda x: torch.func.jvp(f, (x,), (torch.ones_like(x),)),
}
NAMES = {
    "grad": "torch, jacfwd",
    "jacobian": "torch, jacfwd",
    "hessian": "torch, hessian",
    "elementwise": "torch, jvp",
}


def under_numpys_names() -> ModuleType:
    """PyTorch where its functions have other names or arguments; its compiler knows modules."""
    names = ModuleType("names")
    names.__dict__.update(vars(torch))
    double = {name: partial(getattr(torch, name), dtype=torch.float64) for name in ("eye", "zeros")}
    maximum = {"maximum": lambda x, y: torch.clamp(x, min=y)}
    names.__dict__.update(array=torch.stack, concatenate=torch.cat, **double, **maximum)
    return names


def calls(problem: Problem) -> dict[str, Made]:
    g = WAYS[problem.kind](problem.written_for("torch", under_numpys_names(), torch.erf))
    if problem.mapped:
        g = torch.func.vmap(g)
    args = problem.x, *problem.args
    ways = {NAMES[problem.kind]: Made(partial(prepared, torch.compile, g, *args))}
    if problem.mapped:  # what its compiler cannot do yet it does without
        ways["torch, not compiled"] = Made(partial(prepared, lambda g: g, g, *args))
    return ways


def prepared(way: Any, g: Any, *args: Any) -> Call:
    torch._dynamo.reset()  # or workloads share the limit to how often one is compiled
    warnings.filterwarnings("ignore", module="torch")
    at = [torch.from_numpy(it) if isinstance(it, np.ndarray) else it for it in args]
    return partial(way(g), *at)
