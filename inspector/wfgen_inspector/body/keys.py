"""Short hashes of what expressions are computed from, by which two versions of the sources are compared.

The same computation has the same key whatever its variables are called, wherever it stands and however it is
formatted. So a name counts as what it is bound to: a local variable as the expressions that are assigned to it before
its use, a constant as its value, a function of the project and a method of an object whose class is known as its code,
and the result of a step as that step's name, because a replay gives the recorded result whatever the step was called
with. Not followed: what is changed in place (`items.append(…)`, attributes).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from wfgen_inspector.body.bindings import Binding, Bindings
from wfgen_inspector.body.handle import PARAMETERS
from wfgen_inspector.constants import UNKNOWN, evaluate
from wfgen_inspector.modules import Module
from wfgen_inspector.resolution import Resolver
from wfgen_inspector.scopes import BUILTINS, Function, Names, Scope, bound_by, parameters
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol, FunctionSymbol, ValueSymbol

_DEPTH = 8
"""Names within names that are followed."""
_NAMES = 300
"""Names that are followed for one key, all in all."""
_NAMES_OF_CODE = 2_000
"""The same for the code of a whole function."""
_SKIPPED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_SPECIAL = frozenset(
    {
        ast.Attribute,
        ast.Await,
        ast.Call,
        ast.MatchAs,
        ast.MatchStar,
        ast.ExceptHandler,
        ast.Lambda,
        ast.ListComp,
        ast.SetComp,
        ast.DictComp,
        ast.GeneratorExp,
    }
)
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

Code = Function | ast.Lambda


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an expression stands."""

    module: Module
    scope: Scope
    functions: tuple[Code, ...]
    """Around it, innermost first."""
    handles: frozenset[str]
    """Names of the handle there."""
    line: int
    own: dict[str, str] = field(default_factory=dict)
    """Names that the expression binds itself."""


class Keys:
    """Makes keys of the expressions of one file.

    Args:
        module: the file.
        resolver: finds what it imports from the project.
    """

    def __init__(self, module: Module, resolver: Resolver) -> None:
        self._module = module
        self._resolver = resolver
        self._attributes: dict[tuple[Names | ast.Attribute, str], tuple[FunctionSymbol | ValueSymbol, ...]] = {}
        """What of the project attributes stand for, by the function in which they stand, and the words."""
        self._tables: dict[Code, dict[str, list[Binding]]] = {}
        self._functions: dict[Code, str] = {}
        self._open: list[tuple[object, str]] = []
        """What is being followed, outermost first."""
        self._left = 0
        """Names that may still be followed for the present key."""
        self._arguments: dict[Scope, dict[str, tuple[ast.expr, _Place]]] = {}
        """What the parameters of helpers that were entered were given."""

    def enter(
        self,
        scope: Scope,
        helper: Code,
        call: ast.Call,
        module: Module,
        caller: Scope,
        functions: tuple[Code, ...],
        handles: frozenset[str],
    ) -> None:
        """Note what a helper is called with: inside of it, its parameters are that.

        Args:
            scope: of this call of the helper.
            helper: the function.
            call: in the function around.
            module: in which the call stands.
            caller: scope of the call.
            functions: around the call, innermost first.
            handles: names of the handle there.
        """
        place = _Place(module, caller, functions, handles, call.lineno)
        names = [parameter.arg for parameter in (*helper.args.posonlyargs, *helper.args.args)]
        given: dict[str, ast.expr] = {}
        for name, value in zip(names, call.args, strict=False):
            if isinstance(value, ast.Starred):
                break
            given[name] = value
        given.update({keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None})
        self._arguments[scope] = {name: (value, place) for name, value in given.items()}

    def key(
        self,
        nodes: Iterable[ast.AST],
        module: Module,
        scope: Scope,
        functions: tuple[Code, ...],
        handles: frozenset[str],
    ) -> str:
        """The key of some expressions together.

        Args:
            nodes: expressions, or statements that end a turn of a loop.
            module: in which they stand.
            scope: in which they stand.
            functions: around them, innermost first.
            handles: names of the handle there.
        """
        texts: list[str] = []
        self._left = _NAMES
        for node in nodes:
            place = _Place(module, scope, functions, handles, getattr(node, "lineno", 0))
            texts.append(self._whole(node, place))
        return _digest("\0".join(texts))

    def _whole(self, node: ast.AST, place: _Place) -> str:
        """The text of an expression; of one that is nested too deeply, only what it is made of."""
        depth = len(self._open)
        try:
            return self._text(node, place)
        except RecursionError:
            del self._open[depth:]
            return ",".join(type(part).__name__ for part in ast.walk(node))

    def code(self, function: Function, module: Module) -> str:
        """The key of a function of a module and of all functions of the project that it names."""
        self._left = _NAMES_OF_CODE
        symbol = FunctionSymbol(module, function, module.scope)
        depth = len(self._open)
        try:
            return self._function(symbol).rpartition(" ")[2]
        except RecursionError:
            del self._open[depth:]
            return _digest(",".join(type(part).__name__ for part in ast.walk(function)))

    def _text(self, node: object, place: _Place) -> str:
        # The frequent ones first: this is called for every node of every workflow.
        if isinstance(node, ast.Name):
            return self._name(node.id, place)
        if isinstance(node, ast.Constant):
            return repr(node.value)
        if isinstance(node, list):
            return f"[{','.join([self._text(element, place) for element in node])}]"
        if not isinstance(node, ast.AST):
            return "" if node is None else repr(node)
        if type(node) not in _SPECIAL:
            return self._fields(node, place)
        match node:
            case ast.Await(value=value):
                return self._text(value, place)
            case ast.Call() if (found := self._operation(node, place)) is not None:
                return found
            case ast.Attribute():
                return self._attribute(node, place)
            case ast.MatchAs(pattern=pattern) if node.name:
                return f"as({self._text(pattern, place)})"
            case ast.ExceptHandler(type=kind, body=body):
                return f"except({self._text(kind, place)},{self._text(body, place)})"
            case ast.MatchStar():
                return "*"
            case ast.Lambda():
                own = {p.arg: f"<{len(place.own) + i}>" for i, p in enumerate(parameters(node.args))}
                inner = replace(place, own={**place.own, **own})
                return f"lambda({','.join(own.values())}:{self._text(node.body, inner)})"
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                names = [name for generator in node.generators for name in bound_by(generator.target)]
                own = {name: f"<{len(place.own) + i}>" for i, name in enumerate(dict.fromkeys(names))}
                return self._fields(node, replace(place, own={**place.own, **own}))
            case _:
                return self._fields(node, place)

    def _fields(self, node: ast.AST, place: _Place) -> str:
        parts = [self._text(getattr(node, name, None), place) for name in node._fields if name not in _SKIPPED]
        return f"{type(node).__name__}({','.join(parts)})"

    def _attribute(self, node: ast.Attribute, place: _Place) -> str:
        """An attribute: a constant by its value, a method or property of the project with its code."""
        text = self._fields(node, place)
        base: ast.expr = node
        dotted = ""
        while isinstance(base, ast.Attribute):
            dotted = f".{base.attr}{dotted}"
            base = base.value
        self._left -= 1
        if self._left < 0 or len(self._open) >= _DEPTH or (isinstance(base, ast.Name) and base.id in place.handles):
            return text
        if not isinstance(base, ast.Name | ast.Call):
            return text
        found_in = place.scope.find(base.id) if isinstance(base, ast.Name) else None
        if found_in is not None and found_in.parent is None:
            known = evaluate(node, place.scope)
            if known is not UNKNOWN:
                return repr(known)
        # The same words in the same function mean the same.
        key = (place.scope.names, f"{base.id}{dotted}") if isinstance(base, ast.Name) else (node, "")
        symbols = self._attributes.get(key)
        if symbols is None:
            resolved = self._resolver.resolve(node, place.scope, place.module)
            symbols = tuple(symbol for symbol in resolved if isinstance(symbol, FunctionSymbol | ValueSymbol))
            self._attributes[key] = symbols
        if not symbols:
            return text
        found = [self._function(s) if isinstance(s, FunctionSymbol) else self._value(s) for s in symbols]
        return f"{text}:{'|'.join(found)}"

    def _operation(self, call: ast.Call, place: _Place) -> str | None:
        """The result of a step, whatever goes into it; a helper that gets the handle, by what it returns."""
        function = call.func
        if isinstance(function, ast.Attribute) and function.attr in PARAMETERS:
            if not (isinstance(function.value, ast.Name) and function.value.id in place.handles):
                return None
            named = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "step"), None)
            known = evaluate(named, place.scope)
            return f"result({self._text(named, place) if known is UNKNOWN else repr(known)})"
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if not any(isinstance(value, ast.Name) and value.id in place.handles for value in given):
            return None
        rest = [v for v in given if not (isinstance(v, ast.Name) and v.id in place.handles)]
        results: list[str] = []
        for symbol in self._resolver.resolve(function, place.scope, place.module):
            if isinstance(symbol, FunctionSymbol) and not isinstance(symbol.node, ast.Lambda):
                results += self._returns(symbol)
        return f"call({','.join(self._text(value, place) for value in rest)};{','.join(results)})"

    def _returns(self, symbol: FunctionSymbol) -> Iterator[str]:
        key = (symbol.node, "return")
        if key in self._open or len(self._open) >= _DEPTH:
            return
        self._open.append(key)
        place = _Place(
            symbol.module,
            self._resolver.function_scope(symbol),
            (symbol.node,),
            frozenset(p.arg for p in parameters(symbol.node.args)),
            0,
        )
        for node in _own(symbol.node):
            if isinstance(node, ast.Return):
                yield self._text(node.value, replace(place, line=node.lineno))
        self._open.pop()

    # Names

    def _name(self, name: str, place: _Place) -> str:
        if name in place.own:
            return place.own[name]
        if name in place.handles:
            return "<handle>"
        self._left -= 1
        if self._left < 0:
            return "<…>"
        scope = place.scope.find(name)
        if scope is not None and (name in scope.constants or name in scope.names.values):
            known = evaluate(ast.Name(name), place.scope)
            if known is not UNKNOWN:
                return repr(known)
        if scope is None and name in BUILTINS and not place.scope.module.names.stars:
            return f"builtins.{name}"
        if scope is None or scope.parent is None:
            return self._global(name, place)
        function = next((f for f in place.functions if place.module.names_of(f) is scope.names), None)
        return "<each>" if function is None else self._local(name, function, scope, place)

    def _local(self, name: str, function: Code, scope: Scope, place: _Place) -> str:
        for index, parameter in enumerate(parameters(function.args)):
            if parameter.arg == name and scope.names.count.get(name) == 1:
                value, there = self._arguments.get(scope, {}).get(name, (None, place))
                if value is None or (scope, name) in self._open or len(self._open) >= _DEPTH:
                    return f"<parameter {index}>"
                self._open.append((scope, name))
                text = self._text(value, there)
                self._open.pop()
                return text
        key = (function, name)
        if key in self._open or len(self._open) >= _DEPTH:
            return "<…>"
        if function not in self._tables:
            self._tables[function] = Bindings(function, walrus=":=" in place.module.text.text).table
        self._open.append(key)
        inner = function is place.functions[0]
        around = place.functions[place.functions.index(function) :]
        texts = []
        for binding in self._tables[function].get(name, ()):
            same_loop = binding.loop is not None and binding.loop[0] <= place.line <= binding.loop[1]
            if inner and binding.line >= place.line and not same_loop:
                continue
            there = _Place(place.module, scope, around, place.handles, binding.line)
            texts.append(f"{binding.kind}({self._text(binding.value, there)})")
        self._open.pop()
        return f"<{_digest('|'.join(texts))}>"

    def _global(self, name: str, place: _Place) -> str:
        """A name of the module, or of another one."""
        if len(self._open) >= _DEPTH:
            return name
        texts: list[str] = []
        for symbol in self._resolver.resolve(ast.Name(name), place.scope, place.module):
            match symbol:
                case FunctionSymbol():
                    texts.append(self._function(symbol))
                case ClassSymbol(node=node):
                    texts.append(node.name)
                case ExternalSymbol(qualified=qualified):
                    texts.append(qualified)
                case ValueSymbol():
                    texts.append(self._value(symbol))
                case _:
                    texts.append(name)
        return "|".join(texts) or name

    def _value(self, symbol: ValueSymbol) -> str:
        """What a name of a module or a class is bound to."""
        if (symbol.node, "value") in self._open:
            return symbol.name
        self._open.append((symbol.node, "value"))
        place = _Place(symbol.module, symbol.scope, (), frozenset(), symbol.node.lineno)
        text = self._text(symbol.node, place)
        self._open.pop()
        return text

    def _function(self, symbol: FunctionSymbol) -> str:
        """The code of a function of the project, with its variables numbered."""
        node = symbol.node
        if (node, "code") in self._open:
            return "<recursion>"
        found = self._functions.get(node)
        if found is None:
            is_outermost = not self._open
            self._open.append((node, "code"))
            names = symbol.module.names_of(node).count
            own = {name: f"<{index}>" for index, name in enumerate(names)}
            scope = self._resolver.function_scope(symbol)
            place = _Place(symbol.module, scope, (node,), frozenset(), 0, own)
            body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*node.body]
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                body = body[1:]
            text = f"{[self._text(d, place) for d in node.args.defaults]}{[self._text(part, place) for part in body]}"
            found = _digest(text)
            self._open.pop()
            if is_outermost:  # inside of others, what is cut off depends on them
                self._functions[node] = found
        return f"function {found}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:12]


def _own(function: Code) -> Iterator[ast.AST]:
    """Nodes of a function without those of functions inside, in source order."""
    body: list[ast.AST] = [function.body] if isinstance(function, ast.Lambda) else [*function.body]
    left = body[::-1]
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, _NESTED):
            left += list(ast.iter_child_nodes(node))[::-1]
