"""Types of annotations and expressions, as far as they are certain: a small inference over names that are bound once.

Whatever is not certain is unknown, and nothing follows from it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from wfgen.manifest import Span
from wfgen_inspector.constants import evaluate
from wfgen_inspector.control.code import Body
from wfgen_inspector.facts import ClassFact, ValueFact
from wfgen_inspector.modules import Module
from wfgen_inspector.resolution import Resolver, Symbols
from wfgen_inspector.scopes import Scope
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol
from wfgen_inspector.types import unquoted

UNKNOWN: tuple[ClassFact, ...] = ()
_NONE = ClassFact("builtins.None", ("builtins.None",))
_BUILTINS = {
    name: ClassFact(f"builtins.{name}", (f"builtins.{name}",))
    for name in ("str", "bytes", "int", "float", "complex", "list", "tuple", "dict", "set", "frozenset")
} | {"bool": ClassFact("builtins.bool", ("builtins.bool", "builtins.int"))}
_ALIASES = {
    "typing.List": "list", "typing.Dict": "dict", "typing.Set": "set", "typing.FrozenSet": "frozenset",
    "typing.Tuple": "tuple", "typing.Text": "str",
}  # fmt: skip
_VALUES = frozenset(
    {"uuid.UUID", "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "pathlib.Path"}
)
"""Classes outside of the project of which it is known what accepts them."""
_OPTIONAL = frozenset({"typing.Optional", "typing_extensions.Optional"})
_UNION = frozenset({"typing.Union", "typing_extensions.Union"})
_LITERAL = frozenset({"typing.Literal", "typing_extensions.Literal"})
_MIXED = {"enum.StrEnum": "builtins.str", "enum.IntEnum": "builtins.int", "enum.IntFlag": "builtins.int"}
_RECORDS = frozenset({"pydantic.BaseModel", "pydantic.main.BaseModel"})
_DATACLASSES = frozenset({"dataclasses.dataclass", "pydantic.dataclasses.dataclass"})
_HARMLESS = frozenset({"builtins.object", "abc.ABC"})
_CONVERTS = frozenset({"model_validator", "root_validator", "model_serializer"})
_SCHEMAS = frozenset({"__get_pydantic_core_schema__", "__get_validators__", "__new__"})
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Lineage:
    """A class of the project and all its bases."""

    own: tuple[ClassSymbol, ...]
    external: frozenset[str]
    is_complete: bool
    """Whether every base is known."""


class Kinds:
    """Finds out of which classes things are."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._facts: dict[ClassSymbol, ClassFact | None] = {}
        self._meant: dict[ast.expr, Symbols] = {}
        self._symbols: dict[ClassFact, ClassSymbol] = {}

    def symbols(self, node: ast.expr, scope: Scope, module: Module) -> Symbols:
        """What an expression stands for, looked up once."""
        found = self._meant.get(node)
        if found is None:
            found = self._meant[node] = self._resolver.resolve(node, scope, module)
        return found

    # Classes

    def lineage(self, symbol: ClassSymbol) -> Lineage:
        """A class with its bases."""
        own: list[ClassSymbol] = []
        external: set[str] = set()
        is_complete = True
        left = [symbol]
        while left:
            one = left.pop(0)
            if one in own:
                continue
            own.append(one)
            for base in one.node.bases:
                plain = base.value if isinstance(base, ast.Subscript) else base
                found = self._resolver.resolve(plain, one.scope, one.module)
                is_complete = is_complete and len(found) == 1
                for part in found:
                    if isinstance(part, ClassSymbol):
                        left.append(part)
                    elif isinstance(part, ExternalSymbol):
                        external.add(part.qualified)
                    else:
                        is_complete = False
        return Lineage(tuple(own), frozenset(external), is_complete)

    def of_class(self, symbol: ClassSymbol) -> ClassFact | None:
        """What is known of a class; None if a base of it is not known."""
        if symbol not in self._facts:
            self._facts[symbol] = self._class(symbol)
        return self._facts[symbol]

    def _class(self, symbol: ClassSymbol) -> ClassFact | None:
        if symbol.scope.parent is not None:
            return None
        lineage = self.lineage(symbol)
        if not lineage.is_complete:
            return None
        names = [name_of(one) for one in lineage.own]
        names += [*lineage.external, *(_MIXED[name] for name in lineage.external if name in _MIXED)]
        fact = ClassFact(names[0], tuple(names), is_record=self._is_record(lineage))
        self._symbols[fact] = symbol
        return fact

    def _is_record(self, lineage: Lineage) -> bool:
        """Whether it is a model or dataclass that only takes itself and mappings."""
        if lineage.external - _HARMLESS - _RECORDS:
            return False
        is_dataclass = any(
            self._names(decorator.func if isinstance(decorator, ast.Call) else decorator, one) & _DATACLASSES
            for one in lineage.own
            for decorator in one.node.decorator_list
        )
        if not is_dataclass and not lineage.external & _RECORDS:
            return False
        return not any(_converts(one.node) for one in lineage.own)

    def _names(self, node: ast.expr, owner: ClassSymbol) -> set[str]:
        found = self._resolver.resolve(node, owner.scope, owner.module)
        return {symbol.qualified for symbol in found if isinstance(symbol, ExternalSymbol)}

    # Annotations

    def annotated(self, annotation: ast.expr | None, scope: Scope, module: Module) -> tuple[ClassFact, ...]:
        """Classes that an annotation allows; empty if that is not known of all of them."""
        plain = unquoted(annotation)
        match plain:
            case ast.Constant(value=None):
                return (_NONE,)
            case ast.BinOp(op=ast.BitOr()):
                return self._all(members(plain), scope, module)
            case ast.Subscript(value=value, slice=inner):
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                return self._subscript(value, parts, scope, module)
            case ast.Name() | ast.Attribute():
                return self._named(plain, scope, module)
            case _:
                return UNKNOWN

    def _all(self, parts: list[ast.expr], scope: Scope, module: Module) -> tuple[ClassFact, ...]:
        found = [self.annotated(part, scope, module) for part in parts]
        return tuple(dict.fromkeys(fact for facts in found for fact in facts)) if all(found) else UNKNOWN

    def _subscript(self, value: ast.expr, parts: list[ast.expr], scope: Scope, module: Module) -> tuple[ClassFact, ...]:
        found = self.symbols(value, scope, module)
        name = found[0].qualified if len(found) == 1 and isinstance(found[0], ExternalSymbol) else ""
        if name in _OPTIONAL or name in _UNION:
            inner = self._all(parts, scope, module)
            return (*inner, _NONE) if inner and name in _OPTIONAL else inner
        if name in _LITERAL:
            constants = [self.expression(part, scope, module) for part in parts]
            return tuple(dict.fromkeys(c for facts in constants for c in facts)) if all(constants) else UNKNOWN
        name = _ALIASES.get(name, name.removeprefix("builtins."))
        return (_BUILTINS[name],) if name in ("list", "dict", "set", "frozenset", "tuple") else UNKNOWN

    def _named(self, node: ast.expr, scope: Scope, module: Module) -> tuple[ClassFact, ...]:
        found = self.symbols(node, scope, module)
        if len(found) != 1:
            return UNKNOWN
        match found[0]:
            case ClassSymbol() as symbol:
                fact = self.of_class(symbol)
                return UNKNOWN if fact is None else (fact,)
            case ExternalSymbol(qualified=name):
                return _external(name)
            case _:
                return UNKNOWN

    # Expressions

    def expression(self, node: ast.expr, scope: Scope, module: Module) -> tuple[ClassFact, ...]:
        """Classes of a plain expression that concerns no names of functions."""
        match node:
            case ast.Constant(value=value):
                return (_NONE,) if value is None else self._builtin(type(value).__name__)
            case ast.UnaryOp(op=ast.Not()) | ast.Compare():
                return self._builtin("bool")
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float())):
                return self.expression(node.operand, scope, module)
            case ast.JoinedStr():
                return self._builtin("str")
            case ast.List() | ast.ListComp():
                return self._builtin("list")
            case ast.Dict() | ast.DictComp():
                return self._builtin("dict")
            case ast.Set() | ast.SetComp():
                return self._builtin("set")
            case ast.Tuple():
                return self._builtin("tuple")
            case ast.Call():
                return self._call(node, scope, module)
            case _:
                return UNKNOWN

    def _builtin(self, name: str) -> tuple[ClassFact, ...]:
        return (_BUILTINS[name],) if name in _BUILTINS else UNKNOWN

    def _call(self, node: ast.Call, scope: Scope, module: Module) -> tuple[ClassFact, ...]:
        """An object that is made by calling its class."""
        found = self.symbols(node.func, scope, module)
        if len(found) != 1:
            return UNKNOWN
        match found[0]:
            case ClassSymbol() as symbol:
                fact = self.of_class(symbol)
                return UNKNOWN if fact is None else (fact,)
            case ExternalSymbol(qualified=name) if name.startswith("builtins.") or name in _VALUES:
                return _external(name)
            case _:
                return UNKNOWN

    def member(self, owner: ClassFact, name: str) -> tuple[ClassFact, ...]:
        """Classes of an annotated field."""
        symbol = self._symbols.get(owner)
        if symbol is None:
            return UNKNOWN
        for one in self._resolver.lineage(symbol):
            if isinstance(one, ClassSymbol):
                scope = self._resolver.class_scope(one)
                if name in scope.names.annotations:
                    return self.annotated(scope.names.annotations[name], one.scope, one.module)
                if scope.names.count.get(name):
                    return UNKNOWN
        return UNKNOWN


class Values:
    """What is known of the values in one function of workflow code."""

    def __init__(self, body: Body, kinds: Kinds) -> None:
        self._body = body
        self._kinds = kinds

    def of(self, node: ast.expr, depth: int = 0) -> ValueFact:
        """Classes of an expression, or the step whose result it is."""
        body = self._body
        if depth > _DEPTH:
            return ValueFact()
        match node:
            case ast.Name(id=name):
                return self._name(name, depth)
            case ast.Await(value=ast.Call() as call) if call in body.reading.operations:
                return self._operation(call)
            case ast.NamedExpr(value=value):
                return self.of(value, depth + 1)
            case ast.IfExp(body=one, orelse=other):
                first, second = self.of(one, depth + 1), self.of(other, depth + 1)
                if first.classes and second.classes:
                    return ValueFact(tuple(dict.fromkeys((*first.classes, *second.classes))))
                return ValueFact()
            case ast.Attribute(value=value, attr=attribute):
                owner = self.of(value, depth + 1)
                if len(owner.classes) == 1:
                    return ValueFact(self._kinds.member(owner.classes[0], attribute))
                return ValueFact()
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="now" | "uuid" as method)) if (
                owner == body.reading.handles.get(body.function)
            ):
                return ValueFact(_external("datetime.datetime" if method == "now" else "uuid.UUID"))
            case _:
                return ValueFact(self._kinds.expression(node, body.scope, body.module))

    def _operation(self, call: ast.Call) -> ValueFact:
        operation = next((one for one in self._body.operations if one.call is call), None)
        if operation is None:
            return ValueFact()
        method, arguments = operation.method, operation.given
        if not _raises(arguments.get("on_error")):
            return ValueFact()  # it may be the step's error, too
        if "await_result" in arguments and evaluate(arguments["await_result"], self._body.scope) is not True:
            return ValueFact()  # it may be a reference to the job
        if method in ("do", "call") and "target" in arguments:
            return ValueFact(result_of=self.place(arguments["target"]))
        if method == "hook" and "model" in arguments:
            return ValueFact(self._kinds.annotated(arguments["model"], self._body.scope, self._body.module))
        if method in ("sleep", "sleep_until"):
            return ValueFact((_NONE,))
        return ValueFact()

    def _name(self, name: str, depth: int) -> ValueFact:
        """A name that is bound once; what a comprehension calls so too is something else."""
        body = self._body
        found = body.scope.find(name)
        if found is None or name in body.hidden or found.names.count.get(name) != 1 or found.is_class:
            return ValueFact()
        if found is not body.scope and found.parent is not None:
            return ValueFact()
        annotation = found.names.annotations.get(name)
        if annotation is not None:
            return ValueFact(self._kinds.annotated(annotation, found, body.module))
        bound = found.names.bound[name][0]
        if isinstance(bound, ast.arg):
            if bound in (body.function.args.vararg, body.function.args.kwarg):
                return ValueFact()
            return ValueFact(self._kinds.annotated(bound.annotation, found.parent or found, body.module))
        if isinstance(bound, ast.expr):
            if found is body.scope:
                return self.of(bound, depth + 1)
            return ValueFact(self._kinds.expression(bound, found, body.module))
        return ValueFact()

    def place(self, node: ast.expr) -> Span:
        """Where the argument stands that names a target, by which linking knows it."""
        return self._body.span(node)


def _raises(on_error: ast.expr | None) -> bool:
    """Whether a step with this option surely gives its own result."""
    return on_error is None or (isinstance(on_error, ast.Constant) and on_error.value == "raise")


def members(union: ast.BinOp) -> list[ast.expr]:
    """Members of `A | B | C`, last one first."""
    found: list[ast.expr] = []
    left: ast.expr = union
    while isinstance(left, ast.BinOp) and isinstance(left.op, ast.BitOr):
        found.append(left.right)
        left = left.left
    return [*found, left]


def name_of(symbol: ClassSymbol) -> str:
    """Qualified name of a class at module level."""
    return f"{symbol.module.name}.{symbol.node.name}"


def _external(name: str) -> tuple[ClassFact, ...]:
    short = _ALIASES.get(name, name.removeprefix("builtins."))
    if name == "builtins.None":
        return (_NONE,)
    if (name in _ALIASES or name.startswith("builtins.")) and short in _BUILTINS:
        return (_BUILTINS[short],)
    return (ClassFact(name, (name,)),) if name in _VALUES else UNKNOWN


def _converts(node: ast.ClassDef) -> bool:
    """Whether a class says itself what else it may be made of."""
    if any(keyword.arg not in ("frozen", "extra", "slots") for keyword in node.keywords):
        return True
    for statement in node.body:
        match statement:
            case ast.FunctionDef(name=name, decorator_list=decorators):
                used = {
                    getattr(part, "id", getattr(part, "attr", ""))
                    for decorator in decorators
                    for part in (decorator, getattr(decorator, "func", None))
                }
                if name in _SCHEMAS or used & _CONVERTS:
                    return True
            case ast.Assign(targets=[ast.Name(id="model_config")], value=value):
                if "from_attributes" in ast.unparse(value):
                    return True
            case ast.ClassDef(name="Config"):
                return True
            case _:
                pass
    return False
