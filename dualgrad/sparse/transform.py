"""The object that a sparse transform is: it knows patterns, and calls kernels with them.

The kernels are transforms like any other, of more arguments. What is done here at each call does
not grow with the problem, but for the comparison of arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numba
import numpy as np
from numba.core import config, ir, types

from dualgrad.compile.frontend import derived, jitted
from dualgrad.errors import NotDifferentiable
from dualgrad.sparse.arguments import apart, copied, same
from dualgrad.sparse.compressed import CompressedPlan, WrongPattern
from dualgrad.sparse.structure import ByRows, Structure, canonical, lanes
from dualgrad.sparse.uses import is_direct
from dualgrad.transforms.arguments import with_out
from dualgrad.transforms.transform import Transform, transform

#: How many patterns are kept, for as many shapes of the argument.
KEPT = 8
#: What a kernel is given when nothing is compared.
_NO_PROBE, _NO_ERROR = np.empty(0), np.empty((2, 0))
_NO_PROBE.setflags(write=False)  # as directions are: kernels are compiled for that


@dataclass(frozen=True)
class Known:
    """A pattern, and for what it is known to be right."""

    structure: Structure
    #: to be compared at each call: it was given, or is another where `f` compares otherwise
    is_local: bool = False
    others: Any = None  # copies of the other arguments; None if it was not compared yet
    draws: bool = False  # `f` may draw random numbers, by which it may be another one
    direct: bool = False  # `f` uses its argument item by item
    #: kernels, and what they are given of the pattern, by whether they compare in a lane
    calls: dict[bool, tuple[Transform, tuple[Any, ...]]] = field(default_factory=dict)


class Sparse:
    """A sparse derivative of one function."""

    def __init__(
        self, plan: CompressedPlan, chunk: int | None, given: Any, verify: bool | None, cache: bool
    ) -> None:
        self.plan, self.chunk, self.given = plan, chunk, given
        self.verify, self.cache = verify, cache
        self._known: dict[Any, Known] = {}  # by what `_kind` says of the argument
        self._kernels: dict[Any, Transform] = {}
        self._last: Known | None = None  # that of the last call
        own = inspect.signature(plan.function.py_func).parameters
        self.__signature__ = with_out([own[name] for name in plan.params], plan.name)
        self.__name__, self.__doc__ = plan.name, plan.function.__doc__

    def __repr__(self) -> str:
        return f"{self.plan.name}({self.plan.function.__name__})"

    def __call__(self, *args: Any, **kws: Any) -> Any:
        """The derivative at a point."""
        return self._evaluate(*self._bound(args, kws))

    def cfunc(self, *_: Any, **__: Any) -> Any:
        """Nothing: a C function cannot return a sparse matrix."""
        raise TypeError(
            f"dg.{self.plan.name} has no cfunc: C has no sparse matrices; write a function for "
            "numba.cfunc that calls it"
        )

    def pattern(self, *args: Any, **kws: Any) -> Any:
        """The entries that can be nonzero, as a boolean `csr_array`."""
        structure = self._at(self._bound(args, kws)[0]).structure
        return structure.with_data(np.ones(structure.matrix.nnz, bool))

    def colors(self, *args: Any, **kws: Any) -> np.ndarray:
        """The colour of each column, -1 for an empty one."""
        return self._at(self._bound(args, kws)[0]).structure.colours.copy()

    def summary(self, *args: Any, **kws: Any) -> Any:
        """Shape, nonzeros, colours and sweeps: what the derivative costs."""
        from dualgrad.sparse.report import Summary

        structure = self._at(self._bound(args, kws)[0]).structure
        shape, nonzeros = structure.matrix.shape, structure.matrix.nnz
        return Summary(shape, nonzeros, structure.count, self._sweeps(structure))

    def spy(self, *args: Any, ax: Any = None, **kws: Any) -> Any:
        """A picture of the pattern, with columns by their colours (needs matplotlib)."""
        from dualgrad.sparse.report import spy

        structure = self._at(self._bound(args, kws)[0]).structure
        return spy(structure.matrix, structure.colours, ax)

    # ---------------------------------------------------------------------------- the call

    def _bound(self, args: tuple[Any, ...], kws: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
        """The arguments of `f` in order, and `out`."""
        out = kws.pop("out", None)
        if not kws and len(args) == len(self.plan.params):
            return args, out
        bound = self.__signature__.bind(*args, **kws, out=out)
        bound.apply_defaults()
        *given, out = bound.arguments.values()
        return tuple(given), out

    def _evaluate(self, args: tuple[Any, ...], out: Any) -> Any:
        known = self._at(args)
        buffer = self._buffer(known.structure, out)
        compare = self.verify
        if compare is None:
            compare = known.is_local or not same(known.others, self._others(args))
        if compare and isinstance(buffer, np.ndarray):  # it is written to before
            args = tuple(apart(arg, buffer) for arg in args)
        draw_again = _drawing_again(args) if compare and known.draws else None
        try:
            data, wrong = self._run(known, args, buffer, compare, draw_again)
        except WrongPattern:
            if self.given is not None:
                raise
            wrong = True
        if wrong is False:
            if compare and known.others is None:
                self._keep(args, replace(known, others=copied(self._others(args))))
            return self._result(known.structure, data, out)
        if self.given is not None:
            self._confirm(known.structure, args, wrong, draw_again)
            return self._result(known.structure, data, out)
        if draw_again is not None:
            draw_again()
        known = self._keep(args, self._detected(args))
        data, _ = self._run(known, args, self._buffer(known.structure, out), False)
        return self._result(known.structure, data, out)

    def _run(
        self, known: Known, args: tuple[Any, ...], data: Any, compare: bool, draw_again: Any = None
    ) -> tuple[Any, Any]:
        """The entries, and those rows in which they are wrong; False if there are none."""
        structure = known.structure
        # threads do not compare: a product does, where it is one of the entries themselves
        in_lane = compare and (self.plan.sums or not self.plan.parallel)
        if in_lane not in known.calls:
            known.calls[in_lane] = self._call(known, in_lane)
        kernel, pattern = known.calls[in_lane]
        if in_lane:
            error, probe = np.zeros(structure.compared), structure.direction
            result = kernel(*args, *pattern, probe, error, data)
        else:
            result = kernel(*args, *pattern, _NO_PROBE, _NO_ERROR, data)
            if not compare:
                return result, False
            if draw_again is not None:
                draw_again()
            error = self._missing(structure.with_data(result), structure.direction, args)
        wrong = _wrong_rows(error, args[self.plan.argnum], result)
        return result, wrong if wrong.size else False

    def _call(self, known: Known, in_lane: bool) -> tuple[Transform, tuple[Any, ...]]:
        """The kernel for a pattern, and what it is given of that."""
        structure = known.structure
        # what is compared at every call has a lane for that; else few kernels are worth more
        n = self._lanes(structure, in_lane and (known.is_local or known.direct))
        direct = known.direct and structure.count + in_lane <= n
        pattern = structure.colours, structure.count + in_lane, *structure.arrays_for(n, in_lane)
        return self._kernel(n, in_lane, direct), pattern

    def _missing(self, found: Any, direction: np.ndarray, args: tuple[Any, ...]) -> np.ndarray:
        """What a product with a direction has that the entries have not, and its size by rows."""
        moving, _, product = self._product(direction, args)
        return np.stack([product - found @ moving, abs(found) @ moving])

    def _kernel(self, n: int, compare: bool, direct: bool = False) -> Transform:
        """The kernel of so many lanes. Threads do not compare, nor do they share one sweep."""
        if (n, compare, direct) not in self._kernels:
            parallel = self.plan.parallel and not compare and not direct
            compares = compare and direct  # others compare if they are given a direction
            plan = replace(self.plan, parallel=parallel, direct=direct, compares=compares)
            names = [*(f"a{k}" for k in range(len(plan.params))), *plan.structure]
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            parameters = [inspect.Parameter(name, kind) for name in names]
            out = inspect.Parameter("out", kind, default=None)
            signature = inspect.Signature([*parameters, out])
            self._kernels[n, compare, direct] = transform(plan, n, signature, self.cache)
        return self._kernels[n, compare, direct]

    def _lanes(self, structure: Structure, spare: bool = False) -> int:
        return lanes(structure.count + spare) if self.chunk is None else self.chunk

    def _sweeps(self, structure: Structure) -> int:
        return -(-structure.count // self._lanes(structure))

    def _buffer(self, structure: Structure, out: Any) -> Any:
        """The array that the kernel writes to, None for a new one."""
        if out is None:
            return None
        if getattr(out, "format", None) != "csr" or not structure.is_of(out):
            raise ValueError(
                f"dg.{self.plan.name}: out must be a csr_array with the pattern of the result"
            )
        return out.data

    def _result(self, structure: Structure, data: Any, out: Any) -> Any:
        return structure.with_data(data) if out is None else out

    # ---------------------------------------------------------------------------- patterns

    def _at(self, args: tuple[Any, ...]) -> Known:
        """The pattern for an argument of this shape."""
        x = args[self.plan.argnum]
        if not isinstance(x, np.ndarray) or x.ndim != 1:
            raise TypeError(
                f"dg.{self.plan.name}: argument {self.plan.params[self.plan.argnum]!r} must be an "
                f"array of one dimension, and is {type(x).__name__} of shape {np.shape(x)}"
            )
        known = self._known.get(_kind(x))
        if known is None:
            return self._keep(args, self._detected(args))
        self._last = known
        return known

    def _keep(self, args: tuple[Any, ...], known: Known) -> Known:
        x = args[self.plan.argnum]
        self._known = {**self._known, _kind(x): known}
        if len(self._known) > KEPT:
            self._known = dict([*self._known.items()][1:])
        self._last = known
        return known

    def _others(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments other than that to differentiate by."""
        k = self.plan.argnum
        return args[:k] + args[k + 1 :]

    def _detected(self, args: tuple[Any, ...]) -> Known:
        if config.DISABLE_JIT:
            raise NotDifferentiable(f"dg.{self.plan.name} needs Numba's compiler")
        others, draws = copied(self._others(args)), _may_draw(self.plan, args)
        direct = is_direct(self.plan, [numba.typeof(arg) for arg in args])
        if self.given is None:
            return Known(*self._detect(args), others, draws, direct)
        if isinstance(self.given, str):
            draw_again = _drawing_again(args) if draws else None
            full = canonical(np.ones(self._shape(args), bool))
            if draw_again is not None:
                draw_again()
            return Known(self._of(full), False, others, direct=direct)
        return Known(self._of(self.given), True, others, draws, direct)

    def _detect(self, args: tuple[Any, ...]) -> tuple[Structure, bool]:
        """The structure at a point, and whether it is local."""
        from dualgrad.sparse import patterns

        plan = self.plan
        self._check(result_type(plan, [numba.typeof(arg) for arg in args]))
        found = patterns.jacobian(plan.function, args, plan.argnum, plan.out_argnum)
        return self._of(canonical(found.matrix)), found.is_local

    def _check(self, result: types.Type) -> None:
        """Refuse a result of `f` that the transform is not for."""
        from dualgrad.sparse.columns import check_vector

        check_vector(self.plan, result)

    def _of(self, matrix: Any) -> Structure:
        return ByRows.of(matrix)

    def _shape(self, args: tuple[Any, ...]) -> tuple[int, int]:
        """The shape of the result."""
        return np.size(self._value(args)), args[self.plan.argnum].size

    def _value(self, args: tuple[Any, ...]) -> Any:
        """The result of `f`, or the array that takes it."""
        if self.plan.out_argnum is not None:
            return args[self.plan.out_argnum]
        # `f` itself would write to its caller's arguments, and call what Numba alone cannot
        return self._product(np.zeros(args[self.plan.argnum].size), args)[1]

    def _product(
        self, direction: np.ndarray, args: tuple[Any, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A direction in the precision of the argument, the result, and its derivative along it."""
        from dualgrad.transforms.api import jvp

        plan, x = self.plan, args[self.plan.argnum]
        moving = direction.astype(x.dtype if x.dtype.kind == "f" else float, copy=False)
        tangents = tuple(moving if k == plan.argnum else None for k in range(len(args)))
        transform = jvp(plan.function, out_argnum=plan.out_argnum, cache=self.cache)
        return moving, *transform(args, tangents)

    def _confirm(
        self, structure: Structure, args: tuple[Any, ...], rows: Any, draw_again: Any
    ) -> None:
        """Refuse a pattern that was given and is wrong in these rows, beyond rounding."""
        if draw_again is not None:
            draw_on = _drawing_again(args)
            draw_again()
        found, given = self._detect(args)[0].matrix, structure.matrix
        if draw_again is not None:
            draw_on()
        for row in rows:
            here, there = (
                set(it.indices[it.indptr[row] : it.indptr[row + 1]].tolist())
                for it in (found, given)
            )
            if here - there:
                raise ValueError(
                    f"dg.{self.plan.name}: the given pattern misses a nonzero in row {row}, "
                    f"column {min(here - there)}"
                )

    # ------------------------------------------------------------------------ compiled code

    @property
    def _numba_type_(self) -> types.Type:
        """What it is in compiled code: a function that returns the data of the present pattern."""
        known = self._last
        if known is None and self.given is not None and not isinstance(self.given, str):
            known = self._last = Known(self._of(self.given))
        if known is None:
            raise TypeError(
                f"{self!r}: compiled code needs its pattern, which is known after the first call "
                "from Python, or if it is given by pattern="
            )
        return types.Dispatcher(self._native(known))

    def _native(self, known: Known) -> Any:
        """The derivative for one pattern as an `@njit` function.

        It cannot know what its other arguments were, or find another pattern: it compares, and
        raises.
        """
        structure = known.structure
        if self not in structure.calls:
            from dualgrad.sparse.native import explains

            name, params = self.plan.name, self.__signature__.parameters
            tail = "_" * max(map(len, params))  # longer than the name of any parameter
            compare = self.verify is not False
            keys = [f"{key}{tail}" for key in self.plan.structure]
            shape = structure.compared if compare else (2, 0)
            probe = structure.direction if compare else _NO_PROBE
            n = self._lanes(structure, compare)
            given = structure.colours, structure.count + compare
            arrays = *given, *structure.arrays_for(n, compare), probe
            names: dict[str, Any] = dict(zip(keys[:-1], arrays, strict=True))
            names[f"zeros{tail}"], names[f"explains{tail}"] = np.zeros, explains
            direct = known.direct and structure.count + compare <= n
            # threads are for calls from Python
            names[f"kernel{tail}"] = self._kernel(n, compare or not direct, direct)
            names["defaults"] = {key: it.default for key, it in params.items()}
            declared = ", ".join(
                key if it.default is it.empty else f"{key}=defaults[{key!r}]"
                for key, it in params.items()
            )
            error, result, x = keys[-1], f"result{tail}", self.plan.params[self.plan.argnum]
            arguments = ", ".join([*self.plan.params, *keys, "out"])
            lines = [
                f"def {name}({declared}):",
                f"    {error} = zeros{tail}({shape})",
                f"    {result} = kernel{tail}({arguments})",
                f"    explains{tail}({x}, {result}, {error})",
                f"    return {result}",
            ]
            exec("\n".join(lines), names)
            structure.calls[self] = jitted(names[name], nogil=True)
        return structure.calls[self]

    # --------------------------------------------------------------------- one for each plan

    def __copy__(self) -> Sparse:
        return self

    def __deepcopy__(self, memo: Any) -> Sparse:
        return self

    def __reduce__(self) -> Any:
        given = self.given
        if given is not None and not isinstance(given, str):
            given = given.shape, given.indptr, given.indices
        return _rebuilt, (type(self), self.plan, self.chunk, given, self.verify, self.cache)


def _may_draw(plan: CompressedPlan, args: tuple[Any, ...]) -> bool:
    """Whether `f` may draw random numbers, from a generator that it is given or another one."""
    from dualgrad.compile.activity import summarise
    from dualgrad.transforms.draws import generators_among

    if generators_among(args):
        return True
    arg_types = tuple(map(numba.typeof, args))
    active = tuple(k in (plan.argnum, plan.out_argnum) for k in range(len(args)))
    return summarise(plan.function, arg_types, active, False).draws


def _drawing_again(args: tuple[Any, ...]) -> Callable[[], None]:
    from dualgrad.transforms.draws import drawing_again

    return drawing_again(args)


def _kind(x: np.ndarray) -> Any:
    """What of an argument code may go by, beside its values: of strides, `ravel` goes by them."""
    return x.shape, x.dtype, x.flags.c_contiguous


def sparse(
    kind: type[Sparse], plan: CompressedPlan, chunk: int | None, given: Any, verify: bool | None,
    cache: bool,
) -> Sparse:  # fmt: skip
    """The sparse transform of a plan: one and the same whenever it is asked for."""
    bits = given
    if given is not None and not isinstance(given, str):
        bits = given.shape, given.indptr.tobytes(), given.indices.tobytes()
    known = derived(plan.function, "sparse")
    key = plan, chunk, bits, verify, cache
    if key not in known:
        known[key] = kind(plan, chunk, given, verify, cache)
    found: Sparse = known[key]
    return found


def _rebuilt(
    kind: type[Sparse], plan: Any, chunk: Any, given: Any, verify: Any, cache: Any
) -> Sparse:
    if isinstance(given, tuple):
        from scipy.sparse import csr_array

        shape, indptr, indices = given
        given = canonical(csr_array((np.ones(len(indices), bool), indices, indptr), shape=shape))
    return sparse(kind, plan, chunk, given, verify, cache)


def result_type(plan: CompressedPlan, arg_types: list[types.Type]) -> types.Type:
    """What `f` returns, or the array that it writes to."""
    from dualgrad.compile.frontend import typed

    if plan.out_argnum is not None:
        return arg_types[plan.out_argnum]
    function = plan.function
    if hasattr(function, "for_duals"):  # a transform, which has no code of its own
        given = tuple(ty for ty in arg_types if not isinstance(ty, types.Omitted))
        return types.Dispatcher(function).get_call_type(function.typingctx, given, {}).return_type
    code = typed(function, tuple(arg_types))
    returns = (it for block in code.func_ir.blocks.values() for it in block.find_insts(ir.Return))
    return types.unliteral(code.typemap[next(returns).value.name])


def _wrong_rows(error: np.ndarray, x: Any, result: Any) -> np.ndarray:
    """The rows whose entries do not explain the products with v, beyond rounding."""
    missing, size = np.abs(error[::2]), error[1::2]
    dtypes = x.dtype, (result[-1] if isinstance(result, tuple) else result).dtype
    eps = max(np.finfo(it).eps for it in dtypes if it.kind == "f")
    # what is not finite is wrong where no entry says so
    wrong = (missing > eps**0.75 * size) | (np.isnan(missing) & np.isfinite(size))
    return np.flatnonzero(wrong.any(axis=0))
