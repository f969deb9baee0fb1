"""WF011: a type of a workflow or worker file that others need."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wfgen.manifest import Span, Step, WorkerEntry, WorkflowEntry, walk
from wfgen_inspector.diagnostics import Related
from wfgen_inspector.facts import FileFacts, Project, WorkerFact, WorkflowFact
from wfgen_inspector.rules.rule import Finding, Rule, Sample

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")

Crossings = dict[tuple[str, str], list[Related]]
"""(file, type declared there) -> places in other files that need it."""


def check(project: Project) -> Iterator[Finding]:
    """One finding for each type, at its declaration."""
    crossings: Crossings = {}
    _by_signature(project, crossings)
    _by_target(project, crossings)
    for (path, name), places in sorted(crossings.items()):
        facts = project.by_path[path]
        span = next((span for declared, span in facts.declared_types if declared == name), None)
        if span is None:
            continue
        first = min(places, key=lambda place: (place.file, place.line, place.column))
        folder = path.rpartition("/")[0]
        models = f"{folder}/models.py" if folder else "models.py"
        yield Finding(
            path,
            span,
            f"type `{name}` is declared in {path} and needed by {first.file}, line {first.line}.",
            f"Move `{name}` to an ordinary module, such as {models}, and import it from there in both files.",
            tuple(sorted(dict.fromkeys(places), key=lambda place: (place.file, place.line, place.column))),
        )


def _by_signature(project: Project, crossings: Crossings) -> None:
    """Types of one file in the signatures and hook payloads of another."""
    for facts in project.files:
        for definition, span in _definitions(facts):
            for text in _expressions(definition.entry):
                for dotted in _DOTTED.findall(text):
                    declared = _declared(project, dotted)
                    if declared is not None and declared[0] != facts.path:
                        crossings.setdefault(declared, []).append(_place(facts.path, span, definition.entry))


def _by_target(project: Project, crossings: Crossings) -> None:
    """Types of a worker or workflow that a workflow in another file gives work to."""
    for target in project.targets:
        found: tuple[tuple[FileFacts, WorkerFact | WorkflowFact], ...] = (
            project.workers_by_id.get(target.id, ())
            if target.kind == "worker"
            else project.workflows_by_name.get(target.id, ())
        )
        for facts, definition in found:
            if facts.path == target.file:
                continue
            for name in definition.local_types:
                place = Related(target.file, target.span.line, target.span.column, f"gives work to {target.id!r}")
                crossings.setdefault((facts.path, name), []).append(place)


def _definitions(facts: FileFacts) -> Iterator[tuple[WorkflowFact | WorkerFact, Span]]:
    for workflow in facts.workflows:
        yield workflow, workflow.name_span
    for worker in facts.workers:
        yield worker, worker.id_span


def _expressions(entry: WorkflowEntry | WorkerEntry) -> Iterator[str]:
    yield entry.output
    if entry.input is not None:
        yield entry.input
    if isinstance(entry, WorkflowEntry):
        if entry.context is not None:
            yield entry.context
        for node in walk(entry.body):
            if isinstance(node, Step) and node.payload is not None:
                yield node.payload


def _declared(project: Project, dotted: str) -> tuple[str, str] | None:
    """The source file and the type that a qualified name means, if it means one."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        facts = project.by_module.get(".".join(parts[:length]))
        if facts is not None:
            return facts.path, parts[length]
    return None


def _place(path: str, span: Span, entry: WorkflowEntry | WorkerEntry) -> Related:
    kind, name = ("workflow", entry.name) if isinstance(entry, WorkflowEntry) else ("worker", entry.id)
    return Related(path, span.line, span.column, f"{kind} {name!r} needs it")


_WORKER = """\
from {module} import Signup
from wfgen import define_worker


@define_worker("users.create")
async def create_user(signup: Signup) -> str:
    return signup.email
"""
_MODEL = """\
class Signup(BaseModel):{mark}
    email: str
"""

RULE = Rule(
    code="WF011",
    name="crossing-type",
    severity="warning",
    summary="A type that is declared in a workflow or worker file is needed by another one.",
    what="Reports types declared in a `*.workflow.py` or `*.worker.py` that the signature of a worker or workflow in "
    "another file needs, or that a workflow in another file sends or receives.",
    why="Whoever needs the type has to load the whole workflow file to get it: worker processes then load code that "
    "they never run, files start to import each other, and an engine that sandboxes workflows sees two classes of one "
    "name.",
    remedy="Declare the type in an ordinary module, such as `models.py`, and import it from there. Types that only "
    "clients of the workflow use may stay.",
    check=check,
    invalid=(
        Sample(
            {
                "flows/onboarding.workflow.py": f"""\
from pydantic import BaseModel

from wfgen import Workflow, define_workflow


{_MODEL.format(mark="  # <- here")}

@define_workflow
async def onboarding(workflow: Workflow, signup: Signup) -> str:
    return await workflow.do("create", "users.create", signup)
""",
                "flows/users.worker.py": _WORKER.format(module="flows.wfgen_gen.files.onboarding"),
            }
        ),
        Sample(
            {
                "flows/onboarding.workflow.py": """\
from wfgen import Workflow, define_workflow


@define_workflow
async def onboarding(workflow: Workflow, email: str) -> str:
    return await workflow.do("create", "users.create", {"email": email})
""",
                "flows/users.worker.py": f"""\
from pydantic import BaseModel

from wfgen import define_worker


{_MODEL.format(mark="  # <- here")}

@define_worker("users.create")
async def create_user(signup: Signup) -> str:
    return signup.email
""",
            }
        ),
    ),
    valid=(
        Sample(
            {
                "flows/onboarding.workflow.py": """\
from pydantic import BaseModel

from flows.models import Signup
from wfgen import Workflow, define_workflow


class Welcome(BaseModel):
    user_id: str


@define_workflow
async def onboarding(workflow: Workflow, signup: Signup) -> Welcome:
    return Welcome(user_id=await workflow.do("create", "users.create", signup))
""",
                "flows/users.worker.py": _WORKER.format(module="flows.models"),
                "flows/models.py": "from pydantic import BaseModel\n\n\n" + _MODEL.format(mark=""),
            }
        ),
    ),
)
