"""The transforms that users call for second and higher derivatives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from dualgrad.transforms import arguments
from dualgrad.transforms.api import Argnums, Chunk, columns
from dualgrad.transforms.plans import HessianPlan, HvpPlan, TaylorPlan
from dualgrad.transforms.transform import Transform, transform


def hessian(
    f: Callable[..., Any], argnums: Argnums = 0, *, chunk: Chunk = "auto",
    out_argnum: int | None = None, terms: bool = False, cache: bool = True,
) -> Transform:  # fmt: skip
    """Second derivatives of a function: the Hessian of a number, or of each item of an array.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function; its result `y` is a number, an array, or a tuple of them.
    argnums : int or tuple of int
        Which argument to differentiate by; for a tuple the result is a tuple of tuples, of the
        derivatives by each pair of arguments.
    chunk : int or "auto"
        How many rows one sweep computes; with `terms`, of how many colours.
    out_argnum : int, optional
        The argument that `f` writes its result to, if it returns None.
    terms : bool
        Whether `f` returns the terms of a sum, whose Hessian is meant: see `grad`. The result is
        dense; `sparse_hessian` returns a sparse matrix.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    Transform
        A function of the arguments of `f` whose result has shape ``y.shape + x.shape + x.shape``.
        With ``out=`` it writes into an array of that shape, and returns it.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a derivative rule.
    TypeError, ValueError
        As for `jacobian`.

    Notes
    -----
    Forward mode over forward mode, several rows and columns at a time, on and below the diagonal
    only: each pair of mixed derivatives is computed once. Griewank and Walther, *Evaluating
    Derivatives*, 2nd ed., SIAM 2008, chapter 13 has the alternatives.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return x[0]**2 * x[1] + x[1]**3
    >>> dg.hessian(f)(np.array([1.0, 2.0]))
    array([[ 4.,  2.],
           [ 2., 12.]])
    """
    return columns(
        "hessian", f, argnums, chunk, out_argnum, cache, False, False, terms, HessianPlan
    )


def value_grad_and_hessian(
    f: Callable[..., Any], argnums: Argnums = 0, *, chunk: Chunk = "auto",
    out_argnum: int | None = None, terms: bool = False, cache: bool = True,
) -> Transform:  # fmt: skip
    """`hessian` with value and gradient from the same sweeps: ``(y, gradient, hessian)``.

    With ``out=`` it takes a pair of arrays, for gradient and Hessian.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> dg.value_grad_and_hessian(lambda x: x[0] * x[1])(np.array([2.0, 3.0]))
    (6.0, array([3., 2.]), array([[0., 1.],
           [1., 0.]]))
    """
    return columns("hessian", f, argnums, chunk, out_argnum, cache, False, True, terms, HessianPlan)


def hvp(
    f: Callable[..., Any], argnums: Argnums = 0, *, chunk: Chunk = "auto", cache: bool = True
) -> Transform:
    """Product of the Hessian of a function that returns a number with a vector.

    It costs about two gradients, whatever the number of inputs; the Hessian is not formed. Like a
    gradient it takes a sweep for each `chunk` items of the result. Of a large sum of small terms,
    whose Hessian is sparse, `sparse_hessian` with ``terms=True`` and its product with the vector
    take less: their sweeps do not grow in number.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function; its result is a number.
    argnums : int or tuple of int
        Whose gradient is differentiated in the direction of the tangents; a tuple gives a tuple.
    chunk : int or "auto"
        How many rows one sweep computes.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    Transform
        A function of two tuples, `primals` and `tangents`, as `jvp` takes them, whose result has
        the shape of the argument `x`. With ``out=`` it writes into an array of that shape.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a derivative rule.
    TypeError, ValueError
        As for `jvp`.

    Notes
    -----
    The derivative of ``grad(f)(x + t v)`` by t: Pearlmutter, *Fast Exact Multiplication by the
    Hessian*, Neural Computation 6(1), 1994.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return x[0]**2 * x[1] + x[1]**3
    >>> dg.hvp(f)((np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([4., 2.])
    """
    function = arguments.function(f)
    numbers, one = arguments.argnums(argnums, function)
    plan = HvpPlan(
        function, arguments.parameters(function), None, argnums=numbers, one_argument=one
    )
    return transform(
        plan,
        arguments.chunk(chunk),
        arguments.signature_of("primals", "tangents", out=None),
        bool(cache),
    )


def taylor(
    f: Callable[..., Any], order: int, *, out_argnum: int | None = None, cache: bool = True
) -> Transform:
    """Taylor coefficients of a function along a line: of ``t -> f(x + t v)`` at 0.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function; its result `y` is a number, an array or a tuple of them. It
        is expanded in its first argument.
    order : int
        The number of the last coefficient.
    out_argnum : int, optional
        The argument that `f` writes its result to, if it returns None.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    Transform
        A function of the point `x`, the direction `v`, which has the shape of `x`, and the other
        arguments of `f`. Its result has shape ``(order + 1,) + y.shape``; item k is the k-th
        derivative over k factorial. With ``out=`` it writes into an array of that shape (or a
        tuple of them), and returns it.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a rule for series: some of `np.linalg`,
        complex numbers, functions with a `custom_jvp` rule.
    TypeError, ValueError
        For an order below zero, a direction of another shape than the point, an `out` of another
        shape or dtype.

    Notes
    -----
    Every function has a recurrence for its coefficients, so that the cost grows with the square
    of the order: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 13.

    The path through `f` is the one that the value takes. Coefficients that do not exist, as those
    of `sqrt` at 0, are inf or nan.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> dg.taylor(np.exp, 4)(0.0, 1.0)
    array([1.        , 1.        , 0.5       , 0.16666667, 0.04166667])
    >>> def f(x, a):
    ...     return a * x[0] * x[1]
    >>> dg.taylor(f, 2)(np.array([2.0, 3.0]), np.array([1.0, 1.0]), 10.0)
    array([60., 50., 10.])
    """
    function = arguments.function(f)
    out, count = arguments.out_argnum(out_argnum, function), arguments.order(order)
    plan = TaylorPlan(function, arguments.parameters(function), count, out)
    if not plan.params or out == 0:
        raise ValueError("dg.taylor: the first argument of the function is the one to expand in")
    signature = arguments.signature(function)
    point, *others = (signature.parameters[name] for name in plan.params)
    direction = "v"
    while direction in plan.params:
        direction += "_"
    params = [
        inspect.Parameter(point.name, inspect.Parameter.POSITIONAL_OR_KEYWORD),
        inspect.Parameter(direction, inspect.Parameter.POSITIONAL_OR_KEYWORD),
        *others,
        inspect.Parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None),
    ]
    return transform(plan, None, signature.replace(parameters=params), bool(cache))
