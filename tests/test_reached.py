"""Functions that clones reach otherwise than by a plain call: through `vmap`, `@overload`, ..."""

import numpy as np
import pytest
from numba import njit, types, vectorize
from numba.extending import intrinsic, overload

import dualgrad as dg

X = np.array([1.3, 0.4])


@dg.custom_jvp
def held(x):
    return x * 1.0


@held.defjvp
def _held(x, dx):
    return 0.0 * dx


@njit
def cubed(x):
    room = np.zeros(2)
    room[0], room[1] = x * x, x
    return room[0] * room[1]


def overloaded(x):
    raise NotImplementedError


@overload(overloaded)
def _overloaded(x):
    if isinstance(x, types.Float):
        return lambda x: held(x) * cubed(x)
    return lambda x: x


@vectorize
def elementwise(x):
    return held(x) * cubed(x)


def without_module():
    """Functions as programs that write code make them, say `sympy.lambdify`."""
    names = {"held": held, "np": np, "njit": njit, "overload": overload}
    source = """
def cubed(x):
    room = np.zeros(2)
    room[0], room[1] = x * x, x
    return room[0] * room[1] * held(x)
written = njit(cubed)
def chosen(x):
    raise NotImplementedError
overload(chosen)(lambda x: cubed)
"""
    exec(source, names)
    return dg.vmap(names["written"]), names["chosen"]


written_at_points, chosen = without_module()


def by_written_code(x):
    return written_at_points(x)


def by_written_overload(x):
    return np.array([chosen(x[0]), chosen(x[1])])


held_at_points, cubed_at_points = dg.vmap(held), dg.vmap(cubed)


def mapped(x):
    return held_at_points(x) * cubed_at_points(x)


def by_map(x):
    y = np.zeros(2)
    for k, item in enumerate(map(held, x)):
        y[k] = item * cubed(x[k])
    return y


def by_overload(x):
    return np.array([overloaded(x[0]), overloaded(x[1])])


@pytest.mark.parametrize(
    "f", [mapped, elementwise, by_overload, by_map, by_written_code, by_written_overload]
)
def test_rules_and_buffers(f):
    value, jacobian = dg.value_and_jacobian(f)(X)
    np.testing.assert_allclose(value, X**4, rtol=1e-15)
    expected = np.diag(X * 3 * X**2)  # the rule of `held` says that it does not change
    for found in (jacobian, dg.sparse_jacobian(f)(X).toarray(), dg.jvp(f)((X,), (X,))[1] / X):
        found = found if found.ndim == 2 else np.diag(found)
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(
    "choose", [lambda x: x == types.float64, lambda x: isinstance(x, types.Float)]
)
def test_overloads_are_chosen_by_the_types_of_values(choose):
    def f(x):
        raise NotImplementedError

    @overload(f)
    def _f(x):
        return (lambda x: x * x) if choose(x) else (lambda x: 1.0)

    assert dg.value_and_derivative(lambda x: f(x) * x)(2.0) == (8.0, 12.0)


def test_compiled_code_is_found_by_signatures_too():
    cubed(1.5)
    assert cubed.get_overload(types.float64(types.float64)) == cubed.get_overload((types.float64,))


@intrinsic
def doubled(typingctx, x):
    def codegen(context, builder, sig, args):
        return builder.fadd(args[0], args[0])

    return (types.float64(types.float64) if x == types.float64 else types.int64(x)), codegen


def test_intrinsics_are_refused():
    with pytest.raises(dg.NotDifferentiable, match="writes machine code for the types"):
        dg.derivative(lambda x: doubled(x) * x)(2.0)
    assert dg.derivative(lambda x, c: doubled(c) * x)(2.0, 1.5) == 3.0


@vectorize
def times(x, y):
    return held(x) * y + x


def test_whole_numbers_given_to_ufuncs_of_numba():
    for f in (lambda x: times(x, 3), lambda x: times(x, len(x) + 1)):
        np.testing.assert_array_equal(dg.jacobian(f)(X), np.eye(2))
