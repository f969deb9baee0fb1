"""WF011: a type of a workflow or worker file that others need, or that is needed under another name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wfgen.manifest import Span, Step, WorkerEntry, WorkflowEntry, walk
from wfgen_inspector.diagnostics import Related
from wfgen_inspector.facts import FileFacts, Project, WorkerFact, WorkflowFact
from wfgen_inspector.remembered import PerFile
from wfgen_inspector.rules.rule import Finding, Rule, Sample

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")

Crossings = dict[tuple[str, str], list[Related]]
"""(file, type declared there) -> places that need it."""

_CLASS = re.compile(r"^class \w+(.*)$", re.MULTILINE)
_STRUCTURAL = re.compile(r"\b(?:TypedDict|Protocol)\b")
_NOMINAL_CALL = re.compile(r"\b(?:NewType|NamedTuple|namedtuple|\w*Enum)\(")


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
        first = min(places, key=lambda place: (place.file == path, place.file, place.line, place.column))
        folder = path.rpartition("/")[0]
        move = f"Move `{name}` to an ordinary module, such as {folder + '/' if folder else ''}models.py, and import it"
        if first.file == path:
            generated = f"{project.manifest.package}.{facts.module}.{name}"
            message = (
                f"type `{name}` is declared in {path}, which gives work to a worker of its own by id in line "
                f"{first.line}, and to type checkers that worker's type is another one, `{generated}`."
            )
            hint = f"{move} from there, or give the step the worker's function itself."
        else:
            message = f"type `{name}` is declared in {path} and needed by {first.file}, line {first.line}."
            hint = f"{move} from there in both files."
        yield Finding(
            path,
            span,
            message,
            hint,
            tuple(sorted(dict.fromkeys(places), key=lambda place: (place.file, place.line, place.column))),
        )


def _by_signature(project: Project, crossings: Crossings) -> None:
    """Types of one file in the signatures and hook payloads of another."""
    for facts, mentions in zip(project.files, _mentions(project.files, project.manifest.package), strict=True):
        for dotted, place in mentions:
            declared = _declared(project, dotted)
            if declared is not None and declared[0] != facts.path:
                crossings.setdefault(declared, []).append(place)


def _mentioned(facts: FileFacts, package: str) -> tuple[tuple[str, Related], ...]:
    """Qualified names below the generated package in signatures and hook payloads, and where they are needed."""
    return tuple(
        (dotted, _place(facts.path, span, definition.entry))
        for definition, span in _definitions(facts)
        for text in _expressions(definition.entry)
        if package in text
        for dotted in _DOTTED.findall(text)
    )


_mentions = PerFile(_mentioned)


def _by_target(project: Project, crossings: Crossings) -> None:
    """Types of a worker or workflow that a workflow gives work to: in another file, or by id or reference."""
    named: dict[str, frozenset[Span]] = {}
    for target in project.targets:
        found: tuple[tuple[FileFacts, WorkerFact | WorkflowFact], ...] = (
            project.workers_by_id.get(target.id, ())
            if target.kind == "worker"
            else project.workflows_by_name.get(target.id, ())
        )
        for facts, definition in found:
            if not definition.local_types:
                continue
            is_own = facts.path == target.file
            if is_own and facts.path not in named:
                named[facts.path] = frozenset(_named(project, facts))
            if is_own and target.span not in named[facts.path]:
                continue
            for name in definition.local_types:
                if is_own and not _is_nominal(facts, name):
                    continue
                place = Related(target.file, target.span.line, target.span.column, f"gives work to {target.id!r}")
                crossings.setdefault((facts.path, name), []).append(place)


def _named(project: Project, facts: FileFacts) -> Iterator[Span]:
    """Targets that name a worker by its id or its generated reference; a function has the types of its own file."""
    references = f"{project.manifest.package}.workers."
    for workflow in facts.workflows:
        for target in workflow.targets:
            if target.kind == "worker" and (target.reference is None or target.reference.startswith(references)):
                yield target.span


def _is_nominal(facts: FileFacts, name: str) -> bool:
    """Whether a type of the same fields in another module is another type, as it is not for aliases."""
    text = next((declaration.text for declaration in facts.declarations if declaration.name == name), "")
    header = _CLASS.search(text)
    return bool(_NOMINAL_CALL.search(text)) if header is None else not _STRUCTURAL.search(header[1])


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
_PROBE = """\
from dataclasses import dataclass

from app.wfgen_gen import Workflow, workers
from wfgen import define_worker, define_workflow


@dataclass
class Probe:{mark}
    host: str


@define_worker("probe")
def probe(target: Probe) -> bool:
    return bool(target.host)


@define_workflow
async def watch(workflow: Workflow, host: str) -> bool:
    return await workflow.do("probe", {target}, Probe(host))
"""

RULE = Rule(
    code="WF011",
    name="crossing-type",
    severity="warning",
    summary="A type that is declared in a workflow or worker file is needed outside of it.",
    what="Reports types declared in a `*.workflow.py` or `*.worker.py` that the signature of a worker or workflow in "
    "another file needs, that a workflow in another file sends or receives, or that a workflow of the same file gives "
    "to a worker by its id or reference.",
    why="Whoever needs the type has to load the whole workflow file to get it: worker processes then load code that "
    "they never run, files start to import each other, and an engine that sandboxes workflows sees two classes of one "
    "name. Type checkers see two even within one file: a worker's id and its reference take the type of the generated "
    "module, and what the workflow gives them has that of the file.",
    remedy="Declare the type in an ordinary module, such as `models.py`, and import it from there. Types that only "
    "clients of the workflow use may stay, and so may those of a worker whose function itself is given to `do`.",
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
        Sample({"app/probes.workflow.py": _PROBE.format(mark="  # <- here", target='"probe"')}),
        Sample({"app/probes.workflow.py": _PROBE.format(mark="  # <- here", target="workers.probe")}),
    ),
    valid=(
        Sample({"app/probes.workflow.py": _PROBE.format(mark="", target="probe")}),
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
