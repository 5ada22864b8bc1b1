"""The algebra of duals against polynomials in exact rational arithmetic.

A random program of additions, subtractions and products of small dyadic numbers has no rounding
errors: value, gradient and Hessian are compared for equality. The reference is the same program
on polynomials of degree two in h, with fractions for coefficients. One interpreter, compiled
once, runs them all; its stack is an array of floats that becomes one of duals.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

import dualgrad as dg

N = 5  # more inputs than lanes in a chunk, and no multiple of them
PUSH_INPUT, PUSH_CONSTANT, ADD, SUB, MUL, NEG, SQUARE, ADD_IN_PLACE, CONSTANT_MINUS = range(9)
Program = list[tuple[int, float]]


@njit
def run(x: Any, codes: Any, numbers: Any) -> Any:
    stack = np.zeros(codes.size + 1)
    top = -1
    for code, number in zip(codes, numbers):  # noqa: B905 (Numba knows no keyword of zip)
        if code == PUSH_INPUT:
            top += 1
            stack[top] = x[int(number)]
        elif code == PUSH_CONSTANT:
            top += 1
            stack[top] = number
        elif code == NEG:
            stack[top] = -stack[top]
        elif code == SQUARE:
            stack[top] = stack[top] ** 2
        elif code == CONSTANT_MINUS:
            stack[top] = number - stack[top]
        else:
            top -= 1
            if code == ADD:
                stack[top] = stack[top] + stack[top + 1]
            elif code == SUB:
                stack[top] = stack[top] - stack[top + 1]
            elif code == MUL:
                stack[top] = stack[top] * stack[top + 1]
            else:
                stack[top] += stack[top + 1]
    return stack[top]


gradient = dg.value_and_grad(run, chunk=3)
directional = dg.jvp(run)
curvature = dg.jvp(dg.grad(run, chunk=3))

# ------------------------------------------------------------------------------- the reference

Polynomial = dict[tuple[int, ...], Fraction]  # sorted numbers of inputs -> coefficient


def product(a: Polynomial, b: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for m, p in a.items():
        for n, q in b.items():
            if len(m) + len(n) <= 2:
                key = tuple(sorted(m + n))
                result[key] = result.get(key, Fraction(0)) + p * q
    return result


def linear(a: Polynomial, b: Polynomial, factor: int) -> Polynomial:
    return {k: a.get(k, Fraction(0)) + factor * b.get(k, Fraction(0)) for k in {**a, **b}}


def expand(program: Program, x: list[float]) -> Polynomial:
    """The program at x + h, as a polynomial in h up to degree two."""
    stack: list[Polynomial] = []
    for code, number in program:
        constant: Polynomial = {(): Fraction(number)}
        if code == PUSH_INPUT:
            stack.append({(): Fraction(x[int(number)]), (int(number),): Fraction(1)})
        elif code == PUSH_CONSTANT:
            stack.append(constant)
        elif code == NEG:
            stack.append(linear({}, stack.pop(), -1))
        elif code == SQUARE:
            last = stack.pop()
            stack.append(product(last, last))
        elif code == CONSTANT_MINUS:
            stack.append(linear(constant, stack.pop(), -1))
        else:
            right, left = stack.pop(), stack.pop()
            sign = -1 if code == SUB else 1
            stack.append(product(left, right) if code == MUL else linear(left, right, sign))
    return stack.pop()


# ------------------------------------------------------------------------------ random programs

DYADIC = st.integers(-8, 8).map(lambda k: k / 4)
LEAF = st.one_of(
    st.integers(0, N - 1).map(lambda k: [(PUSH_INPUT, float(k))]),
    DYADIC.map(lambda c: [(PUSH_CONSTANT, c)]),
)


def deeper(smaller: Any) -> Any:
    return st.one_of(
        st.tuples(smaller, smaller, st.sampled_from([ADD, SUB, MUL, ADD_IN_PLACE])).map(
            lambda it: [*it[0], *it[1], (it[2], 0.0)]
        ),
        st.tuples(smaller, st.sampled_from([NEG, CONSTANT_MINUS]), DYADIC).map(
            lambda it: [*it[0], (it[1], it[2])]
        ),
        LEAF.map(lambda it: [*it, (SQUARE, 0.0)]),
    )


PROGRAMS = st.recursive(LEAF, deeper, max_leaves=8).filter(lambda p: degree(p) <= 8)
POINTS = st.lists(DYADIC, min_size=N, max_size=N)


def degree(program: Program) -> int:
    """How many numbers are multiplied at most: with 5 bits each, 8 of them stay exact."""
    stack: list[int] = []
    for code, _ in program:
        if code in (PUSH_INPUT, PUSH_CONSTANT):
            stack.append(1)
        elif code == SQUARE:
            stack[-1] *= 2
        elif code not in (NEG, CONSTANT_MINUS):
            right, left = stack.pop(), stack.pop()
            stack.append(left + right if code == MUL else max(left, right))
    return stack.pop()


@settings(max_examples=300, deadline=None)
@given(PROGRAMS, POINTS, POINTS)
def test_polynomials(program: Program, x: list[float], v: list[float]) -> None:
    exact = expand(program, x)
    slopes = [exact.get((k,), Fraction(0)) for k in range(N)]
    hessian = np.full((N, N), Fraction(0))
    for i, j in combinations_with_replacement(range(N), 2):
        hessian[i, j] = hessian[j, i] = exact.get((i, j), Fraction(0)) * (2 if i == j else 1)
    codes, numbers = (np.array(column) for column in zip(*program, strict=True))
    at, direction = np.array(x), np.array(v)
    constant = (None, None)

    value, grad = gradient(at, codes, numbers)
    assert value == exact[()] == run(at, codes, numbers)
    assert grad.tolist() == slopes
    along = sum(s * Fraction(t) for s, t in zip(slopes, v, strict=True))
    assert directional((at, codes, numbers), (direction, *constant)) == (value, along)
    grad, product = curvature((at, codes, numbers), (direction, *constant))
    assert grad.tolist() == slopes
    assert product.tolist() == (hessian @ [Fraction(t) for t in v]).tolist()


@njit
def algebra(a: Any, b: Any, c: Any) -> Any:
    return np.array(
        [
            (a + b) + c - (a + (b + c)), a + b - (b + a), a - b + (b - a), a + 0 - a, a - a,
            (a * b) * c - a * (b * c), a * b - b * a, a * (b + c) - (a * b + a * c), a * 1 - a,
            a + (-a), (-a) * b + a * b, a**2 - a * a, a**3 - a * a * a,
            (a + b) * (a - b) - a * a + b * b,
        ]
    )  # fmt: skip


identities = dg.value_and_derivative(algebra, argnums=(0, 1, 2))


@settings(max_examples=100, deadline=None)
@given(DYADIC, DYADIC, DYADIC)
def test_laws_of_a_commutative_ring(a: float, b: float, c: float) -> None:
    value, slopes = identities(a, b, c)
    assert not np.any(value) and not np.any(slopes)


@njit
def field(a: Any, b: Any) -> Any:
    return np.array(
        [a / b * b - a, 1 / (1 / a) - a, a / a - 1, (a / b) ** -1 - b / a, a**-2 - 1 / (a * a)]
    )


fractions_of = dg.value_and_derivative(field, argnums=(0, 1))
POWERS = st.builds(lambda sign, k: sign * 2.0**k, st.sampled_from([-1, 1]), st.integers(-8, 8))


@settings(max_examples=100, deadline=None)
@given(POWERS, POWERS)
def test_laws_of_division(a: float, b: float) -> None:
    """Exact for powers of two."""
    value, slopes = fractions_of(a, b)
    assert not np.any(value) and not np.any(slopes)
