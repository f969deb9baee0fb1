"""Objects of the project's classes that keep the handle: `Checkout(workflow)`, whose methods use `self.workflow`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from wfgen_inspector.resolution import Resolver
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol, FunctionSymbol

_DATACLASSES = frozenset({"dataclasses.dataclass"})


def attributes_of(
    owner: ClassSymbol, call: ast.Call, is_handle: Callable[[ast.expr], bool], resolver: Resolver
) -> frozenset[str]:
    """Attributes in which a new object keeps the handle; empty if it does anything else with it.

    Args:
        owner: the class that is called.
        call: with the handle among its arguments, never behind `*` or `**`.
        is_handle: tells the handle.
        resolver: finds the initialiser and decorators.
    """
    found = next((s for s in resolver.member(owner, "__init__", owner.module) if isinstance(s, FunctionSymbol)), None)
    initialiser = None if found is None else found.node
    if isinstance(initialiser, ast.FunctionDef):
        names = [p.arg for p in (*initialiser.args.posonlyargs, *initialiser.args.args)][1:]
        given = _given(call, names, is_handle)
        if given is None or not initialiser.args.args:
            return frozenset()
        return _assigned(initialiser, initialiser.args.args[0].arg, given)
    if initialiser is None and _is_dataclass(owner, resolver):
        return _given(call, list(_fields(owner)), is_handle) or frozenset()
    return frozenset()


def unfollowed(owner: ClassSymbol, attributes: frozenset[str], entered: set[ast.AST]) -> Iterator[ast.Attribute]:
    """Where methods of such a class that nobody was seen to call use the handle."""
    for method in owner.module.names_of(owner.node).functions.values():
        if method in entered or method.name == "__init__" or not method.args.args:
            continue
        receiver = method.args.args[0].arg
        for node in ast.walk(method):
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr=attr) if name == receiver and attr in attributes:
                    yield node
                    break
                case _:
                    pass


def _given(call: ast.Call, names: list[str], is_handle: Callable[[ast.expr], bool]) -> frozenset[str] | None:
    """Parameters that get the handle; None if that cannot be told."""
    if any(isinstance(value, ast.Starred) for value in call.args) or any(k.arg is None for k in call.keywords):
        return None
    found = {name for name, value in zip(names, call.args, strict=False) if is_handle(value)}
    found |= {k.arg for k in call.keywords if k.arg is not None and is_handle(k.value)}
    count = sum(map(is_handle, [*call.args, *(k.value for k in call.keywords)]))
    return frozenset(found) if len(found) == count else None


def _assigned(initialiser: ast.FunctionDef, receiver: str, given: frozenset[str]) -> frozenset[str]:
    """Attributes to which `__init__` assigns these parameters, if it does nothing else with them."""
    attributes: set[str] = set()
    counted = 0
    for node in ast.walk(initialiser):
        match node:
            case (
                ast.Assign(targets=[ast.Attribute(value=ast.Name(id=base), attr=attr)], value=ast.Name(id=name))
                | ast.AnnAssign(target=ast.Attribute(value=ast.Name(id=base), attr=attr), value=ast.Name(id=name))
            ) if base == receiver and name in given:
                attributes.add(attr)
                counted += 1
            case _:
                pass
    used = sum(isinstance(n, ast.Name) and n.id in given for n in ast.walk(initialiser))
    return frozenset(attributes) if used == counted else frozenset()


def _is_dataclass(owner: ClassSymbol, resolver: Resolver) -> bool:
    for decorator in owner.node.decorator_list:
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        for symbol in resolver.resolve(function, owner.scope, owner.module):
            if isinstance(symbol, ExternalSymbol) and symbol.qualified in _DATACLASSES:
                return not owner.node.bases
    return False


def _fields(owner: ClassSymbol) -> Iterator[str]:
    for statement in owner.node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id
