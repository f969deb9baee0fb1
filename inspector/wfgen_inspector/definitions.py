"""Definitions of workflows and workers in one file."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wfgen.manifest import DYNAMIC, Opaque, Span, WorkerEntry, WorkflowEntry, walk
from wfgen.names import is_name
from wfgen_inspector import around, policies
from wfgen_inspector.body import Body, build
from wfgen_inspector.body.flow import Mark
from wfgen_inspector.body.holders import unfollowed
from wfgen_inspector.body.targets import unpack
from wfgen_inspector.constants import evaluate
from wfgen_inspector.facts import Problem, WorkerFact, WorkflowFact
from wfgen_inspector.hashes import hooks, interface_hash, steps_hash
from wfgen_inspector.modules import Module
from wfgen_inspector.scopes import Function, Scope, bindings
from wfgen_inspector.signatures import Elsewhere, Signature, handle_types, worker_signature, workflow_signature
from wfgen_inspector.symbols import FunctionSymbol
from wfgen_inspector.types import base_of

if TYPE_CHECKING:
    from wfgen_inspector.reading import Reading

_KINDS = {
    "wfgen.define_workflow": "workflow",
    "wfgen.definitions.define_workflow": "workflow",
    "wfgen.define_worker": "worker",
    "wfgen.definitions.define_worker": "worker",
}


@dataclass(frozen=True, slots=True)
class _Definition:
    """One use of `define_workflow` or `define_worker`."""

    kind: str
    place: ast.expr
    """Decorator or call."""
    arguments: list[ast.expr]
    keywords: dict[str, ast.expr]
    is_open: bool
    """Whether `**` hides some of the keywords."""
    function: ast.expr | Function | None
    """What is defined: a function of this file, or an expression."""


class Definitions:
    """Finds all definitions of a file and reads what they define."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.workflows: list[WorkflowFact] = []
        self.workers: list[WorkerFact] = []

    def find(self) -> None:
        """Read every definition; those that do not stand at module level, and handles nobody follows, are reported."""
        reading = self.reading
        for definition in self._in_block(reading.tree.body, reading.scope):
            if definition.kind == "workflow":
                self._workflow(definition)
            else:
                self._worker(definition)
        self._nested(reading.scope)
        for holder in reading.holders:
            self._unfollowed_methods(holder)

    # Finding

    def _in_block(self, body: Iterable[ast.stmt], scope: Scope) -> Iterator[_Definition]:
        for statement in _flat(body):
            if isinstance(statement, Function):
                for decorator in statement.decorator_list:
                    found = self._parse(decorator, scope)
                    if found is not None:
                        yield _with_function(found, statement)
            elif isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign | ast.Return):
                call = statement.value
                if not isinstance(call, ast.Call):
                    continue
                found = self._parse(call, scope)
                if found is None and isinstance(call.func, ast.Call) and len(call.args) == 1:
                    found = self._parse(call.func, scope)  # define_worker("id")(function)
                    found = None if found is None else _with_function(found, call.args[0])
                if found is not None and found.function is not None:
                    yield found

    def _parse(self, node: ast.expr, scope: Scope) -> _Definition | None:
        function = node.func if isinstance(node, ast.Call) else node
        if not isinstance(function, ast.Name | ast.Attribute):
            return None
        kind = _KINDS.get(scope.qualified(function) or "")
        if kind is None:
            return None
        if not isinstance(node, ast.Call):
            return _Definition(kind, node, [], {}, False, None)
        keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
        index = 0 if kind == "workflow" else 1
        target = node.args[index] if len(node.args) > index else None
        return _Definition(kind, node, node.args, keywords, len(keywords) != len(node.keywords), target)

    def _nested(self, scope: Scope) -> None:
        """Look into functions and classes: for definitions that are made there, and for handles nobody follows."""
        reading = self.reading
        handles = handle_types(reading.generated)
        left: list[tuple[ast.AST, Scope]] = [(block, scope) for block in scope.names.blocks]
        while left:
            block, outer = left.pop()
            if isinstance(block, ast.ClassDef):
                inner = Scope(bindings(block.body, package=reading.place.package), outer, is_class=True)
                body = block.body
            elif isinstance(block, Function):
                inner = Scope(reading.names_of(block), outer)
                body = block.body
                if block not in reading.entered:
                    self._unfollowed(block, outer, handles)
            else:
                continue
            for definition in self._in_block(body, inner):
                if isinstance(definition.function, Function):
                    reading.entered.add(definition.function)  # reported here, not as a handle nobody follows
                reading.problem(
                    "WF009",
                    reading.text.span(definition.place),
                    f"a {definition.kind} is defined inside {getattr(block, 'name', 'a function')!r}, "
                    "where it cannot be found without running it.",
                    "Define it at module level.",
                )
            left += [(nested, inner) for nested in inner.names.blocks]

    def _unfollowed(self, function: Function, scope: Scope, handles: frozenset[str]) -> None:
        """A function that takes the handle and is no part of any workflow of this file."""
        for parameter in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
            annotation = base_of(parameter.annotation)
            if annotation is not None and scope.qualified(annotation) in handles:
                self.reading.problem(
                    "WF301",
                    self.reading.text.span(parameter),
                    f"{function.name!r} takes the workflow handle, but no workflow of this file calls it where that "
                    "can be seen, so its steps are in no graph.",
                    "Call it from a workflow in this file, or remove it.",
                )

    def _unfollowed_methods(self, holder: Mark) -> None:
        """Methods of a class of this file that use the handle which the object keeps, and that no workflow calls."""
        reading, owner = self.reading, holder.owner
        if owner is None or owner.module is not reading.module:
            return  # workflows of other files may call them
        for node in unfollowed(owner, holder.attributes, reading.entered):
            problem = Problem(
                "WF301",
                reading.text.span(node),
                f"{owner.node.name!r} keeps the handle, but no workflow of this file calls this method where that can "
                "be seen, so its steps are in no graph.",
                "Call it from a workflow in this file by its name, or remove it.",
            )
            if problem not in reading.problems:
                reading.problems.append(problem)

    # Reading

    def _name(
        self, definition: _Definition, key: str, given: ast.expr | None, default: str, span: Span
    ) -> tuple[str, Span]:
        """A name, id or version, and where it stands."""
        reading = self.reading
        if given is None or (isinstance(given, ast.Constant) and given.value is None and key != "id"):
            if not definition.is_open:
                if key == "id":
                    hint = 'Give it one, as in `@define_worker("users.create")`.'
                    reading.problem("WF006", span, "define_worker needs an id.", hint)
                elif not is_name(default):
                    self._bad_name(default, span)
                return default, span
            known: object = None
        else:
            span = reading.text.span(given)
            known = evaluate(given, reading.scope)
        if not isinstance(known, str):
            reading.problem(
                "WF013",
                span,
                f"the {definition.kind}'s {key} is known at run time only.",
                "Write it as a literal: it names what is generated.",
            )
            return DYNAMIC, span
        if not is_name(known):
            self._bad_name(known, span)
        return known, span

    def _option(self, definition: _Definition, key: str, known: tuple[str, ...]) -> str | None:
        """An option that is one of a few words; reports any other. None if it is not given, or is None."""
        given = definition.keywords.get(key)
        value = policies.known_text(given, self.reading.scope)
        if given is not None and value not in (None, DYNAMIC, *known):
            self.reading.problem(
                "WF015",
                self.reading.text.span(given),
                f"{key}={value!r:.60} is unknown.",
                "Calling a web address comes later."
                if value == "webhook"
                else f"It is {' or '.join(map(repr, known))}.",
            )
        return value

    def _bad_name(self, name: str, span: Span) -> None:
        self.reading.problem(
            "WF006",
            span,
            f"{name!r:.80} cannot be a name, an id or a version.",
            "Use letters, digits, '_', '-' and '.', up to 128 characters.",
        )

    def _function(self, definition: _Definition) -> tuple[Function | None, str, str | None, Span]:
        """The function that is defined, its name, its qualified name and where it stands, or is defined."""
        reading = self.reading
        given = definition.function
        if isinstance(given, ast.Name) and reading.scope.names.count.get(given.id):
            given = reading.scope.names.functions.get(given.id, given)
        if isinstance(given, Function):
            first = given.decorator_list[0] if given.decorator_list else given
            span = reading.text.stretch(first, given)
            if given.decorator_list:
                span = span.model_copy(update={"column": max(1, span.column - 1)})  # the `@`
            return given, given.name, f"{reading.scope.prefix}.{given.name}", span
        span = reading.text.span(definition.place)
        if isinstance(given, ast.Lambda):
            return None, "<lambda>", None, span
        qualified = None if given is None else reading.scope.qualified(given)
        name = DYNAMIC if qualified is None else qualified.rpartition(".")[2]
        imported = self._imported(given)
        return None if imported is None else imported[0], name, qualified, span

    def _imported(self, given: ast.expr | Function | None) -> tuple[Function, Module] | None:
        """A function of another module of the project that is made a workflow or a worker here."""
        if not isinstance(given, ast.Name | ast.Attribute):
            return None
        found = self.reading.resolver.resolve(given, self.reading.scope, self.reading.module)
        symbol = found[0] if len(found) == 1 else None
        if not isinstance(symbol, FunctionSymbol) or symbol.kind != "function" or symbol.scope.parent is not None:
            return None
        if isinstance(symbol.node, ast.Lambda) or symbol.module is self.reading.module:
            return None
        return symbol.node, symbol.module

    def _home(self, definition: _Definition) -> Reading | Elsewhere:
        """Where the function that is defined stands."""
        imported = self._imported(definition.function)
        return self.reading if imported is None else Elsewhere(self.reading, imported[1])

    def _workflow(self, definition: _Definition) -> None:
        reading, keywords, scope = self.reading, definition.keywords, self.reading.scope
        function, function_name, _, span = self._function(definition)
        own_name = self._name_span(function, definition)
        name, name_span = self._name(definition, "name", keywords.get("name"), function_name, own_name)
        version, version_span = self._name(definition, "version", keywords.get("version"), "1", own_name)
        if function is None:
            signature = Signature()
            reason = f"the function {function_name} is not defined in this file"
            reading.problem("WF301", span, f"{reason}, so its steps are in no graph.", "Define it where it is written.")
            body = Body((Opaque(span=span, reason=reason),), (), ())
        else:
            home = self._home(definition)
            signature = workflow_signature(home, function, name)
            body = build(reading, function, signature.handle, home.module)
        nodes = body.nodes
        if "middleware" in keywords:
            reading.middleware += policies.elements(keywords["middleware"], scope) or []
        before = around.tasks(reading, "before", keywords.get("before"))
        after = around.tasks(reading, "after", keywords.get("after"))
        types = (signature.input, signature.output, signature.context, *body.payloads)
        local = reading.declarations.closure(name for text in types if text is not None for name in text.local)
        every = (*(before.steps or ()), *nodes, *(after.steps or ()))
        linked = not any(unpack(getattr(node, "target", None)) for node in walk(every))
        output = signature.output.text
        shown = (name, version, signature.input and signature.input.text, signature.input_required, output)
        entry = WorkflowEntry(
            name=name,
            version=version,
            file=reading.path,
            span=span,
            function=function_name,
            description=policies.known_text(keywords.get("description"), scope),
            doc=None if function is None else ast.get_docstring(function),
            tags=policies.texts(keywords.get("tags"), scope),
            timeout=policies.duration(keywords["timeout"], scope) if "timeout" in keywords else None,
            execution_mode=self._option(definition, "execution_mode", ("inline", "remote")) or "inline",
            middleware=policies.quoted(keywords.get("middleware"), scope, reading.text.source),
            retry=policies.retry_policy(keywords["retry"], scope, reading.text.source) if "retry" in keywords else None,
            input=signature.input and signature.input.text,
            input_name=signature.input_name,
            input_required=signature.input_required,
            output=output,
            context=signature.context and signature.context.text,
            imports=signature.imports,
            types=reading.payloads.shapes(None if text is None else text.text for text in types),
            body=nodes,
            before=before.steps,
            after=after.steps,
            interface_hash=interface_hash(
                ["workflow", *shown, signature.context and signature.context.text, hooks(nodes)],
                reading.declarations.get(sorted(local)),
            ),
            code_key="" if function is None else reading.keys.code(function, self._home(definition).module),
            steps_hash=steps_hash(every),
        )
        targets = (*before.targets, *body.targets, *after.targets)
        self.workflows.append(WorkflowFact(entry, name_span, version_span, targets, tuple(sorted(local)), linked))

    def _worker(self, definition: _Definition) -> None:
        reading, keywords, scope = self.reading, definition.keywords, self.reading.scope
        function, function_name, qualified, span = self._function(definition)
        given = definition.arguments[0] if definition.arguments else keywords.get("id")
        worker_id, id_span = self._name(definition, "id", given, DYNAMIC, reading.text.span(definition.place))
        signature = worker_signature(self._home(definition), function, definition.function, worker_id)
        types = (signature.input, signature.output)
        local = reading.declarations.closure(name for text in types if text is not None for name in text.local)
        shown = (worker_id, signature.input and signature.input.text, signature.input_required, signature.output.text)
        entry = WorkerEntry(
            id=worker_id,
            file=reading.path,
            span=span,
            function=function_name,
            description=policies.known_text(keywords.get("description"), scope),
            doc=None if function is None else ast.get_docstring(function),
            tags=policies.texts(keywords.get("tags"), scope),
            is_async=signature.is_async,
            dispatch=self._option(definition, "dispatch", ("inline", "queue")),
            expires=policies.duration(keywords["expires"], scope) if "expires" in keywords else None,
            timeout=policies.duration(keywords["timeout"], scope) if "timeout" in keywords else None,
            retry=policies.retry_policy(keywords["retry"], scope, reading.text.source) if "retry" in keywords else None,
            input=signature.input and signature.input.text,
            input_name=signature.input_name,
            input_required=signature.input_required,
            output=signature.output.text,
            takes_job=signature.takes_job,
            imports=signature.imports,
            types=reading.payloads.shapes(None if text is None else text.text for text in types),
            interface_hash=interface_hash(["worker", *shown], reading.declarations.get(sorted(local))),
        )
        self.workers.append(WorkerFact(entry, id_span, qualified, tuple(sorted(local))))

    def _name_span(self, function: Function | None, definition: _Definition) -> Span:
        """Of a function's own name, else of the definition."""
        text = self.reading.text
        if function is None or self._imported(definition.function) is not None:
            return text.span(definition.place)
        line = text.lines[function.lineno - 1]
        start = text.column(function.lineno, function.col_offset) - 1
        column = line.find(function.name, line.find("def", start) + 3) + 1
        return Span(
            line=function.lineno,
            column=column or start + 1,
            end_line=function.lineno,
            end_column=(column or start + 1) + len(function.name),
        )


def _with_function(definition: _Definition, function: ast.expr | Function) -> _Definition:
    return _Definition(
        definition.kind, definition.place, definition.arguments, definition.keywords, definition.is_open, function
    )


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a body and of the blocks in it, but not of functions and classes."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            for inner in getattr(statement, field, ()):
                if isinstance(inner, ast.stmt):
                    yield from _flat([inner])
                else:
                    yield from _flat(inner.body)
