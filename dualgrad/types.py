"""The dual number as a Numba type: a value and `n` tangents ("lanes") over a base type.

The base is a float or, for derivatives of derivatives, a dual itself. In registers the lanes of
a float base are one LLVM vector; in memory a dual is its value followed by its lanes without
padding, so an array of duals is plain float memory of shape ``S + (1 + n,)``.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.core.datamodel import models, register_default
from numba.core.errors import TypingError
from numba.core.typeconv import Conversion


class Lanes(types.Type):
    """The tangents of a dual: a vector of `n` numbers of type `base`."""

    def __init__(self, base: types.Type, n: int) -> None:
        self.base, self.n = base, n
        super().__init__(name=f"lanes({base}, {n})")

    @property
    def in_vector(self) -> bool:
        """Whether the lanes live in one LLVM vector (or, for one lane, in a scalar)."""
        return isinstance(self.base, types.Float)


class DualType(types.Number):
    """The type of a dual number with `n` lanes over `base`."""

    def __init__(self, base: types.Type, n: int) -> None:
        self.base, self.n = base, n
        super().__init__(name=f"dual({base}, {n})")

    @property
    def lanes(self) -> Lanes:
        return Lanes(self.base, self.n)

    @property
    def depth(self) -> int:
        """How many derivatives deep: 1 for a dual over a float."""
        return 1 + depth(self.base)

    def cast_python_value(self, value: object) -> object:
        raise TypingError("a dual number has no constant of its own")

    def unify(self, typingctx, other):  # type: ignore[no-untyped-def]
        """Join with a plain number (a constant) or with a dual of any depth."""
        if not isinstance(other, (types.Number, types.Boolean)):
            return None
        if isinstance(other, DualType):
            if self.depth < other.depth:
                return other.unify(typingctx, self)
            if self.depth == other.depth:
                if self.n != other.n:
                    return None
                other = other.base
        base = typingctx.unify_pairs(self.base, other)
        return DualType(base, self.n) if can_carry(base) else None

    def can_convert_from(self, typingctx, other):  # type: ignore[no-untyped-def]
        if isinstance(other, DualType) and other.depth == self.depth:
            return typingctx.can_convert(other.base, self.base) if other.n == self.n else None
        if isinstance(other, (types.Number, types.Boolean)) and depth(other) < self.depth:
            conversion = typingctx.can_convert(other, self.base)
            # a constant becoming a dual must never look better than staying what it is
            return None if conversion is None else max(conversion, Conversion.promote)
        return None

    def can_convert_to(self, typingctx, other):  # type: ignore[no-untyped-def]
        # An integer is piecewise constant in what it was rounded from; a float is not, so
        # there is no conversion to one: it would drop the derivative without a word.
        return Conversion.unsafe if isinstance(other, (types.Integer, types.Boolean)) else None


def can_carry(base: types.Type | None) -> bool:
    """Whether `base` can be the base of a dual."""
    return isinstance(base, (types.Float, DualType))


def depth(ty: types.Type) -> int:
    """The number of dual levels of a scalar type, 0 for a plain one."""
    return ty.depth if isinstance(ty, DualType) else 0


def primal(ty: types.Type) -> types.Type:
    """The plain scalar type at the bottom of `ty`."""
    while isinstance(ty, DualType):
        ty = ty.base
    return ty


_number_unify = types.Number.unify


def _unify(self, typingctx, other):  # type: ignore[no-untyped-def]
    """Leave duals to `DualType.unify`: they have no NumPy dtype to be promoted by."""
    if isinstance(other, DualType) and not isinstance(self, DualType):
        return None
    return _number_unify(self, typingctx, other)


types.Number.unify = _unify


@register_default(Lanes)
class LanesModel(models.PrimitiveModel):
    """A vector in registers; in memory its power-of-two parts, which LLVM stores unpadded."""

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        base, n = dmm.lookup(fe_type.base), fe_type.n
        if not fe_type.in_vector:
            super().__init__(dmm, fe_type, ir.ArrayType(base.get_value_type(), n))
            self._parts = None
            self._data = ir.ArrayType(base.get_data_type(), n)
        else:
            self._scalar = base.get_value_type()
            super().__init__(dmm, fe_type, self._vector(n))
            self._parts = [1 << k for k in reversed(range(n.bit_length())) if n >> k & 1]
            # packed: a part larger than the rest would otherwise be aligned to its own size
            self._data = ir.LiteralStructType([self._vector(k) for k in self._parts], packed=True)
        self._base = base

    def _vector(self, n: int) -> ir.Type:
        return self._scalar if n == 1 else ir.VectorType(self._scalar, n)

    def get_data_type(self) -> ir.Type:
        return self._data

    def as_data(self, builder, value):  # type: ignore[no-untyped-def]
        data = ir.Constant(self._data, ir.Undefined)
        if self._parts is None:
            for k in range(self._data.count):
                item = self._base.as_data(builder, builder.extract_value(value, k))
                data = builder.insert_value(data, item, k)
            return data
        start = 0
        for k, part in enumerate(self._parts):
            data = builder.insert_value(data, _slice(builder, value, start, part), k)
            start += part
        return data

    def from_data(self, builder, data):  # type: ignore[no-untyped-def]
        if self._parts is None:
            value = ir.Constant(self.get_value_type(), ir.Undefined)
            for k in range(self._data.count):
                item = self._base.from_data(builder, builder.extract_value(data, k))
                value = builder.insert_value(value, item, k)
            return value
        parts = [builder.extract_value(data, k) for k in range(len(self._parts))]
        return parts[0] if len(parts) == 1 else _join(builder, self.get_value_type(), parts)

    def load_from_data_pointer(self, builder, ptr, align=None):  # type: ignore[no-untyped-def]
        if self._parts is None:
            return super().load_from_data_pointer(builder, ptr, align)
        # One vector load of exactly n elements. A packed struct promises no alignment.
        whole = builder.bitcast(ptr, self.get_value_type().as_pointer())
        return builder.load(whole, align=1)


def _slice(builder, vector, start: int, n: int):  # type: ignore[no-untyped-def]
    """Elements `start : start + n` of a vector, a scalar for one element."""
    if not isinstance(vector.type, ir.VectorType) or vector.type.count == n:
        return vector
    index = ir.IntType(32)
    if n == 1:
        return builder.extract_element(vector, index(start))
    mask = ir.Constant(ir.VectorType(index, n), list(range(start, start + n)))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _join(builder, vector_type, parts):  # type: ignore[no-untyped-def]
    """The vector whose elements are those of `parts` one after another."""
    index, vector, start = ir.IntType(32), ir.Constant(vector_type, ir.Undefined), 0
    for part in parts:
        for k in range(getattr(part.type, "count", 1)):
            is_vector = isinstance(part.type, ir.VectorType)
            item = builder.extract_element(part, index(k)) if is_vector else part
            vector = builder.insert_element(vector, item, index(start))
            start += 1
    return vector


@register_default(DualType)
class DualModel(models.StructModel):
    """A struct of value and lanes; packed in memory, so arrays of duals have no padding."""

    def __init__(self, dmm, fe_type) -> None:  # type: ignore[no-untyped-def]
        super().__init__(dmm, fe_type, [("value", fe_type.base), ("lanes", fe_type.lanes)])

    def get_data_type(self) -> ir.Type:
        parts = [model.get_data_type() for model in self._models]
        return ir.LiteralStructType(parts, packed=True)
