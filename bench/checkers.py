"""How well checkers of derivatives find planted errors: dualgrad's beside those of others.

`python -m bench.checkers` prints for each: the mutants found, those at each size, the right
derivatives accused, and the time of a check. The mutants are those of `tests/test_check_mutants.py`
on the systems of MINPACK; a checker that takes gradients alone is called for each output.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import dualgrad as dg
from tests.test_check_mutants import Right, mutants, right_ones

#: Says whether a Jacobian at a point passes.
Checker = Callable[[Right, np.ndarray], bool]


def by_dualgrad(method: Any) -> Checker:
    def passes(right: Right, jac: np.ndarray) -> bool:
        return dg.check_jacobian(right.f, jac, right.x, method=method, raises=False).ok

    return passes


def by_scipy() -> Checker:
    """`check_grad` returns a norm, which its users compare with a tolerance of their own."""
    from scipy.optimize import check_grad

    def passes(right: Right, jac: np.ndarray) -> bool:
        return all(
            check_grad(lambda x, i=i: right.f(x)[i], lambda x, i=i: jac[i], right.x)
            <= 1e-6 * max(1.0, float(np.max(np.abs(jac[i]))))
            for i in range(len(jac))
        )

    return passes


def by_torch() -> Checker:
    import torch

    def passes(right: Right, jac: np.ndarray) -> bool:
        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                return torch.from_numpy(right.f(x.detach().numpy()))

            @staticmethod
            def backward(ctx: Any, grad: Any) -> Any:
                return torch.from_numpy(grad.numpy() @ jac)

        x = torch.tensor(right.x, requires_grad=True)
        return bool(torch.autograd.gradcheck(Function.apply, (x,), raise_exception=False))

    return passes


def by_jax() -> Checker:
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)

    def passes(right: Right, jac: np.ndarray) -> bool:
        @jax.custom_vjp
        def f(x: Any) -> Any:
            return jax.numpy.asarray(right.f(np.asarray(x)))

        f.defvjp(lambda x: (f(x), None), lambda _, u: (jax.numpy.asarray(np.asarray(u) @ jac),))
        return _quiet(lambda: check_grads(f, (right.x,), order=1, modes=("rev",)))

    return passes


def by_autograd() -> Checker:
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    def passes(right: Right, jac: np.ndarray) -> bool:
        f = primitive(lambda x: right.f(np.asarray(x)))
        defvjp(f, lambda y, x: lambda u: u @ jac)
        return _quiet(lambda: check_grads(f, modes=["rev"], order=1)(right.x))

    return passes


def _quiet(check: Callable[[], Any]) -> bool:
    """Whether a check that raises does not."""
    try:
        check()
    except (AssertionError, ValueError):
        return False
    return True


CHECKERS: dict[str, Callable[[], Checker]] = {
    "dualgrad, dual": lambda: by_dualgrad("dual"),
    "dualgrad, finite-difference": lambda: by_dualgrad("finite-difference"),
    "scipy.optimize.check_grad": by_scipy,
    "torch.autograd.gradcheck": by_torch,
    "jax.test_util.check_grads": by_jax,
    "autograd.test_util.check_grads": by_autograd,
}


class Tally(NamedTuple):
    """What a checker made of the mutants and of the right ones."""

    found: dict[str, tuple[int, int]]  # of each kind: found, tried
    accused: tuple[int, int]
    seconds: float  # for one check


def kind_of(jac: np.ndarray, right: np.ndarray) -> str:
    """The size of a single error; other mutants have none."""
    wrong = np.flatnonzero(jac != right)
    if wrong.size != 1:
        return "whole"
    size = abs(jac.flat[wrong[0]] / right.flat[wrong[0]] - 1)
    return f"{10.0 ** np.round(np.log10(size)):.0e}" if size < 0.5 else "sign"


def tally(checker: Checker, step: int) -> Tally:
    """Every `step`-th mutant, and as many right ones."""
    found: dict[str, tuple[int, int]] = {}
    chosen = list(mutants())[::step]
    rights = list(right_ones(40, seed=3))[::step]
    for right in rights[:: max(1, len(rights) // 20)]:
        _passes(checker, right, right.jacobian(right.x))  # compiles
    begin = perf_counter()
    for mutant in chosen:
        kind = kind_of(mutant.jacobian, mutant.right.jacobian(mutant.right.x))
        hits, tried = found.get(kind, (0, 0))
        found[kind] = hits + (not _passes(checker, mutant.right, mutant.jacobian)), tried + 1
    accused = sum(not _passes(checker, it, it.jacobian(it.x)) for it in rights)
    seconds = (perf_counter() - begin) / (len(chosen) + len(rights))
    return Tally(found, (accused, len(rights)), seconds)


def _passes(checker: Checker, right: Right, jac: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        return checker(right, np.ascontiguousarray(jac, float))


def rows(step: int) -> Iterator[str]:
    """The table, a line at a time."""
    kinds = ["1e-01", "1e-02", "1e-03", "1e-04", "1e-05", "1e-06", "sign", "whole"]
    words = "".join(f"{kind:>7}" for kind in kinds)
    yield f"{'found, in per cent':32}{'all':>7}{words}{'accused':>12}{'ms each':>9}"
    for name, make in CHECKERS.items():
        try:
            checker = make()
        except ImportError as error:
            yield f"{name:32}  not installed: {error}"
            continue
        result = tally(checker, step)
        hits, tried = np.sum(list(result.found.values()), axis=0)
        if name == "dualgrad, dual" and (hits < 0.99 * tried or result.accused[0]):
            raise AssertionError(f"dual numbers find {hits} of {tried}, accuse {result.accused}")
        parts = [result.found.get(kind, (0, 0)) for kind in kinds]
        shares = "".join(f"{100 * a / b if b else np.nan:7.1f}" for a, b in parts)
        accused = "{} of {}".format(*result.accused)
        yield f"{name:32}{100 * hits / tried:7.1f}{shares}{accused:>12}{1e3 * result.seconds:9.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.checkers", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="every 40th mutant")
    for row in rows(40 if parser.parse_args().smoke else 1):
        print(row, flush=True)


if __name__ == "__main__":
    main()
