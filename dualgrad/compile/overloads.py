"""Code of users that stands for functions, methods, attributes and operators."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba.core import ir, ir_utils, types
from numba.core.registry import cpu_target
from numba.core.typing import signature

from dualgrad.compile.packages import GENERAL, is_users, package, package_of
from dualgrad.instances import new_instance


def overload_of_user(kind: Any, sig: Any) -> Any:
    """The code that a user gave by `@overload` for the function, if Numba has chosen one.

    It was chosen by types, of which dual numbers have others. A function with a rule needs none,
    and that of a ufunc (numba-scipy) calls C.
    """
    if isinstance(kind.typing_key, np.ufunc) or any(map(_is_rule, kind.templates)):
        return None
    entry = kind._impl_keys.get(sig.args)
    return None if entry is None else _code_at(entry, kind, sig.args)


def _code_at(entry: Any, kind: Any, arg_types: tuple[types.Type, ...]) -> Any:
    """The code of a user that Numba has chosen of a function's."""
    for template in kind.templates:
        choose = getattr(template, "_overload_func", None)
        if choose is None or not is_users(choose):
            continue
        found = chosen_code(template, arg_types)
        if found is not None and found.overloads[arg_types].entry_point == entry:
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
    """Write methods, attributes and operators that are a user's code as calls of functions.

    Those are of jitclasses, or given by `@overload`. What they write to is then seen as of any
    function, and overloads are those that were chosen for values.
    """
    known = _Known(func_ir, typemap, calltypes)
    methods: set[str] = set()  # the variables that stand for them
    for block in func_ir.blocks.values():
        body: list[Any] = []
        for statement in block.body:
            called = known.as_function(statement)
            if called is None:
                body.append(statement)
                continue
            code, args, sig = called
            loc, kws, instance = statement.loc, (), None
            expr = getattr(statement, "value", None)
            if isinstance(expr, ir.Expr) and expr.op == "call":
                methods.add(expr.func.name)
                kws = expr.kws
                if isinstance(typemap[expr.func.name], types.ClassType):
                    instance = known.allocate(sig.args[0], block.scope, loc, body)
                    args = [instance, *args, *known.items(expr.vararg, block.scope, loc, body)]
            function = block.scope.redefine("$method", loc)
            call = ir.Expr.call(function, args, kws, loc)
            typemap[function.name] = types.Dispatcher(code)
            calltypes[call] = sig.replace(pysig=inspect.signature(code.py_func))
            target = getattr(statement, "target", None)
            if instance is not None or not isinstance(statement, ir.Assign):  # it stores something
                target = block.scope.redefine("$nothing", loc)
                typemap[target.name] = sig.return_type
            body.append(ir.Assign(ir.Global(function.name, code, loc), function, loc))
            body.append(ir.Assign(call, target, loc))
            if instance is not None:
                body.append(ir.Assign(instance, statement.target, loc))
        block.body = body
    if len(typemap) > known.variables:
        _remove_unused(func_ir, methods)
        func_ir._definitions = ir_utils.build_definitions(func_ir.blocks)


class _Known:
    """A function with the types of its variables and calls."""

    def __init__(self, func_ir: Any, typemap: Any, calltypes: Any) -> None:
        self.func_ir, self.typemap, self.calltypes = func_ir, typemap, calltypes
        self.variables = len(typemap)

    def as_function(self, statement: Any) -> Any:
        """The code for a statement, what it is given, and the signature; None for most."""
        expr = getattr(statement, "value", None)
        if isinstance(statement, ir.Assign) and isinstance(expr, ir.Expr):
            kind = self.typemap.get(expr.func.name) if expr.op == "call" else None
            if isinstance(kind, types.BoundFunction) and expr.vararg is None:
                return self._method(expr, kind)
            if isinstance(kind, types.ClassType):
                sig = signature(types.none, kind.instance_type, *self.calltypes[expr].args)
                return kind.jit_methods["__init__"], expr.args, sig
            if expr.op == "getattr":
                return self._attribute(expr, self._type(expr.value), statement.target)
            function, given = _operation(expr, kind)
            return self._operator(function, given, self._type(statement.target), expr)
        if isinstance(statement, ir.SetAttr):
            owner = self._type(statement.target)
            setter = getattr(owner, "jit_props", {}).get(statement.attr, {}).get("set")
            return self._called(setter, [statement.target, statement.value], types.none)
        if isinstance(statement, (ir.SetItem, ir.StaticSetItem)):
            index = getattr(statement, "index_var", None) or statement.index
            given = [statement.target, index, statement.value]
            return self._operator(operator.setitem, given, types.none, statement)
        return None

    def items(self, var: Any, scope: Any, loc: Any, body: list[Any]) -> list[Any]:
        """Variables for the items of a tuple, by statements that are added; of None none."""
        found = []
        for k, ty in enumerate(() if var is None else self._type(var)):
            found.append(scope.redefine("$item", loc))
            self.typemap[found[-1].name] = ty
            item = ir.Expr.static_getitem(var, k, None, loc)
            body.append(ir.Assign(item, found[-1], loc))
        return found

    def allocate(self, ty: Any, scope: Any, loc: Any, body: list[Any]) -> Any:
        """A variable for a new instance of a jitclass, by statements that are added."""
        function, kind, made = (scope.redefine(f"$instance{k}", loc) for k in range(3))
        call = ir.Expr.call(function, [kind], (), loc)
        resolve = cpu_target.typing_context.resolve_value_type
        self.typemap |= {
            function.name: resolve(new_instance), kind.name: types.TypeRef(ty), made.name: ty,
        }  # fmt: skip
        self.calltypes[call] = signature(ty, types.TypeRef(ty))
        body.append(ir.Assign(ir.Global(function.name, new_instance, loc), function, loc))
        body.append(ir.Assign(ir.Global(kind.name, ty, loc), kind, loc))
        body.append(ir.Assign(call, made, loc))
        return made

    def _type(self, var: Any) -> Any:
        return self.typemap.get(var.name)

    def _called(self, code: Any, given: list[Any], returned: Any) -> Any:
        if code is None:
            return None
        arg_types = (types.unliteral(self._type(var)) for var in given)
        return code, given, signature(returned, *arg_types)

    def _operator(self, function: Any, given: list[Any], returned: Any, where: Any) -> Any:
        if function is None or not all(isinstance(var, ir.Var) for var in given):
            return None  # there is no variable of a fixed index
        if not any(is_of_user(self._type(var)) for var in given):
            return None
        kind = cpu_target.typing_context.resolve_value_type(function)
        arg_types = getattr(self.calltypes.get(where), "args", ())
        entry = getattr(kind, "_impl_keys", {}).get(arg_types)
        code = None if entry is None else _code_at(entry, kind, arg_types)
        methods = getattr(self._type(given[0]), "jit_methods", {})
        for name in _special_methods(function):
            code = code or methods.get(name)
        return self._called(code, given, returned)

    def _method(self, expr: Any, kind: Any) -> Any:
        made = ir_utils.guard(ir_utils.get_definition, self.func_ir, expr.func)
        if getattr(made, "op", "") != "getattr":
            return None
        owner, sig = kind.this, self.calltypes[expr]
        args, whole = [made.value, *expr.args], signature(sig.return_type, owner, *sig.args)
        alone = getattr(owner, "jit_static_methods", {}).get(made.attr)
        if alone is not None:
            return alone, expr.args, signature(sig.return_type, *sig.args)
        code = getattr(owner, "jit_methods", {}).get(made.attr)
        if code is None:
            code = _chosen_for(kind.template, whole.args)
        return None if code is None else (code, args, whole)

    def _attribute(self, expr: Any, owner: Any, target: Any) -> Any:
        code = getattr(owner, "jit_props", {}).get(expr.attr, {}).get("get")
        if expr.attr not in getattr(owner, "struct", {}):
            for template in cpu_target.typing_context._get_attribute_templates(owner):
                if getattr(template, "_attr", None) == expr.attr and not template.is_method:
                    code = code or _chosen_for(template, (owner,))
        return self._called(code, [expr.value], self._type(target))


_OF_USERS = {types.ClassInstanceType, types.StructRef}


def is_of_user(ty: Any) -> bool:
    """Whether operators and functions of values of a type may be a user's code."""
    bases = type(ty).__mro__  # `isinstance` asks each class of Numba's
    return not _OF_USERS.isdisjoint(bases) or package(type(ty).__module__) not in GENERAL


def holds_users(ty: Any) -> bool:
    """The same, or whether it holds such values: these are compared where it is."""
    if isinstance(ty, types.BaseTuple):
        return any(map(holds_users, ty))
    inner = [getattr(ty, name, None) for name in ("dtype", "item_type", "key_type", "value_type")]
    return is_of_user(ty) or any(it is not None and holds_users(it) for it in inner)


def _operation(expr: Any, kind: Any) -> tuple[Any, list[Any]]:
    """The function that an expression calls, and its operands; None for what calls none."""
    if expr.op == "call" and not expr.kws and expr.vararg is None:
        return getattr(kind, "typing_key", None), list(expr.args)
    if expr.op in ("getitem", "static_getitem"):
        return operator.getitem, [expr.value, expr._kws.get("index_var") or expr.index]
    if expr.op == "unary":
        return expr.fn, [expr.value]
    if expr.op in ("binop", "inplace_binop"):
        return expr.fn, [expr.lhs, expr.rhs]
    return None, []


def _special_methods(function: Any) -> Iterator[str]:
    """The methods of a jitclass that an operator or builtin function of its instances calls.

    Not those that it calls for want of these: results may be of other types.
    """
    if package_of(function) in ("operator", "_operator", "builtins"):
        name = function.__name__.strip("_")
        yield f"__{name}__"
        if function in _IN_PLACE:
            yield f"__{name[1:]}__"


#: Operators for which those stand in that make a new object.
_IN_PLACE = frozenset(
    getattr(operator, f"i{name}")
    for name in "add and floordiv lshift matmul mod mul or pow rshift sub truediv xor".split()
)


def is_users_method(kind: Any) -> bool:
    """Whether a method is a user's code, or one of a user's type."""
    choose = getattr(kind.template, "_overload_func", None)
    return is_of_user(kind.this) or (choose is not None and is_users(choose))


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
