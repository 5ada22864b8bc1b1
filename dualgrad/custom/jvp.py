"""`custom_jvp`: a function with a derivative rule of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from numba.core import config, types
from numba.core.dispatcher import Dispatcher
from numba.core.errors import UnsupportedError
from numba.core.registry import CPUDispatcher

from dualgrad.compile.activity import Summary, summarise, summary_of_code
from dualgrad.compile.frontend import WithPlainCallees, as_dispatcher, calling, jitted
from dualgrad.duals.hook import holds_dual
from dualgrad.transforms.transform import Transform


def custom_jvp(f: Callable[..., Any]) -> CustomJvp:
    """Mark a function whose derivative is given rather than computed.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function, or one of C that Numba can call: a ctypes or cffi function,
        or a `numba.types.ExternalFunction`. It has no `*args`. Its result is a number, an array
        or a tuple of them, and it neither writes into its arguments nor returns their memory.

    Returns
    -------
    CustomJvp
        A function that computes what `f` computes, in Python and in compiled code, and that has
        a decorator, `defjvp`, for its rule.

    Raises
    ------
    NotDifferentiable
        Where a transform meets it: if it has no rule yet, if the result of the rule is of
        another type or shape than that of `f`, if `f` writes into its arguments.
    TypeError
        If `f` is no function, or takes `*args`.

    Notes
    -----
    The rule takes the arguments of `f` and then, in the same order, a tangent for each:
    ``rule(x1, ..., xk, dx1, ..., dxk)``. It returns the tangent of the result, which is linear in
    the tangents given: the product of the Jacobian with one direction. It is called once for
    each direction that a sweep carries, except where all tangents are zero, whose result is zero.

    A tangent has the shape of its argument, also inside tuples. It is zero for what is held
    constant, which integers always are, and None for what is neither number nor array. The
    tangent of an integer result is not looked at.

    Derivatives of derivatives differentiate the rule, which may call `f` again.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> @dg.custom_jvp
    ... def softplus(x):
    ...     return np.log1p(np.exp(x))
    >>> @softplus.defjvp
    ... def _(x, dx):
    ...     return dx / (1.0 + np.exp(-x))
    >>> dg.derivative(softplus)(0.0)
    0.5
    """
    return CustomJvp(f)


class CustomJvp(CPUDispatcher):
    """A function with a derivative rule of its own; see `custom_jvp`.

    To compiled code it is an `@njit` function, in Python it is the function that was given.
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        if not callable(f):
            raise TypeError(f"dg.custom_jvp: a function is expected, not {f!r}")
        py_func = f if isinstance(f, FunctionType) else calling(f)
        super().__init__(py_func, {}, {"nopython": True}, WithPlainCallees)
        parameters = inspect.signature(py_func).parameters.values()
        if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.KEYWORD_ONLY) for p in parameters):
            raise TypeError(
                f"dg.custom_jvp: {self.__name__}{inspect.signature(py_func)} has parameters "
                "without a place of their own; give each one"
            )
        # a type of Numba stands for what only compiled code can call
        self._in_python: Any = super().__call__ if isinstance(f, types.Type) else f
        self.rule: Dispatcher | None = None
        self._for_duals: Transform | None = None

    def __call__(self, *args: Any, **kws: Any) -> Any:
        if any(map(holds_dual, (*args, *kws.values()))):
            if config.DISABLE_JIT:
                from dualgrad.custom.interpreted import call

                return call(self, args, kws)
            return super().__call__(*args, **kws)  # compiled code knows the rule
        return self._in_python(*args, **kws)

    def __reduce__(self) -> str:
        """By its name in its module, as functions are pickled."""
        return str(self.__qualname__)

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Give the rule, once; it is returned as it is.

        Parameters
        ----------
        rule : callable
            A Python or `@njit` function of the arguments and of a tangent for each. In a Python
            function a division by zero is infinite or nan, as in NumPy.
        """
        if self.rule is not None:
            # what is compiled already would go on with the first
            raise TypeError(f"{self.__name__} has a rule already")
        if not callable(rule):
            raise TypeError(f"the rule of {self.__name__} is a function, not {rule!r}")
        # an infinite derivative is a number, not an exception
        plain = isinstance(rule, FunctionType)
        dispatcher = jitted(rule, error_model="numpy") if plain else as_dispatcher(rule)
        expected = 2 * len(inspect.signature(self.py_func).parameters)
        try:
            inspect.signature(dispatcher.py_func).bind(*range(expected))
        except TypeError:
            raise TypeError(
                f"the rule of {self.__name__} is called with {expected} arguments, those of "
                f"{self.__name__} and a tangent for each; "
                f"{dispatcher.__name__}{inspect.signature(dispatcher.py_func)} came"
            ) from None
        self.rule = dispatcher
        return rule

    def for_duals(self) -> Transform:
        """The function as functions of duals call it."""
        if self._for_duals is None:
            signature = inspect.signature(self.py_func)
            self._for_duals = _ForDuals(RulePlan(self), None, signature, False, inner=True)
        return self._for_duals

    def fingerprint_parts(self) -> tuple[Any, ...]:
        """What it is, for the cache: see `dualgrad.compile.fingerprint`."""
        return self.py_func, self.rule

    def effect(self, arg_types: tuple[types.Type, ...], active: tuple[bool, ...]) -> Summary:
        """What a call does to its arguments: what its code does, derivatives aside."""
        seen = effect_of_code(self, arg_types)
        return Summary(active, seen.written_args, any(active), seen.shared, seen.draws)


def effect_of_code(function: Any, arg_types: tuple[types.Type, ...]) -> Summary:
    """What the code of a function does to its arguments; anything, where it cannot be read."""
    n = len(arg_types)
    read = summary_of_code if isinstance(function, CustomJvp) else summarise
    try:
        return read(function, arg_types, (False,) * n, False)
    except UnsupportedError:  # object mode
        return Summary((False,) * n, (True,) * n, False, (frozenset({-1, *range(n)}),))


class _ForDuals(Transform):
    """The function as functions of duals call it, and it calls itself for values that are duals."""

    @property
    def is_compiling(self) -> bool:
        """False: to Numba a call of itself, always one level lower, is one of another function."""
        return False


class RulePlan:
    """How the function for duals is built, as a `Transform` asks for it."""

    name = "custom_jvp"
    parallel = False

    def __init__(self, function: CustomJvp) -> None:
        self.function = function
        self._building: set[Any] = set()

    def build(self, arg_types: Any, n: int | None) -> Any:
        """The function for these types as a Python function."""
        from dualgrad.custom.kernel import kernel, refused

        if arg_types in self._building:
            name = self.function.__name__
            raise refused(
                self.function.rule, f"the rule of {name} differentiates {name}",
                "that asks for the rule again", "write the derivative out",
            )  # fmt: skip
        self._building.add(arg_types)
        try:
            return kernel(self.function, arg_types)
        finally:
            self._building.remove(arg_types)
