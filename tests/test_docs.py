"""The examples of the documentation print what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", ["callbacks", "dask", "scipy"])
def test_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name == "dask":
        pytest.importorskip("dask.array")
    text = (DOCS / f"{name}.md").read_text()
    blocks = re.findall(r"^```(python|text)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    names = {"__name__": __name__}
    for kind, block in blocks:
        if kind == "python":
            exec(compile(block, f"{name}.md", "exec"), names)
        else:
            assert capsys.readouterr().out == block
    assert capsys.readouterr().out == ""
