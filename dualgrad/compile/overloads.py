"""Code of users that stands for functions, methods, attributes and operators."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba.core import ir, ir_utils, types
from numba.core.registry import cpu_target
from numba.core.typing import signature

from dualgrad.compile.packages import is_users, package, package_of


def overload_of_user(kind: Any, sig: Any) -> Any:
    """The code that a user gave by `@overload` for the function, if Numba has chosen one.

    It was chosen by types, of which dual numbers have others. A function with a rule needs none,
    and that of a ufunc (numba-scipy) calls C.
    """
    if isinstance(kind.typing_key, np.ufunc) or any(map(_is_rule, kind.templates)):
        return None
    entry = kind._impl_keys.get(sig.args)
    for template in kind.templates:
        choose = getattr(template, "_overload_func", None)
        if entry is None or choose is None or not is_users(choose):
            continue
        found = chosen_code(template, sig.args)
        if found is not None and found.overloads[sig.args].entry_point == entry:
            return found
    return None


def chosen_code(template: Any, arg_types: tuple[types.Type, ...]) -> Any:
    """The function that an `@overload` has chosen for these types, None if Numba has none."""
    for found, _ in getattr(template, "_impl_cache", {}).values():
        if found is not None and arg_types in found.overloads:
            return found
    return None


def _is_rule(template: Any) -> bool:
    """Whether a template is one of ours, for dual numbers."""
    code = getattr(template, "_overload_func", None) or getattr(template, "generic", None)
    return package(getattr(code, "__module__", None)) == "dualgrad"


def as_functions(func_ir: Any, typemap: Any, calltypes: Any) -> None:
    """Write methods and attributes that are a user's code as calls of functions.

    Those are of jitclasses, or given by `@overload`. What they write to is then seen as of any
    function, and overloads are those that were chosen for values.
    """
    known = _Known(func_ir, typemap, calltypes)
    methods: set[str] = set()  # the variables that stand for them
    for block in func_ir.blocks.values():
        body: list[Any] = []
        for statement in block.body:
            expr: Any = getattr(statement, "value", None)
            called = known.as_function(expr, statement) if isinstance(expr, ir.Expr) else None
            if called is not None:
                code, args, sig = called
                loc, kws = expr.loc, ()
                if expr.op == "call":
                    methods.add(expr.func.name)
                    kws = expr.kws
                function = block.scope.redefine("$method", loc)
                body.append(ir.Assign(ir.Global(function.name, code, loc), function, loc))
                typemap[function.name] = types.Dispatcher(code)
                statement.value = ir.Expr.call(function, args, kws, loc)
                calltypes[statement.value] = sig.replace(pysig=inspect.signature(code.py_func))
            body.append(statement)
        block.body = body
    if len(typemap) > known.variables:
        _remove_unused(func_ir, methods)
        func_ir._definitions = ir_utils.build_definitions(func_ir.blocks)


class _Known:
    """A function with the types of its variables and calls."""

    def __init__(self, func_ir: Any, typemap: Any, calltypes: Any) -> None:
        self.func_ir, self.typemap, self.calltypes = func_ir, typemap, calltypes
        self.variables = len(typemap)

    def as_function(self, expr: Any, statement: Any) -> Any:
        """The code for an expression, what it is given, and the signature; None for most."""
        kind = self.typemap.get(expr.func.name) if expr.op == "call" else None
        if isinstance(kind, types.BoundFunction) and expr.vararg is None:
            return self._method(expr, kind)
        if expr.op == "getattr":
            return self._attribute(expr, self.typemap.get(expr.value.name), statement.target)
        for method, operands in _special_methods(expr, kind):
            owner = self.typemap.get(operands[0].name)
            code = getattr(owner, "jit_methods", {}).get(method)
            if code is not None:
                arg_types = [self.typemap[var.name] for var in operands]
                returned = self.typemap[statement.target.name]
                return code, operands, signature(returned, *arg_types)
        return None

    def _method(self, expr: Any, kind: Any) -> Any:
        made = ir_utils.guard(ir_utils.get_definition, self.func_ir, expr.func)
        if getattr(made, "op", "") != "getattr":
            return None
        owner, sig = kind.this, self.calltypes[expr]
        args, whole = [made.value, *expr.args], signature(sig.return_type, owner, *sig.args)
        if not isinstance(owner, types.ClassInstanceType):
            code = _chosen_for(kind.template, whole.args)
            return None if code is None else (code, args, whole)
        if made.attr in owner.jit_static_methods:
            alone = signature(sig.return_type, *sig.args)
            return owner.jit_static_methods[made.attr], expr.args, alone
        return owner.jit_methods[made.attr], args, whole

    def _attribute(self, expr: Any, owner: Any, target: Any) -> Any:
        sig = signature(self.typemap.get(target.name), owner)
        if isinstance(owner, types.ClassInstanceType):
            getter = owner.jit_props.get(expr.attr, {}).get("get")
            return None if getter is None else (getter, [expr.value], sig)
        for template in cpu_target.typing_context._get_attribute_templates(owner):
            if getattr(template, "_attr", None) == expr.attr and not template.is_method:
                code = _chosen_for(template, (owner,))
                return None if code is None else (code, [expr.value], sig)
        return None


def _special_methods(expr: Any, kind: Any) -> Iterator[tuple[str, list[Any]]]:
    """The methods of a jitclass that an operator or a builtin function may stand for."""
    if expr.op == "call":
        key = getattr(kind, "typing_key", None)
        if key is not None and package_of(key) == "builtins" and len(expr.args) == 1:
            yield f"__{getattr(key, '__name__', '')}__", list(expr.args)
    elif expr.op in ("getitem", "static_getitem"):
        index = expr.index_var if expr.op == "static_getitem" else expr.index
        if index is not None:
            yield "__getitem__", [expr.value, index]
    elif expr.op == "unary":
        yield f"__{expr.fn.__name__.strip('_')}__", [expr.value]
    elif expr.op in ("binop", "inplace_binop"):
        names = [getattr(expr, key).__name__ for key in ("fn", "immutable_fn") if key in expr._kws]
        for name in names:
            yield f"__{name.strip('_')}__", [expr.lhs, expr.rhs]
        yield f"__r{names[-1].strip('_')}__", [expr.rhs, expr.lhs]


def _chosen_for(template: Any, arg_types: tuple[types.Type, ...]) -> Any:
    """The function of a user that `@overload_method` or `@overload_attribute` has chosen."""
    choose = getattr(template, "_overload_func", None)
    if choose is None or not is_users(choose):
        return None
    found = cpu_target.typing_context.resolve_value_type(choose).templates
    return next(filter(None, (chosen_code(it, arg_types) for it in found)), None)


def _remove_unused(func_ir: Any, names: set[str]) -> None:
    """Take out the assignments to variables that nothing uses."""
    statements = [it for block in func_ir.blocks.values() for it in block.body]
    given = {id(it) for it in statements if isinstance(it, ir.Assign) and it.target.name in names}
    used = {var.name for it in statements if id(it) not in given for var in it.list_vars()}
    for block in func_ir.blocks.values():
        block.body = [it for it in block.body if id(it) not in given or it.target.name in used]
