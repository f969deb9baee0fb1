"""WF107: a duration, a time or a retry policy is one that the runtime refuses."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF107",
    name="bad-duration",
    severity="error",
    summary="A duration, a time or a retry policy is one that the runtime refuses.",
    what="Reports literal durations (`sleep`, `timeout=`, `delay=`) that are no durations or negative, "
    "`sleep_until` with a time without a time zone, `Retry(…)` with values that it cannot have, and several attempts "
    "for what runs at most once.",
    why="The run fails when it gets there, or the file cannot be loaded at all.",
    remedy='Write a `timedelta` or text such as `"90s"`, `"1h30m"`, `"7d"`: numbers with `ms`, `s`, `m`, `h`, `d` or '
    "`w`.",
    check=reported("WF107"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait", "5 minutes")  # <- here
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> str:
    return await workflow.hook("answer", str, timeout=3600)  # <- here
"""),
        sample("""\
from datetime import datetime, timedelta

from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("never", timedelta(days=-1))  # <- here
    await workflow.sleep_until("new year", datetime(2030, 1, 1))  # <- here
"""),
        sample(
            """\
from wfgen import Retry, define_worker


@define_worker(
    "users.create",
    retry=Retry(attempts=0),  # <- here
    timeout="soon",  # <- here
)
async def create_user(email: str) -> str:
    return email
""",
            path="users.worker.py",
        ),
        sample("""\
from wfgen import Retry, Workflow, define_workflow


@define_workflow
async def pay(workflow: Workflow, order: str) -> None:
    await workflow.do(
        "charge",
        print,
        order,
        at_most_once=True,
        retry=Retry(attempts=3),  # <- here
    )
"""),
    ),
    valid=(
        sample("""\
from datetime import UTC, datetime, timedelta

from wfgen import Retry, Workflow, define_workflow

PAUSE = "1h30m"


@define_workflow(timeout="30d", retry=Retry(attempts=5, delay="100ms", jitter=0))
async def remind(workflow: Workflow, pause: str) -> None:
    await workflow.sleep("first", PAUSE)
    await workflow.sleep("second", pause)
    await workflow.sleep("third", timedelta(minutes=5))
    await workflow.sleep_until("new year", datetime(2030, 1, 1, tzinfo=UTC))
    await workflow.hook("answer", str, timeout=None)
    await workflow.do("pay", print, pause, at_most_once=True, retry=Retry(attempts=1))
"""),
    ),
)
