"""What can be written for the user: a new version, or a guard around a step that is new."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from wfgen.manifest import Manifest, Span
from wfgen_inspector.compatibility.shapes import Operation
from wfgen_inspector.compatibility.snapshot import LockedWorkflow
from wfgen_inspector.diagnostics import Edit, Fix
from wfgen_inspector.parsing import BadSyntaxError, parse
from wfgen_inspector.positions import Text
from wfgen_inspector.sources import Source, UnreadableError


@dataclass(frozen=True)
class Today:
    """Today's sources."""

    manifest: Manifest
    read: Callable[[str], Source]
    """A file of the project; raises UnreadableError."""


def next_version(version: str) -> str:
    """`"1"` -> `"2"`, `"2024-v9"` -> `"2024-v10"`, `"beta"` -> `"beta-2"`: the last number, one higher."""
    found = list(re.finditer(r"\d+", version))
    if not found:
        return f"{version}-2"
    last = found[-1]
    return f"{version[: last.start()]}{int(last[0]) + 1}{version[last.end() :]}"


def bumped(today: Today, entry: LockedWorkflow) -> Fix | None:
    """Give a workflow the next version that is free; None where its decorator is not in plain form."""
    source = _parsed(today, entry.file)
    if source is None:
        return None
    text, tree = source
    version = entry.version
    taken = {other.version for other in today.manifest.workflows if other.name == entry.name}
    while version in taken:
        version = next_version(version)
    decorator = _decorator(tree, entry.span, text)
    if decorator is None:
        return None
    written = json.dumps(version)
    if not isinstance(decorator, ast.Call):
        edit = _after(entry.file, text.span(decorator), f"(version={written})")
    else:
        given = next((k.value for k in decorator.keywords if k.arg == "version"), None)
        if given is None and all(k.arg is not None for k in decorator.keywords):
            last = [*decorator.args, *(k.value for k in decorator.keywords)]
            if last:
                edit = _after(entry.file, text.span(last[-1]), f", version={written}")
            else:
                edit = _after(entry.file, text.span(decorator.func), f"(version={written})", text.span(decorator))
        elif isinstance(given, ast.Constant) and isinstance(given.value, str):
            span = text.span(given)
            edit = Edit(entry.file, span.line, span.column, span.end_line, span.end_column, written)
        else:
            return None
    message = f"make it version {version!r}; then put the old code back beside it, as version {entry.version!r}"
    return Fix(message, "unsafe", (edit,))


def guarded(today: Today, file: str, step: Operation) -> Fix | None:
    """Run a new step in new runs only; None where it is not a statement of its own."""
    source = _parsed(today, file)
    if source is None:
        return None
    text, tree = source
    for statement in ast.walk(tree):
        if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Await):
            continue
        call = statement.value.value
        if not isinstance(call, ast.Call) or text.span(call) != step.span or not isinstance(call.func, ast.Attribute):
            continue
        if not isinstance(call.func.value, ast.Name) or step.name.startswith("<"):
            return None
        span = text.span(statement)
        lines = text.lines[span.line - 1 : span.end_line]
        before = lines[0][: span.column - 1]
        if before.strip() or lines[-1][span.end_column - 1 :].strip().startswith(";") or _has_long_text(statement):
            return None  # other statements on the line, or text that must not be moved
        lines[-1] = lines[-1][: span.end_column - 1]
        lines[0] = lines[0][span.column - 1 :]
        moved = "\n".join([f"{before}    {lines[0]}", *(f"    {line}" if line else line for line in lines[1:])])
        change = json.dumps(f"add {step.name}", ensure_ascii=False)
        new = f"if {call.func.value.id}.patched({change}):\n{moved}"
        edit = Edit(file, span.line, span.column, span.end_line, span.end_column, new)
        return Fix(f"run {step.name!r} in new runs only", "unsafe", (edit,))
    return None


def _parsed(today: Today, file: str) -> tuple[Text, ast.Module] | None:
    try:
        text = today.read(file).text()
        return Text(text), parse(text)
    except (UnreadableError, BadSyntaxError):
        return None


def _decorator(tree: ast.Module, span: Span, text: Text) -> ast.expr | None:
    """The decorator that defines the workflow that stands here."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.decorator_list:
            continue
        if text.span(node.decorator_list[0]).line != span.line:
            continue
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called).rpartition(".")[2] == "define_workflow":
                return decorator
    return None


def _after(file: str, span: Span, new: str, until: Span | None = None) -> Edit:
    end = until or span
    return Edit(file, span.end_line, span.end_column, end.end_line, end.end_column, new)


def _has_long_text(statement: ast.stmt) -> bool:
    return any(
        isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno
        for node in ast.walk(statement)
    )
