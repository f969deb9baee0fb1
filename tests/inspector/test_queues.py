"""What sources say about queues: where workers' steps go, and which steps do not wait for their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wfgen.manifest import Step, walk
from wfgen_inspector import inspect
from wfgen_inspector.compatibility.comparison import Comparison
from wfgen_inspector.compatibility.shapes import shapes_of

WORKERS = """
    from wfgen import define_worker

    QUEUE = "queue"

    @define_worker("a.queued", dispatch=QUEUE, expires="1h")
    async def queued(data: str) -> int: ...

    @define_worker("a.silent")
    async def silent(data: str) -> int: ...

    @define_worker("a.inline", dispatch="inline")
    async def inline(data: str) -> int: ...

    @define_worker("a.computed", dispatch=min("queue", "inline"))
    async def computed(data: str) -> int: ...
"""
HEAD = "from wfgen import JobRef, define_workflow\nfrom flows.wfgen_gen import Workflow, workers\n"


def flow(*steps: str, options: str = "") -> str:
    lines = "".join(f"    {step}\n" for step in steps)
    return f"{HEAD}\n@define_workflow({options})\nasync def flow(workflow: Workflow, data: str) -> None:\n{lines}"


def findings(make: Callable[..., Any], source: str) -> list[tuple[int, str]]:
    """Line and message of each finding but those about what the sources above leave open."""
    settings = make({"flows/w.worker.py": WORKERS, "flows/flow.workflow.py": source}, ignore=("WF101", "WF402"))
    return [(d.line, f"{d.code} {d.message}") for d in inspect(settings, cache=False).diagnostics]


def test_where_steps_go(project: Any) -> None:
    """A2, C7: the manifest says of each worker where its steps go and how long jobs wait, if a constant tells."""
    manifest = project({"flows/w.worker.py": WORKERS}).manifest
    assert {w.id: (w.dispatch, w.expires) for w in manifest.workers} == {
        "a.queued": ("queue", "1h"),
        "a.silent": (None, None),
        "a.inline": ("inline", None),
        "a.computed": ("<dynamic>", None),
    }


def test_steps_that_do_not_wait(workflow: Any) -> None:
    """A step keeps what it is told about its result: a constant is followed, all else is `<dynamic>`."""
    read = workflow(
        """
        await workflow.do("a", "x", order, await_result=False)
        await workflow.do("b", "x", order, await_result=WAIT)
        await workflow.do("c", "x", order, await_result=bool(order))
        await workflow.do("d", "x", order)
        await workflow.do("e", "x", order, await_result=True)
        """,
        before="WAIT = False",
    )
    told = {node.name: node.await_result for node in walk(read.body) if isinstance(node, Step)}
    assert told == {"a": False, "b": False, "c": "<dynamic>", "d": None, "e": True}


def test_a_step_that_no_longer_waits_is_another_one(workflow: Any) -> None:
    """Recorded runs do not fit when the code stops waiting for a result, or begins to."""
    waits = workflow('await workflow.do("a", "x", order)').entry
    apart = workflow('await workflow.do("a", "x", order, await_result=False)').entry
    assert waits.steps_hash != apart.steps_hash
    for old, new, how in ((waits, apart, "does not wait"), (apart, waits, "waits")):
        reasons = Comparison(shapes_of(old.body), shapes_of(new.body)).reasons
        assert [reason.message for reason in reasons] == [f"step 'a' (rpc -> x) {how} for its result now"]


@pytest.mark.parametrize(
    ("target", "options", "reason"),
    [
        ('"a.queued", data', "", None),
        ('"a.silent", data', 'execution_mode="remote"', None),
        ('"a.computed", data', "", None),
        ('"a." + data, data', "", None),
        ('"a.silent", data', "", "neither worker 'a.silent' nor workflow 'flow' puts it on a queue"),
        ("workers.a.silent, data", "", "neither worker 'a.silent' nor workflow 'flow' puts it on a queue"),
        (
            '"a.inline", data',
            'execution_mode="remote"',
            "its worker 'a.inline' runs in the run's process (dispatch=\"inline\")",
        ),
        ("lambda: 3", 'execution_mode="remote"', "a function that is no worker runs in the run's process"),
    ],
)
def test_nothing_that_could_go_its_own_way(make: Any, target: str, options: str, reason: str | None) -> None:
    """C7: `await_result=False` on a step that is not on a queue is an error, where the source shows that it is not."""
    found = findings(make, flow(f'await workflow.do("x", {target}, await_result=False)', options=options))
    expected = [] if reason is None else [(6, f"WF411 step 'x' does not wait for its result, but {reason}.")]
    assert found == expected


def test_a_helper_is_reported_once_where_it_stands(make: Any) -> None:
    """A step in a helper of two workflows is on a queue for one of them alone: reported once, in the helper's file."""
    helper = 'async def go(workflow, data):\n    await workflow.do("x", "a.silent", data, await_result=False)\n'
    source = (
        "from flows.helper import go\nfrom wfgen import Workflow, define_workflow\n"
        '@define_workflow(execution_mode="remote")\nasync def one(workflow: Workflow) -> None:\n'
        '    await go(workflow, "")\n'
        "@define_workflow\nasync def two(workflow: Workflow) -> None:\n"
        '    await go(workflow, "")\n'
        "@define_workflow\nasync def three(workflow: Workflow) -> None:\n"
        '    await go(workflow, "")\n'
    )
    settings = make({"flows/w.worker.py": WORKERS, "flows/helper.py": helper, "flows/f.workflow.py": source})
    found = [(d.file, d.line, d.code) for d in inspect(settings, cache=False).diagnostics if d.code == "WF411"]
    assert found == [("flows/helper.py", 2, "WF411")]


def test_a_reference_to_a_job_is_not_the_workers_result(make: Any) -> None:
    """The types of what a step gives are not judged by its worker where it gives a JobRef."""
    right = 'ref: JobRef = await workflow.do("x", "a.queued", data, await_result=False)'
    wrong = 'text: str = await workflow.do("y", "a.queued", data)'
    found = findings(make, flow(right, wrong, "print(ref, text)"))
    assert [(line, text[:5]) for line, text in found] == [(7, "WF406")]


def test_unknown_words(make: Any) -> None:
    """A2: a dispatch or execution mode that nobody knows is an error, and what comes later is said to."""
    workers = """
        from wfgen import define_worker

        @define_worker("a", dispatch="queued")
        async def a() -> None: ...

        @define_worker("b", dispatch="webhook")
        async def b() -> None: ...

        @define_worker("c", expires="soon")
        async def c() -> None: ...
    """
    source = flow('await workflow.sleep("x", "1s")', options='execution_mode="queue"')
    settings = make({"w.worker.py": workers, "flow.workflow.py": source}, ignore=("WF403",))
    found = {(d.code, d.message) for d in inspect(settings, cache=False).diagnostics}
    assert found == {
        ("WF015", "execution_mode='queue' is unknown."),
        ("WF015", "dispatch='queued' is unknown."),
        ("WF015", "dispatch='webhook' is unknown."),
        ("WF107", "`expires` cannot be used: 'soon' is no duration."),
    }
