"""CasADi: the derivative as a symbolic graph, run by its virtual machine or compiled as C."""

from __future__ import annotations

import tempfile
from functools import partial
from typing import Any

import casadi
import numpy as np

from bench.common import Call, Made
from bench.peers import Problem
from bench.peers.objects import Names

VM, C = "CasADi, VM", "CasADi, C"
casadi.GlobalOptions.setNumpyMode(-1)  # as ever, and in silence
WAYS = {
    "grad": casadi.gradient,
    "jacobian": lambda y, x: casadi.jacobian(y, x).T,  # CasADi keeps columns
    "hessian": lambda y, x: casadi.hessian(y, x)[0],
}
FLAGS = ["-O3", "-march=native"]


def calls(problem: Problem) -> dict[str, Made]:
    if problem.kind not in WAYS:
        return {}
    return {VM: Made(partial(call, problem, {})), C: Made(lambda: call(problem, jit()))}


def call(problem: Problem, options: dict[str, Any]) -> Call:
    given = [problem.x, *problem.args]
    if problem.mapped:
        symbols = [casadi.SX.sym("v", it[0].size) for it in given]
        x, *args = (np.array(casadi.vertsplit(it), object) for it in symbols)
    else:
        symbols = [casadi.SX.sym("x", problem.x.size)]
        x, args = np.array(casadi.vertsplit(symbols[0]), object), problem.args
    made = problem.written_for("casadi", Names(casadi.fmax), casadi.erf)(x, *args)
    y = casadi.vertcat(*made) if isinstance(made, np.ndarray) else made
    derivative = casadi.densify(WAYS[problem.kind](y, symbols[0]))
    function = casadi.Function("derivative", symbols, [derivative], options)
    shape = {"grad": x.shape, "jacobian": (y.numel(), x.size), "hessian": (x.size, x.size)}
    if not problem.mapped:
        return into(function, np.full(shape[problem.kind], np.nan), problem.x)
    out = np.full((len(problem.x), *shape[problem.kind]), np.nan)
    return into(function.map(len(problem.x)), out, *given)


def jit() -> dict[str, Any]:
    """Options that have a function compiled, with what that leaves behind out of the way."""
    options = {"compiler": "gcc", "flags": FLAGS, "directory": tempfile.gettempdir() + "/"}
    return {"jit": True, "compiler": "shell", "jit_options": options}


def into(function: Any, out: np.ndarray, *args: np.ndarray) -> Call:
    """A call of `function` on these very arrays, by its buffers."""
    buffer, run = function.buffer()
    for i, it in enumerate(args):
        buffer.set_arg(i, memoryview(it))
    buffer.set_res(0, memoryview(out))

    def evaluate(keep: Any = (buffer, args)) -> np.ndarray:  # `run` alone does not keep them alive
        run()
        return out

    return evaluate
