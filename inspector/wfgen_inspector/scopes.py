"""Names: which scope binds them, what they were imported from, what a dotted expression means.

A table of our own for one file, made from its statements alone; expressions are only searched for `:=`, and only in
files that contain it.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wfgen_inspector.symbols import ClassSymbol, InstanceSymbol

Function = ast.FunctionDef | ast.AsyncFunctionDef
BUILTINS = frozenset(dir(builtins))
_TYPE_ALIAS: type[ast.stmt] | None = getattr(ast, "TypeAlias", None)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an imported name means."""

    qualified: str
    module: str
    """The module that has to be imported for it."""
    statement: str
    """The import as a line of its own."""
    checking: bool = False
    """Whether it stands below `if TYPE_CHECKING`: it means something in annotations alone."""


Bound = ast.expr | Function | ast.ClassDef | ast.arg | ast.withitem | Imported | None
"""What binds a name: the value of a plain assignment, a definition, a parameter, a `with` item, an import; None for
whatever else does (loops, patterns, `del`, parts of a tuple)."""


@dataclass(slots=True, eq=False)
class Names:
    """What one module, class or function body binds."""

    count: dict[str, int] = field(default_factory=dict)
    """How often each name is bound."""
    values: dict[str, ast.expr] = field(default_factory=dict)
    """Values of plain assignments; the last one of each name."""
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    aliases: dict[str, ast.stmt] = field(default_factory=dict)
    """Statements `type X = ...`."""
    imports: dict[str, Imported] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    """Modules of `from m import *`."""
    modules: set[str] = field(default_factory=set)
    """Every module that an `import a.b` statement names."""
    statements: list[tuple[ast.Import | ast.ImportFrom, bool]] = field(default_factory=list)
    """Import statements, and whether they stand below `if TYPE_CHECKING`."""
    blocks: list[Function | ast.ClassDef] = field(default_factory=list)
    """Functions and classes defined directly in this body."""
    outer: set[str] = field(default_factory=set)
    """Names declared `global` or `nonlocal`: bound elsewhere."""
    bound: dict[str, list[Bound]] = field(default_factory=dict)
    """What each name is bound to, in source order."""
    annotations: dict[str, ast.expr] = field(default_factory=dict)
    """Annotations of names, the last one of each; parameters have theirs themselves."""

    def bind(self, name: str, what: Bound = None) -> None:
        self.count[name] = self.count.get(name, 0) + 1
        self.bound.setdefault(name, []).append(what)
        if isinstance(what, ast.expr):
            self.values[name] = what

    def constant(self, name: str) -> ast.expr | None:
        """The value of a name that is assigned exactly once."""
        return self.values.get(name) if self.count.get(name) == 1 else None


class Scope:
    """A body in which names are looked up, and the bodies around it."""

    __slots__ = ("constants", "is_class", "names", "outside", "parent", "prefix", "receiver")

    def __init__(self, names: Names, parent: Scope | None, *, prefix: str = "", is_class: bool = False) -> None:
        self.names = names
        self.parent = parent
        self.prefix: str = prefix if parent is None else parent.prefix
        """Import name of the generated module that stands for the file."""
        self.is_class = is_class
        self.constants: dict[str, object] = {}
        """Values of parameters that are known because the function was entered with a literal."""
        self.outside: Callable[[str], object] | None = None
        """Of a module: gives the value of a constant that it imports, by its absolute dotted name."""
        self.receiver: tuple[str, ClassSymbol | InstanceSymbol] | None = None
        """Of a method: the name of its first parameter, and what it stands for."""

    def find(self, name: str) -> Scope | None:
        """The scope that binds a name as seen from here; None if it is a builtin or unknown."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names.count and name not in scope.names.outer and (scope is self or not scope.is_class):
                return scope
            scope = scope.parent
        return None

    @property
    def module(self) -> Scope:
        """The outermost scope."""
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def imported(self, name: str) -> Imported | None:
        """What a name was imported from."""
        scope = self.find(name)
        return None if scope is None else scope.names.imports.get(name)

    def qualified(self, node: ast.expr) -> str | None:
        """Fully qualified name of a dotted expression; None for anything else, and for local variables."""
        if isinstance(node, ast.Attribute):
            base = self.qualified(node.value)
            return None if base is None else f"{base}.{node.attr}"
        if not isinstance(node, ast.Name):
            return None
        scope = self.find(node.id)
        if scope is None:
            stars = self.module.names.stars
            if node.id in BUILTINS:
                return f"builtins.{node.id}"
            return f"{stars[0]}.{node.id}" if len(stars) == 1 else None
        found = scope.names.imports.get(node.id)
        if found is not None:
            return found.qualified
        return f"{scope.prefix}.{node.id}" if scope.parent is None else None


def bindings(body: Iterable[ast.stmt], *, package: str, walrus: bool = False) -> Names:
    """What the statements of one body bind, nested functions and classes apart.

    Args:
        body: statements in source order.
        package: import name of the package in which the file lies, for relative imports.
        walrus: whether expressions have to be searched for `:=`.
    """
    names = Names()
    _bind_block(body, names, package, False)
    if walrus:
        for name in _walrus_names(body):
            names.bind(name)
    return names


def function_names(node: Function | ast.Lambda, *, package: str, walrus: bool = False) -> Names:
    """What a function binds: its parameters and its body."""
    body = [ast.Expr(node.body)] if isinstance(node, ast.Lambda) else node.body
    names = bindings(body, package=package, walrus=walrus)
    for parameter in parameters(node.args):
        names.bind(parameter.arg, parameter)
    return names


def parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    """All parameters in order: positional, `*args`, keyword-only, `**kwargs`."""
    yield from arguments.posonlyargs
    yield from arguments.args
    if arguments.vararg:
        yield arguments.vararg
    yield from arguments.kwonlyargs
    if arguments.kwarg:
        yield arguments.kwarg


def absolute(module: str | None, level: int, package: str) -> str | None:
    """Absolute name of a `from` import's module; None when a relative one leads out of the import root."""
    if not level:
        return module
    parts = package.split(".") if package else []
    if level - 1 > len(parts):
        return None
    return ".".join((*parts[: len(parts) - level + 1], *([module] if module else ())))


def bound_by(target: ast.expr) -> Iterator[str]:
    """Names that an assignment target binds."""
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from bound_by(element)
    elif isinstance(target, ast.Starred):
        yield from bound_by(target.value)


def bound_by_pattern(pattern: ast.pattern) -> Iterator[str]:
    """Names that a `case` pattern binds."""
    for node in ast.walk(pattern):
        if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest


def is_generator(node: Function | ast.Lambda) -> bool:
    """Whether a function yields."""
    left: list[ast.AST] = list(node.body) if isinstance(node, Function) else [node.body]
    while left:
        part = left.pop()
        if isinstance(part, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            left.extend(ast.iter_child_nodes(part))
    return False


def _bind_block(body: Iterable[ast.stmt], names: Names, package: str, checking: bool) -> None:
    for statement in body:
        match statement:
            case ast.Expr() | ast.Return() | ast.Pass() | ast.Raise() | ast.Assert() | ast.Break() | ast.Continue():
                continue
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        names.bind(target.id, value)
                    else:
                        for name in bound_by(target):
                            names.bind(name)
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                names.annotations[name] = statement.annotation
                if value is not None:
                    names.bind(name, value)
                else:
                    names.count.setdefault(name, 0)
            case ast.AugAssign(target=ast.Name(id=name)):
                names.bind(name)
            case ast.Import() | ast.ImportFrom():
                _bind_import(statement, names, package, checking)
                names.statements.append((statement, checking))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                names.bind(statement.name, statement)
                names.functions[statement.name] = statement
                names.blocks.append(statement)
            case ast.ClassDef():
                names.bind(statement.name, statement)
                names.classes[statement.name] = statement
                names.blocks.append(statement)
            case ast.If(test=test, body=inner, orelse=orelse):
                _bind_block(inner, names, package, checking or _is_type_checking(test))
                _bind_block(orelse, names, package, checking)
            case ast.For() | ast.AsyncFor():
                for name in bound_by(statement.target):
                    names.bind(name)
                _bind_block(statement.body, names, package, checking)
                _bind_block(statement.orelse, names, package, checking)
            case ast.While(body=inner, orelse=orelse):
                _bind_block(inner, names, package, checking)
                _bind_block(orelse, names, package, checking)
            case ast.With() | ast.AsyncWith():
                for item in statement.items:
                    if isinstance(item.optional_vars, ast.Name):
                        names.bind(item.optional_vars.id, item)
                    elif item.optional_vars is not None:
                        for name in bound_by(item.optional_vars):
                            names.bind(name)
                _bind_block(statement.body, names, package, checking)
            case ast.Match(cases=cases):
                for arm in cases:
                    for name in bound_by_pattern(arm.pattern):
                        names.bind(name)
                    _bind_block(arm.body, names, package, checking)
            case ast.Global(names=declared) | ast.Nonlocal(names=declared):
                names.outer.update(declared)
            case ast.Delete(targets=targets):
                for target in targets:
                    for name in bound_by(target):
                        names.bind(name)
            case ast.Try() | ast.TryStar():
                _bind_block(statement.body, names, package, checking)
                for handler in statement.handlers:
                    if handler.name:
                        names.bind(handler.name)
                    _bind_block(handler.body, names, package, checking)
                _bind_block(statement.orelse, names, package, checking)
                _bind_block(statement.finalbody, names, package, checking)
            case _:
                if _TYPE_ALIAS is not None and isinstance(statement, _TYPE_ALIAS):
                    name = statement.name.id  # type: ignore[attr-defined]
                    names.bind(name)
                    names.aliases[name] = statement


def _bind_import(statement: ast.Import | ast.ImportFrom, names: Names, package: str, checking: bool) -> None:
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            names.modules.add(alias.name)
            if alias.asname:
                line = f"import {alias.name} as {alias.asname}"
                names.imports[alias.asname] = Imported(alias.name, alias.name, line, checking)
                names.bind(alias.asname, names.imports[alias.asname])
            else:
                first = alias.name.partition(".")[0]
                names.imports[first] = Imported(first, first, f"import {first}", checking)
                names.bind(first, names.imports[first])
        return
    module = absolute(statement.module, statement.level, package)
    if module is None:
        module = f"{'.' * statement.level}{statement.module or ''}"
    for alias in statement.names:
        if alias.name == "*":
            names.stars.append(module)
            continue
        qualified = f"{module}.{alias.name}" if module else alias.name
        bound = alias.asname or alias.name
        renamed = f" as {alias.asname}" if alias.asname else ""
        line = f"from {module} import {alias.name}{renamed}" if module else f"import {alias.name}{renamed}"
        names.imports[bound] = Imported(qualified, module or alias.name, line, checking)
        names.bind(bound, names.imports[bound])


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _walrus_names(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Names bound by `:=` in a body; inside a comprehension it binds in the function around."""
    left: list[ast.AST] = list(body)
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.NamedExpr):
            yield node.target.id
        left.extend(ast.iter_child_nodes(node))
