"""The sparse transforms that users call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dualgrad.sparse.compressed import CompressedPlan, PairsPlan, StarPlan
from dualgrad.sparse.hessians import SparseHessian, SparseHessianOfTerms
from dualgrad.sparse.structure import canonical
from dualgrad.sparse.transform import Sparse, sparse
from dualgrad.transforms import arguments
from dualgrad.transforms.api import Chunk


def sparse_jacobian(
    f: Callable[..., Any], pattern: Any = None, argnums: int = 0, *, chunk: Chunk = "auto",
    out_argnum: int | None = None, parallel: bool = False, verify: bool | None = None,
    cache: bool = True,
) -> Sparse:  # fmt: skip
    """Jacobian of a function of a vector as a sparse matrix.

    Columns without a row in common share a tangent (a colour): a Jacobian with a few nonzeros in
    each row takes a few tangents, however large it is.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function; its result `y` is an array of one dimension.
    pattern : sparse matrix or array, array of bool, or "dense", optional
        Which entries may be nonzero, of shape ``(y.size, x.size)``; without it the transform finds
        them. Entries of a sparse matrix count whatever their value is.
    argnums : int
        Which argument `x`, an array of one dimension, to differentiate by.
    chunk : int or "auto"
        How many tangents, which are colours, one sweep carries.
    out_argnum : int, optional
        The argument that `f` writes its result to, if it returns None, as in ``f(t, y, dy)``.
    parallel : bool
        Whether chunks are spread over Numba's threads. A single chunk is not.
    verify : bool, optional
        Whether the result is compared with J v, by forward mode along a vector v, row by row. See
        the notes for None.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    Sparse
        A function of the arguments of `f` that returns a `scipy.sparse.csr_array` of shape
        ``(y.size, x.size)`` with sorted indices, in the precision of `y`. With ``out=``, a
        `csr_array` of the same pattern, it overwrites the data of that and returns it. Results
        share their index arrays, which are read-only; a copy of a result has its own.

        It has ``.pattern``, ``.colors``, ``.summary`` and ``.spy``, functions of the same
        arguments. In compiled code, and mapped by `vmap`, it returns the array of the nonzeros for
        the present pattern: that of the last call from Python, or the one that was given. There
        every result is compared, unless `verify` is False, and a wrong pattern is a ValueError.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a derivative rule.
    TypeError
        For arguments and results that are no vectors of real numbers.
    ValueError
        For a pattern of another shape, an `out` of another pattern; and for a given pattern that
        misses a nonzero, where results are compared.

    Notes
    -----
    A pattern that was found is kept for the next calls with an `x` of the same shape and dtype (for
    the last eight of them). It is *local* if a comparison of numbers that depend on `x` decided
    what `f` did, or if it draws random numbers; then another point may have another pattern. By
    default (``verify=None``) the result is compared with J v if the pattern is local or was given,
    and if an argument other than `x` differs in type, shape or bits from what it was when the
    pattern was found. If they disagree a pattern that was not given is found again, and the result
    computed again.

    The vector v is random but always the same, and the tolerance is the 3/4th power of the machine
    epsilon, relative to the sum of the absolute values of ``J[i, j] * v[j]`` of a row. A comparison
    costs a colour, or with `parallel` a product by one thread.

    Curtis, Powell and Reid, *On the Estimation of Sparse Jacobian Matrices*, IMA Journal of Applied
    Mathematics 13(1), 1974; Gebremedhin, Manne and Pothen, *What Color Is Your Jacobian?*, SIAM
    Review 47(4), 2005.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return x[1:] ** 2 - x[:-1]
    >>> jacobian = dg.sparse_jacobian(f)(np.array([1.0, 2.0, 3.0]))
    >>> jacobian.toarray()
    array([[-1.,  4.,  0.],
           [ 0., -1.,  6.]])
    """
    parts = plan_parts("sparse_jacobian", f, argnums, out_argnum)
    plan = CompressedPlan(*parts, parallel=bool(parallel))
    return sparse(
        Sparse, plan, arguments.chunk(chunk), _given(pattern), _verify(verify), bool(cache)
    )


def sparse_hessian(
    f: Callable[..., Any], pattern: Any = None, argnums: int = 0, *, chunk: Chunk = "auto",
    out_argnum: int | None = None, terms: bool = False, verify: bool | None = None,
    cache: bool = True,
) -> Sparse:  # fmt: skip
    """Hessian of a function of a vector as a sparse matrix.

    Parameters
    ----------
    f : callable
        A Python or `@njit` function; its result is a number.
    pattern : sparse matrix or array, array of bool, or "dense", optional
        Which entries may be nonzero, of shape ``(x.size, x.size)``; the union with its transpose is
        taken. Without it the transform finds them.
    argnums : int
        Which argument `x`, an array of one dimension, to differentiate by.
    chunk : int or "auto"
        How many rows one sweep computes; with `terms`, of how many colours.
    out_argnum : int, optional
        The argument that `f` writes its result to, if it returns None.
    terms : bool
        Whether `f` returns an array of terms, and the function meant is their sum. Then the number
        of sweeps does not grow with `x.size`, but with the square of the number of inputs of a
        term. The pattern is found.
    verify : bool, optional
        Whether the result is compared with H v, row by row; with `terms`, the gradient and the
        Hessian of each term with their products along v. See `sparse_jacobian`.
    cache : bool
        Whether compiled code is kept on disk for the next process (see `cache_dir`).

    Returns
    -------
    Sparse
        A function of the arguments of `f` that returns a symmetric `scipy.sparse.csr_array`. It has
        all that the result of `sparse_jacobian` has.

    Raises
    ------
    NotDifferentiable
        At the call, if `f` has a construct without a derivative rule.
    TypeError, ValueError
        As for `sparse_jacobian`; and for a result of `f` that is no number, or with `terms` no
        array of one dimension.

    Notes
    -----
    Forward mode over forward mode. Of a number, the Hessian times a 0/1 matrix with a column for
    each colour is computed, and the entries are read from that, as a star colouring lets them be:
    `x.size` times the number of colours derivatives. When patterns are found again, and results
    compared, is as for `sparse_jacobian`. Products of the Hessian with a vector need none of this:
    see `hvp`.

    Coleman and Moré, *Estimation of Sparse Hessian Matrices and Graph Coloring Problems*,
    Mathematical Programming 28, 1984; Gebremedhin, Manne and Pothen, *What Color Is Your
    Jacobian?*, SIAM Review 47(4), 2005.

    Examples
    --------
    >>> import numpy as np, dualgrad as dg
    >>> def f(x):
    ...     return np.sum(x[1:] * x[:-1] ** 2)
    >>> dg.sparse_hessian(f)(np.array([1.0, 2.0, 3.0])).toarray()
    array([[4., 2., 0.],
           [2., 6., 4.],
           [0., 4., 0.]])
    >>> def terms(x):
    ...     return x[1:] * x[:-1] ** 2
    >>> dg.sparse_hessian(terms, terms=True)(np.array([1.0, 2.0, 3.0])).toarray()
    array([[4., 2., 0.],
           [2., 6., 4.],
           [0., 4., 0.]])
    """
    parts, given = plan_parts("sparse_hessian", f, argnums, out_argnum), _given(pattern)
    rest = arguments.chunk(chunk), given, _verify(verify), bool(cache)
    if terms:
        if given is not None:
            raise ValueError(
                "dg.sparse_hessian: with terms=True the pattern is found; leave pattern= out"
            )
        return sparse(SparseHessianOfTerms, PairsPlan(*parts, sums=True), *rest)
    return sparse(SparseHessian, StarPlan(*parts), *rest)


def plan_parts(
    name: str, f: Any, argnums: Any, out_argnum: Any
) -> tuple[Any, tuple[str, ...], str, int, int | None]:
    """What all plans have."""
    function = arguments.function(f)
    argnum = arguments.argnum(argnums, function, "argnums")
    out = arguments.out_argnum(out_argnum, function)
    if out == argnum:
        raise ValueError(f"argnums and out_argnum both name argument {argnum}")
    return function, arguments.parameters(function), name, argnum, out


def _given(pattern: Any) -> Any:
    if pattern is None:
        return None
    if isinstance(pattern, str):
        if pattern != "dense":
            raise ValueError(f'pattern: a matrix or "dense" is expected, not {pattern!r}')
        return pattern
    return canonical(pattern)


def _verify(verify: Any) -> bool | None:
    if verify not in (None, False, True):
        raise TypeError(f"verify: True, False or None is expected, not {verify!r}")
    return None if verify is None else bool(verify)
