"""WF401: a worker or workflow that nobody defines."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from wfgen_inspector.facts import LinkedTarget, Project
from wfgen_inspector.rules.rule import Finding, Rule, Sample
from wfgen_inspector.suggestions import did_you_mean, nearest


def check(project: Project) -> Iterator[Finding]:
    """One finding for each target that is not known; none while a file cannot be read, which may define it."""
    if not all(facts.readable for facts in project.files):
        return
    for target in project.targets:
        if not target.known:
            yield Finding(target.file, target.span, *_message(target, project))


def _message(target: LinkedTarget, project: Project) -> tuple[str, str]:
    workers, workflows = project.workers_by_id, project.workflows_by_name
    known, others = (workers, workflows) if target.kind == "worker" else (workflows, workers)
    message = f"no {target.kind} {target.id!r} is defined in this project."
    if target.id in others:
        if target.kind == "worker":
            return message, f"{target.id!r} is a workflow; a step runs a worker or a function."
        return message, f"{target.id!r} is a worker; run it with `do`."
    hint = did_you_mean(_close(target.id, known))
    if hint:
        return message, hint
    if not known:
        advice = 'Define one in a `*.worker.py`: `@define_worker("…")`.' if target.kind == "worker" else ""
        return message, f"The project defines no {target.kind}s. {advice}".rstrip()
    listed = ", ".join(sorted(known)[:8])
    more = f" and {len(known) - 8} more" if len(known) > 8 else ""
    return message, f"Defined are: {listed}{more}."


def _close(name: str, known: Collection[str]) -> list[str]:
    """Up to two known names that are spelled much like this one, or else end like it."""
    last = name.rpartition(".")[2].casefold()
    return nearest(name, known, limit=2) or sorted(k for k in known if k.rpartition(".")[2].casefold() == last)[:2]


_WORKER = """\
from wfgen import define_worker


@define_worker("users.create")
async def create_user(email: str) -> str:
    return email
"""


def _workflow(step: str) -> str:
    return f"""\
from wfgen import Workflow, define_workflow


@define_workflow
async def onboarding(workflow: Workflow, email: str) -> str:
    return {step}
"""


RULE = Rule(
    code="WF401",
    name="unknown-target",
    severity="error",
    summary="A step names a worker or workflow that does not exist.",
    what="Reports worker ids and workflow names that no `define_worker` or `define_workflow` of the project defines, "
    "with the nearest that is defined.",
    why="The run would fail when it gets to the step, which may be days after its start.",
    remedy="Correct the id, or define the worker. An id that is known only at run time is a `WorkerId(…)`.",
    check=check,
    invalid=(
        Sample(
            {
                "onboarding.workflow.py": _workflow('await workflow.do("create", "users.creat", email)  # <- here'),
                "users.worker.py": _WORKER,
            }
        ),
        Sample(
            {
                "onboarding.workflow.py": """\
from wfgen import Workflow, define_workflow
from wfgen_gen import workers


@define_workflow
async def onboarding(workflow: Workflow, email: str) -> str:
    return await workflow.do("create", workers.users.creat, email)  # <- here
""",
                "users.worker.py": _WORKER,
            }
        ),
    ),
    valid=(
        Sample(
            {
                "onboarding.workflow.py": _workflow('await workflow.do("create", "users.create", email)'),
                "users.worker.py": _WORKER,
            }
        ),
        Sample(
            {
                "onboarding.workflow.py": """\
from wfgen import WorkerId, Workflow, define_workflow
from wfgen_gen import workers


@define_workflow
async def onboarding(workflow: Workflow, email: str) -> str:
    user = await workflow.do("create", workers.users.create, email)
    return await workflow.do("elsewhere", WorkerId("mail.send"), user)
""",
                "users.worker.py": _WORKER,
            }
        ),
    ),
)
