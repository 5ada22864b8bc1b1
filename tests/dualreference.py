# ruff: noqa: F821  (the rules call one another by their names in the tables)
"""A second, slow implementation of dual numbers: plain Python over NumPy's arrays of objects.

It shares nothing with the engine. A function's own source runs on it with `np`, `math` and
`float` replaced, so that loops, branches and buffers are Python's and views are NumPy's.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from scipy.special import digamma, polygamma


class Kink(Exception):
    """Two values that a program compares are too close: which branch is right is not known."""


class Dual:
    """A value and its slope in one direction; both are numbers or, nested, such duals."""

    __slots__ = ("slope", "value")

    def __init__(self, value: Any, slope: Any) -> None:
        self.value, self.slope = value, slope

    def __bool__(self) -> bool:
        return self != 0.0

    def __int__(self) -> int:
        return int(whole(self, math.trunc))

    def conjugate(self) -> Dual:
        return self


def plain(a: Any) -> Any:
    """The value of a dual, however deep."""
    while isinstance(a, Dual):
        a = a.value
    return a


def varies(a: Any) -> bool:
    """Whether any slope in a number is not zero."""
    return isinstance(a, Dual) and (bool(plain(a.slope)) or varies(a.value) or varies(a.slope))


def whole(a: Any, function: Callable[[Any], Any]) -> float:
    """A piecewise constant function of a number, away from its jumps."""
    x = plain(a)
    if varies(a) and abs(2 * x - round(2 * x)) < 1e-7:
        raise Kink
    return float(function(x))


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def method(a: Any, b: Any) -> bool:
        x, y = plain(a), plain(b)
        if abs(x - y) < 1e-7 * (abs(x) + abs(y) + 1.0) and (varies(a) or varies(b)):
            raise Kink
        return compare(x, y)

    return method


for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Dual, f"__{_name}__", _ordered(getattr(operator, _name)))

# --------------------------------------------------------------------------------- the rules

Rule = tuple[Callable[..., Any], tuple[Callable[..., Any], ...]]


def _function(value: Callable[..., Any], partials: tuple[Callable[..., Any], ...]) -> Any:
    """A function of numbers and duals from its value on floats and its partial derivatives."""

    def function(*args: Any) -> Any:
        if not any(isinstance(a, Dual) for a in args):
            return value(*args)
        deepest = max(map(_depth, args))
        pairs = [
            (a.value, a.slope) if _depth(a) == deepest else (a, None)  # constant at this level
            for a in args
        ]
        bases = [base for base, _ in pairs]
        slope: Any = 0.0
        for (_, tangent), partial in zip(pairs, partials, strict=True):
            if tangent is not None and (plain(tangent) != 0.0 or varies(tangent)):
                slope = slope + partial(*bases) * tangent
        return Dual(function(*bases), slope)

    return function


def _depth(a: Any) -> int:
    return 1 + _depth(a.value) if isinstance(a, Dual) else 0


def sign(a: Any) -> float:
    """-1.0 or 1.0, and 0.0 for a constant zero."""
    return float((a > 0.0) - (a < 0.0))


def _choose(first: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    return lambda a, b: a if first(a, b) else b


_one: Callable[..., Any] = lambda *args: 1.0  # noqa: E731
_zero: Callable[..., Any] = lambda *args: 0.0  # noqa: E731


def _squares(a: Any, b: Any) -> Any:
    return a * a + b * b


def _power(a: Any, b: Any) -> Any:
    return float(a) ** b


RULES: dict[str, Rule] = {
    "add": (operator.add, (_one, _one)),
    "subtract": (operator.sub, (_one, lambda a, b: -1.0)),
    "multiply": (operator.mul, (lambda a, b: b, lambda a, b: a)),
    "divide": (operator.truediv, (lambda a, b: 1.0 / b, lambda a, b: -a / (b * b))),
    "power": (
        _power,
        (lambda a, b: b * power(a, b - 1), lambda a, b: power(a, b) * log(a)),
    ),
    "negative": (operator.neg, (lambda a: -1.0,)),
    "positive": (operator.pos, (_one,)),
    "absolute": (abs, (sign,)),
    "square": (lambda a: a * a, (lambda a: 2.0 * a,)),
    "reciprocal": (lambda a: 1.0 / a, (lambda a: -1.0 / (a * a),)),
    "sqrt": (math.sqrt, (lambda a: 0.5 / sqrt(a),)),
    "cbrt": (math.cbrt, (lambda a: 1.0 / (3.0 * cbrt(a) ** 2),)),
    "exp": (math.exp, (lambda a: exp(a),)),
    "exp2": (lambda a: 2.0**a, (lambda a: math.log(2.0) * exp(a * math.log(2.0)),)),
    "expm1": (math.expm1, (lambda a: exp(a),)),
    "log": (math.log, (lambda a: 1.0 / a,)),
    "log2": (math.log2, (lambda a: 1.0 / (a * math.log(2.0)),)),
    "log10": (math.log10, (lambda a: 1.0 / (a * math.log(10.0)),)),
    "log1p": (math.log1p, (lambda a: 1.0 / (1.0 + a),)),
    "sin": (math.sin, (lambda a: cos(a),)),
    "cos": (math.cos, (lambda a: -sin(a),)),
    "tan": (math.tan, (lambda a: 1.0 / cos(a) ** 2,)),
    "arcsin": (math.asin, (lambda a: 1.0 / sqrt(1.0 - a * a),)),
    "arccos": (math.acos, (lambda a: -1.0 / sqrt(1.0 - a * a),)),
    "arctan": (math.atan, (lambda a: 1.0 / (1.0 + a * a),)),
    "sinh": (math.sinh, (lambda a: cosh(a),)),
    "cosh": (math.cosh, (lambda a: sinh(a),)),
    "tanh": (math.tanh, (lambda a: 1.0 / cosh(a) ** 2,)),
    "arcsinh": (math.asinh, (lambda a: 1.0 / sqrt(1.0 + a * a),)),
    "arccosh": (math.acosh, (lambda a: 1.0 / sqrt(a * a - 1.0),)),
    "arctanh": (math.atanh, (lambda a: 1.0 / (1.0 - a * a),)),
    "erf": (math.erf, (lambda a: 2.0 / math.sqrt(math.pi) * exp(-a * a),)),
    "erfc": (math.erfc, (lambda a: -2.0 / math.sqrt(math.pi) * exp(-a * a),)),
    "gamma": (math.gamma, (lambda a: gamma(a) * digammas[0](a),)),
    "lgamma": (math.lgamma, (lambda a: digammas[0](a),)),
    "hypot": (math.hypot, (lambda a, b: a / hypot(a, b), lambda a, b: b / hypot(a, b))),
    "arctan2": (
        math.atan2,
        (lambda a, b: b / _squares(a, b), lambda a, b: -a / _squares(a, b)),
    ),
    "logaddexp": (
        lambda a, b: float(np.logaddexp(a, b)),
        (lambda a, b: 1.0 / (1.0 + exp(b - a)), lambda a, b: 1.0 / (1.0 + exp(a - b))),
    ),
}

digammas = [
    _function(digamma, (lambda a: digammas[1](a),)),
    _function(lambda a: float(polygamma(1, a)), (_zero,)),
]
FUNCTIONS: dict[str, Callable[..., Any]] = {name: _function(*rule) for name, rule in RULES.items()}
FUNCTIONS |= {
    "sign": sign,
    "floor": lambda a: whole(a, math.floor),
    "ceil": lambda a: whole(a, math.ceil),
    "trunc": lambda a: whole(a, math.trunc),
    "rint": lambda a: whole(a, round),
    "remainder": lambda a, b: a - b * whole(a / b, math.floor),
    "floor_divide": lambda a, b: whole(a / b, math.floor),
    "maximum": _choose(lambda a, b: a >= b),
    "minimum": _choose(lambda a, b: a <= b),
    "clip": lambda a, low, high: minimum(maximum(a, low), high),
    "copysign": lambda a, b: a * math.copysign(sign(a), plain(b)),
}
globals().update(FUNCTIONS)  # the rules call one another

_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power",
    "mod": "remainder", "floordiv": "floor_divide",
}  # fmt: skip
for _name, _rule in _OPERATORS.items():
    _f = FUNCTIONS[_rule]
    setattr(Dual, f"__{_name}__", lambda a, b, f=_f: _binary(f, a, b))
    setattr(Dual, f"__r{_name}__", lambda a, b, f=_f: _binary(f, b, a))
for _name, _rule in {"neg": "negative", "pos": "positive", "abs": "absolute"}.items():
    setattr(Dual, f"__{_name}__", lambda a, f=FUNCTIONS[_rule]: f(a))


def _binary(f: Callable[..., Any], a: Any, b: Any) -> Any:
    return NotImplemented if any(isinstance(it, np.ndarray) for it in (a, b)) else f(a, b)


# ------------------------------------------------------------------------- running a program


def _interp(a: Any, xp: Any, fp: Any) -> Any:
    if np.ndim(a):
        return np.array([_interp(item, xp, fp) for item in a], object)
    if a <= xp[0] or a >= xp[-1]:
        return fp[0] if a <= xp[0] else fp[-1]
    k = next(k for k in range(len(xp)) if a < xp[k])
    return fp[k - 1] + (fp[k] - fp[k - 1]) / (xp[k] - xp[k - 1]) * (a - xp[k - 1])


def _median(v: Any) -> Any:
    s, n = sorted(v), len(v)
    return (s[(n - 1) // 2] + s[n // 2]) / 2.0


class _Algebra:
    @staticmethod
    def norm(v: Any) -> Any:
        return sqrt(np.sum(v * v))

    @staticmethod
    def solve(a: Any, b: Any) -> Any:
        """Cramer's rule, for two unknowns."""
        det = a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
        x = b[0] * a[1, 1] - b[1] * a[0, 1], a[0, 0] * b[1] - a[1, 0] * b[0]
        return np.array([item / det for item in x], object)


class _Module:
    """A module whose functions know duals, and whose new arrays hold objects."""

    float64 = float32 = object
    linalg, interp, median = _Algebra(), staticmethod(_interp), staticmethod(_median)

    def __init__(self, module: Any) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        full = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2",
                "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh", "pow": "power",
                "abs": "absolute", "fabs": "absolute"}.get(name, name)  # fmt: skip
        if full in FUNCTIONS:
            f = FUNCTIONS[full]
            return np.frompyfunc(f, f.__code__.co_argcount or _arity(full), 1)
        function = getattr(self.module, name)
        if name in _CREATION:
            return lambda *args, **kws: _objects(function(*args, **kws))
        return function


_CREATION = frozenset(
    "zeros ones empty full array zeros_like ones_like empty_like full_like eye linspace".split()
)


def _arity(name: str) -> int:
    return len(RULES[name][1])


def _objects(array: Any) -> Any:
    return array.astype(object) if array.dtype.kind == "f" else array


def substituted(f: Any, known: dict[str, Any] | None = None) -> Any:
    """A function, and the functions that it calls, for duals."""
    f = getattr(f, "py_func", f)
    names: dict[str, Any] = {} if known is None else known
    function = FunctionType(f.__code__, names, argdefs=f.__defaults__, closure=f.__closure__)
    if known is None:
        names |= {
            "__builtins__": builtins, "np": _Module(np), "math": _Module(math),
            "float": lambda a: a, "abs": FUNCTIONS["absolute"],
        }  # fmt: skip
        for name, value in f.__globals__.items():
            if name not in names and callable(getattr(value, "py_func", None)):
                names[name] = substituted(value, names)
    return function


def slopes(f: Any, x: np.ndarray, v: np.ndarray, *args: Any, order: int = 1) -> list[Any]:
    """For each output of `f`: its value, and its derivative of an order in the direction `v`."""
    inputs = np.empty(x.shape, object)
    for index in np.ndindex(x.shape):
        item: Any = float(x[index])
        for level in range(order):  # the slope of x + t v is v at each level, and then constant
            item = Dual(item, _constant(float(v[index]), level))
        inputs[index] = item
    others = [_objects(arg) if isinstance(arg, np.ndarray) else arg for arg in args]
    results = substituted(f)(inputs, *others)
    return [
        (_part(y, plain), _part(y, lambda item: _derivative(item, order)))
        for y in (results if isinstance(results, tuple) else (results,))
    ]


def _constant(a: float, level: int) -> Any:
    return a if level == 0 else Dual(_constant(a, level - 1), 0.0)


def _derivative(a: Any, order: int) -> float:
    for level in range(order, 0, -1):
        a = a.slope if isinstance(a, Dual) and _depth(a) == level else 0.0
    return float(a)


def _part(y: Any, of: Callable[[Any], Any]) -> Any:
    if isinstance(y, np.ndarray):
        return np.array([of(item) for item in y.ravel()], dtype=float).reshape(y.shape)
    return float(of(y))
