"""The subcommand `check` of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from dualgrad.check.kinds import CHECKS, kind_of
from dualgrad.check.problem import as_point
from dualgrad.check.references import METHODS


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the check is told beyond the functions and the point."""
    parser.add_argument("--kind", choices=CHECKS, help="by default told from the shapes")
    parser.add_argument("--method", choices=("auto", *METHODS), default="auto")
    parser.add_argument("--fast", action="store_true", help="random directions, a Taylor test")
    parser.add_argument("--rtol", type=float, help="the relative error that is no mistake")


def run(f: Callable[..., Any], given: Any, args: list[Any], options: argparse.Namespace) -> int:
    """Print the report; the status is 0 where the derivative is right, and 1 where it is wrong."""
    x = as_point(args[0])
    kind = options.kind or kind_of(f, given, x, tuple(args[1:]))
    mode = {"mode": "fast"} if options.fast and kind != "derivative" else {}
    report = CHECKS[kind](
        f, given, x, *args[1:], method=options.method, rtol=options.rtol, raises=False, **mode
    )
    print(report)
    return 0 if report.ok else 1
