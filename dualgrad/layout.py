"""What a dual number is in registers and in memory.

In registers the lanes of a float base are one LLVM vector, those of a complex base two; in memory a
dual is its value followed by its lanes without padding, so an array of duals is plain float memory
of shape ``S + (1 + n,)``. A complex dual is in memory its real part and its imaginary part, each a
dual, so that `.real` and `.imag` of an array are views as they are in NumPy.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default

from dualgrad.types import (
    Apart,
    DualType,
    Lanes,
    PatternType,
    PointType,
    RecallType,
    RowsType,
    SeriesType,
    Sets,
    is_complex,
    real_of,
)

#: Bytes of a line of the cache.
LINE = 64
#: Whether code is made for processors of this kind.
X86_64 = platform.machine() in ("x86_64", "AMD64")


@register_default(Lanes)
@register_default(Apart)
@register_default(Sets)
class LanesModel(models.PrimitiveModel):
    """A vector in registers, or a few; in memory, all their lanes without padding.

    Vectors of a power of two LLVM stores unpadded. What the padding holds is never looked at.
    """

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        base, n = dmm.lookup(fe_type.base), fe_type.n
        self._base, self._stored = base, None
        if fe_type.in_vector and not fe_type.in_two:
            self._scalar = base.get_value_type()
            vectors = [self._vector(_width(count)) for count in fe_type.vectors]
            whole = vectors[0] if len(vectors) == 1 else ir.LiteralStructType(vectors)
            super().__init__(dmm, fe_type, whole)
            self._stored = fe_type.parts
            # packed: a part larger than the rest would otherwise be aligned to its own size
            self._data = ir.LiteralStructType([self._vector(k) for k in self._stored], packed=True)
            return
        if fe_type.in_two:
            half = dmm.lookup(fe_type.over(real_of(fe_type.base))).get_value_type()
            super().__init__(dmm, fe_type, ir.LiteralStructType([half] * 2))
        else:
            super().__init__(dmm, fe_type, ir.ArrayType(base.get_value_type(), n))
        self._data = ir.ArrayType(base.get_data_type(), n)

    def _vector(self, n: int) -> ir.Type:
        return self._scalar if n == 1 else ir.VectorType(self._scalar, n)

    def get_data_type(self) -> ir.Type:
        return self._data

    def as_data(self, builder, value):  # type: ignore[no-untyped-def]
        data = ir.Constant(self._data, ir.Undefined)
        if self._stored is None:
            for k in range(self._data.count):
                item = self._base.as_data(builder, get_lane(builder, self.fe_type, value, k))
                data = builder.insert_value(data, item, k)
            return data
        align_stack(builder)
        start = 0
        for k, count in enumerate(self._stored):
            vector, _, place = _vector_with(builder, self.fe_type, value, start)
            data = builder.insert_value(data, _slice(builder, vector, place, count), k)
            start += count
        return data

    def from_data(self, builder, data):  # type: ignore[no-untyped-def]
        if self._stored is None:
            value = ir.Constant(self.get_value_type(), ir.Undefined)
            for k in range(self._data.count):
                item = self._base.from_data(builder, builder.extract_value(data, k))
                value = put_lane(builder, self.fe_type, value, k, item)
            return value
        value, start = ir.Constant(self.get_value_type(), ir.Undefined), 0
        for k, count in enumerate(self._stored):
            part = builder.extract_value(data, k)
            for place in range(count):
                item = _slice(builder, part, place, 1)
                value = put_lane(builder, self.fe_type, value, start + place, item)
            start += count
        return value

    def load_from_data_pointer(self, builder, ptr, align=None):  # type: ignore[no-untyped-def]
        if self._stored is None:
            return super().load_from_data_pointer(builder, ptr, align)
        # Loads of exactly the lanes of each vector. A packed struct promises no alignment.
        first, vectors = builder.bitcast(ptr, self._scalar.as_pointer()), []
        for count in self.fe_type.vectors:
            pointer = builder.bitcast(first, self._vector(count).as_pointer())
            vector = builder.load(pointer, align=1)
            width = _width(count)
            vectors.append(vector if count == width else _widened(builder, vector, width))
            first = builder.gep(first, [ir.IntType(32)(count)])
        return vectors[0] if len(vectors) == 1 else cgutils.pack_struct(builder, vectors)


def align_stack(builder: Any) -> None:
    """Have the function that is being built keep its stack aligned to the longest vectors.

    LLVM does so for variables in memory, not for registers that it spills, and those of duals are
    many: at an address that the system picks at random, most would lie in two lines of the cache.
    """
    attributes = builder.function.attributes
    attributes.alignstack = 64
    attributes.add("noredzone")  # harmless, and llvmlite writes no attributes without a named one


def _width(n: int) -> int:
    """The length of the vector that holds `n` lanes in registers: a power of two.

    Of any other length LLVM would take a vector apart wherever it lives beyond a basic block.
    """
    return 1 << (n - 1).bit_length()


def by_vector(builder: Any, ty: Lanes, operation: Any, *operands: Any) -> Any:
    """An operation on vectors for each of those that hold the lanes over a float base."""
    vectors = [in_vectors(builder, ty, it) for it in operands]
    align_stack(builder)
    results = [operation(*them) for them in zip(*vectors, strict=True)]
    return results[0] if len(results) == 1 else cgutils.pack_struct(builder, results)


def in_vectors(builder: Any, ty: Lanes, u: Any) -> list[Any]:
    """The vectors that hold lanes over a float base."""
    count = len(ty.vectors)
    return [u] if count == 1 else [builder.extract_value(u, k) for k in range(count)]


def _vector_with(builder: Any, ty: Lanes, u: Any, k: int) -> tuple[Any, int, int]:
    """The vector that holds lane `k`, its number, and the place of the lane in it."""
    counts, number = ty.vectors, 0
    while k >= counts[number]:
        k -= counts[number]
        number += 1
    return in_vectors(builder, ty, u)[number], number, k


def get_lane(builder: Any, ty: Lanes, u: Any, k: int) -> Any:
    """Lane `k`."""
    if not ty.in_vector:
        return builder.extract_value(u, k)
    if ty.in_two:
        part = ty.over(real_of(ty.base))
        items = [get_lane(builder, part, builder.extract_value(u, i), k) for i in (0, 1)]
        return cgutils.pack_struct(builder, items)
    if ty.n == 1:
        return u
    vector, _, place = _vector_with(builder, ty, u, k)
    return _slice(builder, vector, place, 1)


def put_lane(builder: Any, ty: Lanes, u: Any, k: int, item: Any) -> Any:
    """`u` with lane `k` replaced."""
    if not ty.in_vector:
        return builder.insert_value(u, item, k)
    if ty.in_two:
        part = ty.over(real_of(ty.base))
        for i in (0, 1):
            old, new = builder.extract_value(u, i), builder.extract_value(item, i)
            u = builder.insert_value(u, put_lane(builder, part, old, k, new), i)
        return u
    if ty.n == 1:
        return item
    vector, number, place = _vector_with(builder, ty, u, k)
    if isinstance(vector.type, ir.VectorType):
        item = builder.insert_element(vector, item, ir.IntType(32)(place))
    return item if item.type == u.type else builder.insert_value(u, item, number)


def everywhere(builder: Any, ty: Any, item: Any) -> Any:
    """A vector with the same item in each place; the item itself where there is no vector."""
    if not isinstance(ty, ir.VectorType):
        return item
    index, undefined = ir.IntType(32), ir.Constant(ty, ir.Undefined)
    first = builder.insert_element(undefined, item, index(0))
    mask = ir.Constant(ir.VectorType(index, ty.count), None)
    return builder.shuffle_vector(first, undefined, mask)


def split(builder: Any, ty: types.Type, x: Any) -> tuple[Any, Any]:
    """The real and the imaginary part of a complex number, dual or plain, or of its lanes."""
    if isinstance(ty, types.Complex) or (isinstance(ty, Lanes) and ty.in_two):
        return builder.extract_value(x, 0), builder.extract_value(x, 1)
    parts = [split(builder, it, builder.extract_value(x, k)) for k, it in enumerate(_inside(ty))]
    pack = cgutils.pack_array if isinstance(ty, Lanes) else cgutils.pack_struct
    real, imag = (pack(builder, it) for it in zip(*parts, strict=True))
    return real, imag


def joined(builder: Any, ty: types.Type, real: Any, imag: Any) -> Any:
    """The complex number of type `ty`, dual or plain, or its lanes, with these parts."""
    if isinstance(ty, types.Complex) or (isinstance(ty, Lanes) and ty.in_two):
        return cgutils.pack_struct(builder, [real, imag])
    parts = [
        joined(builder, it, builder.extract_value(real, k), builder.extract_value(imag, k))
        for k, it in enumerate(_inside(ty))
    ]
    pack = cgutils.pack_array if isinstance(ty, Lanes) else cgutils.pack_struct
    return pack(builder, parts)


def _inside(ty: Any) -> list[types.Type]:
    """The types that a dual, or the lanes over a dual, is made of."""
    return [ty.base] * ty.n if isinstance(ty, Lanes) else [ty.base, ty.lanes]


def _widened(builder, vector, n: int):  # type: ignore[no-untyped-def]
    """A vector padded to a length."""
    count = vector.type.count
    places = [*range(count), *[count] * (n - count)]  # the last are of an undefined vector
    mask = ir.Constant(ir.VectorType(ir.IntType(32), n), places)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _slice(builder, vector, start: int, n: int):  # type: ignore[no-untyped-def]
    """Elements `start : start + n` of a vector, a scalar for one element."""
    if not isinstance(vector.type, ir.VectorType) or vector.type.count == n:
        return vector
    index = ir.IntType(32)
    if n == 1:
        return builder.extract_element(vector, index(start))
    mask = ir.Constant(ir.VectorType(index, n), list(range(start, start + n)))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


@register_default(DualType)
@register_default(PointType)
@register_default(RecallType)
@register_default(SeriesType)
@register_default(PatternType)
@register_default(RowsType)
class DualModel(models.StructModel):
    """A struct of value and lanes; packed in memory, so arrays of duals have no padding.

    In memory a complex one is a struct of two duals, its parts.
    """

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        super().__init__(dmm, fe_type, [("value", fe_type.base), ("lanes", fe_type.lanes)])
        self._part = dmm.lookup(real_of(fe_type)) if is_complex(fe_type) else None

    def get_data_type(self) -> ir.Type:
        stored = self._models if self._part is None else [self._part] * 2
        return ir.LiteralStructType([model.get_data_type() for model in stored], packed=True)

    def as_data(self, builder, value):  # type: ignore[no-untyped-def]
        if self._part is None:
            return super().as_data(builder, value)
        data = ir.Constant(self.get_data_type(), ir.Undefined)
        for k, part in enumerate(split(builder, self.fe_type, value)):
            data = builder.insert_value(data, self._part.as_data(builder, part), k)
        return data

    def from_data(self, builder, data):  # type: ignore[no-untyped-def]
        if self._part is None:
            return super().from_data(builder, data)
        parts = [self._part.from_data(builder, builder.extract_value(data, k)) for k in (0, 1)]
        return joined(builder, self.fe_type, *parts)

    def load_from_data_pointer(self, builder, ptr, align=None):  # type: ignore[no-untyped-def]
        if self._part is None:
            return super().load_from_data_pointer(builder, ptr, align)
        pointers = [cgutils.gep_inbounds(builder, ptr, 0, k) for k in (0, 1)]
        parts = [self._part.load_from_data_pointer(builder, it, align) for it in pointers]
        return joined(builder, self.fe_type, *parts)

    def as_return(self, builder, value):  # type: ignore[no-untyped-def]
        return self.as_data(builder, value)

    def from_return(self, builder, data):  # type: ignore[no-untyped-def]
        return self.from_data(builder, data)
