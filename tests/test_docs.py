"""Every example of the documentation runs, and prints what the page says."""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Iterator
from doctest import ELLIPSIS, OutputChecker
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import dualgrad as dg
from dualgrad.compile.explain import _CAUSES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: what need not be there
OPTIONAL = {"dask", "jax", "torch"}
#: The fixture `gradcheck`; where dualgrad is not installed its entry point is not seen.
INSTALLED = bool(entry_points(group="pytest11", name="dualgrad"))
pytest_plugins = [] if INSTALLED else ["dualgrad.check.plugin"]


def examples(page: Path) -> Iterator[tuple[str, str]]:
    """Kind and text of each code block that is run, or says what was printed.

    The code has the line numbers that it has on the page, so that errors name the right ones.
    """
    text = page.read_text()
    for match in re.finditer(r"^```(python|text)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        kind, block = match.groups()
        lines = text.count("\n", 0, match.start(2)) if kind == "python" else 0
        yield kind, "\n" * lines + block


@pytest.mark.parametrize(
    "page", [it for it in PAGES if "\n```python\n" in it.read_text()], ids=lambda it: it.stem
)
def test_examples(
    page: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    blocks = [*examples(page)]
    code = "".join(block for kind, block in blocks if kind == "python")
    for module in OPTIONAL & set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)):
        pytest.importorskip(module)
    if '"cc"' in code and not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    names: dict[str, Any] = {"__name__": __name__}
    for kind, block in blocks:
        if kind == "python":
            exec(compile(block, page, "exec"), names)
        else:
            printed = capsys.readouterr().out
            assert OutputChecker().check_output(block, printed, ELLIPSIS), printed
    for name in [it for it in names if it.startswith("test_")]:  # a page may have tests, too
        fixtures = inspect.signature(names[name]).parameters
        names[name](**{it: request.getfixturevalue(it) for it in fixtures})
    assert capsys.readouterr().out == ""


def test_all_reasons_are_explained() -> None:
    """The page of errors has every reason and way out of `NotDifferentiable`."""
    page = (ROOT / "docs" / "limits.md").read_text()
    for _, reason, way_out in _CAUSES:
        row = " | ".join(re.sub(r"\{\w+\}", "...", it) for it in (reason, way_out))
        assert f"| {row} |" in page


def test_reference_has_every_public_name() -> None:
    page = (ROOT / "docs" / "reference.md").read_text()
    named = re.findall(r"^\.\. auto(?:function|class|exception):: (\w+)(?:\(\))?$", page, re.M)
    assert sorted(named) == dg.__all__
