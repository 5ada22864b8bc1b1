"""The transforms that users call for first derivatives, and `vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from dualgrad.transforms import arguments
from dualgrad.transforms.plans import (
    ColumnsPlan,
    JvpPlan,
    VmapPlan,
)
from dualgrad.transforms.transform import Transform, transform

Chunk = int | Literal["auto"]
Argnums = int | tuple[int, ...]


def derivative(
    f: Callable[..., Any], argnums: Argnums = 0, *, out_argnum: int | None = None,
    cache: bool = True,
) -> Transform:  # fmt: skip
    """Derivative of a function by one number.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function. Its result `y` is a number, an array or a tuple of them.
    argnums : int or tuple of int
        Which argument to differentiate by; a tuple gives a tuple of derivatives.
    out_argnum : int, optional
        The argument that `f` writes its result to, if it returns None.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    Transform
        A function of the arguments of `f` whose result has the shape of `y`.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a derivative rule.
    TypeError, ValueError
        For `argnums` that `f` does not have, and arguments or results that are no real numbers.

    Notes
    -----
    Forward mode on dual numbers: Griewank and Walther, *Evaluating Derivatives*, 2nd ed.,
    SIAM 2008, chapter 3.

    Examples
    --------
    >>> import dualgrad as dg
    >>> def f(x, y):
    ...     return 3 * x**2 * y
    >>> dg.derivative(f)(2.0, 5.0)
    60.0
    >>> dg.derivative(f, argnums=(0, 1))(2.0, 5.0)
    (60.0, 12.0)
    """
    return columns("derivative", f, argnums, "auto", out_argnum, cache, False, with_value=False)


def grad(
    f: Callable[..., Any], argnums: Argnums = 0, *, chunk: Chunk = "auto",
    out_argnum: int | None = None, parallel: bool = False, terms: bool = False,
    cache: bool = True,
) -> Transform:  # fmt: skip
    """Gradient of a function that returns a number.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function; its result is a number, or with `terms` an array of one
        dimension.
    argnums : int or tuple of int
        Which argument to differentiate by; a tuple gives a tuple of gradients.
    chunk : int or "auto"
        How many tangents one sweep carries.
    out_argnum : int, optional
        The argument that `f` writes its result to, if it returns None.
    parallel : bool
        Whether chunks are spread over Numba's threads.
    terms : bool
        Whether `f` returns the terms of a sum, whose gradient is meant. Where each term depends on
        few inputs the number of sweeps does not grow with `x.size`. `x` is an array of one
        dimension.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    Transform
        A function of the arguments of `f` whose result has the shape of the argument `x`.
        With ``out=`` it writes into an array of that shape, and returns it.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a derivative rule.
    TypeError, ValueError
        For `argnums` that `f` does not have, a chunk below one, a result that is no number, an
        `out` of another shape or dtype; with `terms` a tuple of `argnums`, and an `x` or a result
        that is no array of one dimension.

    Notes
    -----
    Forward mode on dual numbers, several tangents at a time: Revels, Lubin and Papamarkou,
    *Forward-Mode Automatic Differentiation in Julia*, arXiv:1607.07892.

    With `terms`, the sparse Jacobian of the terms is computed as by `sparse_jacobian`, which says
    when its pattern is found again, and its rows are added up; the value is the sum of the terms.
    Both are that of ``np.sum(f(x))`` up to rounding. From compiled code the transform calls Python,
    which keeps the patterns; it cannot be differentiated itself, and has no `cfunc`.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return np.sum(x**2) / 2
    >>> dg.grad(f)(np.array([1.0, -2.0, 4.0]))
    array([ 1., -2.,  4.])
    >>> dg.grad(lambda x: x**2 / 2, terms=True)(np.array([1.0, -2.0, 4.0]))
    array([ 1., -2.,  4.])
    """
    return columns(
        "grad", f, argnums, chunk, out_argnum, cache, parallel, terms=terms, with_value=False
    )


def jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, *, chunk: Chunk = "auto",
    out_argnum: int | None = None, parallel: bool = False, cache: bool = True,
) -> Transform:  # fmt: skip
    """Jacobian of a function that returns an array.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function; its result `y` is an array, or a tuple of arrays and
        numbers.
    argnums : int or tuple of int
        Which argument to differentiate by; a tuple gives a tuple of Jacobians.
    chunk : int or "auto"
        How many tangents, which are columns of the Jacobian, one sweep carries.
    out_argnum : int, optional
        The argument that `f` writes its result to, if it returns None, as in ``f(t, y, dy)``.
        What the caller left in it counts as a constant, and it is not written to.
    parallel : bool
        Whether chunks are spread over Numba's threads.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    Transform
        A function of the arguments of `f` whose result has shape ``y.shape + x.shape``; row i is
        the gradient of output i. For a tuple `y` it is a tuple. With ``out=`` it writes into an
        array of that shape (or such a tuple), and returns it.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a derivative rule.
    TypeError, ValueError
        For `argnums` that `f` does not have, a chunk below one, a result that is a number, an
        `out` of another shape or dtype.

    Notes
    -----
    See `grad`.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return np.array([3 * x[0]**2 * x[1], 2 * x[0] + x[1]**8])
    >>> dg.jacobian(f)(np.array([1.0, 1.0]))
    array([[6., 3.],
           [2., 8.]])
    """
    return columns("jacobian", f, argnums, chunk, out_argnum, cache, parallel, with_value=False)


def value_and_derivative(
    f: Callable[..., Any], argnums: Argnums = 0, *, out_argnum: int | None = None,
    cache: bool = True,
) -> Transform:  # fmt: skip
    """`derivative` with the value from the same sweep: ``(y, derivative)``.

    Examples
    --------
    >>> import dualgrad as dg
    >>> dg.value_and_derivative(lambda x: x**3)(2.0)
    (8.0, 12.0)
    """
    return columns("derivative", f, argnums, "auto", out_argnum, cache, False, with_value=True)


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, *, chunk: Chunk = "auto",
    out_argnum: int | None = None, parallel: bool = False, terms: bool = False,
    cache: bool = True,
) -> Transform:  # fmt: skip
    """`grad` with the value from the same sweep: ``(y, gradient)``.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> dg.value_and_grad(lambda x: x[0] * x[1])(np.array([2.0, 3.0]))
    (6.0, array([3., 2.]))
    """
    return columns(
        "grad", f, argnums, chunk, out_argnum, cache, parallel, terms=terms, with_value=True
    )


def value_and_jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, *, chunk: Chunk = "auto",
    out_argnum: int | None = None, parallel: bool = False, cache: bool = True,
) -> Transform:  # fmt: skip
    """`jacobian` with the value from the same sweep: ``(y, jacobian)``.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> dg.value_and_jacobian(lambda x: x * x)(np.array([2.0, 3.0]))
    (array([4., 9.]), array([[4., 0.],
           [0., 6.]]))
    """
    return columns("jacobian", f, argnums, chunk, out_argnum, cache, parallel, with_value=True)


def jvp(f: Callable[..., Any], *, out_argnum: int | None = None, cache: bool = True) -> Transform:
    """Value, and product of the Jacobian with a vector: the directional derivative.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function; its result `y` is a number, an array or a tuple of them.
    out_argnum : int, optional
        The argument that `f` writes its result to, if it returns None.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    Transform
        A function of two tuples, `primals` and `tangents`, with an entry for each argument of
        `f`, that returns ``(y, dy)``. A tangent has the shape of its primal; it is None, or an
        integer beside an integer, for an argument that is held constant.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a derivative rule.
    TypeError, ValueError
        For tuples of another length, and tangents of another shape than their primals.

    Notes
    -----
    See `derivative`.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x, a):
    ...     return a * np.sum(x * x)
    >>> dg.jvp(f)((np.array([1.0, 2.0]), 3.0), (np.array([1.0, 0.0]), 0.5))
    (15.0, 8.5)
    """
    function = arguments.function(f)
    plan = JvpPlan(
        function, arguments.parameters(function), arguments.out_argnum(out_argnum, function)
    )
    return transform(plan, None, arguments.signature_of("primals", "tangents"), bool(cache))


def vmap(
    g: Callable[..., Any], in_axes: Any = 0, *, parallel: bool = False, cache: bool = True
) -> Transform:
    """A function at many points: over an axis of its arguments, results stacked.

    Parameters
    ----------
    g : callable
        A transform, or a Python or `@njit` function; its result is a number, an array or a tuple
        of them.
    in_axes : int, None or tuple
        Along which axis the points lie: one for all arguments, or a tuple with an entry for each.
        None is for an argument that is the same at all points; for an argument that is a tuple,
        an entry may be a tuple.
    parallel : bool
        Whether the points are spread over Numba's threads.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    Transform
        A function of the arguments of `g` whose result has one more axis, the first. With ``out=``
        it writes into an array of that shape (or a tuple of such, nested like the result). For
        Dask arrays the result is a Dask array.

    Raises
    ------
    TypeError, ValueError
        For `in_axes` that the arguments do not have, arguments of different lengths, and results
        that are no numbers. Without any point the shape of a result that is an array at each is
        not known; that raises too.

    Notes
    -----
    A loop in native code. First derivatives of small functions are computed without an allocation
    for each point, but for those that the function itself makes; an array ``np.array([...])`` of
    numbers that it returns is none. They are fastest where the chunk is the number of inputs.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x, a):
    ...     return a * x[0] * x[1]
    >>> points = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> dg.vmap(dg.grad(f), in_axes=(0, None))(points, 10.0)
    array([[20., 10.],
           [40., 30.],
           [60., 50.]])
    """
    function = arguments.function(g)
    plan = VmapPlan(function, arguments.in_axes(in_axes), bool(parallel))
    signature = arguments.signature(function)
    params = [it for name, it in signature.parameters.items() if name != "out"]
    if any(it.kind is it.VAR_POSITIONAL for it in params):
        raise TypeError("dg.vmap: a function with *args has no place for in_axes; name them")
    return transform(plan, None, arguments.with_out(params, "vmap"), bool(cache))


def columns(
    name: str, f: Any, argnums: Any, chunk: Any, out_argnum: Any, cache: Any, parallel: Any,
    with_value: bool, terms: bool = False, kind: type[ColumnsPlan] = ColumnsPlan,
) -> Any:  # fmt: skip
    """What all transforms but `jvp`, `hvp`, `taylor` and `vmap` are made by."""
    if terms:
        from dualgrad.sparse.terms import of_terms

        return of_terms(name, f, argnums, chunk, out_argnum, cache, parallel, with_value)
    function = arguments.function(f)
    numbers, one = arguments.argnums(argnums, function)
    out = arguments.out_argnum(out_argnum, function)
    if out in numbers:
        raise ValueError(f"argnums and out_argnum both name argument {out}")
    names = arguments.parameters(function)
    plan = kind(function, names, name, numbers, one, out, with_value, bool(parallel))
    signature = arguments.signature(function)
    params = [signature.parameters[it] for it in names]
    return transform(plan, arguments.chunk(chunk), arguments.with_out(params, name), bool(cache))
