# ruff: noqa
# wrong refusal
import numpy as np
from tests.random_helpers import (
    added,
    filled,
    halved,
    head,
    inner,
    paired,
    picked,
    power,
    same,
    scaled,
    swapped,
    total,
)


def f(x, w):
    s0 = x[1, 2]
    v1 = np.asarray(x[-1, ::-1])
    v7 = picked(v1, v1, np.tan(0.9 * np.sin(s0)))
    s9 = 1
    for e in [s0 for _ in range(4)]:
        s9 += np.sin(e) + w[-3]
    v10 = np.zeros((3, 4))[1]
    v10[2] = v7[0]
    return (np.cumsum(v10)[2], np.array([1.3, s9, 1.0, 1.3]))


LAYOUT, ORDER = ("C", 1)
