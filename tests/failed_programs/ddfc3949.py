# ruff: noqa
# wrong value
def f(x, w):
    v3 = x.ravel().reshape(4, 2)
    v3[:] = 0
    return (1.3, x)
LAYOUT, ORDER = ('strided', 1)
