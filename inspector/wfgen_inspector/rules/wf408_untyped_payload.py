"""WF408: an input, a result or a payload says nothing about what it holds."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF408",
    name="untyped-payload",
    severity="warning",
    summary="An input, a result or a payload says nothing about what it holds.",
    what="Reports `Any`, `object`, and bare `dict`, `list`, `tuple` and `set` as the type of an input, a result or "
    "a hook's payload. A missing annotation is WF403.",
    why="Nothing is validated before a run starts, values come back from the history as plain JSON, and the "
    "generated clients cannot help.",
    remedy="Say what it holds: a model, a dataclass, or a parametrised type such as `dict[str, int]`.",
    check=reported("WF408"),
    invalid=(
        sample(
            """\
from typing import Any

from wfgen import define_worker


@define_worker("users.create")
async def create_user(
    data: dict,  # <- here
) -> Any:  # <- here
    return data["email"]
""",
            path="users.worker.py",
        ),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def ask(workflow: Workflow) -> None:
    answer = await workflow.hook("answer", dict)  # <- here
    workflow.log.info("%s", answer)
"""),
    ),
    valid=(
        sample(
            """\
from typing import Any

from wfgen import define_worker


@define_worker("users.create")
async def create_user(data: dict[str, Any]) -> list[str] | None:
    return list(data)
""",
            path="users.worker.py",
        ),
    ),
)
