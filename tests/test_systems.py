"""The derivatives by hand that other tests compare with, beside the complex step."""

from __future__ import annotations

import numpy as np
import pytest

from tests import systems
from tests.complexstep import jacobians
from tests.patterns import banded, brusselator
from tests.programs import d_rosenbrock, vec


def same_structure(matrix, pattern):
    assert matrix.has_canonical_format
    np.testing.assert_array_equal(matrix.indptr, pattern.indptr)
    np.testing.assert_array_equal(matrix.indices, pattern.indices)


@pytest.mark.parametrize("n", [3, 4])
def test_brusselator(n):
    y = systems.brusselator_start(n) + vec(2 * n * n)
    found = systems.d_brusselator(0.0, y)
    (expected,) = jacobians(lambda y: systems.brusselator.py_func(0.0, y), y)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-13, atol=1e-12)
    same_structure(found, brusselator(n))
    assert found.nnz == 6 * y.size
    np.testing.assert_allclose(
        systems.brusselator(0.0, y), systems.brusselator.py_func(0.0, y), rtol=1e-12
    )


@pytest.mark.parametrize("n", [1, 2, 5])
def test_tridiagonal(n):
    found = systems.d_tridiagonal(vec(n))
    (expected,) = jacobians(systems.tridiagonal.py_func, vec(n))
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-14)
    same_structure(found, banded(n, 1, 1))


def test_rosenbrock():
    (terms,) = jacobians(systems.rosenbrock_terms.py_func, vec(6))
    np.testing.assert_allclose(terms.sum(0), d_rosenbrock(vec(6)), rtol=1e-13)
