"""The picture of a report."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.check.compare import score
from dualgrad.check.report import CheckReport

STEPS = 2.0 ** -np.arange(2, 46)


def figure(report: CheckReport) -> Any:
    """The scores, and the central differences of the worst entry where they can be had."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "dualgrad[plot]"') from error

    drawing = Figure(figsize=(10, 4), layout="constrained")
    left, right = drawing.subplots(1, 2)
    _scores(report, left)
    _differences(report, right)
    drawing.suptitle(str(report).splitlines()[0])
    return drawing


def _scores(report: CheckReport, axes: Any) -> None:
    scores = score(report.given, report.reference)
    if scores.ndim >= 2:
        image = axes.imshow(
            np.log10(np.maximum(scores, 1e-17)).reshape(scores.shape[0], -1),
            vmin=-17, vmax=0, aspect="auto", interpolation="nearest",
        )  # fmt: skip
        axes.figure.colorbar(image, ax=axes, label="log10 of the score")
        axes.set(xlabel="column", ylabel="row")
        axes.locator_params(integer=True)
    else:
        axes.semilogy(np.maximum(np.atleast_1d(scores), 1e-17), "o")
        axes.set(xlabel="entry", ylabel="score")
        axes.locator_params(axis="x", integer=True)


def _differences(report: CheckReport, axes: Any) -> None:
    if report.worst is None or report.difference is None:
        axes.set_axis_off()
        return
    entry, near = report.worst, report.difference
    with np.errstate(all="ignore"):
        errors = [abs(near(entry.index, step) - entry.reference) for step in STEPS]
    claim = abs(entry.given - entry.reference)
    least = 1e-17 * max(1.0, abs(entry.reference))  # where zero is drawn
    axes.loglog(STEPS, np.maximum(errors, least), ".-", label="central difference")
    axes.axhline(max(claim, least), color="C3", linestyle="--", label="the given value")
    axes.set(xlabel="step, relative to the point", ylabel="distance from the reference")
    axes.set_title(f"entry {entry.index}")
    axes.legend()
