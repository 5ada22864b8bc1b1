"""Turn Numba's report of a failed compilation into a few lines that help."""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Iterator
from typing import Any

import numba

from dualgrad.compile.refusals import REFUSALS
from dualgrad.errors import NotDifferentiable

_OURS = tuple(
    os.path.dirname(os.path.abspath(it)) for it in (numba.__file__, os.path.dirname(__file__))
)

#: What a report says, what that means, and what helps. The groups name the construct.
_CAUSES: list[tuple[str, str, str]] = [
    (
        r"(?P<what>dg\.\w+) is called in compiled code",
        "transforms are made in Python",
        "make it outside of the function, g = {what}(...), and call g",
    ),
    (
        r"Cannot capture the non-constant value associated with variable '(?P<what>\w+)'",
        "a function inside the function uses its variable {what} and is passed on",
        "make {what} an argument of the inner function",
    ),
    (
        r"Failed in dualgrad front end.*?\n(?:Failed in .*\n)*(?P<a>.*)",
        "Numba cannot compile this, without derivatives either: {a}",
        "make it compile with numba.njit first",
    ),
    (
        r"(?P<what>@vectorize with float32 signatures)",
        "it would round what depends on what is differentiated by, and its clone would not",
        "leave the signatures out, or give float64 ones",
    ),
    (
        r"(?P<what>@stencil with a neighborhood that is no constant)",
        "its border is not known when it is compiled",
        "write it as a loop",
    ),
    (
        r"object mode block",
        "object mode runs Python, which has no derivatives",
        "write the block as code that Numba compiles, or give its function a rule with "
        "dg.custom_jvp",
    ),
    (
        r"(?P<what>np\.linalg\.\w+)\(\) of complex numbers",
        "there is no derivative rule for {what} of a complex matrix",
        "write it with functions that have one: solve, inv, det, eig, eigh, cholesky, qr, pinv",
    ),
    (
        r"derivatives are written to argument (?P<what>\w+)",
        "the array that was passed for {what} holds plain numbers, and the function writes dual "
        "numbers to it",
        "pass a dg.DualArray, for example np.zeros_like(x) of one",
    ),
    (
        r"derivatives for an array of a field",
        "an array of a record, or of a jitclass that links to others, holds plain numbers",
        "write what depends on what is differentiated by to an array of its own",
    ),
    (
        r"complex numbers in a Taylor series",
        "there are no Taylor coefficients of complex numbers",
        "write real and imaginary parts apart",
    ),
    (
        r"(?P<what>np\.linalg\.\w+)\(\) of a Taylor series",
        "there are no recurrences for the Taylor coefficients of {what}",
        "write it with solve, inv, det, slogdet, cholesky or norm, or as loops",
    ),
    (
        r"recursion through types that differ|cannot type infer runaway recursion",
        "of functions that call each other, one returns constants here, and derivatives there",
        "return values made alike: 1.0 instead of 1, and in a tuple 1.0 + 0.0 * x",
    ),
    (
        r"unsupported recursion",
        "to compute this derivative the same derivative is asked for again",
        "write the derivative out",
    ),
    (
        r"Cannot unify (?P<a>.*) and (?P<b>.*) for '(?P<what>[\w.$]+)'",
        "the variable {what} is {a} on one path and {b} on another",
        "give it one type, for example by making a copy on both paths",
    ),
    (
        r"dual numbers with different numbers of lanes",
        "derivatives of two different transforms meet",
        "pass what the inner function uses as its arguments",
    ),
    (
        r"Unknown attribute '(?P<what>\w+)' of type (?P<a>[^\n]*)",
        "{a} has no attribute {what} that carries a derivative",
        "use the NumPy function of that name, or write it as a loop",
    ),
    (
        r"the bytes of an array \(\.(?P<what>\w+)\) carry no derivatives",
        "the bytes of an array carry no derivatives",
        "compute with its numbers; give a function that calls C a rule with dg.custom_jvp",
    ),
    (
        r"(?P<what>scipy\.special\.\w+) has no derivative by (?P<a>\w+)",
        "its derivative by {a} has no closed form, or dualgrad does not know it",
        "give it a rule of your own with dg.custom_jvp",
    ),
    (
        r"<bound method RandomState.(?P<what>\w+)",
        "a random draw has no derivative by its parameters",
        "draw numbers with constant parameters and scale them, like m + s * np.random.normal()",
    ),
    (
        r"During: lowering \"\([^\n]*?\)\.(?P<what>\w+) = ",
        "a field of a record, or of a jitclass that links to others, holds a plain number",
        "keep what depends on what is differentiated by in a variable or an array of its own",
    ),
    (
        r"[Nn]o implementation of function Function\(<built-in function (?P<what>setitem)>\)",
        "an array of a record, or of a jitclass that links to others, holds plain numbers",
        "write what depends on what is differentiated by to an array of its own",
    ),
    (
        r"[Nn]o implementation of function Function\((?P<what>.+?)\) found for signature:"
        r"(?:\s*\n)*\s*>>> (?P<a>[^\n]*)",
        "there is no derivative rule for {a}",
        "write it with functions that have one, give it a rule of your own with dg.custom_jvp, "
        "or, if it does not depend on what is differentiated by, compute it outside and pass it "
        "as an argument",
    ),
    (
        r"cannot be represented as a NumPy dtype",
        "Numba's code for this works on NumPy's own dtypes only",
        "write it as a loop",
    ),
    (
        r"Cannot cast (?P<a>\S.*?) to (?P<b>\S.*?):",
        "a value that depends on what is differentiated by would become {b}, a constant",
        "keep it in a variable, array or list of its own",
    ),
    (
        r"resolving callee type: (?P<what>(?:ExternalFunction|FunctionType)[^\n]*)",
        "compiled code that is not Numba's own cannot be differentiated",
        "give it a rule with dg.custom_jvp, or write it as an @njit function",
    ),
]
_CAUSES += [(f"(?P<what>{re.escape(it.what)})", it.reason, it.way_out) for it in REFUSALS]


def explain(error: Exception, plan: Any) -> NotDifferentiable:
    """The error to raise for one that Numba raised: construct, line, reason and way out."""
    report = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    what, reason, way_out = _cause(report)
    at = f" at {what}" if what else ""
    lines = [f"dg.{plan.name}: {plan.function.__name__} cannot be differentiated{at}"]
    lines += _place(report, plan.function.py_func)
    return NotDifferentiable("\n".join([*lines, f"  reason:  {reason}", f"  way out: {way_out}"]))


def _cause(report: str) -> tuple[str, str, str]:
    for pattern, reason, way_out in _CAUSES:
        found = re.search(pattern, report)
        if found is not None:
            parts = {key: readable(part or "") for key, part in found.groupdict().items()}
            return parts.get("what", ""), reason.format(**parts), way_out.format(**parts)
    summary = next((line for line in report.splitlines()[1:] if line.strip()), report)
    return "", readable(summary.strip()), "write this part in another way"


def readable(text: str) -> str:
    """Numba's wording without what a user need not know: duals are floats to them."""
    text = text.replace("<iv=None>", "")
    while (shorter := _INSTANCE.sub(r"\1", text)) != text:  # those inside of others first
        text = shorter
    text = re.sub(r"DeferredType#\d+", "a linked jitclass", text)
    text = re.sub(r"(?:(?:dual|recall|series|pattern|rows)\()+(\w+)(?:, \d+\))+", r"\1", text)
    text = re.sub(
        r"<(?:built-in |bound )?(?:function|method|intrinsic|ufunc|class) '?([\w.]+)'?"
        r"(?: (?:of|at) [^>]*)?>",
        r"\1",
        text,
    )
    text = re.sub(r"UniTuple\(([^()]*(?:\([^()]*\))?[^()]*) x (\d+)\)", r"a tuple of \2 \1", text)
    return text.strip()


#: The name of the type of an instance of a jitclass, with fields; with duals there are others.
_INSTANCE = re.compile(
    r"instance\.jitclass\.(\w+)#[0-9a-f]+<[^<>]*>(?:\[(?:[^\[\]]|\[[^\[\]]*\])*\])?"
)


def _place(report: str, function: Any) -> Iterator[str]:
    """The line of the user's code, the innermost that the report names."""
    named = re.finditer(r'File "([^"\n]+)", line (\d+)|at (\S+\.py) \((\d+)\)', report)
    for match in named:
        filename, line = match[1] or match[3], int(match[2] or match[4])
        path = os.path.abspath(filename)
        if not path.startswith(_OURS) and os.path.exists(path):
            yield f'  File "{path}", line {line}'
            yield f"    {linecache.getline(path, line).strip()}"
            return
    code = function.__code__
    yield f'  File "{code.co_filename}", line {code.co_firstlineno}, in {code.co_name}'
