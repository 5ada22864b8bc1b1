# ruff: noqa
# wrong refusal
import numpy as np


def f(x, w):
    s0 = x[1, 2]
    v1 = np.zeros(4)
    v2 = np.ones(4)
    s10 = 1.0
    for i11 in range(2):
        for j12 in range(4):
            s10 += np.minimum(np.log10(s0**2 + 0.5), min(0.0, s0))
    s13 = 0.0
    for e in [x[i11, j12], 0.5, v2[j12]]:
        s13 += e * 0.5
    v14 = np.zeros((3, 4))[1]
    v15 = np.zeros(4)
    v15[-1] = np.absolute(x[0, j12] ** 3)
    return (s0 if x[1, -1] > 0.2 else s13, v1 * s13)


LAYOUT, ORDER = ("C", 1)
