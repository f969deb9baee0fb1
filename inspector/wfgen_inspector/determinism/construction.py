"""What making an object of a class of the project runs: initialisers, validators, factories of defaults."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from wfgen_inspector.determinism.effects import Body, Call, Construction, Effect, Place
from wfgen_inspector.determinism.meaning import Meaning
from wfgen_inspector.determinism.table import Table
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol, FunctionSymbol, InstanceSymbol

_INITIALISERS = ("__new__", "__init__", "__post_init__", "__attrs_post_init__", "model_post_init")
_FACTORIES = frozenset({"default_factory", "factory"})


def construction(what: Construction, meaning: Meaning, table: Table) -> Body:
    """What a call of a class runs. A default that the call gives itself is not made."""
    body = Body()
    resolver = meaning.resolver
    instance = InstanceSymbol(what.symbol)
    for name in _INITIALISERS:
        for symbol in resolver.member(instance, name, what.symbol.module):
            if isinstance(symbol, FunctionSymbol):
                body.calls.append(Call(symbol, f"calls `{symbol.name}`", _place(symbol)))
    for one in resolver.lineage(what.symbol):
        if isinstance(one, ClassSymbol):
            _fields(one, what, body, meaning, table)
            _validators(one, instance, body, meaning, table)
    return body


def _fields(owner: ClassSymbol, what: Construction, body: Body, meaning: Meaning, table: Table) -> None:
    scope = meaning.resolver.class_scope(owner)
    for index, (name, value) in enumerate(_declared(owner.node)):
        factory = _factory(value)
        if factory is None or what.given is None or _is_given(name, index, value, owner, what):
            continue
        assert isinstance(value, ast.Call)
        if not set(meaning.externals(value.func, scope, owner.module)) & table.groups["fields"]:
            continue
        place = Place(owner.module, factory)
        for symbol in meaning.of(factory, scope, owner.module):
            match symbol:
                case ExternalSymbol(qualified=qualified):
                    found = table.call(qualified, 0)
                    if found is not None:
                        act = f"calls `{found.symbol}`"
                        body.effects.append(Effect(found.code, found.symbol, act, place, factory))
                case FunctionSymbol():
                    body.calls.append(Call(symbol, f"calls `{symbol.name}`", place))
                case ClassSymbol():
                    made = Construction(symbol, frozenset())
                    body.calls.append(Call(made, f"makes a `{symbol.node.name}`", place))
                case _:
                    pass


def _declared(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None]]:
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                yield name, value
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as value):
                yield name, value
            case _:
                pass


def _factory(value: ast.expr | None) -> ast.expr | None:
    if not isinstance(value, ast.Call):
        return None
    return next((keyword.value for keyword in value.keywords if keyword.arg in _FACTORIES), None)


def _is_given(name: str, index: int, value: ast.expr | None, owner: ClassSymbol, what: Construction) -> bool:
    assert what.given is not None
    if name in what.given:
        return True
    for keyword in value.keywords if isinstance(value, ast.Call) else ():
        if keyword.arg in ("alias", "validation_alias") and isinstance(keyword.value, ast.Constant):
            if keyword.value.value in what.given:
                return True
        elif keyword.arg == "init" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False:
            return False
    # Fields of bases come first, so a place says enough only of a class without any.
    places = {int(given) for given in what.given if given.isdigit()}
    return bool(places) and (index in places or owner.node is not what.symbol.node or bool(owner.node.bases))


def _validators(owner: ClassSymbol, instance: InstanceSymbol, body: Body, meaning: Meaning, table: Table) -> None:
    for statement in owner.node.body:
        if not isinstance(statement, ast.FunctionDef):
            continue
        for decorator in statement.decorator_list:
            name = decorator.func if isinstance(decorator, ast.Call) else decorator
            if set(meaning.externals(name, owner.scope, owner.module)) & table.groups["validators"]:
                for symbol in meaning.resolver.member(instance, statement.name, owner.module):
                    if isinstance(symbol, FunctionSymbol) and symbol.node is statement:
                        body.calls.append(Call(symbol, f"calls `{symbol.name}`", _place(symbol)))


def _place(symbol: FunctionSymbol) -> Place:
    return Place(symbol.module, symbol.node)
