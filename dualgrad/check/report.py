"""What a check found, and how it reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Entry:
    """One entry of a derivative, given and as it should be."""

    index: tuple[int, ...]
    given: complex
    reference: complex
    score: float  # |a - b| / max(1, |a| + |b|)


class Remark(NamedTuple):
    """What is to be said beyond the numbers; `fails` where the derivative is wrong for it."""

    topic: str
    text: str
    fails: bool = False

    def __str__(self) -> str:
        return f"{self.topic}: {self.text}"


#: How many entries a printed report shows.
SHOWN = 8


@dataclass(frozen=True, eq=False)
class CheckReport:
    """The result of a check.

    Attributes
    ----------
    ok : bool
        Whether nothing is wrong.
    bad : list of Entry
        The entries that are wrong, the worst first; each has `index` (a tuple counted from 0),
        `given`, `reference` and `score`, which is ``|a - b| / max(1, |a| + |b|)``.
    worst : Entry or None
        The first of them, or the entry with the highest score if none is wrong; None if there
        are no entries to compare.
    method : str
        What the reference was computed by: "dual", "complex-step" or "finite-difference".
    error_estimate : float
        The largest estimated error of the reference, on the scale of the scores.
    remarks : list of Remark
        What there is beyond the numbers: each has `topic`, `text` and `fails`.
    guess : str
        What the mistake might be, or nothing.
    given, reference, error : ndarray
        The derivative under test, the reference, and the estimated error of its entries.
    """

    name: str
    method: str
    given: np.ndarray
    reference: np.ndarray
    error: np.ndarray
    bad: list[Entry]
    worst: Entry | None
    error_estimate: float
    remarks: list[Remark]
    guess: str = ""
    #: an entry by a plain central difference, its step relative to the scale of the point
    difference: Callable[[tuple[int, ...], float], complex] | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.bad and not any(remark.fails for remark in self.remarks)

    def __str__(self) -> str:
        if self.ok:
            verdict = "right"
        elif self.bad:
            verdict = f"WRONG in {len(self.bad)} of {self.reference.size} entries"
        else:
            verdict = "WRONG"
        head = f"{self.name}: {verdict} (reference: {self.method}"
        digits = math.ceil(math.log10(max(self.error_estimate, 1e-16)))
        lines = [f"{head}, error below 1e{digits:+03d})"]
        entries = self.bad[:SHOWN] or ([self.worst] if self.worst else [])
        if entries:
            lines += _table(entries)
        if len(self.bad) > SHOWN:
            lines.append(f"  and {len(self.bad) - SHOWN} more")
        if self.guess:
            lines.append(f"a guess: {self.guess}")
        return "\n".join(lines + list(map(str, self.remarks)))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain Python objects, complex numbers as pairs: what JSON can hold.

        Examples
        --------
        >>> import dualgrad as dg
        >>> dg.check_derivative(lambda x: x**2, lambda x: 2 * x, 3.0).to_dict()["ok"]
        True
        """

        def plain(entry: Entry) -> dict[str, Any]:
            return {
                "index": list(entry.index),
                "given": _plain(entry.given),
                "reference": _plain(entry.reference),
                "score": entry.score,
            }

        return {
            "name": self.name,
            "ok": self.ok,
            "method": self.method,
            "error_estimate": self.error_estimate,
            "worst": plain(self.worst) if self.worst else None,
            "bad": list(map(plain, self.bad)),
            "guess": self.guess,
            "remarks": [remark._asdict() for remark in self.remarks],
        }

    def plot(self) -> Any:
        """Draw the score of each entry, and how differences come near the worst one.

        The second picture has the distance of central differences from the reference against
        their step, and where the given value lies: one that is right lies below the curve.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            Without matplotlib: ``pip install "dualgrad[plot]"``.
        """
        from dualgrad.check.plot import figure

        return figure(self)


class DerivativeMismatch(AssertionError):
    """A derivative is wrong; `report` tells where."""

    def __init__(self, report: CheckReport) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        return str(self.report)


def _table(entries: list[Entry]) -> list[str]:
    rows = [("index", "given", "reference", "score")]
    for entry in entries:
        rows.append((str(entry.index), *_pair(entry.given, entry.reference), f"{entry.score:.1e}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _pair(given: complex, reference: complex) -> tuple[str, str]:
    """Two numbers in as many digits as tell them apart, and no fewer than six."""
    for digits in (6, 9, 12, 15):
        pair = f"{given:.{digits}g}", f"{reference:.{digits}g}"
        if pair[0] != pair[1]:
            break
    else:
        pair = f"{given:.6g}", f"{reference:.6g}"
    return pair


def _plain(number: complex) -> Any:
    number = complex(number)
    return number.real if number.imag == 0 else [number.real, number.imag]
