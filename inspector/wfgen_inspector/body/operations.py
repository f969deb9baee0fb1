"""Calls on the handle."""

from __future__ import annotations

import ast
import difflib
from abc import abstractmethod
from dataclasses import replace
from typing import Any

from wfgen.manifest import DYNAMIC, Node, Opaque, Parallel, ParallelBranch, Span, Step, StepForm, Use
from wfgen.names import MAX_STEP_NAME, is_step_name
from wfgen_inspector.body.handle import AWAITED, CALLED, FORMS, IN_STEPS, KNOWN, PARAMETERS, READ, given_to
from wfgen_inspector.body.targets import pack
from wfgen_inspector.body.walker import Context, Walker
from wfgen_inspector.constants import UNKNOWN, evaluate, text
from wfgen_inspector.diagnostics import Related
from wfgen_inspector.facts import AddAwait, Problem, TargetFact
from wfgen_inspector.policies import duration, retry_policy
from wfgen_inspector.scopes import Function, Scope
from wfgen_inspector.symbols import ExternalSymbol, InstanceSymbol
from wfgen_inspector.types import UNKNOWN_TYPE, resolve

_PARTIALS = frozenset({"functools.partial", "functools.partialmethod"})
_IDS = frozenset({"wfgen.WorkerId", "wfgen.ids.WorkerId", "wfgen.WorkflowId", "wfgen.ids.WorkflowId"})
_DEPTH = 8


class Operations(Walker):
    """Turns one use of the handle into its node."""

    def attribute(self, node: ast.Attribute, out: list[Node]) -> None:
        """An attribute of the handle that is not called."""
        span, name = self.span(node), node.attr
        if not isinstance(node.ctx, ast.Load):
            self.escape(node.value, out, f"the handle's attribute {name!r} is changed")
        elif name in READ:
            self.use(name, span, out)
        elif name in KNOWN:
            self.escape(node, out, f"the handle's method {name!r} is used as a value")
        else:
            self.unknown(node, out)

    def use(self, name: str, span: Span, out: list[Node]) -> None:
        """A use that is no durable operation."""
        if self.mode == "step" and name not in IN_STEPS:
            self.misplaced(name, span, out)
        else:
            out.append(Use(span=span, name=name))

    def misplaced(self, name: str, span: Span, out: list[Node]) -> None:
        reason = f"the handle's {name!r} is used inside a step"
        out.append(Opaque(span=span, reason=reason))
        self.problem(
            "WF306",
            span,
            f"{reason}, where it raises an error.",
            "Do it in the workflow and pass the value in, or call the worker itself.",
        )

    def unknown(self, node: ast.Attribute, out: list[Node]) -> None:
        span = self.span(node)
        out.append(Opaque(span=span, reason=f"unknown method {node.attr!r}"))
        close = difflib.get_close_matches(node.attr, sorted(KNOWN), n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There is {', '.join(sorted(KNOWN))}."
        self.problem("WF105", span, f"the workflow handle has no {node.attr!r}.", hint)

    def operation(self, method: str, call: ast.Call, out: list[Node], context: Context) -> None:
        """A call of a method of the handle."""
        span = self.span(call)
        if method not in KNOWN:
            self.arguments(call, out)
            if isinstance(call.func, ast.Attribute):
                self.unknown(call.func, out)
            return
        given = given_to(method, call)
        if method in PARAMETERS and method != "parallel":
            self.targets_of(method, given, out)
        self.arguments(call, out, apart=self.apart(method, given))
        if method in CALLED or method in READ:
            self.use(method, span, out)
            return
        if self.mode == "step":
            self.misplaced(method, span, out)
            return
        if self.mode == "opaque":
            self.obscure(span, out, self.reason, report=not self.is_reported)
            self.is_reported = True
            return
        awaited = method not in AWAITED or self.is_awaited(self.shown(method, given), call, span, context)
        self.reading.operations[call] = (method, awaited)
        if method == "parallel":
            waits = given.get("wait_for")
            joined = waits is None or (isinstance(waits, ast.Constant) and waits.value == "all")
            branches = self.parallel(given.get("branches"))
            out.append(Parallel(span=span, form="parallel", branches=branches, joined=joined and context == "await"))
        else:
            out.append(self.step(method, given, call, span, awaited))

    def shown(self, method: str, given: dict[str, ast.expr]) -> str:
        """An operation in messages: by its step's name where that is known."""
        name = text(given.get("step"), self.scope)
        return f"{method!r}" if name is None else f"step {name!r:.80} ({method!r})"

    def apart(self, method: str, given: dict[str, ast.expr]) -> tuple[ast.expr | None, ...]:
        """Arguments that are not walked as plain ones: functions that become steps, branches."""
        if method == "parallel":
            return () if self.mode is not None else (given.get("branches"),)
        return tuple(
            value
            for key in ("target", "compensate")
            if isinstance(value := given.get(key), ast.Lambda | ast.Name)
            or (isinstance(value, ast.Attribute) and self.holder(value.value) is not None)
        )

    def targets_of(self, method: str, given: dict[str, ast.expr], out: list[Node]) -> None:
        """Look into functions that are given as targets: inside a step the handle is of no use."""
        for name in ("target", "compensate"):
            node = given.get(name)
            if node is None:
                continue
            self.reading.steps.add(node)
            if isinstance(node, ast.Attribute) and self.holder(node.value) is not None:
                self.misplaced(node.attr, self.span(node), out)
            elif isinstance(node, ast.Lambda):
                self.inside_step(node, self.scope, out)
            elif isinstance(node, ast.Name):
                mark = self.mark(node.id)
                if mark is None:
                    continue
                if mark.kind == "function" and mark.function is not None and mark.scope is not None:
                    self.reading.steps.add(mark.function)
                    self.inside_step(mark.function, mark.scope, out)
                else:
                    self.expr(node, out, "argument")

    def is_awaited(self, what: str, call: ast.Call, span: Span, context: Context) -> bool:
        """Whether a coroutine is awaited or passed on; reports it if it is lost."""
        if context == "await":
            return True
        self.unawaited += 1
        lost = context in ("operand", "statement") or (self.assigned is not None and not self.is_loaded(self.assigned))
        if not lost and not (context == "return" and len(self.stack) == 1 and self.frame.is_async):
            return True
        self.problem(
            "WF103",
            span,
            f"{what} is called but never awaited, so it does nothing.",
            "Write `await` before it.",
            AddAwait("" if self.anchor is None else ast.unparse(call)) if self.frame.is_async else None,
        )
        return False

    # Steps

    def step(self, method: str, given: dict[str, ast.expr], call: ast.Call, span: Span, awaited: bool) -> Step:
        form: StepForm = FORMS[method]
        name, dynamic = self.name(method, given.get("step"), span)
        description = self.description(given.get("description"))
        if dynamic and description is None:
            self.problem(
                "WF101",
                self.span(given["step"]) if "step" in given else span,
                "the step's name is known at run time only.",
                "Use a literal name, or say what the step does with description=.",
            )
        target: str | None = None
        payload = UNKNOWN_TYPE if form in ("hook", "create_hook") else None
        if "target" in PARAMETERS[method]:
            form, target = self.target(method, form, given.get("target"), span)
            if method == "do" and "compensate" in given:
                self.target("compensate", "compensate", given["compensate"], span)
        elif payload is not None and "model" in given:
            payload = resolve(given["model"], self.scope)
            if self.file is not None:  # an importable module declares it
                payload = replace(payload, local=frozenset())
            self.payloads.append(payload)
        data = next((given[key] for key in ("data", "duration", "when") if key in given), None)
        retry = given.get("retry")
        details: dict[str, Any] = {}
        if description is not None:
            details["description"] = description
        if data is not None:
            details["data"] = self.source(data)
            details["data_key"] = self.key(data)
        unknown = [given[key] for key in ("step", "target") if key in given and DYNAMIC in (name, target)]
        if unknown:
            details["key"] = self.key(*unknown)
        if retry is not None:
            details["retry"] = retry_policy(retry, self.scope, self.source)
        if "timeout" in given:
            details["timeout"] = duration(given["timeout"], self.scope)
        if method == "do" and "await_result" in given:
            awaits = evaluate(given["await_result"], self.scope)
            details["await_result"] = awaits if isinstance(awaits, bool) else DYNAMIC
        if payload is not None:
            details["payload"] = payload.text
            details["imports"] = tuple(sorted(payload.imports))
        return Step(span=span, form=form, name=name, dynamic=dynamic, target=target, awaited=awaited, **details)

    def name(self, method: str, node: ast.expr | None, span: Span) -> tuple[str, bool]:
        """A step's name, and whether it is known at run time only."""
        if method == "continue_as_new":
            return method, False
        if node is None:
            self.problem("WF106", span, f"{method!r} has no step name.", "Its first argument is the step's name.")
            return DYNAMIC, False
        value = evaluate(node, self.scope)
        if value is UNKNOWN:
            return DYNAMIC, True
        if not isinstance(value, str) or not is_step_name(value):
            self.problem(
                "WF106",
                self.span(node),
                f"{value!r:.60} cannot name a step.",
                f"Use printable text of 1 to {MAX_STEP_NAME} characters.",
            )
            return value if isinstance(value, str) and value else DYNAMIC, False
        place = (self.module.path, span)
        earlier = self.flow.seen.setdefault(value, place)
        if earlier != place:
            self.duplicate(value, node, earlier)
        return value, False

    def duplicate(self, name: str, node: ast.expr, earlier: tuple[str, Span]) -> None:
        span = self.span(node)
        path, first = earlier
        related = Related(path, first.line, first.column, "the first one")
        where = f"line {first.line}" if path == self.module.path else f"{path}:{first.line}"
        self.reading.problems.append(
            Problem(
                "WF102",
                span,
                f"another step on this path is called {name!r} ({where}).",
                "Give each step a name of its own: it finds the step's result when a run is replayed.",
                rewrite=None if self.anchor is not None else self.reading.renames.of(name, node, self.module),
                related=(related,),
                file=self.file,
            )
        )

    def description(self, node: ast.expr | None) -> str | None:
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return None
        known = text(node, self.scope)
        return DYNAMIC if known is None else known

    def target(self, method: str, form: StepForm, node: ast.expr | None, span: Span) -> tuple[StepForm, str]:
        """Form and target of a step, and what linking has to look up."""
        is_worker = method in ("do", "compensate")
        found = None if node is None else self.settled(node, self.scope, is_worker, 0)
        if node is None or found is None:
            self.problem(
                "WF402",
                span if node is None else self.span(node),
                f"the target is known at run time only: {'none' if node is None else self.source(node)}.",
                f"Name a {'worker' if is_worker else 'workflow'} by its id or its reference.",
            )
            return form, DYNAMIC
        kind, value = found
        where = TargetFact("worker" if is_worker else "workflow", self.span(node), file=self.file)
        if kind == "id":
            self.targets.append(replace(where, id=value))
            return form, value
        if kind == "reference":
            self.targets.append(replace(where, reference=value))
            return ("inline" if method == "do" else form), pack(value, self.source(node))
        if kind == "free":
            return form, value
        return ("inline" if method == "do" else form), self.source(node)

    def settled(self, node: ast.expr, scope: Scope, is_worker: bool, depth: int) -> tuple[str, str] | None:
        """What a target is: ("id", id), ("free", an id nobody vouches for), ("reference", qualified name) or
        ("inline", ""); None if that is known at run time only.
        """
        known = evaluate(node, scope)
        if isinstance(known, str):
            return "id", known
        if depth > _DEPTH:
            return None
        match node:
            case ast.Lambda():
                return ("inline", "") if is_worker else None
            case ast.Call(func=function, args=arguments):
                called = scope.qualified(function)
                if called in _IDS:
                    known = evaluate(arguments[0], scope) if arguments else UNKNOWN
                    return ("free", known) if isinstance(known, str) else None
                return ("inline", "") if is_worker and called in _PARTIALS else None
            case ast.Name(id=name):
                return self.settled_name(name, scope, is_worker, depth)
            case ast.Attribute(attr=attribute):
                if attribute.isupper():
                    return None  # a constant of another module
                qualified = scope.qualified(node)
                if qualified is not None:
                    return "reference", qualified
                if InstanceSymbol(ExternalSymbol("builtins.str")) in self.reading.resolver.resolve(
                    node, scope, self.module
                ):
                    return None
                return ("inline", "") if is_worker else None
            case _:
                return None

    def settled_name(self, name: str, scope: Scope, is_worker: bool, depth: int) -> tuple[str, str] | None:
        found = scope.find(name)
        if found is None or name in found.names.imports:
            qualified = scope.qualified(ast.Name(name))
            return ("reference", qualified) if qualified is not None and not name.isupper() else None
        names = found.names
        value = names.constant(name)
        if value is not None:
            return self.settled(value, found, is_worker, depth + 1)
        if name in names.functions or name in names.classes:
            if found.parent is None:
                return "reference", f"{found.prefix}.{name}"
            return ("inline", "") if is_worker else None
        return None

    # Left to calls

    @abstractmethod
    def arguments(self, call: ast.Call, out: list[Node], apart: tuple[ast.expr | None, ...] = ()) -> None:
        """Walk the arguments of a call, but for those `apart` that are dealt with otherwise."""

    @abstractmethod
    def inside_step(self, node: Function | ast.Lambda, scope: Scope, out: list[Node]) -> None:
        """Walk a function that runs as a step."""

    @abstractmethod
    def parallel(self, branches: ast.expr | None) -> tuple[ParallelBranch, ...]:
        """Branches of `workflow.parallel({...})`."""
