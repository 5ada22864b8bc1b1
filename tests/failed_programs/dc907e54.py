# ruff: noqa
# wrong AssertionError
import numpy as np


def f(x, w):
    if x[1, 3] > 0.2:
        n9 = 0
    else:
        return (1.3, w)
    return (3.1, np.sum(x, axis=0))


LAYOUT, ORDER = ("C", 1)
