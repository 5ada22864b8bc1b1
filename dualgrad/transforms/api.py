"""The functions that users call."""

from __future__ import annotations

from dualgrad.compile.frontend import as_dispatcher
from dualgrad.transforms.kernel import Plan
from dualgrad.transforms.transform import Transform


def _transform(name, f, argnums, chunk, out_argnum, with_value):
    one = not isinstance(argnums, tuple)
    return Transform(
        Plan(as_dispatcher(f), name, (argnums,) if one else argnums, one, out_argnum, with_value),
        None if chunk == "auto" else chunk,
    )


def grad(f, argnums=0, chunk="auto"):
    return _transform("grad", f, argnums, chunk, None, False)

def jacobian(f, argnums=0, chunk="auto", out_argnum=None):
    return _transform("jacobian", f, argnums, chunk, out_argnum, False)

def derivative(f, argnums=0, out_argnum=None):
    return _transform("derivative", f, argnums, "auto", out_argnum, False)

def value_and_grad(f, argnums=0, chunk="auto"):
    return _transform("grad", f, argnums, chunk, None, True)

def value_and_jacobian(f, argnums=0, chunk="auto", out_argnum=None):
    return _transform("jacobian", f, argnums, chunk, out_argnum, True)

def value_and_derivative(f, argnums=0, out_argnum=None):
    return _transform("derivative", f, argnums, "auto", out_argnum, True)
