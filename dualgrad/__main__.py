"""The command line: `python -m dualgrad` shows the main job, a subcommand does it on a file."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import dualgrad as dg

POINT_HELP = """\
the point: once for each argument of the function, as Python would write it; 1.5 is a number,
1,2.5 an array, [1.5] an array of one, [[1,2],[3,4]] a matrix, data.npy and data.csv are read from
the file. What is differentiated is made floating-point; other whole numbers stay whole."""


class Failure(Exception):
    """What the user should read, on one line, instead of a traceback."""


# ------------------------------------------------------------------------ reading the arguments


def read_function(spec: str) -> Callable[..., Any]:
    """The function named by `FILE.py:FUNCTION`."""
    path, _, name = spec.rpartition(":")
    if not path or not name:
        raise Failure(f"{spec!r} names no function; write FILE.py:FUNCTION")
    if not Path(path).is_file():
        raise Failure(f"there is no file {path!r}")
    # A name of its own, or a file called `signal.py` would stand in for Python's own module.
    module_spec = importlib.util.spec_from_file_location(f"dualgrad_file_{Path(path).stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise Failure(f"{path!r} is not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module
    sys.path.insert(0, str(Path(path).resolve().parent))  # its own imports, as for `python FILE.py`
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise Failure(f"{path} does not run: {describe(error)}") from error
    function = getattr(module, name, None)
    if not callable(function):
        own = [
            key
            for key, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        ]
        raise Failure(f"{path} has no function {name!r}; it has: {', '.join(own) or 'none'}")
    return function


class _Names(ast.NodeTransformer):
    """inf, nan and pi, which are numbers to people and names to Python's grammar."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = {"inf": math.inf, "nan": math.nan, "pi": math.pi}.get(node.id)
        return node if value is None else ast.Constant(value)


def read_number(text: str) -> Any:
    """A number, or an array of numbers, as `--at` takes it.

    The point may also stand in a file: `.npy` as NumPy writes it, `.csv` with commas.
    """
    try:
        if text.endswith(".npy"):
            return np.load(text)
        if text.endswith(".csv"):
            return np.loadtxt(text, delimiter=",", ndmin=1)
        value = ast.literal_eval(_Names().visit(ast.parse(text.strip(), mode="eval")).body)
        number = value if isinstance(value, (bool, int, float, complex)) else np.array(value)
    except OSError as error:
        raise Failure(f"cannot read {text!r}: {error.strerror}") from error
    except (EOFError, SyntaxError, ValueError) as error:
        raise Failure(f"{text!r} is no number, array of numbers, .npy or .csv file") from error
    if np.asarray(number).dtype.kind not in "biufc":
        raise Failure(f"{text!r} is no number and no array of numbers")
    return number


def read_argnums(text: str) -> int | tuple[int, ...]:
    """One whole number, or several with commas between."""
    try:
        numbers = tuple(map(int, text.split(",")))
    except ValueError as error:
        raise Failure(f"--argnums takes whole numbers such as 0 or 0,1, not {text!r}") from error
    return numbers if "," in text else numbers[0]


# ------------------------------------------------------------------------------ the subcommands


def add_point(parser: argparse.ArgumentParser) -> None:
    """What every command that differentiates at a point is told."""
    parser.add_argument("function", metavar="FILE.py:FUNCTION", help="compiled by Numba or plain")
    parser.add_argument("--at", metavar="X", action="append", required=True, help=POINT_HELP)
    parser.add_argument("--argnums", metavar="N", default="0", help="counted from 0; or 0,2")


def read_call(options: argparse.Namespace) -> tuple[Callable[..., Any], list[Any]]:
    """The function and its arguments."""
    function = read_function(options.function)
    args = [read_number(text) for text in options.at]
    try:
        inspect.signature(function).bind(*args)
    except TypeError as error:
        hint = "give --at once for each argument"
        raise Failure(f"{options.function}, {len(args)} times --at: {error}; {hint}") from error
    return function, args


def differentiate(options: argparse.Namespace) -> int:
    """Print the derivative that `options.command` names."""
    function, args = read_call(options)
    argnums = read_argnums(options.argnums)
    for i in np.atleast_1d(argnums):
        if -len(args) <= i < len(args) and np.asarray(args[i]).dtype.kind in "biu":
            args[i] = np.asarray(args[i], float) if np.ndim(args[i]) else float(args[i])
    result = getattr(dg, options.command)(function, argnums=argnums)(*args)
    for part in result if isinstance(result, tuple) else (result,):
        print(show(part))
    return 0


def show(result: Any) -> str:
    """All entries, each in the shortest digits that say exactly which number it is."""
    if isinstance(result, tuple):
        return "\n".join(map(show, result))
    return np.array2string(
        np.asarray(result),
        separator=", ",
        floatmode="unique",
        threshold=sys.maxsize,
        max_line_width=sys.maxsize,
    )


def add_check(parser: argparse.ArgumentParser) -> None:
    """What `check` is told."""
    from dualgrad.check.command import add_options

    parser.add_argument("function", metavar="FILE.py:FUNCTION", help="of any kind")
    parser.add_argument("derivative", metavar="FILE.py:DERIVATIVE", help="of the same arguments")
    parser.add_argument("--at", metavar="X", action="append", required=True, help=POINT_HELP)
    add_options(parser)


def check(options: argparse.Namespace) -> int:
    """Check the derivative of a function."""
    from dualgrad.check.command import run

    if options.kind in ("jvp", "vjp"):  # the second --at is the vector
        function = read_function(options.function)
        args = [read_number(text) for text in options.at]
    else:
        function, args = read_call(options)
    return run(function, read_function(options.derivative), args, options)


class Command(NamedTuple):
    """A subcommand: what it does in a line, what it is told, and how it is done."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]  # the exit status


COMMANDS = {
    "derivative": Command("of a function of one number", add_point, differentiate),
    "grad": Command("the gradient of a function that returns one number", add_point, differentiate),
    "jacobian": Command("of a function that returns an array", add_point, differentiate),
    "check": Command("whether a derivative is right: 0 if so, 1 if not", add_check, check),
}

# --------------------------------------------------------------------------------- the program


def describe(error: Exception) -> str:
    """An exception on one line, whatever it holds."""
    return ": ".join(filter(None, [type(error).__name__, " ".join(str(error).split())]))


def join_negative(argv: Sequence[str]) -> list[str]:
    """Write `--at -1,2` as `--at=-1,2`, since argparse takes `-1,2` for an option."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] == "--at" and word.startswith("-") and not word.startswith("--"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def parser() -> argparse.ArgumentParser:
    """The parser, built from the table of subcommands."""
    top = argparse.ArgumentParser(
        prog="python -m dualgrad",
        description="Exact derivatives of Numba functions. Without a command: a demonstration.",
    )
    top.add_argument("--version", action="version", version=f"dualgrad {dg.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(
            commands.add_parser(name, help=command.help, description=f"{name}: {command.help}")
        )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    The exit status is 2 where something is wrong with the input, and 1 for a derivative that is.
    """
    options = parser().parse_args(join_negative(sys.argv[1:] if argv is None else argv))
    if options.command is None:
        from dualgrad import demo  # it compiles functions, which no other command needs

        for section in demo.report():
            print(section, flush=True)
        return 0
    try:
        return COMMANDS[options.command].run(options)
    except Exception as error:
        message = str(error) if isinstance(error, Failure) else describe(error)
        print(f"dualgrad: {message}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
