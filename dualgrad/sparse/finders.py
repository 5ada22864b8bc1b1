"""`jacobian_pattern` and `hessian_pattern`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dualgrad.sparse import patterns
from dualgrad.transforms import arguments


@dataclass(frozen=True)
class PatternFinder:
    """A function of the arguments of `f` that returns a pattern."""

    function: Any  # the dispatcher of f
    find: Callable[..., patterns.Pattern]
    argnum: int
    out_argnum: int | None
    options: tuple[tuple[str, Any], ...]

    def __call__(self, *args: Any, **kws: Any) -> Any:
        """The pattern as a `scipy.sparse.csr_array` of booleans, its indices sorted."""
        bound = inspect.signature(self.function.py_func).bind(*args, **kws)
        bound.apply_defaults()
        options = dict(self.options)
        return self.find(self.function, bound.args, self.argnum, self.out_argnum, **options).matrix


def jacobian_pattern(
    f: Callable[..., Any], argnums: int = 0, *, out_argnum: int | None = None, cache: bool = True
) -> PatternFinder:
    """Which entries of the Jacobian of a function can be nonzero.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function, whose result `y` is an array, a number or a tuple of them.
    argnums : int
        Which argument to differentiate by.
    out_argnum : int, optional
        The argument that `f` writes its result to, if it returns None.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    PatternFinder
        A function of the arguments of `f` that returns a `scipy.sparse.csr_array` of booleans of
        shape ``(y.size, x.size)``; items of arrays with more than one axis count in C order.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a derivative rule.

    Notes
    -----
    `f` runs with sets of inputs in place of tangents. An entry is there unless it is zero for
    all `x` that take the same path through `f`, with the other arguments as they are: a function
    has all its operands' inputs where it is not constant, and a product with a constant zero has
    none. Of what `np.linalg` and functions with a `custom_jvp` rule return, every item counts as
    depending on all that they are given.

    The number of runs grows with the number of colours of the pattern, and the logarithm of
    `x.size`. The idea of propagated sets is that of Griewank and Walther, *Evaluating
    Derivatives*, 2nd ed., SIAM 2008, section 7.4.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return np.diff(x) ** 2
    >>> dg.jacobian_pattern(f)(np.zeros(4)).toarray().astype(int)
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1]])
    """
    return _finder(patterns.jacobian, f, argnums, out_argnum, cache=bool(cache))


def hessian_pattern(
    f: Callable[..., Any], argnums: int = 0, *, out_argnum: int | None = None,
    terms: bool = False, cache: bool = True,
) -> PatternFinder:  # fmt: skip
    """Which entries of the Hessian of a function can be nonzero.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function; its result is a number.
    argnums : int
        Which argument to differentiate by.
    out_argnum : int, optional
        The argument that `f` writes its result to, if it returns None.
    terms : bool
        Whether `f` returns an array of terms, and the function meant is their sum. The number of
        runs then does not grow with `x.size`, but with the square of the number of inputs that a
        term has.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    PatternFinder
        A function of the arguments of `f` that returns a symmetric `scipy.sparse.csr_array` of
        booleans of shape ``(x.size, x.size)``.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a derivative rule.
    TypeError
        At the call, if the function returns an array and `terms` does not say so.

    Notes
    -----
    As for `jacobian_pattern`, with the pairs of inputs that meet in an operation that is not
    linear: see its notes.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return x[0] ** 2 * x[1] + np.sin(x[2]) - x[1]
    >>> dg.hessian_pattern(f)(np.zeros(3)).toarray().astype(int)
    array([[1, 1, 0],
           [1, 0, 0],
           [0, 0, 1]])
    """
    return _finder(patterns.hessian, f, argnums, out_argnum, cache=bool(cache), terms=bool(terms))


def _finder(find: Any, f: Any, argnums: Any, out_argnum: Any, **options: bool) -> PatternFinder:
    function = arguments.function(f)
    argnum = arguments.argnum(argnums, function, "argnums")
    out = arguments.out_argnum(out_argnum, function)
    if argnum == out:
        raise ValueError(f"argnums and out_argnum both name argument {out}")
    return PatternFinder(function, find, argnum, out, tuple(options.items()))
