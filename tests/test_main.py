"""The command line and the demonstration it gives."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dualgrad as dg
from dualgrad.__main__ import main, read_number
from dualgrad.demo import article, thurber, timing

README = Path(__file__).parents[1] / "README.md"

SOURCE = """\
import numpy as np
from numba import njit
from neighbour import TWO

@njit
def cube(x):
    return x**3

def pair(x):
    return np.array([x[0] * x[1], x[0] ** TWO])

def article(x, y):
    return np.array([3 * x**2 * y, TWO * x + y**8])

def square_sum(a):
    return np.sum(a * a)

def power(x, n):
    y = 1.0
    for _ in range(n):
        y *= x
    return y

def scaled(w, table):
    return w * table

def raises(x):
    return 1 / (x - x)

not_a_function = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a user's file, its neighbour, and points kept in files."""
    folder = tmp_path_factory.mktemp("main")
    (folder / "model.py").write_text(SOURCE)
    (folder / "neighbour.py").write_text("TWO = 2\n")
    (folder / "broken.py").write_text("def f(x:\n")
    (folder / "notes.txt").write_text("no program\n")
    (folder / "text.csv").write_text("a,b\n")
    (folder / "one.csv").write_text("1.5\n")
    (folder / "row.csv").write_text("1,2.5\n")
    (folder / "matrix.csv").write_text("1,2\n3,4\n")
    np.save(folder / "row.npy", [1.0, 2.5])
    return folder


def run(folder: Path, words: str) -> list[str]:
    """The words of a command, with the folder put in front of what names a file."""
    return [re.sub(r"^@", f"{folder}/", word) for word in words.split()]


RIGHT = {
    "derivative @model.py:cube --at 2":                         [12.0],
    "derivative @model.py:cube --at 2.0":                       [12.0],
    "derivative @model.py:cube --at -0.5":                      [0.75],
    "derivative @model.py:cube --at=-0.5":                      [0.75],
    "derivative @model.py:cube --at inf":                       [np.inf],
    "grad @model.py:square_sum --at 1,2.5":                     [[2.0, 5.0]],
    "grad @model.py:square_sum --at -1,2":                      [[-2.0, 4.0]],
    "grad @model.py:square_sum --at 1.5,":                      [[3.0]],
    "grad @model.py:square_sum --at [1.5]":                     [[3.0]],
    "derivative @model.py:cube --at -inf":                      [np.inf],
    "derivative @model.py:cube --at nan":                       [np.nan],
    "grad @model.py:square_sum --at [[1,2],[3,4]]":             [[[2.0, 4.0], [6.0, 8.0]]],
    "grad @model.py:square_sum --at @matrix.csv":               [[[2.0, 4.0], [6.0, 8.0]]],
    "grad @model.py:square_sum --at @one.csv":                  [[3.0]],
    "jacobian @model.py:pair --at 1,2.5":                       [[[2.5, 1.0], [2.0, 0.0]]],
    "jacobian @model.py:pair --at @row.csv":                    [[[2.5, 1.0], [2.0, 0.0]]],
    "jacobian @model.py:pair --at @row.npy":                    [[[2.5, 1.0], [2.0, 0.0]]],
    "jacobian @model.py:article --at 2 --at 1 --argnums 0,1":   [[12.0, 2.0], [12.0, 8.0]],
    "jacobian @model.py:article --at 2 --at -1 --argnums 1":    [[12.0, -8.0]],
    "derivative @model.py:power --at 2 --at 3":                 [12.0],
    "jacobian @model.py:scaled --at 1,2 --at [3,4]":            [[[3.0, 0.0], [0.0, 4.0]]],
}  # fmt: skip


@pytest.mark.parametrize("words", RIGHT)
def test_prints_the_derivative(
    words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(run(folder, words)) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    text = re.sub(r"\binf\b", "1e999", printed.out).replace("nan", "None")
    # Each part begins in the first column; the further rows of a matrix are indented.
    parts = re.split(r"\n(?=\S)", text.strip())
    for part, expected in zip(parts, RIGHT[words], strict=True):
        got = np.array(ast.literal_eval(part), float)
        np.testing.assert_array_equal(got, np.array(expected), strict=True)


READ = {
    "3":               3,
    "-3.0":            -3.0,
    "True":            True,
    "-inf":            -np.inf,
    "[-inf,nan,pi]":   np.array([-np.inf, np.nan, np.pi]),
    "1,-2":            np.array([1, -2]),
    "[1,2.5]":         np.array([1.0, 2.5]),
    "[]":              np.array([]),
    " (1.5,) ":        np.array([1.5]),
}  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_a_point_is_read_as_python_would(text: str) -> None:
    got = read_number(text)
    assert type(got) is type(READ[text])
    np.testing.assert_array_equal(got, READ[text], strict=True)


WRONG = {
    "grad @model.py --at 1":                          "names no function; write FILE.py:FUNCTION",
    "grad @nothing.py:f --at 1":                      "there is no file",
    "grad @model.py:cubed --at 1":                    "it has: cube, pair, article",
    "grad @model.py:not_a_function --at 1":           "has no function 'not_a_function'",
    "grad @notes.txt:f --at 1":                       "is not a Python file",
    "grad @broken.py:f --at 1":                       "broken.py does not run: SyntaxError",
    "grad @model.py:cube --at two":                   "'two' is no number",
    "grad @model.py:cube --at 1,,2":                  "'1,,2' is no number",
    "grad @model.py:cube --at [[1,2],[3]]":           "is no number, array of numbers",
    "grad @model.py:cube --at 'one'":                 "is no number and no array of numbers",
    "grad @model.py:cube --at ['one']":               "is no number and no array of numbers",
    "grad @model.py:cube --at @nothing.npy":          "No such file",
    "grad @model.py:cube --at @nothing.csv":          "nothing.csv",
    "grad @model.py:cube --at @text.csv":             "text.csv' is no number",
    "grad @model.py:cube --at 1 --argnums x":         "--argnums takes whole numbers",
    "grad @model.py:article --at 1":                  "missing a required argument: 'y'",
    "grad @model.py:cube --at 1 --at 2":              "too many positional arguments",
    "grad @model.py:article --at 1 --at 2":           "jacobian",
    "derivative @model.py:cube --at 1 --argnums 1":   "argnums",
    "derivative @model.py:cube --at 1j":              "complex",
    "derivative @model.py:raises --at 1":             "ZeroDivisionError",
}  # fmt: skip


@pytest.mark.parametrize("words", WRONG)
def test_wrong_input_is_said_on_one_line(
    words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(run(folder, words)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("dualgrad: ")
    assert WRONG[words] in printed.err


@pytest.mark.parametrize("words", ["integrate f.py:f --at 1", "grad f.py:f", "grad --at 1"])
def test_wrong_usage_is_told_by_the_parser(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    assert stop.value.code == 2
    assert "usage: python -m dualgrad" in capsys.readouterr().err


def test_what_has_no_derivative_is_said_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(f: object, argnums: object) -> object:
        raise dg.NotDifferentiable("sets have no derivative\n  model.py, line 3\n  use an array")

    monkeypatch.setattr(dg, "grad", refuse)
    (tmp_path / "model.py").write_text("def f(x): return x\n")
    assert main(["grad", f"{tmp_path}/model.py:f", "--at", "1"]) == 2
    assert capsys.readouterr().err == (
        "dualgrad: NotDifferentiable: sets have no derivative model.py, line 3 use an array\n"
    )


def test_an_array_is_printed_whole_and_exactly(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(0).normal(size=3000)
    np.save(folder / "long.npy", x)
    assert main(run(folder, "grad @model.py:square_sum --at @long.npy")) == 0
    np.testing.assert_array_equal(ast.literal_eval(capsys.readouterr().out), 2 * x)


def test_runs_as_a_program() -> None:
    words = [sys.executable, "-m", "dualgrad", "grad", "nothing.py:f", "--at", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dualgrad: there is no file 'nothing.py'\n"


# ------------------------------------------------------------------------ the demonstration


def test_demo_shows_its_three_sections(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"^---+$", out, re.MULTILINE)) == 3
    assert max(map(len, out.splitlines())) <= 120


def test_article_derivatives_are_their_closed_forms() -> None:
    found = list(article.derivatives())
    assert len(found) == 5
    for name, _, computed, closed in found:
        np.testing.assert_allclose(computed, closed, rtol=1e-15, err_msg=name, strict=True)


@pytest.mark.parametrize("start", [thurber.START1, thurber.START2], ids=["start1", "start2"])
def test_thurber_fit_is_the_certified_one(start: np.ndarray) -> None:
    fit = thurber.fit(start, dg.jacobian(thurber.residuals))
    np.testing.assert_allclose(fit.parameters, thurber.CERTIFIED, rtol=2e-10)
    np.testing.assert_allclose(fit.deviations, thurber.CERTIFIED_DEVIATIONS, rtol=2e-10)
    np.testing.assert_allclose(fit.sum_of_squares, thurber.CERTIFIED_SUM_OF_SQUARES, rtol=2e-11)


@pytest.mark.parametrize("case", timing.cases(), ids=lambda case: case.name)
def test_timed_derivatives_are_their_closed_forms(case: timing.Case) -> None:
    exact = case.closed_form(*case.args)
    got = case.transform(case.f)(*case.args)
    np.testing.assert_allclose(got, exact, rtol=1e-11, atol=1e-12 * np.max(np.abs(exact)))


def test_readme_example_prints_what_it_says() -> None:
    code, output = re.findall(r"```(?:python|text)\n(.*?)```", README.read_text(), re.DOTALL)[:2]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(README), "exec"), {"__name__": "readme"})
    assert printed.getvalue() == output


def test_what_is_imported_when_it_is_asked_for() -> None:
    """Names of `__all__` are there, and only what is used is imported."""
    lines = [
        "import sys, dualgrad as dg",
        "assert not {'dualgrad.sparse', 'dualgrad.check'} & {*sys.modules}",
        "assert not {'dualgrad.compile.clone', 'numba.np.arraymath'} & {*sys.modules}",
        "assert all(hasattr(dg, name) and name in dir(dg) for name in dg.__all__)",
        "assert not hasattr(dg, 'nothing')",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_what_a_first_call_does_not_import(tmp_path) -> None:
    """What takes longer to import than code from disk to run; compiled at first, then from disk."""
    lines = [
        "import sys, numpy as np, dualgrad as dg",
        "assert (dg.grad(lambda x: x[0] * x[1])(np.array([1.0, 2.0])) == [2.0, 1.0]).all()",
        "assert not {'scipy.linalg', 'numpy.ma'} & {*sys.modules}",
        "assert (dg.grad(lambda x: np.vdot(x, x))(np.array([1.0, 2.0])) == [2.0, 4.0]).all()",
    ]
    for _ in range(2):
        environment = {**os.environ, "DUALGRAD_CACHE_DIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, env=environment)
