"""WF411: `await_result=False` on a step that is not on a queue."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen.manifest import Step, WorkflowEntry, walk
from wfgen_inspector.facts import Project
from wfgen_inspector.rules.rule import Finding, Rule, Sample, sample


def check(project: Project) -> Iterator[Finding]:
    """One finding for each step that is known to run in the run's process, for whichever of its workflows."""
    seen: set[tuple[str, int, int]] = set()
    for facts in project.files:
        for workflow in facts.workflows:
            for node in walk(workflow.entry.body):
                if not isinstance(node, Step) or node.await_result is not False:
                    continue
                reason = _reason(project, workflow.entry, node)
                place = (node.file or facts.path, node.span.line, node.span.column)
                if reason is not None and place not in seen:
                    seen.add(place)
                    message = f"step {node.name!r:.80} does not wait for its result, but {reason}."
                    yield Finding(place[0], node.span, message, _HINT)


_HINT = 'Define the worker with dispatch="queue", or leave out await_result=False.'


def _reason(project: Project, workflow: WorkflowEntry, step: Step) -> str | None:
    """Why a step is not on a queue; None if it is, or if that is known at run time only."""
    if step.form == "inline":
        return "a function that is no worker runs in the run's process"
    dispatches = {worker.entry.dispatch for _, worker in project.workers_by_id.get(step.target or "", ())}
    if dispatches == {"inline"}:
        return f'its worker {step.target!r} runs in the run\'s process (dispatch="inline")'
    if dispatches == {None} and workflow.execution_mode == "inline":
        return f"neither worker {step.target!r} nor workflow {workflow.name!r} puts it on a queue"
    return None


def _project(options: str, *, line: str = "", mark: str = "") -> Sample:
    return Sample(
        {
            "mail.worker.py": f"""\
from wfgen import define_worker


@define_worker("mail.send"{options})
async def send(to: str) -> None: ...
""",
            "app.workflow.py": f"""\
from wfgen import Workflow, define_workflow


@define_workflow{line}
async def remind(workflow: Workflow, to: str) -> None:
    await workflow.do("remind", "mail.send", to, await_result=False){mark}
""",
        }
    )


_HERE = "  # <- here"

RULE = Rule(
    code="WF411",
    name="not-on-a-queue",
    severity="error",
    summary="A step that is not on a queue has `await_result=False`.",
    what="Reports `do(..., await_result=False)` on a function that is no worker, on a worker that runs in the run's "
    "process, and on one that does not say, in a workflow that does not say either.",
    why="Such a step has no job that could go its own way: the run fails with HandleError when it gets there.",
    remedy='Put the step on a queue: `dispatch="queue"` of its worker, or `execution_mode="remote"` of the workflow. '
    "To go on beside a step of the run's own process, `await` it later: `asyncio.create_task`, `gather`.",
    check=check,
    invalid=(
        _project("", mark=_HERE),
        _project(', dispatch="inline"', line='(execution_mode="remote")', mark=_HERE),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow, to: str) -> None:
    await workflow.do("remind", lambda: print(to), await_result=False)  # <- here
"""),
    ),
    valid=(_project(', dispatch="queue"'), _project("", line='(execution_mode="remote")')),
)
