"""Products with tangents of which most are zero, as those of seeds are.

Tangents are looked at in blocks: as many lanes as make a vector, and of them the rows from the
first that is not zero to the last. Where few rows are left, a loop over them takes less than BLAS
does over all. What is left out are products with a zero, even if the other factor is not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from dualgrad.layout import everywhere

#: Lanes of a block, as many as the smallest chunk has. Other numbers of lanes are left to BLAS.
WIDTH = 8
#: Rows of the factor that are multiplied at a time, as their sums do not wait for each other.
AT_ONCE = 4
#: The least number of rows of the factor for which it pays to look at all tangents once.
ROWS_FROM = 16
#: A block of tangents is multiplied at a half to a third of the speed of BLAS.
SHARE = 3


@dataclass
class Rows:
    """Numbers in memory: where they start, and how far rows and items of a row are apart."""

    start: Any
    row: Any
    item: Any

    def at(self, builder: Any, row: Any, item: Any) -> Any:
        """The address of one."""
        index = builder.add(builder.mul(row, self.row), builder.mul(item, self.item))
        return builder.gep(self.start, [index])


def multiply(builder: Any, w: Rows, x: Rows, out: Rows, sizes: tuple[Any, ...], beta: Any) -> Any:
    """``out = beta * out + w @ x`` if few tangents in `x` are not zero; return whether it is so.

    `sizes` are the rows of `w`, the rows of `x`, the duals in a row of `x`, and their lanes.
    Items of `x` and `out` are duals, and `start` is the first lane.
    """
    number, intp = w.start.type.pointee, sizes[0].type
    parts = [it for rows in (w, x, out) for it in (rows.start, rows.row, rows.item)]
    arguments = [*parts, *sizes, beta]
    kind = ir.FunctionType(ir.IntType(1), [it.type for it in arguments])
    function = cgutils.get_or_insert_function(
        builder.module, kind, f"dualgrad_blocks_{number}_{intp}"
    )
    if function.is_declaration:
        function.linkage = "internal"
        function.attributes.add("noinline")
        function.attributes.add("optsize")  # unrolled it would take half a second to compile
        _define(function)
    return builder.call(function, arguments)


def _define(function: Any) -> None:
    builder = ir.IRBuilder(function.append_basic_block())
    *parts, m, k, duals, lanes, beta = function.args
    w, x, out = (Rows(*parts[i : i + 3]) for i in (0, 3, 6))
    number, intp = w.start.type.pointee, m.type
    odd = builder.icmp_signed("!=", builder.urem(lanes, intp(WIDTH)), intp(0))
    with builder.if_then(builder.or_(odd, builder.icmp_signed("<", m, intp(ROWS_FROM)))):
        builder.ret(ir.IntType(1)(0))

    block = ir.VectorType(number, WIDTH)
    most = builder.udiv(builder.mul(builder.mul(duals, lanes), k), intp(SHARE * WIDTH))
    # in the order of memory, to know dense tangents soon; ranges are taken along columns
    with (
        _at_most(builder, most) as count,
        cgutils.for_range(builder, k) as row,
        _blocks(builder, duals, lanes) as (dual, lane),
    ):
        _, tangents = _block_at(builder, x, row.index, dual, lane, block)
        count(builder.zext(_some(builder, tangents), intp))
    with _at_most(builder, most) as count, _blocks(builder, duals, lanes) as (dual, lane):
        first, last = _range(builder, x, k, dual, lane, block)
        count(builder.sub(last, first))

    end = builder.sub(m, intp(1))
    with _blocks(builder, duals, lanes) as (dual, lane):
        span = _range(builder, x, k, dual, lane, block)
        with cgutils.for_range_slice(builder, intp(0), m, intp(AT_ONCE), intp) as (i, _):
            # the last row again where there are no more, whose sum is then stored again
            rows = [builder.add(i, intp(n)) for n in range(AT_ONCE)]
            rows = [builder.select(builder.icmp_signed("<", it, end), it, end) for it in rows]
            places = [_block_at(builder, out, row, dual, lane, block) for row in rows]
            sums = _products(builder, w, x, rows, span, (dual, lane), block)
            for (place, old), total in zip(places, sums, strict=True):
                old = builder.fmul(everywhere(builder, block, beta), old)
                none = builder.fcmp_ordered("==", beta, beta.type(0.0))
                old = builder.select(none, ir.Constant(block, None), old)
                builder.store(builder.fadd(old, total), place, align=_align(number))
    builder.ret(ir.IntType(1)(1))


@contextmanager
def _at_most(builder: Any, most: Any) -> Iterator[Callable[[Any], None]]:
    """Return from the function as soon as what is counted is more."""
    total = cgutils.alloca_once(builder, most.type)
    builder.store(most.type(0), total)

    def count(number: Any) -> None:
        now = builder.add(builder.load(total), number)
        builder.store(now, total)
        with builder.if_then(builder.icmp_signed(">", now, most), likely=False):
            builder.ret(ir.IntType(1)(0))

    yield count


@contextmanager
def _blocks(builder: Any, duals: Any, lanes: Any) -> Iterator[tuple[Any, Any]]:
    """The loops over blocks."""
    with (
        cgutils.for_range(builder, duals) as dual,
        cgutils.for_range_slice(builder, lanes.type(0), lanes, lanes.type(WIDTH), lanes.type) as (
            lane,
            _,
        ),
    ):
        yield dual.index, lane


def _block_at(builder: Any, rows: Rows, row: Any, dual: Any, lane: Any, ty: Any) -> tuple[Any, Any]:
    """The address of a block in a row, and what is there."""
    number = rows.start.type.pointee
    place = builder.gep(rows.at(builder, row, dual), [lane])
    place = builder.bitcast(place, ty.as_pointer())
    return place, builder.load(place, align=_align(number))


def _align(number: Any) -> int:
    return 4 if isinstance(number, ir.FloatType) else 8


def _some(builder: Any, tangents: Any) -> Any:
    """Whether one of a block is not zero."""
    each = builder.fcmp_unordered("!=", tangents, ir.Constant(tangents.type, None))
    bits = ir.IntType(tangents.type.count)
    return builder.icmp_unsigned("!=", builder.bitcast(each, bits), bits(0))


def _range(builder: Any, x: Rows, k: Any, dual: Any, lane: Any, ty: Any) -> tuple[Any, Any]:
    """The rows of a block from the first that is not zero to the last."""
    intp = k.type
    first, last = (cgutils.alloca_once(builder, intp) for _ in range(2))
    builder.store(k, first)
    builder.store(intp(0), last)
    with cgutils.for_range(builder, k) as loop:
        _, tangents = _block_at(builder, x, loop.index, dual, lane, ty)
        some = _some(builder, tangents)
        after = builder.add(loop.index, intp(1))
        builder.store(builder.select(some, after, builder.load(last)), last)
        is_first = builder.and_(some, builder.icmp_signed("<", loop.index, builder.load(first)))
        builder.store(builder.select(is_first, loop.index, builder.load(first)), first)
    first, last = builder.load(first), builder.load(last)
    return builder.select(builder.icmp_signed("<", first, last), first, last), last


def _products(
    builder: Any, w: Rows, x: Rows, rows: list[Any], span: Any, block: Any, ty: Any
) -> list[Any]:
    """The sums over a range of the products of rows of `w` with a block of `x`."""
    intp = span[0].type
    totals = [cgutils.alloca_once(builder, ty) for _ in rows]
    for total in totals:
        builder.store(ir.Constant(ty, None), total)
    with cgutils.for_range_slice(builder, *span, intp(1), intp) as (h, _):
        _, tangents = _block_at(builder, x, h, block[0], block[1], ty)
        for row, total in zip(rows, totals, strict=True):
            factor = everywhere(builder, ty, builder.load(w.at(builder, row, h)))
            product = builder.fmul(factor, tangents, flags=("contract",))
            builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
    return [builder.load(total) for total in totals]
