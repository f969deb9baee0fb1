"""Inline steps that change variables of the workflow (WF307): in a replay they do not run, and the change is lost."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from wfgen_inspector.control.code import Body, inside
from wfgen_inspector.scopes import Function, Names, Scope
from wfgen_inspector.types import base_of

_GROWS = frozenset({"append", "appendleft", "extend", "extendleft", "setdefault"})
"""Methods that only containers have."""
_CHANGES = _GROWS | frozenset(
    {
        "insert", "remove", "pop", "popleft", "popitem", "clear", "sort", "reverse", "rotate", "add", "discard",
        "update", "subtract", "difference_update", "intersection_update", "symmetric_difference_update", "move_to_end",
    }
)  # fmt: skip
"""Methods of the built-in containers that change them; other objects have some of them too."""
_CONTAINERS = frozenset(
    {
        "builtins.list", "builtins.dict", "builtins.set", "builtins.bytearray", "collections.defaultdict",
        "collections.deque", "collections.Counter", "collections.OrderedDict", "typing.List", "typing.Dict",
        "typing.Set", "typing.DefaultDict", "collections.abc.MutableMapping", "collections.abc.MutableSequence",
        "collections.abc.MutableSet",
    }
)  # fmt: skip
_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


def examine(body: Body) -> None:
    """Report what the steps that are written inside one function change."""
    for function in body.nested:
        if function in body.reading.steps:
            names = body.module.names_of(function)
            for node, name in _changes(function, names, body.scope):
                body.problem(
                    "WF307",
                    node,
                    f"the step changes {name!r} of the workflow, and the change is lost: in a replay the step does not "
                    "run again.",
                    f"Return the value from the step, and change {name!r} in the workflow.",
                )


def _changes(function: Function | ast.Lambda, names: Names, outer: Scope) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """What a step changes of the functions around it: where, and the name."""
    scope = Scope(names, outer)
    block: list[ast.AST] = [function.body] if isinstance(function, ast.Lambda) else [*function.body]
    rebound = {
        name for node in inside(block) if isinstance(node, ast.Nonlocal) for name in node.names if _owner(name, outer)
    }
    for node in inside(block):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if name in rebound:
                yield node, name
            case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
                root = _root(node.value)
                if root is not None and _is_outer(root, scope, outer):
                    yield node, root
            case ast.Call(func=ast.Attribute(value=changed, attr=method)) if method in _CHANGES:
                root = _root(changed)
                if root is None or not _is_outer(root, scope, outer):
                    continue
                if method in _GROWS or (isinstance(changed, ast.Name) and _is_container(root, outer)):
                    yield node, root
            case ast.Call(func=ast.Name(id="setattr" | "delattr" as called), args=[first, *_]):
                root = _root(first)
                if scope.find(called) is None and root is not None and _is_outer(root, scope, outer):
                    yield node, root
            case _:
                pass


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _owner(name: str, scope: Scope) -> Scope | None:
    """The function around that binds a name."""
    found = scope.find(name)
    return None if found is None or found.parent is None or found.is_class else found


def _is_outer(name: str, scope: Scope, outer: Scope) -> bool:
    found = scope.find(name)
    return found is not scope and found is not None and found is _owner(name, outer)


def _is_container(name: str, scope: Scope) -> bool:
    """Whether everything that a name is bound to is a container."""
    owner = _owner(name, scope)
    if owner is None:
        return False
    if name in owner.names.annotations:
        return _is_container_type(owner.names.annotations[name], owner)
    bound = owner.names.bound.get(name, [])
    return bool(bound) and all(
        isinstance(what, _DISPLAYS)
        or (isinstance(what, ast.Call) and owner.qualified(what.func) in _CONTAINERS)
        or (isinstance(what, ast.arg) and _is_container_type(what.annotation, owner))
        for what in bound
    )


def _is_container_type(annotation: ast.expr | None, scope: Scope) -> bool:
    base = base_of(annotation)
    return base is not None and scope.qualified(base) in _CONTAINERS
