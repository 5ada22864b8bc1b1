"""What a workload is: a derivative, the ways to compute it, and what is expected of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from bench.clocks import clock

Call = Callable[[], Any]

CHUNKED = "chunked loop"  # the hand-written rival, to which every derivative is compared
JAX = "JAX, jacfwd"  # the peer of most targets


@dataclass(frozen=True)
class Made:
    """A call that is still to be made. What making it takes counts as compile time."""

    make: Callable[[], Call]
    rtol: float | None = None  # within which its results are right, other than the workload's


@dataclass(frozen=True)
class Target:
    """`variant`, beyond `beyond`, takes at most so many times `of`, or so many seconds."""

    variant: str
    at_most: float
    of: str = ""
    beyond: str = ""

    def names(self) -> set[str]:
        """What must have been measured."""
        return {self.variant, self.of, self.beyond} - {""}

    def measured(self, medians: Mapping[str, float]) -> float:
        took = medians[self.variant] - medians.get(self.beyond, 0.0)
        return took / medians[self.of] if self.of else took


@dataclass(frozen=True, eq=False)
class Workload:
    """One derivative at one point, computed in several ways."""

    name: str
    yardsticks: Mapping[str, Call]  # no derivatives, hence unchecked; the primal comes first
    variants: Mapping[str, Call | Made]  # each returns the derivative
    reference: Any  # in closed form; a tuple where results are tuples
    targets: tuple[Target, ...] = ()  # those that name what was not measured are passed over
    repeats: int = 1  # how often a variant's one call does the work
    rtol: float = 1e-11  # within which results are right
    remark: Callable[[], str] | None = None  # what else is known after all have run
    left_out: tuple[str, ...] = ()  # peers that take too long
    place: int = 0  # of its module among the others
    calls: Mapping[str, Call | Made] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "calls", {**self.yardsticks, **self.variants})

    def ready(self, name: str) -> Call:
        """The call by that name: made, compiled, and its result checked."""
        return self.checked(name)[0]

    def checked(self, name: str) -> Checked:
        """Likewise, with the seconds of making and calling it once, and its error."""
        begin, way = clock(), self.calls[name]
        call = way.make() if isinstance(way, Made) else way
        result = call()
        first = clock() - begin
        if name not in self.variants:
            return Checked(call, first, None)
        got, wanted = flat(result), flat(self.reference)
        scale = np.max(np.abs(wanted))
        rtol = way.rtol if isinstance(way, Made) and way.rtol else self.rtol
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=0.1 * rtol * scale, err_msg=name)
        return Checked(call, first, float(np.max(np.abs(got - wanted)) / scale))


class Checked(NamedTuple):
    """A call whose result is right."""

    call: Call
    first: float
    error: float | None  # the largest, over the largest item of the reference


def flat(result: Any) -> np.ndarray:
    """All items one after the other; those of a tuple, too."""
    parts = result if isinstance(result, tuple) else (result,)
    return np.concatenate([np.ravel(np.asarray(part, float)) for part in parts])


def into(function: Callable[..., Any], *args: Any, shape: tuple[int, ...]) -> Call:
    """A call of `function(*args, out)`; `out` is its own, so nobody else's result passes."""
    out = np.full(shape, np.nan)
    return partial(function, *args, out)


def into_out(transform: Callable[..., Any], *args: Any, shape: tuple[int, ...]) -> Call:
    """Likewise `transform(*args, out=out)`."""
    out = np.full(shape, np.nan)
    return partial(transform, *args, out=out)


def into_csr(transform: Callable[..., Any], *args: Any) -> Call:
    """Likewise, of a sparse transform; the matrix is made by the first call. Its nonzeros."""

    @cache
    def out() -> Any:
        matrix = transform(*args)
        matrix.data[:] = np.nan
        return matrix

    return lambda: transform(*args, out=out()).data
