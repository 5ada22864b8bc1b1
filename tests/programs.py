"""The table of test functions: each as a scientist writes it, with its derivative in closed form.

A function and its closed form stand together; `PROGRAMS` at the end gives both a name and a
point. The closed forms (`d_...`) are independent NumPy code. Sizes are small and mostly no
multiple of a chunk, so chunks of 1, 3 and 8 all meet a remainder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev


@dataclass(frozen=True, eq=False)
class Program:
    """A function, a point, and a plain NumPy function that returns the derivative there."""

    kind: str  # "derivative", "grad" or "jacobian"
    name: str
    function: Callable[..., Any]
    derivative: Callable[..., Any]
    args: tuple[Any, ...]
    argnums: int | tuple[int, ...] = 0
    out_argnum: int | None = None

    def fresh(self) -> list[Any]:
        """The arguments, arrays copied: some functions write to theirs."""
        return [a.copy() if isinstance(a, np.ndarray) else a for a in self.args]

    def value(self, *args: Any) -> Any:
        """What the function, compiled by Numba, makes of `args` (or of its own arguments)."""
        call = self.function if hasattr(self.function, "py_func") else njit(self.function)
        given = list(args) if args else self.fresh()
        result = call(*given)
        return result if self.out_argnum is None else given[self.out_argnum]

    def expected(self) -> Any:
        """The closed form at the point of the table."""
        return self.derivative(*self.fresh())


# --- Rosenbrock, four ways ------------------------------------------------------------------


@njit
def rosenbrock_loop(x):
    s = 0.0
    for i in range(x.size - 1):
        a = x[i + 1] - x[i] ** 2
        b = 1 - x[i]
        s += 100 * a * a + b * b
    return s


@njit
def rosenbrock_array(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@njit
def rosenbrock_term(a, b):
    return 100 * (b - a**2) ** 2 + (1 - a) ** 2


@njit
def rosenbrock_while(x):
    s = 0
    i = 0
    while i + 1 < len(x):
        s = s + rosenbrock_term(x[i], x[i + 1])
        i += 1
    return s


@njit
def rosenbrock_buffer(x):
    t = np.zeros(x.size - 1)
    for i in range(t.size):
        t[i] = 100 * (x[i + 1] - x[i] ** 2) ** 2
        t[i] += (1 - x[i]) ** 2
    return t.sum()


def d_rosenbrock(x):
    a = x[1:] - x[:-1] ** 2
    g = np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * a - 2 * (1 - x[:-1])
    g[1:] += 200 * a
    return g


# --- Ackley, two ways -----------------------------------------------------------------------


@njit
def ackley_loop(x):
    squares = 0.0
    cosines = 0.0
    for v in x:
        squares += v * v
        cosines += np.cos(2 * np.pi * v)
    n = x.size
    return 20 + np.e - 20 * np.exp(-0.2 * np.sqrt(squares / n)) - np.exp(cosines / n)


@njit
def ackley_array(x):
    r = np.sqrt(np.mean(x**2))
    return 20 + np.e - 20 * np.exp(-0.2 * r) - np.exp(np.mean(np.cos(2 * np.pi * x)))


def d_ackley(x):
    w = 2 * np.pi * x
    r = np.sqrt(np.mean(x * x))
    steep = np.exp(np.mean(np.cos(w))) * 2 * np.pi * np.sin(w)
    return (4 * np.exp(-0.2 * r) * x / r + steep) / x.size


# --- Systems of More, Garbow and Hillstrom --------------------------------------------------


@njit
def chebyquad_inplace(x, fvec):
    n = x.size
    fvec[:] = 0.0
    for j in range(n):
        t0 = 1.0
        t1 = 2 * x[j] - 1
        twice = 2 * t1
        for i in range(n):
            fvec[i] += t1
            t0, t1 = t1, twice * t1 - t0
    for i in range(n):
        fvec[i] /= n
        if i % 2:
            fvec[i] += 1.0 / ((i + 1) ** 2 - 1)


@njit
def chebyquad(x):
    fvec = np.empty(x.size)
    chebyquad_inplace(x, fvec)
    return fvec


def d_chebyquad(x, fvec=None):
    n = x.size
    slopes = [chebyshev.chebder(row) for row in np.eye(n + 1)[1:]]
    return np.array([2 * chebyshev.chebval(2 * x - 1, c) for c in slopes]) / n


@njit
def brown_almost_linear(x):
    n = len(x)
    f = x + np.sum(x) - (n + 1)
    f[-1] = np.prod(x) - 1
    return f


def d_brown_almost_linear(x):
    n = x.size
    jac = np.eye(n) + 1
    jac[-1] = [np.prod(np.delete(x, i)) for i in range(n)]
    return jac


@njit
def trigonometric(x):
    n = len(x)
    f = np.empty(n)
    cosines = np.cos(x).sum()
    for i in range(n):
        f[i] = n - cosines + (i + 1) * (1 - np.cos(x[i])) - np.sin(x[i])
    return f


def d_trigonometric(x):
    i = np.arange(1, x.size + 1)
    return np.tile(np.sin(x), (x.size, 1)) + np.diag(i * np.sin(x) - np.cos(x))


@njit
def broyden_tridiagonal(x):
    n = len(x)
    f = np.zeros_like(x)
    for i in range(n):
        left = x[i - 1] if i > 0 else 0.0
        right = x[i + 1] if i < n - 1 else 0.0
        f[i] = (3 - 2 * x[i]) * x[i] - left - 2 * right + 1
    return f


def d_broyden_tridiagonal(x):
    n = x.size
    return np.diag(3 - 4 * x) - np.eye(n, k=-1) - 2 * np.eye(n, k=1)


@njit
def helical_valley(x):
    turn = np.arctan(x[1] / x[0]) / (2 * np.pi)
    if x[0] < 0:
        turn += 0.5
    radius = np.sqrt(x[0] ** 2 + x[1] ** 2)
    return np.array([10 * (x[2] - 10 * turn), 10 * (radius - 1), x[2]])


def d_helical_valley(x):
    a, b, _ = x
    rr = a * a + b * b
    r = np.sqrt(rr)
    turn = np.array([-b, a, 0]) / (2 * np.pi * rr)
    return np.array([[0, 0, 10] - 100 * turn, [10 * a / r, 10 * b / r, 0], [0, 0, 1]])


# --- Parr and Howard, "The matrix calculus you need for deep learning" ------------------------


@njit
def article_f(x, y):
    return 3 * x**2 * y


@njit
def article_g(x, y):
    return 2 * x + y**8


@njit
def article_fg(x, y):
    return np.array([article_f(x, y), article_g(x, y)])


def article_point(v):
    """Undecorated on purpose: an ordinary Python function that calls compiled ones."""
    return np.array([article_f(v[0], v[1]), article_g(v[0], v[1])])


def d_article_f(x, y):
    return 6 * x * y, 3 * x**2


def d_article_g(x, y):
    return 2.0, 8 * y**7


def d_article_fg(x, y):
    return tuple(d_article_point((x, y)).T)


def d_article_point(v):
    return np.array([d_article_f(*v), d_article_g(*v)])


@njit
def neuron(w, x, b):
    return max(0, np.dot(w, x) + b)


def d_neuron(w, x, b):
    active = float(w @ x + b > 0)
    return active * x, active * w, active


# --- Models ---------------------------------------------------------------------------------


@njit
def lorenz_rhs(u, sigma, rho, beta):
    x, y, z = u[0], u[1], u[2]
    return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])


@njit
def lorenz(u, sigma, rho, beta, dt, steps):
    for _ in range(steps):
        k1 = lorenz_rhs(u, sigma, rho, beta)
        k2 = lorenz_rhs(u + dt / 2 * k1, sigma, rho, beta)
        k3 = lorenz_rhs(u + dt / 2 * k2, sigma, rho, beta)
        k4 = lorenz_rhs(u + dt * k3, sigma, rho, beta)
        u = u + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return u


def d_lorenz(u, sigma, rho, beta, dt, steps):
    """By state and by rho: the variational equations, whose RK4 step is that of the map."""

    def rhs(s):  # columns of s: the state, its derivative by the initial state, that by rho
        (x, y, z), ds = s[:, 0], s[:, 1:]
        value = [sigma * (y - x), x * (rho - z) - y, x * y - beta * z]
        slopes = np.array([[-sigma, sigma, 0], [rho - z, -1, -x], [y, x, -beta]]) @ ds
        slopes[1, 3] += x
        return np.column_stack([value, slopes])

    s = np.column_stack([u, np.eye(3), np.zeros(3)])
    for _ in range(steps):
        k1 = rhs(s)
        k2 = rhs(s + dt / 2 * k1)
        k3 = rhs(s + dt / 2 * k2)
        k4 = rhs(s + dt * k3)
        s = s + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return s[:, 1:4], s[:, 4]


TABLE = np.cos(np.arange(24.0)).reshape(4, 6)


@njit
def global_table(x):
    return np.exp(-np.dot(TABLE, x))


@njit
def argument_table(x, table):
    return np.exp(-(table @ x))


def d_table(x, table=TABLE):
    return -np.exp(-(table @ x))[:, None] * table


@njit
def local_table(p):
    """A decay curve at times that the function tabulates itself; only the curve is active."""
    t = np.zeros(5)
    for i in range(5):
        t[i] = 0.25 * i
    curve = np.zeros(5)
    for i in range(5):
        curve[i] = p[0] * np.exp(-p[1] * t[i]) + p[2]
    return curve


def d_local_table(p):
    t = 0.25 * np.arange(5)
    e = np.exp(-p[1] * t)
    return np.column_stack([e, -p[0] * t * e, np.ones(5)])


@njit
def logistic_loss(w, features, labels):
    loss = 0.0
    for i in range(labels.size):
        z = np.dot(features[i], w)
        loss += np.log1p(np.exp(z)) - labels[i] * z
    return loss


def d_logistic_loss(w, features, labels):
    return features.T @ (1 / (1 + np.exp(-features @ w)) - labels)


@njit
def heat(u, r, steps):
    u = u.copy()
    new = np.empty_like(u)
    for _ in range(steps):
        new[0], new[-1] = u[0], u[-1]
        new[1:-1] = u[1:-1] + r * (u[2:] - 2 * u[1:-1] + u[:-2])
        u, new = new, u
    return u


def d_heat(u, r, steps):
    n = u.size
    step = np.eye(n) + r * (np.eye(n, k=1) - 2 * np.eye(n) + np.eye(n, k=-1))
    step[0], step[-1] = np.eye(n)[0], np.eye(n)[-1]
    return np.linalg.matrix_power(step, steps)


# --- Arrays of two dimensions ---------------------------------------------------------------


@njit
def squared_matrix(a):
    n = a.shape[0]
    s = 0.0
    for i in range(n):
        for j in range(n):
            c = 0.0
            for k in range(n):
                c += a[i, k] * a[k, j]
            s += c**2
    return s


def d_squared_matrix(a):
    c = a @ a
    return 2 * (c @ a.T + a.T @ c)


@njit
def log_determinant(a):
    """By Cholesky's method, which reads the lower triangle only."""
    n = a.shape[0]
    low = np.zeros((n, n), dtype=np.float64)
    for i in range(n):
        for j in range(i + 1):
            s = a[i, j]
            for k in range(j):
                s -= low[i, k] * low[j, k]
            low[i, j] = np.sqrt(s) if i == j else s / low[j, j]
    return 2 * np.sum(np.log(np.diag(low)))


def d_log_determinant(a):
    inverse = np.linalg.inv(a)
    return np.tril(inverse) + np.tril(inverse, -1)


@njit
def squared_distances(points):
    n, dim = points.shape
    d = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            for k in range(dim):
                d[i, j] += (points[i, k] - points[j, k]) ** 2
            d[j, i] = d[i, j]
    return d


def d_squared_distances(points):
    one = np.eye(len(points))
    moves = one[:, None, :] - one[None, :, :]  # of the pair i, j with the point that moves
    gaps = points[:, None, :] - points[None, :, :]
    return 2 * moves[:, :, :, None] * gaps[:, :, None, :]


# --- Control flow ---------------------------------------------------------------------------


@njit
def piecewise(x):
    if x < -1:
        y = x * x
    elif x < 0:
        y = -x
    elif x < 1:
        if x > 0.5:
            y = np.sin(x)
        else:
            y = x**3
    else:
        return 2
    return y * np.exp(y)


def d_piecewise(x):
    pieces = (  # below this end, y and its derivative
        (-1.0, x * x, 2 * x),
        (0.0, -x, -1.0),
        (0.5, x**3, 3 * x**2),
        (1.0, np.sin(x), np.cos(x)),
    )
    for end, y, dy in pieces:
        if x < end:
            return (1 + y) * np.exp(y) * dy
    return 0.0


@njit
def power(x, n):
    if n == 0:
        return 1.0
    if n % 2:
        return x * power(x, n - 1)
    half = power(x, n // 2)
    return half * half


def d_power(x, n):
    return n * x ** (n - 1.0)


@njit
def cube_root(a):
    y = a
    for _ in range(100):
        step = (y**3 - a) / (3 * y**2)
        y -= step
        if abs(step) < 1e-14 * abs(y):
            return y
    return np.nan


def d_cube_root(a):
    return a ** (-2 / 3) / 3


@njit
def first_beyond(x, limit):
    s = 0.0
    for i in range(len(x)):
        s += x[i] ** 2
        if s > limit:
            return s * x[i]
    return s


def d_first_beyond(x, limit):
    sums = np.cumsum(x**2)
    past = np.flatnonzero(sums > limit)
    if not past.size:
        return 2 * x
    i = past[0]
    g = np.where(np.arange(x.size) <= i, 2 * x * x[i], 0.0)
    g[i] += sums[i]
    return g


# --- Helpers, buffers, closures ---------------------------------------------------------------


@njit
def fill_residuals(x, r):
    for i in range(r.size):
        r[i] = x[i] * x[i + 1] - 1
    r *= 2


@njit
def filled_buffer(x):
    r = np.empty(x.size - 1)
    fill_residuals(x, r)
    return 0.5 * np.dot(r, r)


def d_filled_buffer(x):
    r = 4 * (x[:-1] * x[1:] - 1)
    g = np.zeros_like(x)
    g[:-1] = r * x[1:]
    g[1:] += r * x[:-1]
    return g


@njit
def running_products(x):
    p = np.ones(x.size)
    p[0] = x[0]
    for i in range(1, x.size):
        p[i] = p[i - 1] * x[i]
    return p


@njit
def returned_buffer(x):
    return running_products(x)[::-1] + x


def d_running_products(x):
    return np.tril(np.cumprod(x)[:, None] / x[None, :])


def d_returned_buffer(x):
    return d_running_products(x)[::-1] + np.eye(x.size)


@njit
def overwrites_argument(x):
    for i in range(1, x.size):
        x[i] *= x[i - 1]
    return x.sum()


def d_sum_of_products(x):
    return d_running_products(x).sum(axis=0)


@njit
def list_of_terms(x):
    terms = [x[0]]
    for v in x[1:]:
        terms.append(v * terms[-1])
    s = 0.0
    for t in terms:
        s += t
    return s


def make_polynomial(*coefficients):
    @njit
    def polynomial(x):
        y = 0.0
        for c in coefficients[::-1]:
            y = y * x + c
        return y

    return polynomial


cubic = make_polynomial(1.0, -2.0, 0.5, 3.0)


def d_cubic(x):
    return -2.0 + x + 9.0 * x**2


@njit
def trapezoid(upper, g, n):
    h = upper / n
    s = (g(0.0) + g(upper)) / 2
    for i in range(1, n):
        s += g(i * h)
    return h * s


def d_trapezoid(upper, g, n):
    nodes = np.linspace(0.0, upper, n + 1)
    weights = np.full(n + 1, 1 / n)
    weights[[0, -1]] /= 2
    values = weights @ g.py_func(nodes)
    return values + weights @ (nodes * d_cubic(nodes))


@njit
def inner_closure(x):
    scale = np.sum(x)

    def scaled(v):
        return v * scale

    s = 0.0
    for v in x:
        s += scaled(v) ** 2
    return s


def d_inner_closure(x):
    return 2 * x.sum() * (x @ x) + 2 * x * x.sum() ** 2


# --- Tuples and curves ------------------------------------------------------------------------


@njit
def spiral(t):
    return t * np.cos(t), t * np.sin(t), t


def d_spiral(t):
    return np.cos(t) - t * np.sin(t), np.sin(t) + t * np.cos(t), 1.0


@njit
def curve(t):
    c = np.empty((2, 3))
    for k in range(3):
        c[0, k] = np.cos((k + 1) * t)
        c[1, k] = np.sin((k + 1) * t)
    return c


def d_curve(t):
    k = np.arange(1, 4)
    return np.array([-k * np.sin(k * t), k * np.cos(k * t)])


@njit
def mean_and_rest(x):
    mean = np.mean(x)
    return mean, (x - mean) ** 2


def d_mean_and_rest(x):
    n = x.size
    return np.full(n, 1 / n), 2 * (x - x.mean())[:, None] * (np.eye(n) - 1 / n)


# --- The table --------------------------------------------------------------------------------


def part(derivative: Callable[..., tuple[Any, ...]], *which: int) -> Callable[..., Any]:
    """Of a closed form that gives several parts the one(s) that a program asks for."""

    def chosen(*args: Any) -> Any:
        parts = derivative(*args)
        return parts[which[0]] if len(which) == 1 else tuple(parts[i] for i in which)

    return chosen


def vec(n: int, seed: int = 0) -> np.ndarray:
    """`n` numbers between 0.2 and 1.2, the same on every machine."""
    return 0.2 + np.modf((np.arange(1, n + 1) + seed) * 0.6180339887498949)[0]


UNIT10 = vec(10) / 1.25  # within chebyquad's interval
LEFT = np.array([-1.0, 0.5, 0.25])
XY = (1.5, -0.75)
SIGNED = vec(5, 3) - 0.7
ACTIVE, INACTIVE = (vec(5), SIGNED, 0.3), (vec(5), SIGNED, -2.5)
LORENZ = (np.array([1.0, -0.5, 20.0]), 10.0, 28.0, 8 / 3, 0.01, 60)
LOGISTIC = (SIGNED, np.sin(np.arange(35.0)).reshape(7, 5), np.arange(7) % 2)
SQUARE, POINTS = vec(9).reshape(3, 3), vec(10).reshape(5, 2)
SPD = np.eye(3) * 2 + np.add.outer(vec(3), vec(3)) / 2

derivative = partial(Program, "derivative")
grad = partial(Program, "grad")
jacobian = partial(Program, "jacobian")

# fmt: off
_TABLE = (
    grad("rosenbrock_loop",           rosenbrock_loop,     d_rosenbrock,          (vec(11),)),
    grad("rosenbrock_array",          rosenbrock_array,    d_rosenbrock,          (vec(11),)),
    grad("rosenbrock_while",          rosenbrock_while,    d_rosenbrock,          (vec(7),)),
    grad("rosenbrock_buffer",         rosenbrock_buffer,   d_rosenbrock,          (vec(8),)),
    grad("ackley_loop",               ackley_loop,         d_ackley,              (vec(10),)),
    grad("ackley_array",              ackley_array,        d_ackley,              (vec(10),)),

    jacobian("chebyquad",             chebyquad,           d_chebyquad,           (UNIT10,)),
    jacobian("chebyquad_inplace",     chebyquad_inplace,   d_chebyquad,
             (UNIT10[:9].copy(), vec(9)), out_argnum=1),  # garbage in the buffer
    jacobian("brown_almost_linear",   brown_almost_linear, d_brown_almost_linear, (vec(7),)),
    jacobian("trigonometric",         trigonometric,       d_trigonometric,       (vec(9),)),
    jacobian("broyden_tridiagonal",   broyden_tridiagonal, d_broyden_tridiagonal, (-vec(12),)),
    jacobian("helical_valley_right",  helical_valley,      d_helical_valley,      (vec(3),)),
    jacobian("helical_valley_left",   helical_valley,      d_helical_valley,      (LEFT,)),

    derivative("article_f_by_x",      article_f,           part(d_article_f, 0),  XY),
    derivative("article_f_by_y",      article_f,           part(d_article_f, 1),  XY, 1),
    derivative("article_g_by_x",      article_g,           part(d_article_g, 0),  XY),
    derivative("article_g_by_y",      article_g,           part(d_article_g, 1),  XY, 1),
    jacobian("article_fg_by_both",    article_fg,          d_article_fg,          XY, (0, 1)),
    jacobian("article_jacobian",      article_point,       d_article_point,       (np.array(XY),)),
    grad("neuron_by_w",               neuron,              part(d_neuron, 0),     ACTIVE),
    grad("neuron_by_x",               neuron,              part(d_neuron, 1),     ACTIVE, 1),
    derivative("neuron_by_b",         neuron,              part(d_neuron, 2),     ACTIVE, 2),
    grad("neuron_by_w_and_b",         neuron,              part(d_neuron, 0, 2),  ACTIVE, (0, 2)),
    grad("neuron_off_by_w",           neuron,              part(d_neuron, 0),     INACTIVE),
    derivative("neuron_off_by_b",     neuron,              part(d_neuron, 2),     INACTIVE, 2),

    jacobian("lorenz_by_state",       lorenz,              part(d_lorenz, 0),     LORENZ),
    derivative("lorenz_by_rho",       lorenz,              part(d_lorenz, 1),     LORENZ, 2),
    jacobian("global_table",          global_table,        d_table,               (vec(6),)),
    jacobian("argument_table",        argument_table,      d_table,               (vec(6), TABLE)),
    jacobian("local_table",           local_table,         d_local_table,         (vec(3),)),
    grad("logistic_loss",             logistic_loss,       d_logistic_loss,       LOGISTIC),
    jacobian("heat",                  heat,                d_heat,                (vec(7), 0.2, 5)),

    grad("squared_matrix",            squared_matrix,      d_squared_matrix,      (SQUARE,)),
    grad("log_determinant",           log_determinant,     d_log_determinant,     (SPD,)),
    jacobian("squared_distances",     squared_distances,   d_squared_distances,   (POINTS,)),

    derivative("piecewise_square",    piecewise,           d_piecewise,           (-1.25,)),
    derivative("piecewise_minus",     piecewise,           d_piecewise,           (-0.5,)),
    derivative("piecewise_cube",      piecewise,           d_piecewise,           (0.25,)),
    derivative("piecewise_sine",      piecewise,           d_piecewise,           (0.75,)),
    derivative("piecewise_constant",  piecewise,           d_piecewise,           (3.0,)),
    derivative("power_by_squaring",   power,               d_power,               (-1.25, 11)),
    derivative("power_zero",          power,               d_power,               (-1.25, 0)),
    derivative("cube_root",           cube_root,           d_cube_root,           (5.0,)),
    grad("first_beyond",              first_beyond,        d_first_beyond,        (vec(7), 1.5)),
    grad("first_beyond_never",        first_beyond,        d_first_beyond,        (vec(4), 99.0)),

    grad("filled_buffer",             filled_buffer,       d_filled_buffer,       (vec(7),)),
    jacobian("returned_buffer",       returned_buffer,     d_returned_buffer,     (vec(5),)),
    grad("overwrites_argument",       overwrites_argument, d_sum_of_products,     (vec(10),)),
    grad("list_of_terms",             list_of_terms,       d_sum_of_products,     (vec(4),)),
    derivative("factory_polynomial",  cubic,               d_cubic,               (0.75,)),
    derivative("function_argument",   trapezoid,           d_trapezoid,           (1.5, cubic, 9)),
    grad("inner_closure",             inner_closure,       d_inner_closure,       (vec(4),)),

    derivative("spiral_tuple",        spiral,              d_spiral,              (0.75,)),
    derivative("curve_2d",            curve,               d_curve,               (0.75,)),
    jacobian("mean_and_rest_tuple",   mean_and_rest,       d_mean_and_rest,       (vec(5),)),
)
# fmt: on

PROGRAMS: dict[str, Program] = {p.name: p for p in _TABLE}
