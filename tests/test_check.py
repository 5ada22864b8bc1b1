"""The checks: kinds, methods, what is found beyond the numbers, and how it is reported."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from numba import njit
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import dualgrad as dg

X = np.array([1.0, 2.0, 3.0])
METHODS = ["dual", "complex-step", "finite-difference"]


@njit
def model(x, a=1.0):
    return np.array([a * x[0] ** 2 * x[1], np.sin(x[2]) * x[0], x[0] * np.exp(x[1])])


def d_model(x, a=1.0):
    return np.array(
        [
            [2 * a * x[0] * x[1], a * x[0] ** 2, 0.0],
            [np.sin(x[2]), 0.0, np.cos(x[2]) * x[0]],
            [np.exp(x[1]), x[0] * np.exp(x[1]), 0.0],
        ]
    )


@njit
def energy(x):
    return x[0] ** 2 * x[1] + np.sin(x[1] * x[2])


def d_energy(x):
    c = np.cos(x[1] * x[2])
    return np.array([2 * x[0] * x[1], x[0] ** 2 + x[2] * c, x[1] * c])


def h_energy(x):
    c, s = np.cos(x[1] * x[2]), np.sin(x[1] * x[2])
    mixed = c - x[1] * x[2] * s
    return np.array(
        [
            [2 * x[1], 2 * x[0], 0],
            [2 * x[0], -(x[2] ** 2) * s, mixed],
            [0, mixed, -(x[1] ** 2) * s],
        ]
    )


def spoilt(derivative, index, factor):
    """The derivative with one wrong entry."""

    def wrong(*args):
        result = np.array(derivative(*args))
        result[index] *= factor
        return result

    return wrong


class BlackBox:
    """A function that no compiler can read."""

    def __init__(self, f):
        self.f = f

    def __call__(self, *args):
        return self.f(*args)


def topics(report):
    return [remark.topic for remark in report.remarks]


# --- kinds of derivatives, and methods -------------------------------------------------------


V, U = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.3, -2.0])
KINDS = {
    "derivative": (dg.check_derivative, math.sin, math.cos, (0.7,)),
    "grad": (dg.check_grad, energy, d_energy, (X,)),
    "jacobian": (dg.check_jacobian, model, d_model, (X,)),
    "hessian": (dg.check_hessian, energy, h_energy, (X,)),
    "jvp": (dg.check_jvp, model, lambda x, v: d_model(x) @ v, (X, V)),
    "vjp": (dg.check_vjp, model, lambda x, u: u @ d_model(x), (X, U)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_right_ones_pass_and_wrong_ones_do_not(kind, method):
    check, f, df, args = KINDS[kind]
    if kind == "derivative":
        f, df = (np.sin, np.cos) if method != "dual" else (lambda x: math.sin(x), df)
    elif method != "dual":
        f = f.py_func
    report = check(f, df, *args, method=method)
    assert report.ok
    assert report.method == method
    assert report.name == kind
    assert report.error_estimate < (1e-5 if kind == "hessian" else 1e-9)
    np.testing.assert_allclose(report.reference, df(*args), rtol=1e-5, atol=1e-5)

    index = {"derivative": (), "jacobian": (2, 1), "hessian": (1, 2)}.get(kind, (1,))
    for size in (1e-1, 1e-4, -2.0):
        wrong = spoilt(df, index, 1 + size)
        with pytest.raises(dg.DerivativeMismatch) as caught:
            check(f, wrong, *args, method=method)
        report = caught.value.report
        assert report.bad[0].index == report.worst.index == index
        assert str(caught.value) == str(report)
        assert report.worst.given == pytest.approx(wrong(*args)[index])
        assert report.worst.reference == pytest.approx(df(*args)[index] if index else df(*args))
        a, b = report.worst.given, report.worst.reference
        assert report.worst.score == pytest.approx(abs(a - b) / max(1, abs(a) + abs(b)))
        # The derivative's value at the point will do, too.
        assert check(f, wrong(*args), *args, method=method, raises=False).bad == report.bad


def test_further_arguments_reach_both():
    assert dg.check_jacobian(model, d_model, X, 3.0).ok
    assert not dg.check_jacobian(model, d_model(X, 2.0), X, 3.0, raises=False).ok


def test_arrays_of_any_number_of_axes():
    def outer(x):
        y = np.zeros((2, 2), x.dtype)
        for i in range(2):
            for j in range(2):
                y[i, j] = x[0, i] * x[1, j]
        return y

    def d_outer(x):
        jac = np.zeros((2, 2, 2, 2))
        for i, j in np.ndindex(2, 2):
            jac[i, j, 0, i] += x[1, j]
            jac[i, j, 1, j] += x[0, i]
        return jac

    x = np.array([[1.0, 2.0], [3.0, 5.0]])
    wrong = spoilt(d_outer, (1, 0, 0, 1), 1.01)
    for method in METHODS:
        assert dg.check_jacobian(outer, d_outer, x, method=method).ok
        report = dg.check_jacobian(outer, wrong, x, method=method, raises=False)
        assert [entry.index for entry in report.bad] == [(1, 0, 0, 1)]


def test_black_boxes_take_the_complex_step_only_where_they_are_analytic():
    right = BlackBox(model.py_func)
    report = dg.check_jacobian(right, d_model, X)
    assert report.method == "complex-step"
    assert topics(report) == ["not used"]

    boxes = {
        "abs": (np.abs, lambda x: np.diag(np.sign(x))),
        "modulus": (lambda x: (x * np.conj(x)).real, lambda x: np.diag(2 * x)),
        "refuses": (lambda x: np.array([math.exp(it) for it in x]), lambda x: np.diag(np.exp(x))),
        "drops": (lambda x: x.astype(float) ** 2, lambda x: np.diag(2 * x)),
    }
    for f, df in boxes.values():
        report = dg.check_jacobian(BlackBox(f), df, np.array([1.5, -0.3]))
        assert report.method == "finite-difference"
    for name in ("abs", "modulus"):
        with pytest.raises(ValueError, match="not analytic"):
            dg.check_jacobian(
                boxes[name][0], np.eye(2), np.array([1.5, -0.3]), method="complex-step"
            )


def test_a_global_that_the_compiler_froze_is_noticed():
    table = np.array([1.0])

    def f(x):
        return table[0] * x * x

    assert dg.check_derivative(f, lambda x: 2 * x, 3.0).method == "dual"
    table[0] = 2.0
    assert dg.check_derivative(f, lambda x: 4 * x, 3.0).ok
    assert not dg.check_derivative(f, lambda x: 2 * x, 3.0, raises=False).ok


def test_float32_is_not_accused_of_errors_of_float64():
    x = np.array([0.1, 0.7, 2.3], np.float32)
    report = dg.check_grad(energy, d_energy(x.astype(float)).astype(np.float32), x)
    assert report.ok
    assert not dg.check_grad(energy, d_energy(x) * np.float32(1.002), x, raises=False).ok
    assert topics(dg.check_grad(energy, d_energy(X).astype(np.float32), X)) == ["dtype"]


def test_complex_results():
    def turn(x):
        return np.exp(1j * x)

    def d_turn(x):
        return np.diag(1j * np.exp(1j * x))

    for method in ("dual", "finite-difference"):
        assert dg.check_jacobian(turn, d_turn, X, method=method).ok
        report = dg.check_jacobian(turn, spoilt(d_turn, (1, 1), 1j), X, method=method, raises=False)
        assert [entry.index for entry in report.bad] == [(1, 1)]
        json.dumps(report.to_dict())


@pytest.mark.parametrize("method", METHODS)
def test_derivatives_that_vanish(method):
    report = dg.check_grad(lambda x: 3.0 + 0 * x[0], np.zeros(2), X[:2], method=method)
    assert "undecided" not in topics(report)
    wrong = dg.check_grad(
        lambda x: 3.0 + 0 * x[0], np.full(2, 1e-3), X[:2], method=method, raises=False
    )
    assert len(wrong.bad) == 2
    assert wrong.guess == ""


def test_rounding_is_no_error_and_smallness_is_no_excuse():
    assert dg.check_jacobian(model, d_model(X) + 1e-16, X).ok  # where zeros are, too
    assert not dg.check_jacobian(model, d_model(X) + 1e-13, X, raises=False).ok

    def tiny(x):
        return 1e-30 * x * x

    for method in METHODS:
        assert dg.check_derivative(tiny, 4e-30, 2.0, method=method).ok
        assert not dg.check_derivative(tiny, 4.001e-30, 2.0, method=method, raises=False).ok


def test_edges_of_domains():
    with np.errstate(divide="ignore"):
        assert dg.check_derivative(np.sqrt, lambda x: 0.5 / np.sqrt(x), np.float64(0.0)).ok
    # Steps that lead out of the domain are made smaller.
    for x in (1e-9, 1e-3, 1e9):
        report = dg.check_derivative(math.log, lambda x: 1 / x, x, method="finite-difference")
        assert report.ok
        assert not dg.check_derivative(
            math.log, 1.0001 / x, x, method="finite-difference", raises=False
        ).ok


# --- sparse arrays and operators -------------------------------------------------------------


def test_sparse_jacobians_and_patterns():
    def banded(x):
        return x**2 + np.array([0.0, x[0], x[1]])

    def jac(x):
        return sparse.diags_array([2 * x, np.ones(2)], offsets=[0, -1]).tocsr()

    for mode in ("full", "fast"):
        assert dg.check_jacobian(banded, jac, X, mode=mode).ok
        assert not dg.check_jacobian(banded, lambda x: 1.01 * jac(x), X, mode=mode, raises=False).ok
    pattern = sparse.csr_array(np.eye(3, dtype=bool))
    report = dg.check_jacobian(banded, jac, X, pattern=pattern)
    assert "pattern: stored outside of the declared one: (1, 0), (2, 1)" in str(report)
    assert not dg.check_jacobian(banded, jac, X, pattern=jac(X)).remarks
    missing = sparse.diags_array(2 * X)  # what is not stored is zero
    report = dg.check_jacobian(banded, missing, X, raises=False)
    assert sorted(entry.index for entry in report.bad) == [(1, 0), (2, 1)]
    assert "zero where they should not be" in report.guess


def test_operators_and_their_adjoints():
    right = aslinearoperator(d_model(X))
    for mode in ("full", "fast"):
        assert dg.check_jacobian(model, right, X, mode=mode).ok
        assert not dg.check_jacobian(model, 2 * right, X, mode=mode, raises=False).ok
    forward = LinearOperator((3, 3), matvec=right.matvec, dtype=float)
    assert dg.check_jacobian(model, lambda x: forward, X).ok
    wrong = LinearOperator((3, 3), right.matvec, rmatvec=right.matvec, dtype=float)
    for mode in ("full", "fast"):
        report = dg.check_jacobian(model, wrong, X, mode=mode, raises=False)
        assert topics(report)[0] == "adjoint"
        assert not report.ok
    assert dg.check_hessian(energy, sparse.csr_array(h_energy(X)), X).ok
    assert dg.check_hessian(energy, aslinearoperator(h_energy(X)), X, mode="fast").ok


# --- beyond the numbers ----------------------------------------------------------------------


def test_shapes():
    report = dg.check_grad(energy, d_energy(X)[None], X, raises=False)
    assert not report.ok
    assert not report.bad
    assert "shape: (1, 3), and (3,) is expected" in str(report)
    report = dg.check_jacobian(model, np.zeros((3, 2)), X, raises=False)
    assert topics(report) == ["shape"]
    f = BlackBox(lambda x: x[:2] * x[2])
    for mode in ("full", "fast"):
        report = dg.check_jacobian(f, np.ones((3, 2)), X, mode=mode, raises=False)
        assert topics(report)[0] == "shape"


def test_results_that_change():
    rng = np.random.default_rng(0)
    report = dg.check_grad(
        energy, lambda x: d_energy(x) * (1 + 1e-3 * rng.random()), X, raises=False
    )
    assert "nondeterministic" in topics(report)
    assert not report.ok
    report = dg.check_grad(energy, lambda x: d_energy(x) * (1 + 1e-14 * rng.random()), X)
    assert topics(report) == ["nondeterministic"]  # a sum in another order is no mistake
    report = dg.check_grad(BlackBox(lambda x: energy(x) + 1e-12 * rng.random()), d_energy, X)
    assert "the function itself" in str(report)


def test_one_buffer_for_all_calls_is_no_state():
    buffer = np.zeros(3)

    def grad(x):
        buffer[:] = d_energy(x)
        return buffer

    assert not dg.check_grad(energy, grad, X).remarks


def test_arguments_that_are_written_to():
    def grad(x):
        result = d_energy(x)
        x[1] = 0.0
        return result

    before = X.copy()
    report = dg.check_grad(energy, grad, X, raises=False)
    assert topics(report) == ["mutation"]
    assert not report.ok
    np.testing.assert_array_equal(X, before)

    def writes(x):
        x *= 2
        return x[0] ** 2

    assert dg.check_grad(writes, lambda x: np.array([8 * x[0], 0, 0]), X).ok
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("method", ["dual", "finite-difference"])
def test_kinks_are_named_rather_than_failed(method, dtype):
    x = np.array([1.0, 0.0, -2.0], dtype)

    def jac(slope):
        return np.diag([1.0, slope, -1.0])

    for slope in (-1.0, 0.0, 0.5, 1.0):  # any slope between the two is as good
        report = dg.check_jacobian(np.abs, jac(slope), x, method=method)
        assert report.remarks[0].text == "along entry 1 of x: output 1 has the slopes -1 and 1"
    for slope in (1.01, -3.0):
        report = dg.check_jacobian(np.abs, jac(slope), x, method=method, raises=False)
        assert [entry.index for entry in report.bad] == [(1, 1)]
        assert topics(report) == ["kink"]
    wrong = dg.check_jacobian(np.abs, np.diag([1.0, 0, 1]), x, method=method, raises=False)
    assert [entry.index for entry in wrong.bad] == [(2, 2)]


def test_kinks_of_other_kinds():
    def top(x):
        return np.max(x) ** 2

    tie = np.array([3.0, 3.0, 1.0])
    for grad in ([6.0, 0, 0], [0, 6.0, 0], [3.0, 3.0, 0]):
        report = dg.check_grad(top, np.array(grad), tie)
        assert topics(report) == ["kink", "kink"]
    assert not dg.check_grad(top, np.array([6.0, 0, 6]), tie, raises=False).ok
    assert "kink" in topics(dg.check_grad(top, np.array([6.0, 0, 0]), tie, mode="fast"))
    report = dg.check_hessian(lambda x: x * abs(x), 1.5, 0.0)
    assert topics(report) == ["kink"]
    # Curvature and noise are no kinks.
    for f, df in (
        (lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x)),
        (lambda x: (x + 1e6) - 1e6, 1.0),
    ):
        report = dg.check_derivative(f, df, np.float64(0.3), method="complex-step")
        assert topics(report) == []


@pytest.mark.parametrize("method", METHODS)
def test_fast_mode(method):
    for check, f, df in (
        (dg.check_grad, energy, d_energy),
        (dg.check_jacobian, model, d_model),
        (dg.check_hessian, energy, h_energy),
    ):
        f = f if method == "dual" else f.py_func
        report = check(f, df, X, mode="fast", method=method)
        right = 4 if check is dg.check_hessian else 2
        assert f"{right} where right" in str(report)
        slope = float(str(report).partition("slope ")[2].partition(";")[0])
        assert slope == pytest.approx(right, abs=0.2)
        wrong = spoilt(df, (0,), 1.01)
        report = check(f, wrong, X, mode="fast", method=method, raises=False)
        assert {entry.index[0] for entry in report.bad} == {0, 1, 2}
        slope = float(str(report).partition("slope ")[2].partition(";")[0])
        assert slope < right - 0.5
    report = dg.check_vjp(model, lambda x, u: u @ d_model(x), X, U, mode="fast")
    assert report.ok
    assert not dg.check_vjp(model, lambda x, u: d_model(x) @ u, X, U, mode="fast", raises=False).ok


def test_large_functions_are_checked_along_directions():
    x = np.linspace(0.0, 1.0, 5000)
    jac = sparse.diags_array(2 * x).tocsr()
    # None of this makes an array of 25 million entries.
    report = dg.check_jacobian(np.square, lambda x: sparse.diags_array(2 * x), x, pattern=jac)
    assert report.reference.shape == (3, 5000)
    assert topics(report) == ["Taylor test"]
    jac[4000, 4000] *= 1.001
    report = dg.check_jacobian(np.square, jac, x, raises=False)
    assert {entry.index[1] for entry in report.bad} == {4000}


# --- the report ------------------------------------------------------------------------------


def test_the_report_is_a_short_table():
    report = dg.check_jacobian(model, spoilt(d_model, (2, 1), 1.1), X, raises=False)
    assert str(report).splitlines() == [
        "jacobian: WRONG in 1 of 9 entries (reference: dual, error below 1e-14)",
        "   index    given  reference    score",
        "  (2, 1)  8.12796    7.38906  4.8e-02",
    ]
    # Numbers that differ late are printed so far.
    late = str(dg.check_jacobian(model, spoilt(d_model, (2, 1), 1 + 1e-7), X, raises=False))
    assert "7.38905684" in late and "7.3890561 " in late
    box, x = BlackBox(np.square), np.arange(1.0, 21.0)
    report = dg.check_jacobian(box, np.zeros((20, 20)), x, method="complex-step", raises=False)
    many = str(report)
    assert len(many.splitlines()) == 12
    assert "and 12 more" in many


GUESSES = {
    "it is transposed": lambda jac: jac.T,
    "the wrong sign": lambda jac: -jac,
    "a factor 2 too much": lambda jac: 2 * jac,
    "a factor 2 is missing": lambda jac: jac / 2,
    "all by the same factor, 3": lambda jac: 3 * jac,
    "off by one index along axis 0": lambda jac: np.roll(jac, 1, 0),
    "off by one index along axis 1": lambda jac: np.roll(jac, -1, 1),
    "only row 1 is wrong": lambda jac: jac + np.array([[0.0], [1.0], [0.0]]),
    "only row 2 is wrong; the wrong sign": lambda jac: jac * np.array([[1.0], [1.0], [-1.0]]),
    "only column 0 is wrong": lambda jac: jac * [1.0, 1.0, 1.0] + [[0.1, 0, 0]],
    "": lambda jac: jac + 0.1 * np.arange(9.0).reshape(3, 3) ** 2,
}


@pytest.mark.parametrize("guess", GUESSES)
def test_guesses(guess):
    report = dg.check_jacobian(model, GUESSES[guess](d_model(X)), X, raises=False)
    assert not report.ok
    assert report.guess == guess
    assert (f"a guess: {guess}" in str(report)) == bool(guess)


def test_to_dict_is_plain():
    report = dg.check_jacobian(model, -d_model(X), X, raises=False)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["ok"] is False
    assert plain["guess"] == "the wrong sign"
    assert plain["worst"] == plain["bad"][0]
    assert len(plain["bad"]) == 6
    assert plain["bad"][0]["index"] == list(report.worst.index)


def test_plot():
    pytest.importorskip("matplotlib")
    for check, f, df in ((dg.check_jacobian, model, d_model), (dg.check_hessian, energy, h_energy)):
        index = (2, 1)
        for factor in (1.0, 1.01):
            report = check(f, spoilt(df, index, factor), X, raises=False)
            _, differences, *_ = report.plot().axes
            errors, claim = (line.get_ydata() for line in differences.lines)
            # The differences converge to the reference, and the claim lies where it should.
            assert np.nanmin(errors) < 1e-5
            if factor != 1:
                assert claim[0] == pytest.approx(0.01 * abs(df(X)[index]), rel=1e-6)
    report = dg.check_grad(energy, d_energy, X, mode="fast")
    assert len(report.plot().axes) == 2


def test_plot_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    report = dg.check_grad(energy, d_energy, X)
    with pytest.raises(ImportError, match="dualgrad\\[plot\\]"):
        report.plot()


# --- what cannot be checked ------------------------------------------------------------------


def test_what_cannot_be_checked_raises():
    with pytest.raises(ValueError, match="method"):
        dg.check_grad(energy, d_energy, X, method="guess")
    with pytest.raises(ValueError, match="mode"):
        dg.check_grad(energy, d_energy, X, mode="slow")
    with pytest.raises(TypeError, match="check_jacobian"):
        dg.check_grad(model, d_model, X)
    with pytest.raises(TypeError, match="check_grad"):
        dg.check_derivative(energy, d_energy, X)
    with pytest.raises(TypeError, match="real numbers"):
        dg.check_grad(energy, d_energy, X + 1j)
    with pytest.raises(TypeError, match="must return numbers"):
        dg.check_grad(lambda x: None, d_energy, X)
    with pytest.raises(TypeError, match="derivative must be numbers"):
        dg.check_grad(energy, lambda x: None, X)
    with pytest.raises(ValueError, match=r"v must have the shape \(3,\)"):
        dg.check_jvp(model, d_model(X) @ V, X, V[:2])
    with pytest.raises(ValueError, match="could not be checked"):
        dg.check_grad(BlackBox(lambda x: np.nan), d_energy, X)
    with pytest.raises(dg.NotDifferentiable):
        dg.check_grad(BlackBox(energy.py_func), d_energy, X, method="dual")
    with pytest.raises(ZeroDivisionError):
        dg.check_derivative(lambda x: 1 / (x - x), 1.0, 1.0)


def test_a_reference_that_says_little_is_owned_up_to():
    rng = np.random.default_rng(0)

    def noisy(x):
        return np.array([x[0], x[1] + 1e3 * rng.random()])

    report = dg.check_jacobian(
        BlackBox(noisy), np.eye(2), np.array([1.0, 2.0]), method="finite-difference", raises=False
    )
    assert "undecided" in topics(report)


def test_rtol_allows_for_approximate_derivatives():
    assert not dg.check_grad(energy, 1.0001 * d_energy(X), X, raises=False).ok
    assert dg.check_grad(energy, 1.0001 * d_energy(X), X, rtol=1e-3).ok


def test_nothing_to_compare():
    report = dg.check_jacobian(lambda x: x[:0], np.zeros((0, 3)), X)
    assert report.ok
    assert report.worst is None
    assert report.bad == []


def test_infinite_derivatives_are_wrong_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for wrong in (np.inf, -np.inf, np.nan):
            with pytest.raises(dg.DerivativeMismatch):
                dg.check_grad(lambda x: np.sum(x * x), np.array([wrong, 2.0]), np.ones(2))


def _in_single_precision(x):
    return float(np.sum(np.sin(x.astype(np.float32))))


def _in_digits(digits):
    return lambda x: round(float(np.sum(np.sin(x))), digits)


@pytest.mark.parametrize("f", [_in_single_precision, *map(_in_digits, (4, 6, 8, 10))])
def test_staircases_accuse_nobody(f) -> None:
    """On one stair all differences are zero, and say that the derivative is."""
    rng = np.random.default_rng(1)
    for x in rng.uniform(0.2, 1.4, (20, 2)):
        try:
            dg.check_grad(f, np.cos, x, method="finite-difference")
        except ValueError as error:  # the stairs are too high
            assert "could not be checked" in str(error)
    with pytest.raises(dg.DerivativeMismatch):
        dg.check_grad(f, lambda x: 1.5 * np.cos(x), x, method="finite-difference")


def test_a_kink_is_no_staircase() -> None:
    """Left of it the derivative is zero, and another one is wrong."""
    x = np.array([0.96, 0.99, 1.5])
    right = np.diag([0.0, 0.0, 1.0])
    wrong = np.diag([0.5, 0.0, 1.0])

    def f(x):
        return np.maximum(x - 1.0, 0.0)

    report = dg.check_jacobian(f, right, x, method="finite-difference")
    assert report.ok and report.error_estimate < 1e-6
    with pytest.raises(dg.DerivativeMismatch):
        dg.check_jacobian(f, wrong, x, method="finite-difference")


def test_a_function_that_returns_the_same_array_each_time():
    room = np.empty(3)

    def squares(x):
        room[:] = x**2
        return room

    x = np.array([2.0, 0.5, 1.0])
    assert dg.check_jacobian(squares, lambda x: np.diag(2 * x), x, raises=False).ok
    for wrong in (lambda x: np.zeros((3, 3)), lambda x: np.diag(3 * x)):
        assert not dg.check_jacobian(squares, wrong, x, raises=False).ok
    assert not dg.check_jvp(squares, lambda x, v: 0 * x, x, np.ones(3), raises=False).ok
