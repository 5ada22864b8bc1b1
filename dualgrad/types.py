"""The dual number as a Numba type: a value and `n` tangents ("lanes") over a base type.

The base is a float, a complex number or, for derivatives of derivatives, a dual itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numba.core import types
from numba.core.errors import TypingError
from numba.core.typeconv import Conversion

from dualgrad.instances import DualInstanceType

#: Up to so many lanes are in one vector, the rest of it being padding: one register of AVX-512.
SMALLEST = 8


class Lanes(types.Type):
    """The tangents of a dual: a vector of `n` numbers of type `base`."""

    def __init__(self, base: types.Type, n: int, kind: str = "lanes") -> None:
        self.base, self.n = base, n
        #: How many derivatives deep: 1 for a dual over a float.
        self.depth: int = 1 + depth(base)
        super().__init__(name=f"{kind}({base}, {n})")

    def over(self, base: types.Type) -> Any:
        """The same kind of lanes over another base."""
        return type(self)(base, self.n)

    @property
    def in_vector(self) -> bool:
        """Whether the lanes live in LLVM vectors (or, for one lane, in scalars)."""
        return isinstance(self.base, (types.Float, types.Complex))

    @property
    def vectors(self) -> list[int]:
        """How many of the lanes each vector in registers holds; one is a scalar."""
        left, counts = self.n, []
        while left:
            largest = 1 << left.bit_length() - 1
            counts.append(left if left <= SMALLEST else largest)
            left -= counts[-1]
        return counts

    @property
    def parts(self) -> list[int]:
        """How many each vector in memory holds: powers of two, which LLVM stores unpadded."""
        return [1 << k for k in reversed(range(self.n.bit_length())) if self.n >> k & 1]

    @property
    def in_two(self) -> bool:
        """Whether they live in two vectors, of real and of imaginary parts."""
        return isinstance(self.base, types.Complex)


class Apart(Lanes):
    """Tangents in scalars: LLVM puts those of many points into vectors."""

    def __init__(self, base: types.Type, n: int) -> None:
        super().__init__(base, n, "apart")

    @property
    def vectors(self) -> list[int]:
        """One number each."""
        return [1] * self.n

    parts = vectors


class Sets(Lanes):
    """What a pattern has for tangents: `n` words of bits, each bit of them a set of inputs.

    A number holds the bits of the sets that it depends on.
    """

    def __init__(self, base: types.Type, n: int) -> None:
        super().__init__(base, n, "sets")


class DualType(types.Number):
    """The type of a dual number with `n` lanes over `base`."""

    is_internal = True  # or Numba fuses no array expression that a single number is part of
    #: The type of the tangents.
    kind_of_lanes: type[Lanes] = Lanes

    def __init__(self, base: types.Type, n: int, kind: str = "dual") -> None:
        self.base, self.n = base, n
        #: How many derivatives deep: 1 for a dual over a float.
        self.depth: int = 1 + depth(base)
        super().__init__(name=f"{kind}({base}, {n})")

    def over(self, base: Any) -> Any:
        """The same kind of number over another base."""
        return type(self)(base, self.n)

    def mixes_with(self, other: DualType) -> bool:
        """Whether a number of the same depth can be of the same transform."""
        return type(other) is type(self) and other.n == self.n

    @property
    def lanes(self) -> Lanes:
        return self.kind_of_lanes(self.base, self.n)

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
                if not self.mixes_with(other):
                    return None
                other = other.base
        base = typingctx.unify_pairs(self.base, other)
        return self.over(base) if can_carry(base) else None

    def can_convert_from(self, typingctx, other):  # type: ignore[no-untyped-def]
        if isinstance(other, DualType) and other.depth == self.depth:
            mixes = self.mixes_with(other)
            return typingctx.can_convert(other.base, self.base) if mixes else None
        if isinstance(other, (types.Number, types.Boolean)) and depth(other) < self.depth:
            conversion = typingctx.can_convert(other, self.base)
            # a constant becoming a dual must never look better than staying what it is
            return None if conversion is None else max(conversion, Conversion.promote)
        return None

    def can_convert_to(self, typingctx, other):  # type: ignore[no-untyped-def]
        # An integer is piecewise constant in what it was rounded from; a float is not, so
        # there is no conversion to one: it would drop the derivative without a word.
        to_integer = isinstance(other, (types.Integer, types.Boolean)) and not is_complex(self)
        return Conversion.unsafe if to_integer else None


class PointType(DualType):
    """The type of a dual at one of many points, which are in vectors together."""

    kind_of_lanes = Apart

    def __init__(self, base: types.Type, n: int) -> None:
        super().__init__(base, n, "point")


class RecallType(DualType):
    """The type of a dual whose sweeps recall the values of costly functions.

    They are those of the first sweep (`dualgrad.recall`).
    """

    def __init__(self, base: types.Type, n: int) -> None:
        super().__init__(base, n, "recall")


class SeriesType(DualType):
    """The type of a truncated power series: value and lanes are its coefficients.

    Whatever is linear is done as for duals, and so is all that is a matter of memory. Products and
    functions have recurrences of their own (`dualgrad.series`).
    """

    def __init__(self, base: types.Type, n: int) -> None:
        if is_complex(base):
            raise TypingError("complex numbers in a Taylor series")
        super().__init__(base, n, "series")


class PatternType(DualType):
    """The type of a number that knows which inputs it depends on.

    Code that compares such numbers goes another way for other inputs, which is noted
    (`dualgrad.steering`).
    """

    kind_of_lanes = Sets

    def __init__(self, base: types.Type, n: int, kind: str = "pattern") -> None:
        super().__init__(base, n, kind)


class RowsType(PatternType):
    """The type of a number that knows on which of `n` groups of inputs it depends.

    It is the base of a pattern of second derivatives. A lane has all of its bits set or none.
    """

    def __init__(self, base: types.Type, n: int) -> None:
        super().__init__(base, n, "rows")


class EntriesType(types.Type):
    """The type of an array of results that go to the entries of a sparse Jacobian, in C order.

    `array` is its type in the primal; it `compares` if the last lane is that of a probe.
    """

    def __init__(
        self, array: types.Array, dual: DualType, index: types.Integer, compares: bool
    ) -> None:
        self.array, self.dtype, self.ndim = array, dual, array.ndim
        self.index, self.compares = index, compares
        super().__init__(name=f"entries({array}, {dual}, {index}, {compares})")

    def with_shape(self, ndim: int) -> EntriesType:
        """The type with so many axes."""
        array = types.Array(self.array.dtype, ndim, "C")
        return EntriesType(array, self.dtype, self.index, self.compares)


class SeedsType(types.ArrayCompatible, types.IterableType):
    """The type of an array of inputs: values, and which lane of each item is one.

    `array` is its type in the primal; `entries` that of the results that `f` is to allocate, if
    they go with it. Lanes are those of colours or, if not `coloured`, items have one behind the
    other. It is `probed` if the last lane of each item is that of a direction; a single lane is.
    """

    is_internal = True  # as for duals

    def __init__(
        self, array: types.Array, dual: DualType, coloured: bool = False, probed: bool = False,
        entries: EntriesType | None = None,
    ) -> None:  # fmt: skip
        self.array, self.coloured, self.probed, self.entries = array, coloured, probed, entries
        self.dtype, self.ndim, self.layout = dual, array.ndim, array.layout
        super().__init__(name=f"seeds({array}, {dual}, {coloured}, {probed}, {entries})")

    def of(self, array: types.Array) -> SeedsType:
        """The type of the seeds of a view, which no results go with."""
        return SeedsType(array, self.dtype, self.coloured, self.probed)

    @property
    def as_array(self) -> types.Array:
        """The type of the array of duals that it stands for."""
        return types.Array(self.dtype, self.ndim, self.layout)

    @property
    def iterator_type(self) -> SeedsIteratorType:
        """The type of an iterator over items."""
        return SeedsIteratorType(self)


class SeedsIteratorType(types.SimpleIteratorType):
    """The type of an iterator over seeds that have one axis."""

    def __init__(self, seeds: SeedsType) -> None:
        self.seeds = seeds
        super().__init__(f"iter({seeds})", seeds.dtype)


class PlaceType(types.Type):
    """The type of an item of such results: what was there before is not known, but can be added to.

    A change is a dual to add to it.
    """

    mutable = True  # or Numba takes `+=` for `+`

    def __init__(self, dual: DualType, is_change: bool = False) -> None:
        self.dual, self.is_change = dual, is_change
        super().__init__(name=f"{'change' if is_change else 'place'}({dual})")


def is_item(index: types.Type, ndim: int) -> bool:
    """Whether an index stands for one item of an array."""
    kinds = list(index) if isinstance(index, types.BaseTuple) else [index]
    return len(kinds) == ndim and all(isinstance(kind, types.Integer) for kind in kinds)


def is_view(index: types.Type) -> bool:
    """Whether an index takes a view of an array, or an item."""
    kinds = list(index) if isinstance(index, types.BaseTuple) else [index]
    return all(isinstance(kind, (types.Integer, types.SliceType)) for kind in kinds)


def can_carry(base: types.Type | None) -> bool:
    """Whether `base` can be the base of a dual."""
    return isinstance(base, (types.Float, types.Complex, DualType))


def duals_in(ty: types.Type) -> Iterator[DualType]:
    """Every dual type that values of a type are made of, not those inside duals."""
    if isinstance(ty, DualType):
        yield ty
    elif isinstance(ty, types.BaseTuple):
        for item in ty:
            yield from duals_in(item)
    elif isinstance(ty, DualInstanceType):
        for item in ty.struct.values():
            yield from duals_in(item)
    else:
        for name in ("dtype", "item_type", "key_type", "value_type", "type"):
            inner = getattr(ty, name, None)
            if isinstance(inner, types.Type):
                yield from duals_in(inner)


def depth(ty: types.Type) -> int:
    """The number of dual levels of a scalar type, 0 for a plain one."""
    return ty.depth if isinstance(ty, DualType) else 0


def primal(ty: types.Type) -> types.Type:
    """The plain scalar type at the bottom of `ty`."""
    while isinstance(ty, DualType):
        ty = ty.base
    return ty


def is_complex(ty: types.Type) -> bool:
    """Whether a scalar type is complex at the bottom."""
    return isinstance(primal(ty), types.Complex)


def over(dual: Any, ty: types.Type) -> Any:
    """`dual` over the float or complex type at the bottom of `ty`, unchanged for any other."""
    if not isinstance(dual, DualType):
        plain = primal(ty)
        return plain if isinstance(plain, (types.Float, types.Complex)) else dual
    return dual.over(over(dual.base, ty))


def real_of(ty: types.Type) -> Any:
    """The type of the real part of a number."""
    plain = primal(ty)
    return over(ty, plain.underlying_float) if isinstance(plain, types.Complex) else ty


def complex_of(ty: types.Type) -> Any:
    """The type of the complex numbers whose parts have type `ty`."""
    if is_complex(ty):
        return ty
    return over(ty, types.complex64 if primal(ty) == types.float32 else types.complex128)


_number_unify = types.Number.unify


def _unify(self, typingctx, other):  # type: ignore[no-untyped-def]
    """Leave duals to `DualType.unify`: they have no NumPy dtype to be promoted by."""
    if isinstance(other, DualType) and not isinstance(self, DualType):
        return None
    return _number_unify(self, typingctx, other)


types.Number.unify = _unify

_array_unify = types.Array.unify


def _unify_arrays(self, typingctx, other):  # type: ignore[no-untyped-def]
    """Join an array of numbers with one of duals.

    Inference may come to know late that a number in a loop is a dual: until then a product of it
    and an array is one of numbers. No array is ever converted, as there is no cast.
    """
    unified = _array_unify(self, typingctx, other)
    if unified is None and isinstance(other, types.Array) and self.ndim == other.ndim:
        dtypes = (self.dtype, other.dtype)
        if any(map(depth, dtypes)) and all(isinstance(ty, types.Number) for ty in dtypes):
            dtype = typingctx.unify_pairs(*dtypes)
            if isinstance(dtype, DualType):
                layout = self.layout if self.layout == other.layout else "A"
                readonly = not (self.mutable and other.mutable)
                return types.Array(dtype, self.ndim, layout, readonly)
    return unified


types.Array.unify = _unify_arrays
