"""The grammar of random programs: what Numba code is made of.

A hole `{kind}` is filled by an expression of a kind, `{new kind}` names a new variable, `{1}`
is the first name that the line has made, and `{KIND}` is an array variable or a part of one
that may be written to. `{body}` is a block, `{this|that}` a choice.

s: a float; n: an integer; i: an index, 0 or 1; j: an index, 0 to 3; b: a condition;
v: an array (4,); u: an array (2,); m: an array (2, 4); l: a list of floats; p: two v in a tuple
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

_UNARY = """sin cos tanh arctan sinh~ exp~ expm1~ cosh~ tan~ arcsin~ arccos~ arctanh~ arcsinh
square~ absolute sign floor ceil negative sqrt+ log+ log1p+ log2+ log10+ cbrt+ reciprocal+ exp2~
lgamma+ erf"""


def _unary(hole: str, module: Any) -> Iterator[str]:
    """A call of each function, its argument kept in its domain: `~` in (-1, 1), `+` positive."""
    domains = {"~": f"0.9 * np.sin({hole})", "+": f"{hole} ** 2 + 0.5"}
    for marked in _UNARY.split():
        name = marked.rstrip("~+")
        name = name.replace("arc", "a") if module is math else name
        if hasattr(module, name) and module.__name__ + name != "mathcbrt":
            prefix = "np" if module is np else "math"
            yield f"{prefix}.{name}({domains.get(marked[-1], hole)})"


EXPRESSIONS: dict[str, list[str]] = {
    "s": """
        {s} {+|-|*} {s}
        {s} {+|-|*} {s}
        {s} {+|-|*} {n}
        {n} {+|-|*} {s}
        {s} / (1.5 + {s} ** 2)
        {s} ** {2|3}
        ({s} ** 2 + 0.5) ** {s}
        ({s} ** 2 + 0.5) ** -1.5
        {s} % 1.3
        {s} // 0.7
        -{s}
        abs({s})
        float({n}) * {s}
        {max|min}({s}, {s})
        {max|min}(0.0, {s})
        ({s} if {b} else {s})
        np.hypot({s}, 1.0 + {s} ** 2)
        math.atan2({s}, {s} ** 2 + 0.3)
        np.{maximum|minimum}({s}, {s})
        np.{sum|mean|prod|max|min}({a})
        {A}.{sum|mean|prod|max|min}()
        np.dot({v}, {v})
        np.var({v})
        {v} @ {v}
        sum({l})
        {p}[{0|1}][{j}]
        ({s}, {s})[{0|1}]
        {np.sort|np.cumsum|np.diff}({v}.copy())[{0|1|2}]
        {m}[{i}, {j}]
        {m}[{i}][{j}]
        {v}[np.{argmin|argmax}({v})]
        inner({V}, {s})
        power({s})
        power({s}, n=3)
        halved({n}, {s})
        h0({s}, {v}, {V})
        g0({s}, {s})
        total({s}, {s}, {s})
        applied(power, {s}, 2)
        ebb({n}, {s})
        swapped(({s}, {s}))[{0|1}]
        np.interp({s}, np.array([-2.0, -0.9, 0.1, 2.2]), {v})
        np.median({v})
        np.linalg.norm({v} + 3.0)
    """.split("\n"),
    "v": """
        {v} {+|-|*} {v}
        {v} {+|-|*} {s}
        {s} {+|-|*} {v}
        {v} / (1.5 + {v} ** 2)
        {v} ** 2
        -{v}
        {v}[::-1]
        {m}[{i}]
        {m}.sum({0})
        np.sum({m}, axis=0)
        {m}.T[:, {i}]
        {m}.ravel()[{::2|:4|4:|2:6|-4:}]
        {m}.ravel().reshape(4, 2)[:, {i}]
        {m}.T.copy()[:, {i}]
        {v}.copy()
        np.cumsum({v})
        np.sort({v})
        np.roll({v}, {n})
        np.where({v} > {s}, {v}, {v})
        np.where({v} > 0.1, {v}, 0.0)
        np.{maximum|minimum}({v}, {v|s})
        np.concatenate(({u}, {u}))
        np.array([{s}, {s}, 1.0, {s}])
        np.array([{f} for e in {v}])
        np.array({l})[:4] if len({L}) >= 4 else {v}
        np.full(4, {s} + 0.0)
        np.linspace({s}, {s}, 4)
        np.clip({v}, -0.77, 0.91)
        np.append({u}, {u})
        np.repeat({u}, 2)
        np.diag(np.outer({v}, {v})).copy()
        np.take({v}, np.array([3, 1, 0, 1]))
        {v}[np.array([3, 1, 0, 1])]
        {u} @ {m}
        np.dot({m}.T, {u})
        {p}[{0|1}]
        same({V})
        picked({V}, {V}, {s})
        scaled({v}, {s})
        h1({s}, {v}, {V})
        np.outer({u}, {u}).ravel()
        np.hypot({v}, 1.0 + {v} ** 2)
        np.ascontiguousarray({v})
        np.asarray({v})
        np.flip({v})
        np.atleast_2d({v})[0]
        np.expand_dims({v}, 1)[:, 0]
        np.vstack(({v}, {v}))[{0|1}]
        np.zeros_like({v})
        np.interp({v}, np.array([-2.0, -0.9, 0.1, 2.2]), {v})
    """.split("\n"),
    "u": """
        {v}[{:2|2:|1:3|::2|::-2|::3}]
        {m}[:, {j}]
        {m} @ {v}
        np.dot({m}, {v})
        {m}.sum(axis=1)
        head({V})
        {u} {+|-|*} {u}
        {u} {+|-|*} {s}
        np.array([{s}, {s}])
        np.array(({s}, {s}))
        {v}.copy().reshape(2, 2)[{i}]
        {v}.copy().reshape(2, 2)[:, {i}]
        np.split({v}, 2)[{i}]
        np.linalg.solve(np.eye(2) * 3.0 + 0.1 * np.outer({u}, {u}), {u})
    """.split("\n"),
    "m": """
        {m} {+|-|*} {m}
        {m} {+|-|*} {v}
        {m} {+|-|*} {s}
        {m}[::-1, ::-1]
        {m}.copy()
        np.outer({u}, {v})
        {m}.T.copy().reshape(2, 4)
        np.vstack(({v}, {v}))
        np.stack(({v}, {v}))
        {m}.T.copy().T
        {m} * {u}[:, None]
        np.array([[{s}, 1.0, {s}, {s}], [0.5, {s}, {s}, {s}]])
        np.where({m} > 0.1, {m}, {s})
        np.concatenate(({m}[:1], {m}[1:]))
        np.asfortranarray({m})
        np.transpose({m}.T)
        np.array_split({m}, 2)[0] + {m}
    """.split("\n"),
    "l": """
        [{f} for e in {v}]
        [{s}, {s} + 0.0, {s}]
        [{s} for _ in range(4)]
        list({v})
        [{s}] + {l}
        {l}[::-1]
        {l}[1:]
    """.split("\n"),
    "p": """
        ({v}, {v})
        paired({V})
        ({V}, {V})
        swapped({p})
    """.split("\n"),
    "b": """
        {s} {<|>|<=|>=} {s}
        {s} {<|>} 0.1
        {b} {and|or} {b}
        not {b}
        {n} % 2 == 0
        np.any({v} > 0.4)
        {v}[0] != {v}[1]
    """.split("\n"),
    "n": """
        {0|1|2|3}
        {n} + 1
        int(3.1 * {s})
        len({L})
        np.argmin({v})
        np.count_nonzero({v} > 0.1)
    """.split("\n"),
    "f": """
        e * {s}
        np.sin(e) + {s}
        (e if e > 0.3 else {s})
    """.split("\n"),
}
EXPRESSIONS["s"] += [*_unary("{s}", np), *_unary("{s}", math)]
EXPRESSIONS["v"] += [*_unary("{v}", np)]
EXPRESSIONS["m"] += [*_unary("{m}", np)][::4]
for _rows in EXPRESSIONS.values():
    _rows[:] = [it.strip() for it in _rows if it.strip()]

#: what ends a nest of expressions, besides the variables in scope
ATOMS: dict[str, list[str]] = {
    "s": ["x[{i}, {j}]", "x[{i}, {j}]", "{V}[{j}]", "w[{j}]", "0.7", "1.3"],
    "v": ["x[{i}]", "x[{i}, ::-1]", "w"],
    "u": ["x[:, {j}]", "x[{i}, :2]", "w[2:]"],
    "m": ["x"],
    "l": ["[x[{i}, {j}], 0.5, {s}]"],
    "p": ["(x[0], x[1])"],
    "n": ["1", "2", "x.shape[0]"],
    "b": ["x[{i}, {j}] > 0.2"],
    "f": ["e * 0.5"],
    "i": ["0", "1", "-1"],
    "j": ["0", "1", "2", "-1", "-3"],
}

STATEMENTS: list[str] = [
    it.strip("\n")
    for it in """
{new s} = {s}
--
{new v} = {v}
--
{new v} = {v}
--
{new u} = {u}
--
{new m} = {m}
--
{new v} = {V}
--
{new v} = np.{zeros(4)|ones(4)|zeros_like(w)|empty_like(w)|empty(4)}
{1}[:] = {v|s|0.5}
--
{new v} = np.zeros(4)
{body}
{1}[{j}] = {s}
--
{new m} = np.{zeros((2, 4))|ones((2, 4))|zeros_like(x)}
{1}[{i}] = {v}
--
{new m} = np.zeros((4, 2)).T
{1}[:, {j}] = {u}
--
{new m} = np.zeros(8).reshape(2, 4)
{1}[{i}, {j}] += {s}
--
{new v} = np.zeros((3, 4))[1]
{1}[{j}] = {s}
--
{new v} = np.full(4, 0.5)
{new v} = {1}{[::-1]|.reshape(2, 2).ravel()|[:]}
{2}[{j}] {=|+=|*=} {s}
--
{new l} = {l}
--
{new l} = [0.5]
for {index j} in range(4):
    {1}.append({s})
--
{new l} = [1.0, 2.0, 3.0]
{1}[{i}] = {s}
{1}.append({s})
{1}.{pop()|reverse()}
{1}.insert(0, {s})
--
{new p} = {p}
--
{new p} = (np.zeros(4), {v})
{1}[0][{j}] = {s}
--
{new v} = np.zeros(4)
{new v} = np.ones(4)
{new p} = ({1}, {2})
{3}[{0|1}][{j}] = {s}
--
{new v} = np.zeros(4)
{new v} = np.ones(4)
{1}, {2} = {2}, {1}
{1}[{j}] = {s}
--
bufs = [np.zeros(4), np.ones(4)]
bufs[{0|1}][{j}] = {s}
{new v} = bufs[{0|1}]
--
{new s} = {0|0.0|1|1.0}
for {index j} in range(4):
    {1} {+=|-=} {s}
--
{new s} = {0|0.0|1}
for e in {v|l}:
    {1} += {f}
--
{new s} = {1|1.0}
for {index i} in range(2):
    for {index j} in range(4):
        {1} += {s}
--
{new s} = 0.0
for k, e in enumerate({v}):
    {1} += k * {f}
--
{new s} = 0.0
for e, d in zip({v}, {v|l}):
    {1} += d * {f}
--
{new s} = {s}
{new n} = 0
while {2} < {2|3} and {b}:
    {1} = {s}
    {2} += 1
    {body}
--
{new s} = {s}
{new n} = 0
while True:
    {1} = 0.5 * {1} + 0.1
    {2} += 1
    {body}
    if {1} < 0.35 or {2} > 3:
        break
--
{new n} = {n}
--
if {b}:
    {body}
--
if {b}:
    {body}
else:
    {body}
--
if {b}:
    {new s} = {s}
elif {b}:
    {1} = {s}
else:
    {1} = {s|n}
--
if {b}:
    {new v} = {v}
else:
    {1} = {v}
--
if {b}:
    return {s}, {v}
--
for {index j} in range(4):
    if {b}:
        continue
    {body}
    if {b}:
        break
--
for {index i} in range(2):
    {body}
--
{S} {=|+=|-=} {s}
--
{S} = math.sin({s})
--
{V}[{j}] {=|+=|-=|*=} {s}
--
{V}[{j}] {=|+=|-=} {s}
--
{V}[{:2|2:|::2|::-2|1:3}] {=|+=|*=} {u|s}
--
{V}[:] = {v}
--
{V}[...] = {s}
--
{V}[{V} > {s}] = {s}
--
{V}[np.array([0, 2])] = {u}
--
{V}.fill({s})
--
{V}.sort()
--
{V} {+=|-=|*=} {v|s}
--
{M}[{i}] {=|+=|*=} {v|s}
--
{M}[:, {j}] {=|+=} {u|s}
--
{M}[{i}, {j}] {=|+=} {s}
--
{M} {+=|-=} {m|v|s}
--
{M}.T[{j}] = {u}
--
{M}[:, ::2] {=|+=} {u}
--
filled({V}, {v})
--
filled({V}[::-1], {v})
--
added({V}, {s})
--
added({M}[{i}], {s})
--
np.{sin|exp|negative}(0.5 * np.cos({v}), {V})
--
np.{add|multiply|maximum}({v}, {v}, {V})
--
np.dot({m}.T.copy(), {u}.copy(), {V}.copy())
--
{new v} = same({V})
{1}[{j}] = {s}
--
{new p} = paired({V})
{1}[{0|1}][{j}] = {s}
--
{new v} = picked({V}, {V}, {s})
{1} += {v}
--
{new s} = h0({s}, {v}, {V})
--
{new v} = h1({s}, {v}, {V})
{1}[{j}] += {s}
--
{new l} = []
{body}
{1}.append({s})
{1}.append({s})
--
for e in {L}:
    {V}[{j}] += {f}
--
assert {s} > -1e300
--
{new s} = {s}
{1} = {s}
{new s} = {1}
{1} += {s}
--
def closure{new k}(e):
    return {f}
{new s} = closure{1}({s})
""".split("\n--\n")
]
