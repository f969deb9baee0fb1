"""Hooks that are opened and that nobody waits for (WF404)."""

from __future__ import annotations

import ast

from wfgen_inspector.constants import text
from wfgen_inspector.control.code import Body

_READS = frozenset({"token", "url"})


def examine(body: Body) -> None:
    """Report the hooks of one function that are neither awaited nor passed on."""
    created = [operation for operation in body.operations if operation.method == "create_hook"]
    if not created:
        return
    parents = {child: node for node in ast.walk(body.function) for child in ast.iter_child_nodes(node)}
    for operation in created:
        if _is_lost(body, operation.call, parents):
            name = text(operation.given.get("step"), body.scope)
            shown = "a hook" if name is None else f"hook {name!r:.80}"
            body.problem(
                "WF404",
                operation.call,
                f"{shown} is opened but never awaited, so its payload reaches nobody.",
                "Keep the hook and `await` it, after its token was sent.",
            )


def _is_lost(body: Body, call: ast.Call, parents: dict[ast.AST, ast.AST]) -> bool:
    match parents.get(call):
        case ast.Expr():
            return True
        case ast.Attribute(attr=attribute):
            return attribute in _READS
        case (
            ast.Assign(targets=[ast.Name(id=name)])
            | ast.AnnAssign(target=ast.Name(id=name))
            | ast.NamedExpr(target=ast.Name(id=name))
        ) as binding:
            if isinstance(binding, ast.NamedExpr) and not isinstance(parents.get(binding), ast.Attribute | ast.Expr):
                return False
            if name in body.scope.names.outer:
                return False
            return all(
                isinstance(parent := parents.get(node), ast.Attribute) and parent.attr in _READS
                for node in ast.walk(body.function)
                if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
            )
        case _:
            return False
