"""The checks that users call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from dualgrad.check import given as under_test
from dualgrad.check.problem import Problem, as_point
from dualgrad.check.references.reference import Method
from dualgrad.check.report import CheckReport

Mode = Literal["auto", "full", "fast"]


def check_derivative(
    f: Callable[..., Any], df: Any, x: Any, *args: Any, method: Method = "auto",
    rtol: float | None = None, raises: bool = True,
) -> CheckReport:  # fmt: skip
    """Check the derivative of a function of one number.

    Parameters
    ----------
    f : callable
        A function, plain, `@njit` or a black box, of `x` and `args`. It returns a number or an
        array.
    df : callable or array_like
        The derivative under test: a function of the same arguments, or its value at `x`. Its
        shape is ``y.shape``.
    x : float
        The point. Whole numbers are made floating-point.
    *args
        Further arguments of both functions.
    method : {"auto", "dual", "complex-step", "finite-difference"}
        What to compare with. "auto" takes the first of these that suits the function: dual numbers
        if it can be compiled, the complex step if it is seen to be analytic.
    rtol : float, optional
        The relative error that is no mistake; by default the square root of the unit of
        rounding of the coarsest type among the point, the result and the derivative.
    raises : bool
        Whether a derivative that is wrong raises an error.

    Returns
    -------
    CheckReport
        `ok`, `bad`, `worst`, `method`, `error_estimate`, `remarks` and `guess`; it prints as a
        short table.

    Raises
    ------
    DerivativeMismatch
        If the derivative is wrong, unless `raises` is false.
    TypeError, ValueError
        If it cannot be checked: arguments or results that are no real numbers, a `method` that
        does not suit `f`, a reference that says nothing of any entry.

    Notes
    -----
    Dual numbers: see `derivative`. Complex step: Martins, Sturdza and Alonso, ACM TOMS 29 (2003).
    Finite differences with an estimate of their error: `scipy.differentiate`.

    Examples
    --------
    >>> import dualgrad as dg
    >>> print(dg.check_derivative(lambda x: x**3, lambda x: 3 * x**2, 2.0))
    derivative: right (reference: dual, error below ...)
      index    given  reference    score
         ()       12         12  0.0e+00
    """
    if np.ndim(x):
        raise TypeError("dg.check_derivative: x is an array; use dg.check_grad or check_jacobian")
    problem = Problem(f, as_point(x), args)
    return _check("derivative", problem, df, method, "full", rtol, raises)


def check_grad(
    f: Callable[..., Any], grad: Any, x: Any, *args: Any, method: Method = "auto",
    mode: Mode = "auto", rtol: float | None = None, raises: bool = True,
) -> CheckReport:  # fmt: skip
    """Check the gradient of a function that returns a number.

    Parameters
    ----------
    f : callable
        A function, plain, `@njit` or a black box, of `x` and `args`. It returns a number.
    grad : callable or array_like
        The gradient under test: a function of the same arguments, or its value at `x`. Its shape
        is ``x.shape``.
    x : array_like
        The point.
    *args
        Further arguments of both functions.
    method, rtol, raises
        As for `check_derivative`.
    mode : {"auto", "full", "fast"}
        "fast" compares products with three random directions and makes a Taylor test. "auto" is
        "full" for up to four million entries.

    Returns
    -------
    CheckReport
        See `check_derivative`. In fast mode the first axis of an index counts the directions.

    Raises
    ------
    DerivativeMismatch, TypeError, ValueError
        As for `check_derivative`.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return np.sum(x**2) / 2
    >>> print(dg.check_grad(f, lambda x: -x, np.array([1.0, 2.0]), raises=False))
    grad: WRONG in 2 of 2 entries (reference: dual, error below ...)
      index  given  reference    score
       (1,)     -2          2  1.0e+00
       (0,)     -1          1  1.0e+00
    a guess: the wrong sign
    """
    problem = Problem(f, as_point(x), args)
    if problem.y.ndim:
        raise TypeError("dg.check_grad: the function returns an array; use dg.check_jacobian")
    return _check("grad", problem, grad, method, mode, rtol, raises)


def check_jacobian(
    f: Callable[..., Any], jac: Any, x: Any, *args: Any, method: Method = "auto",
    mode: Mode = "auto", pattern: Any = None, rtol: float | None = None, raises: bool = True,
) -> CheckReport:  # fmt: skip
    """Check a Jacobian: an array, a sparse array or a linear operator.

    Parameters
    ----------
    f : callable
        A function, plain, `@njit` or a black box, of `x` and `args`. It returns an array.
    jac : callable, array_like, sparse array or LinearOperator
        The Jacobian under test: a function of the same arguments, or its value at `x`. Its shape
        is ``y.shape + x.shape``; sparse arrays and operators have ``(y.size, x.size)``. The
        adjoint of an operator is checked too, if it has one.
    x : array_like
        The point.
    *args
        Further arguments of both functions.
    method, rtol, raises
        As for `check_derivative`.
    mode
        As for `check_grad`.
    pattern : array_like or sparse array, optional
        A declared sparsity pattern; entries of `jac` outside of it get a remark.

    Returns
    -------
    CheckReport
        See `check_derivative`. In fast mode the first axis of an index counts the directions.

    Raises
    ------
    DerivativeMismatch, TypeError, ValueError
        As for `check_derivative`.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return np.array([x[0] * x[1], x[1] ** 2])
    >>> jac = np.array([[2.0, 1.0], [0.0, 4.0]])
    >>> dg.check_jacobian(f, jac, np.array([1.0, 2.0])).ok
    True
    >>> print(dg.check_jacobian(f, jac.T, np.array([1.0, 2.0]), raises=False).guess)
    it is transposed
    """
    problem = Problem(f, as_point(x), args)
    return _check("jacobian", problem, jac, method, mode, rtol, raises, pattern)


def check_hessian(
    f: Callable[..., Any], hess: Any, x: Any, *args: Any, method: Method = "auto",
    mode: Mode = "auto", pattern: Any = None, rtol: float | None = None, raises: bool = True,
) -> CheckReport:  # fmt: skip
    """Check second derivatives.

    Parameters
    ----------
    f : callable
        A function, plain, `@njit` or a black box, of `x` and `args`. It returns a number or an
        array.
    hess : callable, array_like, sparse array or LinearOperator
        The Hessian under test: a function of the same arguments, or its value at `x`. Its shape
        is ``y.shape + x.shape + x.shape``.
    x : array_like
        The point.
    *args
        Further arguments of both functions.
    method, rtol, raises
        As for `check_derivative`.
    mode
        As for `check_grad`; fast, the second derivatives along three random lines are compared.
    pattern
        As for `check_jacobian`.

    Returns
    -------
    CheckReport
        See `check_derivative`.

    Raises
    ------
    DerivativeMismatch, TypeError, ValueError
        As for `check_derivative`.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return x[0] ** 2 * x[1]
    >>> def hess(x):
    ...     return np.array([[2 * x[1], 2 * x[0]], [2 * x[0], 0.0]])
    >>> dg.check_hessian(f, hess, np.array([1.0, 2.0])).ok
    True
    """
    problem = Problem(f, as_point(x), args, order=2)
    return _check("hessian", problem, hess, method, mode, rtol, raises, pattern)


def check_jvp(
    f: Callable[..., Any], jvp: Any, x: Any, v: Any, *args: Any, method: Method = "auto",
    mode: Mode = "auto", rtol: float | None = None, raises: bool = True,
) -> CheckReport:  # fmt: skip
    """Check a product of the Jacobian with a vector.

    Parameters
    ----------
    f : callable
        A function, plain, `@njit` or a black box, of `x` and `args`.
    jvp : callable or array_like
        The product under test: a function of `x`, `v` and `args`, or its value. Its shape is
        ``y.shape``.
    x, v : array_like
        The point and the direction, of one shape.
    *args
        Further arguments of both functions.
    method, rtol, raises
        As for `check_derivative`.
    mode
        "fast" adds a Taylor test.

    Returns
    -------
    CheckReport
        See `check_derivative`.

    Raises
    ------
    DerivativeMismatch, TypeError, ValueError
        As for `check_derivative`.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> x, v = np.array([1.0, 2.0]), np.array([0.5, -1.0])
    >>> dg.check_jvp(np.square, lambda x, v: 2 * x * v, x, v).ok
    True
    """
    point = as_point(x)
    direction = np.asarray(v, np.asarray(point).dtype)
    problem = Problem(f, point, args, v=direction if direction.ndim else direction[()])
    return _check("jvp", problem, jvp, method, mode, rtol, raises, extra=(problem.v,))


def check_vjp(
    f: Callable[..., Any], vjp: Any, x: Any, u: Any, *args: Any, method: Method = "auto",
    mode: Mode = "auto", rtol: float | None = None, raises: bool = True,
) -> CheckReport:  # fmt: skip
    """Check a product of a vector with the Jacobian, as reverse mode computes it.

    Parameters
    ----------
    f : callable
        A function, plain, `@njit` or a black box, of `x` and `args`.
    vjp : callable or array_like
        The product under test: a function of `x`, `u` and `args`, or its value: the derivative of
        ``sum(u * f(x))``. Its shape is ``x.shape``.
    x : array_like
        The point.
    u : array_like
        The vector, of the shape of the result.
    *args
        Further arguments of both functions.
    method, rtol, raises
        As for `check_derivative`.
    mode
        As for `check_grad`.

    Returns
    -------
    CheckReport
        See `check_derivative`.

    Raises
    ------
    DerivativeMismatch, TypeError, ValueError
        As for `check_derivative`.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> x, u = np.array([1.0, 2.0]), np.array([0.5, -1.0])
    >>> dg.check_vjp(np.square, lambda x, u: 2 * x * u, x, u).ok
    True
    """
    problem = Problem(f, as_point(x), args, u=np.asarray(u)[()])
    return _check("vjp", problem, vjp, method, mode, rtol, raises, extra=(problem.u,))


def _check(
    name: str, problem: Problem, given: Any, method: Method, mode: Mode, rtol: float | None,
    raises: bool, pattern: Any = None, extra: tuple[Any, ...] = (),
) -> CheckReport:  # fmt: skip
    from dualgrad.check import run

    if mode not in ("auto", "full", "fast"):
        raise ValueError("dg.check: mode is 'auto', 'full' or 'fast'")
    values, remarks = under_test.readings(given, problem.x, extra + problem.args)
    if pattern is not None:
        remarks += [it for value in values for it in under_test.outside(value, pattern)]
    remarks += under_test.adjoint(values[0])
    fast = mode == "fast" or (mode == "auto" and np.prod(problem.shape) > run.LARGE)
    check = run.fast if fast else run.full
    report = check(name, problem, values, method, rtol)
    report = replace(report, remarks=remarks + report.remarks)
    if raises and not report.ok:
        from dualgrad.check.report import DerivativeMismatch

        raise DerivativeMismatch(report)
    return report
