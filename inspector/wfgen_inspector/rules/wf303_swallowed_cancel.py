"""WF303: a handler takes the error by which a run is cancelled, and the run goes on."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF303",
    name="swallowed-cancel",
    severity="error",
    summary="A handler takes the error by which a run is cancelled, and the run goes on.",
    what="Reports `except:`, `except BaseException`, `except asyncio.CancelledError` and `contextlib.suppress` of "
    "these around a wait, unless the handler ends with a `raise` on every path. Waiting for a task that the "
    "function itself cancels is left alone.",
    why="Cancelling is delivered once, as `asyncio.CancelledError`. A run that swallows it cannot be cancelled any "
    "more; `BaseException` takes `continue_as_new` as well.",
    remedy="Catch `Exception`, which lets all of this through, or end the handler with `raise`. The fix writes "
    "`Exception`.",
    check=reported("WF303", fix="catch `Exception`, which lets cancelling through"),
    fixes="safe",
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def order(workflow: Workflow) -> None:
    try:
        await workflow.sleep("wait", "1d")
    except:  # <- here
        workflow.log.warning("failed")
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def order(workflow: Workflow) -> str:
    try:
        return await workflow.hook("answer", str)
    except BaseException as error:  # <- here
        return repr(error)
"""),
        sample("""\
import contextlib

from wfgen import Workflow, define_workflow


@define_workflow
async def order(workflow: Workflow) -> None:
    with contextlib.suppress(BaseException):  # <- here
        await workflow.sleep("wait", "1d")
"""),
    ),
    valid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def order(workflow: Workflow) -> str:
    try:
        return await workflow.hook("answer", str)
    except asyncio.CancelledError:
        workflow.log.warning("cancelled")
        raise
    except Exception as error:
        return repr(error)
"""),
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def order(workflow: Workflow) -> None:
    reminder = asyncio.create_task(workflow.sleep("remind", "1d"))
    await workflow.hook("answer", str)
    reminder.cancel()
    try:
        await reminder
    except asyncio.CancelledError:
        workflow.log.info("nobody has to be reminded")
"""),
    ),
)
