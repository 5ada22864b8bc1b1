"""The examples of the documentation print what they say."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


NAMES = [
    "callbacks", "checking", "checking_c", "checking_jax", "checking_scipy", "checking_torch",
    "dask", "mathematics", "scipy", "sparse",
]  # fmt: skip
#: modules that need not be there
NEEDS = {"dask": "dask.array", "checking_jax": "jax", "checking_torch": "torch"}


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    if name == "checking_c" and not shutil.which("cc"):
        pytest.skip("there is no C compiler")
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
