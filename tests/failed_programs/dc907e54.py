# ruff: noqa
# wrong AssertionError
import numpy as np

def f(x, w):
    s0 = 3.1
    s5 = s0
    l6 = []
    l6.append(s5)
    if x[1, 3] > 0.2:
        n9 = 0
    else:
        return (1.3, w)
    return (s0, np.sum(x, axis=0))
LAYOUT, ORDER = ('float32', 1)
