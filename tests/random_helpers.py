"""Small functions that random programs call, compiled once for all of them."""

import math

import numpy as np
from numba import njit


@njit
def same(a):
    return a


@njit
def head(a):
    return a[:2]


@njit
def scaled(a, s):
    return a * s


@njit
def picked(a, b, s):
    if s > 0.3:
        return a[:]
    return b[:]


@njit
def paired(a):
    return a, a[::-1]


@njit
def swapped(p):
    return p[1], p[0]


@njit
def filled(out, a):
    for i in range(out.size):
        out[i] = 0.5 * a[i] - 0.1


@njit
def added(out, s):
    out[1] += s


@njit
def inner(a, s):
    b = np.empty(4)
    filled(b, a)
    added(b, s)
    return b[1] * s + b[3]


@njit
def power(s, n=2):
    return math.sin(s) ** n


@njit
def halved(n, s):
    if n <= 0 or n > 5:
        return s * 1.0
    return 0.5 * halved(n - 1, s) + 0.1


@njit
def ebb(n, s):
    return flow(n - 1, s) - 0.1 if 0 < n < 6 else s * 0.5


@njit
def flow(n, s):
    return 0.7 * ebb(n - 1, math.cos(s)) * s if n > 0 else s + 0.2


@njit
def applied(f, *args):
    return f(*args)


@njit
def total(*args):
    s = 0.0
    for a in args:
        s += a
    return s
