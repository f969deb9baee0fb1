"""Types declared in a workflow or worker file, as text fit for a stub."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator

from wfgen.manifest import Declaration
from wfgen_inspector.constants import evaluate
from wfgen_inspector.scopes import BUILTINS, Function, Scope, parameters
from wfgen_inspector.types import LITERAL, unquoted

_TYPING = "_typing"
_TYPING_IMPORT = f"import typing as {_TYPING}"
_VALIDATORS = frozenset(
    f"pydantic.{name}"
    for name in (
        "field_validator",
        "model_validator",
        "validator",
        "root_validator",
        "field_serializer",
        "model_serializer",
    )
)


class Declarations:
    """What one file declares, looked up as it is needed."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._made: dict[str, tuple[Declaration, frozenset[str]] | None] = {}

    def closure(self, names: Iterable[str]) -> frozenset[str]:
        """The names and all that their declarations need from the same file."""
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            made = None if name in found else self._declare(name)
            if made is not None:
                found.add(name)
                left.extend(made[1])
        return frozenset(found)

    def get(self, names: Iterable[str]) -> tuple[Declaration, ...]:
        """Declarations of the names, in the order of the file."""
        made = [(self._line(name), declared[0]) for name in names if (declared := self._declare(name))]
        return tuple(declaration for _, declaration in sorted(made, key=lambda pair: (pair[0], pair[1].name)))

    def _line(self, name: str) -> int:
        names = self._scope.names
        node = names.classes.get(name) or names.aliases.get(name) or names.values.get(name)
        return 0 if node is None else node.lineno

    def _declare(self, name: str) -> tuple[Declaration, frozenset[str]] | None:
        if name not in self._made:
            writer = _Writer(self._scope)
            text = writer.declaration(name)
            self._made[name] = (
                None
                if text is None
                else (
                    Declaration(name=name, text=text, imports=tuple(sorted(writer.imports))),
                    frozenset(writer.local - {name}),
                )
            )
        return self._made[name]


class _Writer:
    """Writes one declaration and notes what it needs."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.imports: set[str] = set()
        self.local: set[str] = set()
        self.inner: list[set[str]] = []
        """Names bound by the class bodies around, which need nothing from outside."""

    def declaration(self, name: str) -> str | None:
        names = self.scope.names
        if name in names.classes:
            return ast.unparse(ast.fix_missing_locations(self.class_(names.classes[name])))
        if name in names.aliases:
            self.need(names.aliases[name])
            return ast.unparse(names.aliases[name])
        value = unquoted(names.values.get(name))
        if value is None:
            return None
        self.need(value)
        return f"{name} = {ast.unparse(value)}"

    def class_(self, node: ast.ClassDef) -> ast.ClassDef:
        result = copy.copy(node)
        result.decorator_list = [d for d in node.decorator_list if self.is_known(d)]
        for part in (*result.decorator_list, *node.bases, *node.keywords, *getattr(node, "type_params", ())):
            self.need(part)
        self.inner.append({name for statement in _flat(node.body) for name in _bound(statement)})
        body = [kept for statement in _flat(node.body) if (kept := self.statement(statement)) is not None]
        self.inner.pop()
        result.body = body or [ast.Expr(ast.Constant(...))]
        return result

    def statement(self, statement: ast.stmt) -> ast.stmt | None:
        """A statement of a class body as a stub has it, or None."""
        match statement:
            case ast.AnnAssign(value=value):
                self.need(statement.annotation, annotation=True)
                kept = copy.copy(statement)
                kept.value = None if value is None else self.value(value)
                return kept
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if name == "__doc__":
                    return None
                assignment = copy.copy(statement)
                assignment.value = self.value(value)
                return assignment
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self.method(statement)
            case ast.ClassDef():
                return self.class_(statement)
            case _:
                return None

    def value(self, value: ast.expr) -> ast.expr:
        """A default as the checkers need it: literals and calls such as `Field(...)` stay."""
        if isinstance(value, ast.Constant) or _is_literal(value):
            return value
        known = evaluate(value, self.scope)
        if isinstance(known, str | int | float | bytes) or known is None:
            return ast.Constant(known)
        if self.is_known(value):
            self.need(value)
            return value
        if isinstance(value, ast.Call) and self.is_known(value.func):
            self.need(value.func)
            call = copy.copy(value)
            call.args = [self.value(argument) for argument in value.args]
            call.keywords = [ast.keyword(k.arg, self.value(k.value)) for k in value.keywords if k.arg is not None]
            return call
        # There is a value, of whatever type is wanted; what it is takes running the file.
        self.imports.add(_TYPING_IMPORT)
        return ast.parse(f"{_TYPING}.cast({_TYPING}.Any, ...)", mode="eval").body

    def method(self, node: Function) -> Function | None:
        if node.name.startswith("_") and not node.name.endswith("__"):
            return None
        decorators: list[ast.expr] = []
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if self.scope.qualified(called) in _VALIDATORS:
                return None
            if self.is_known(decorator):
                self.need(decorator)
                decorators.append(decorator)
        result = copy.copy(node)
        result.decorator_list = decorators
        result.body = [ast.Expr(ast.Constant(...))]
        result.args = self.arguments(node)
        result.type_comment = None
        if node.returns is not None:
            self.need(node.returns, annotation=True)
        else:
            result.returns = ast.Constant(None) if node.name == "__init__" else self.any()
        return result

    def arguments(self, node: Function) -> ast.arguments:
        result = copy.deepcopy(node.args)
        given = list(parameters(result))
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
        for index, parameter in enumerate(given):
            if parameter.annotation is not None:
                self.need(parameter.annotation, annotation=True)
            elif index or static:
                parameter.annotation = self.any()
        result.defaults = [ast.Constant(...) for _ in result.defaults]
        result.kw_defaults = [None if default is None else ast.Constant(...) for default in result.kw_defaults]
        return result

    def any(self) -> ast.expr:
        self.imports.add(_TYPING_IMPORT)
        return ast.Attribute(ast.Name(_TYPING), "Any")

    def is_known(self, node: ast.expr) -> bool:
        """Whether all names of an expression mean something in the stub: builtins, imports, types of the file."""
        own = {name for part in ast.walk(node) if isinstance(part, ast.Lambda) for name in _lambda_names(part)}
        for part in ast.walk(node):
            if isinstance(part, ast.Await | ast.NamedExpr | ast.comprehension):
                return False
            if isinstance(part, ast.Name) and part.id not in own and not self.is_available(part.id):
                return False
        return True

    def is_available(self, name: str) -> bool:
        if any(name in inner for inner in self.inner):
            return True
        found = self.scope.find(name)
        if found is None:
            return name in BUILTINS
        return name in found.names.imports or name in found.names.classes

    def need(self, node: ast.AST, *, annotation: bool = False) -> None:
        """Note the imports and the types of the file that a piece of the declaration uses."""
        if isinstance(node, ast.Constant):
            names = self.scope.names
            if isinstance(node.value, str) and (annotation or node.value.strip() in names.classes):
                inner = unquoted(node)
                if inner is not None and not isinstance(inner, ast.Constant):
                    self.need(inner, annotation=True)
        elif isinstance(node, ast.Name):
            if not any(node.id in inner for inner in self.inner):
                self.need_name(node.id)
        elif isinstance(node, ast.Subscript) and self.scope.qualified(node.value) in LITERAL:
            self.need(node.value)
        else:
            for part in ast.iter_child_nodes(node):
                self.need(part, annotation=annotation)

    def need_name(self, name: str) -> None:
        names = self.scope.names
        imported = names.imports.get(name)
        if imported is not None:
            self.imports.add(imported.statement)
            if imported.statement == f"import {name}":
                self.imports.update(f"import {module}" for module in names.modules if module.startswith(f"{name}."))
        elif name in names.classes or name in names.aliases or name in names.values:
            self.local.add(name)
        elif name not in BUILTINS and len(names.stars) == 1:
            self.imports.add(f"from {names.stars[0]} import {name}")


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _flat(statement.body)
        else:
            yield statement


def _bound(statement: ast.stmt) -> tuple[str, ...]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.Assign(targets=[ast.Name(id=name)]):
            return (name,)
        case _:
            return ()


def _lambda_names(node: ast.Lambda) -> Iterator[str]:
    return (parameter.arg for parameter in parameters(node.args))


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
