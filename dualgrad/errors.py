"""The errors of dualgrad's own."""

from __future__ import annotations


class NotDifferentiable(TypeError):
    """A construct has no derivative rule.

    The message names the construct, its line in the user's code, the reason and the way out;
    Numba's own error is its ``__cause__``.
    """
