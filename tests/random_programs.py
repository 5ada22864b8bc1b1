"""Random programs: what a grammar of Numba code makes of a seed, and how each is checked.

`python -m tests.random_programs --draws 2000 --seed 0` hunts: a program that fails is made as
short as it can be and written to `tests/failed_programs/`, whose files are tests from then on.
They are kept as text, so that the grammar may grow.
"""

from __future__ import annotations

import argparse
import ast
import collections
import concurrent.futures
import linecache
import multiprocessing
import random
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.core.errors import NumbaError

import dualgrad as dg
from tests import dualreference
from tests.complexstep import assert_same_bits
from tests.random_grammar import ATOMS, EXPRESSIONS, STATEMENTS

KEPT = Path(__file__).parent / "failed_programs"

# ------------------------------------------------------------------------------ the generator

_HOLE = re.compile(r"{([^{}]+)}")
_VECTORS = ("v", "u", "m")


class Writer:
    """Writes the body of a function; `scope` holds the names of its variables by kind."""

    def __init__(self, rng: random.Random, scope: dict[str, list[str]], avoid: str = "!") -> None:
        self.rng, self.scope, self.avoid = rng, scope, avoid
        self.names = self.level = 0

    def choose(self, templates: list[str]) -> str:
        return self.rng.choice([it for it in templates if not re.search(self.avoid, it)])

    def filled(self, template: str, depth: int) -> str:
        """A template with its holes filled, from left to right."""
        made: list[tuple[str, str]] = []

        def fill(match: re.Match[str]) -> str:
            hole = self.rng.choice(match[1].split("|"))
            if hole in ("a", "A"):
                hole = self.rng.choice(_VECTORS)
                hole = hole if match[1] == "a" else hole.upper()
            if hole.startswith(("new ", "index ")) and hole[-2] == " ":
                self.names += 1
                made.append((hole[-1], f"{hole[-1]}{self.names}"))
                return made[-1][1]
            if hole.isdigit() and match[1] == hole and 0 < int(hole) <= len(made):
                return made[int(hole) - 1][1]
            if hole.lower() in ATOMS:
                return self.target(hole.lower()) if hole.isupper() else self.value(hole, depth - 1)
            return hole

        text = _HOLE.sub(fill, template)
        for kind, name in made:
            self.scope.setdefault(kind, []).append(name)
        return text

    def value(self, kind: str, depth: int) -> str:
        """An expression of a kind."""
        if depth > 0 and kind in EXPRESSIONS:
            return f"({self.filled(self.choose(EXPRESSIONS[kind]), depth)})"
        names = self.scope.get(kind, []) * 3 + (self.scope.get("i", []) if kind in "jn" else [])
        return self.filled(self.choose(names + ATOMS[kind]), 0)

    def target(self, kind: str) -> str:
        """A variable that may be written to."""
        arguments = {"v": ["x[0]", "w"], "u": ["x[:, 1]"], "m": ["x"], "l": ["[0.5, 1.5]"]}
        return self.rng.choice(self.scope.get(kind, []) * 2 + arguments.get(kind, [f"{kind}0"]))

    def block(self, length: int, returns: str, indent: str) -> Iterator[str]:
        """Statements, with a scope of their own."""
        outside, self.scope = self.scope, {kind: list(it) for kind, it in self.scope.items()}
        self.level += 1
        for _ in range(length):
            template = self.choose(STATEMENTS)
            while self.level > 3 and "{body}" in template:
                template = self.choose(STATEMENTS)
            depth = self.rng.randint(1, 3)
            lines = template.replace("return {s}, {v}", f"return {returns}")
            yield from self.statement(lines, depth, returns, indent)
        self.level -= 1
        if self.level > 0:
            self.scope = outside
        else:
            yield indent + self.filled(f"return {returns}", 2)

    def statement(self, template: str, depth: int, returns: str, indent: str) -> Iterator[str]:
        """The lines of one template; a body is written in between."""
        whole = template.replace("{body}", "<body>")
        for line in self.filled(whole, depth).split("\n"):
            if line.strip() == "<body>":
                deeper = indent + line[: line.index("<")]
                yield from self.block(self.rng.randint(1, 2), returns, deeper)
            else:
                yield indent + line


_HEAD = """import math

import numpy as np
from numba import njit

from tests.random_helpers import (
    added, applied, ebb, filled, flow, halved, head, inner, paired, picked, power, same, scaled,
    swapped, total,
)  # fmt: skip
"""


def program(seed: int) -> str:
    """The source of the program of a seed: helpers, `f(x, w)`, and how `x` is given."""
    rng = random.Random(seed)
    layout = rng.choice(["C"] * 4 + ["F", "F", "strided", "float32"])
    parts = [_HEAD.strip()]
    local = {"s": ["a", "a", "s0"], "v": ["b", "out"]}
    for name, returns in (("g0", "{s}"), ("h1", "{v}"), ("h0", "{s}")):
        callees = {"g0": r"[gh][01]\(", "h1": r"h[01]\(", "h0": r"h0\("}[name]
        if name == "g0":
            writer = Writer(rng, {"s": ["a", "c", "s0"]}, callees)
            head = ["def g0(a, c):", "    b = np.array([a, 0.5, c, a * c])", "    out = b * 0.5"]
        else:
            writer, head = Writer(rng, dict(local), callees), [f"def {name}(a, b, out):"]
        head += ["    x = np.vstack((b, out))", "    w = b", "    s0 = 0.5 * a"]
        parts.append("\n".join(["@njit", *head, *writer.block(rng.randint(1, 3), returns, "    ")]))
    writer = Writer(rng, {"s": ["s0"]})
    lines = ["def f(x, w):", "    s0 = x[1, 2]"]
    parts.append("\n".join([*lines, *writer.block(rng.randint(4, 10), "{s}, {v}", "    ")]))
    parts.append(f"LAYOUT, ORDER = {layout!r}, {_order(rng, layout)}")
    return "\n\n\n".join(parts) + "\n"


def _order(rng: random.Random, layout: str) -> int:
    return 2 if layout == "C" and rng.random() < 0.15 else 1


# ---------------------------------------------------------------------------------- the check


class Outcome(NamedTuple):
    """How a program fared: "ok", why nothing is known, or what is wrong."""

    kind: str
    detail: str = ""

    @property
    def wrong(self) -> bool:
        return self.kind.startswith("wrong")


def points(layout: str, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Where a program is run: `x` and `w`."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        x, w = np.round(rng.normal(0.0, 0.8, (2, 4)), 3), np.round(rng.normal(0.0, 0.8, 4), 3)
        if seed == 2:
            x[0, 1] = x[1, 3] = 0.0
        if layout == "float32":
            x, w = x.astype(np.float32), w.astype(np.float32)
        elif layout == "strided":
            wide = np.zeros((2, 8))
            wide[:, 1::2] = x
            x = wide[:, 1::2]
        else:
            x = np.array(x, order=layout)  # type: ignore[call-overload]
        yield x, w


def outcome(source: str, count: int = 3) -> Outcome:
    """Run a program at so many points in Numba, in the engine and in the reference, and compare."""
    names: dict[str, Any] = {}
    filename = f"<random program {hash(source)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(compile(source, filename, "exec"), names)
    f, layout = names["f"], names["LAYOUT"]
    primal, transform = njit(f), dg.value_and_jacobian(f, chunk=3)
    found = collections.Counter[str]()
    for x, w in points(layout, count):
        try:
            want = primal(x.copy(order="K") if layout in "CF" else _like(x), w.copy())
        except NumbaError as error:
            return Outcome("not for Numba", str(error))
        except Exception as error:
            try:
                transform(x, w)
            except type(error):
                found[f"raises {error!r}"] += 1
                continue
            except Exception as other:
                return Outcome("wrong error", f"{other!r} where Numba raises {error!r}")
            return Outcome("wrong error", f"nothing where Numba raises {error!r}")
        before = x.copy(), w.copy()
        try:
            values, derivatives = transform(x, w)
        except dg.NotDifferentiable as error:
            return Outcome("wrong refusal", str(error))
        except Exception as error:
            return Outcome(f"wrong {type(error).__name__}", str(error))
        try:
            assert_same_bits(x, before[0])
            assert_same_bits(w, before[1])
        except AssertionError as error:
            return Outcome("wrong write", str(error))
        try:
            for got, value in zip(values, want, strict=True):
                assert_same_bits(got, value)
        except AssertionError as error:
            return Outcome("wrong value", str(error))
        if layout == "float32":  # the reference computes in doubles: it knows no rounding
            continue
        known = _compare(f, x, w, want, derivatives)
        if known.kind == "ok" and names["ORDER"] == 2:
            known = _compare_second(f, primal, x, w)
        if known.wrong:
            return known
        found[known.kind] += 1
    return Outcome(found.most_common(1)[0][0] if found else "ok")


def _like(x: np.ndarray) -> np.ndarray:
    """A copy with the strides of `x`."""
    if x.flags.c_contiguous:
        return x.copy()
    wide = np.zeros((2, 8))
    wide[:, 1::2] = x
    return wide[:, 1::2]


def _references(f: Any, x: np.ndarray, v: np.ndarray, w: np.ndarray, order: int) -> Any:
    """The outputs, their derivatives along `v`, and how exactly these are known."""
    exact = dualreference.slopes(f, x, v, w, order=order)
    moved = dualreference.slopes(f, x * (1.0 + 1e-13), v, w, order=order)
    return [
        (value, slope, 10.0 * np.abs(slope - near) + 1e-9 * (1.0 + np.abs(slope)))
        for (value, slope), (_, near) in zip(exact, moved, strict=True)
    ]


def _compare(f: Any, x: np.ndarray, w: np.ndarray, want: Any, derivatives: Any) -> Outcome:
    found = []
    for index in np.ndindex(x.shape):
        v = np.zeros(x.shape)
        v[index] = 1.0
        try:
            references = _references(f, x, v, w, 1)
        except dualreference.Kink:
            return Outcome("kink")
        except ArithmeticError as error:
            return Outcome("arithmetic", repr(error))
        except Exception as error:
            return Outcome(f"reference: {error!r}"[:80])
        found.append((index, references))
    for index, references in found:
        for value, derivative, (known, slope, error) in zip(
            want, derivatives, references, strict=True
        ):
            if np.shape(known) != np.shape(value) or not np.allclose(known, value, 1e-9, 1e-9):
                return Outcome("Python differs")
            got = np.asarray(derivative)[(..., *index)]
            if not np.all(np.isfinite(slope)) or np.max(error, initial=0.0) > 1e-3:
                return Outcome("ill-conditioned")
            if not np.all(np.abs(got - slope) <= error):
                return Outcome("wrong derivative", f"by x{index}: {got} where {slope} is right")
    return Outcome("ok")


def _compare_second(f: Any, primal: Any, x: np.ndarray, w: np.ndarray) -> Outcome:
    """The second derivative along a line."""

    def along(t: float, x: np.ndarray, v: np.ndarray, w: np.ndarray) -> Any:
        return primal(x + t * v, w)

    v = np.linspace(-1.0, 0.7, x.size).reshape(x.shape)
    try:
        references = _references(f, x, v, w, 2)
    except (dualreference.Kink, ArithmeticError):
        return Outcome("kink")
    except Exception as error:
        return Outcome(f"reference: {error!r}"[:80])
    try:
        derivatives = dg.derivative(dg.derivative(along))(0.0, x, v, w)
    except Exception as error:
        return Outcome(f"wrong nested {type(error).__name__}", str(error))
    for got, (_, slope, error) in zip(derivatives, references, strict=True):
        if not np.all(np.isfinite(slope)) or np.max(error, initial=0.0) > 1e-2:
            return Outcome("ill-conditioned")
        if not np.all(np.abs(got - slope) <= 1e2 * error):
            return Outcome("wrong second derivative", f"{got} where {slope} is right")
    return Outcome("ok")


# ----------------------------------------------------------------------------------- the hunt


def shorter(source: str, fails: Callable[[str], bool], tries: int = 120) -> str:
    """A program, made as short as it can be while it fails as it does."""
    candidates = _simpler(source)
    for _, candidate in zip(range(tries), candidates, strict=False):
        if fails(candidate):
            return shorter(candidate, fails, tries - 1)
    return source


def _simpler(source: str) -> Iterator[str]:
    """The program with one statement less, or with part of an expression in its place."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    choices: list[tuple[ast.AST, list[Any]]] = [
        (node, [[], getattr(node, "body", [])]) for node in nodes if isinstance(node, ast.stmt)
    ]
    for node in nodes:
        if isinstance(node, (ast.Call, ast.BinOp, ast.IfExp, ast.Subscript, ast.UnaryOp)):
            parts = [it for it in ast.iter_child_nodes(node) if isinstance(it, ast.expr)]
            choices.append((node, [ast.Name("s0"), *parts]))
    for node, replacements in choices:
        for by in replacements:
            new = _replaced(tree, node, by)
            yield ast.unparse(ast.fix_missing_locations(new)) + "\n"


def _replaced(value: Any, node: ast.AST, by: Any) -> Any:
    """A copy of a syntax tree with something else in the place of one node."""
    if value is node:
        return by
    if isinstance(value, list):
        items = [_replaced(item, node, by) for item in value]
        return [it for item in items for it in (item if isinstance(item, list) else [item])]
    if isinstance(value, ast.AST):
        fields = {name: _replaced(it, node, by) for name, it in ast.iter_fields(value)}
        return type(value)(**fields)
    return value


def _hunted(seed: int, count: int) -> tuple[int, Outcome, str]:
    """The outcome of a seed, and its program, short if it fails."""
    warnings.simplefilter("ignore")
    source = program(seed)
    first = outcome(source, count)
    if not first.wrong:
        return seed, first, source

    def fails(candidate: str) -> bool:
        try:
            return outcome(candidate, count).kind == first.kind
        except Exception:
            return False

    return seed, first, shorter(source, fails)


def kept(found: Outcome, source: str) -> str:
    """What is written to a file: a program says at its top how it failed."""
    return f"# ruff: noqa\n# {found.kind}\n{source}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=10, help="where each program is run")
    parser.add_argument("--keep", type=Path, default=KEPT, help="where failed programs are written")
    options = parser.parse_args()
    kinds = collections.Counter[str]()
    seeds = range(options.seed, options.seed + options.draws)
    for start in seeds[::25]:  # compiled functions are never freed: a process lives for a few
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
            try:
                some = range(start, min(start + 25, seeds.stop))
                for seed, found, source in pool.map(_hunted, some, [options.points] * len(some)):
                    kinds[found.kind] += 1
                    if found.kind not in ("ok", "kink"):
                        print(seed, found.kind, found.detail[:500], flush=True)
                    if found.wrong:
                        options.keep.mkdir(exist_ok=True)
                        name = f"{zlib.crc32(source.encode()):08x}.py"
                        (options.keep / name).write_text(kept(found, source))
            except concurrent.futures.process.BrokenProcessPool:
                kinds["crash"] += 1
                print(f"a crash among the seeds from {start} on", flush=True)
    print(*kinds.most_common(), sep="\n")


if __name__ == "__main__":
    main()
