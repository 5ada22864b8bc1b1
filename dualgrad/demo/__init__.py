"""What `python -m dualgrad` shows when it is given nothing to do: the main job, on real input."""

from __future__ import annotations

from collections.abc import Iterator

from dualgrad.demo import article, thurber, timing


def report() -> Iterator[str]:
    """The sections, each ready to be printed as soon as it is there."""
    for section in (article, thurber, timing):
        yield section.report()
