"""Triangular solves for all tangents at once, by BLAS's `trsm`, which Numba itself does not call.

Its address is SciPy's, which `dualgrad.symbols` looks up.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable
from numba.np.linalg import get_blas_kind

from dualgrad.symbols import ADDRESS_OF_TRSM, BLAS_KINDS

try:  # the integers of SciPy's BLAS
    from numba.np.linalg import F_INT_nbtype
except ImportError:  # Numba 0.67
    F_INT_nbtype = types.int32


def _trsm(context: Any, builder: Any, dtype: Any) -> Any:
    """A pointer to `trsm`, looked up once for each compiled module."""
    address = ir.IntType(64) if context.address_size == 64 else ir.IntType(32)
    kind = BLAS_KINDS.index(get_blas_kind(dtype))
    slot = cgutils.add_global_variable(builder.module, address, f"dualgrad.{BLAS_KINDS[kind]}trsm")
    slot.initializer, slot.linkage = address(0), "internal"
    with builder.if_then(cgutils.is_null(builder, builder.load(slot)), likely=False):
        lookup_type = ir.FunctionType(address, [ir.IntType(32)])
        lookup = cgutils.get_or_insert_function(builder.module, lookup_type, ADDRESS_OF_TRSM)
        found = builder.call(lookup, [ir.IntType(32)(kind)])
        with builder.if_then(cgutils.is_null(builder, found), likely=False):
            context.call_conv.return_user_exc(
                builder, ImportError, ("dualgrad needs scipy.linalg.cython_blas",)
            )
        builder.store(found, slot)
    function_type = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t] * 11)
    return builder.inttoptr(builder.load(slot), function_type.as_pointer())


def _solve_by(upper: bool) -> Any:
    """``rows = U**-1 rows`` or ``L**-1 rows`` with the factors that `getrf` left in `lu`.

    `lu` is in Fortran order, `rows` in C order: as BLAS sees it, ``rows.T = rows.T @ U**-T``.
    """
    # on the right; upper or lower; transposed; with the diagonal, or with ones there
    flags = "RUTN" if upper else "RLTU"

    @intrinsic
    def solve_triangle(typingctx: Any, lu: Any, rows: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            factors, block = (
                context.make_array(ty)(context, builder, arg)
                for ty, arg in zip(sig.args, args, strict=True)
            )
            n, m = cgutils.unpack_tuple(builder, block.shape, 2)
            integer = context.get_value_type(F_INT_nbtype)

            def pointer_to(value: Any) -> Any:
                return builder.bitcast(cgutils.alloca_once_value(builder, value), cgutils.voidptr_t)

            n, m = (
                pointer_to(builder.trunc(it, integer) if integer.width < it.type.width else it)
                for it in (n, m)
            )
            operands = [pointer_to(ir.IntType(8)(ord(flag))) for flag in flags]
            operands += [m, n, pointer_to(context.get_value_type(lu.dtype)(1.0))]
            operands += [builder.bitcast(factors.data, cgutils.voidptr_t), n]
            operands += [builder.bitcast(block.data, cgutils.voidptr_t), m]
            builder.call(_trsm(context, builder, lu.dtype), operands)
            return context.get_dummy_value()

        return types.void(lu, rows), codegen

    return solve_triangle


_solve_lower, _solve_upper = _solve_by(upper=False), _solve_by(upper=True)


@register_jitable
def solve_factored(lu: Any, pivots: Any, rows: Any) -> None:
    """``rows = A**-1 rows`` in place, `lu` and `pivots` being what `getrf` made of ``A``."""
    if rows.size == 0:
        return
    for i in range(len(pivots)):
        k = pivots[i] - 1
        if k != i:
            for j in range(rows.shape[1]):
                rows[i, j], rows[k, j] = rows[k, j], rows[i, j]
    _solve_lower(lu, rows)
    _solve_upper(lu, rows)
