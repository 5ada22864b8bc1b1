"""Systems with sparse derivatives, as large as one likes, and their derivatives by hand.

Matrices have sorted indices and the entries of `tests.patterns`, also where one happens to be zero.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numba import njit

# --- The Brusselator in two dimensions, periodic: Hairer and Wanner, Solving ODEs II, IV.10 -------

A, B, DIFFUSION = 3.4, 1.0, 10.0


@njit
def brusselator(t, y):
    """The right-hand side; `y` is u and v of each cell of an n x n grid on the unit square."""
    n = int(np.sqrt(y.size // 2))
    spread = DIFFUSION * n * n
    dy = np.empty_like(y)
    for i in range(n):
        row, above, below = i * n, (i - 1) % n * n, (i + 1) % n * n
        for j in range(n):
            here, up, down = 2 * (row + j), 2 * (above + j), 2 * (below + j)
            left = here - 2 if j > 0 else here + 2 * n - 2
            right = here + 2 if j + 1 < n else here - 2 * n + 2
            u, v = y[here], y[here + 1]
            flow_u = y[up] + y[down] + y[left] + y[right] - 4.0 * u
            flow_v = y[up + 1] + y[down + 1] + y[left + 1] + y[right + 1] - 4.0 * v
            reaction = u * u * v
            dy[here] = B + reaction - (A + 1.0) * u + spread * flow_u
            dy[here + 1] = A * u - reaction + spread * flow_v
    return dy


def d_brusselator(t: float, y: np.ndarray) -> sp.csr_array:
    """Its Jacobian by `y`; from n = 3, where no two sides of a cell are the same cell."""
    n = int(np.sqrt(y.size // 2))
    u, v = np.moveaxis(y.reshape(n, n, 2), -1, 0)
    sides = 4.0 * DIFFUSION * n * n
    values = np.full((n, n, 2, 6), DIFFUSION * n * n)
    values[..., 0, 0] = 2.0 * u * v - (A + 1.0) - sides
    values[..., 0, 1] = u * u
    values[..., 1, 0] = -u * u - sides
    values[..., 1, 1] = A - 2.0 * u * v
    return sp.csr_array((values.ravel(), brusselator_places(n)), shape=(y.size, y.size))


def brusselator_places(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of its entries: the number itself, the other species, the four sides."""
    number = np.arange(2 * n * n).reshape(n, n, 2)
    sides = [np.roll(number, shift, axis) for axis in (0, 1) for shift in (1, -1)]
    columns = np.stack([number, number[:, :, ::-1], *sides], axis=-1)
    return np.repeat(number.ravel(), 6), columns.ravel()


def brusselator_start(n: int) -> np.ndarray:
    """Where it starts."""
    x = np.arange(n) / n
    u = 22.0 * (x * (1.0 - x)) ** 1.5
    v = 27.0 * (x * (1.0 - x)) ** 1.5
    return np.stack(np.broadcast_arrays(u[None, :], v[:, None]), axis=-1).ravel()


# --- Broyden's tridiagonal equations: Moré, Garbow and Hillstrom, TOMS 7 (1981), problem 30 -------


@njit
def tridiagonal(x):
    y = (3.0 - 2.0 * x) * x + 1.0
    y[1:] -= x[:-1]
    y[:-1] -= 2.0 * x[1:]
    return y


def d_tridiagonal(x: np.ndarray) -> sp.csr_array:
    one = np.ones(max(0, x.size - 1))
    return sp.csr_array(sp.diags_array([-one, 3.0 - 4.0 * x, -2.0 * one], offsets=[-1, 0, 1]))


# --- Rosenbrock's function as the sum of its terms ------------------------------------------------


@njit
def rosenbrock_terms(x):
    """Its gradient is `tests.programs.d_rosenbrock`."""
    return 100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2
