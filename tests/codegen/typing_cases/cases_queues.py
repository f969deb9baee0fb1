"""Steps on queues and the processes that take them, in the project `queues`."""

import asyncio
from typing import assert_type

from post.models import Letter
from post.wfgen_gen import Workflow, connect, workers
from post.wfgen_gen.queues import one, post

from wfgen import JobId, JobRef, Orchestrator, QueueWorker, Serving, WorkerId
from wfgen.store.jobs import JobRecord

LETTER = Letter(to="Ada")


async def steps(workflow: Workflow) -> None:
    """A step that is not awaited gives a reference to its job, whatever its worker gives."""
    assert_type(await workflow.do("a", "mail.send", LETTER), str)
    assert_type(await workflow.do("b", "mail.send", LETTER, await_result=True), str)
    assert_type(await workflow.do("c", "mail.send", LETTER, await_result=False), JobRef)
    assert_type(await workflow.do("d", workers.mail.send, LETTER, await_result=False, timeout="5m"), JobRef)
    assert_type(await workflow.do("e", workers.mail.sweep, await_result=False), JobRef)
    assert_type(await workflow.do("f", WorkerId("mail.send"), LETTER, await_result=False), JobRef)
    assert_type((await workflow.do("g", "mail.sweep", await_result=False)).job_id, JobId)


async def served() -> None:
    """Queues and orchestrators are attributes: of their workflow's class, or of the module that has no other one."""
    assert_type(post.post_letter.send, QueueWorker)
    assert_type(post.post_letter.tidy_up, QueueWorker)
    assert_type(post.post_bulk.orchestrator, Orchestrator)
    assert_type(one.stamp.queue, str)
    assert_type(one.stamp.worker, str | None)
    await asyncio.gather(one.stamp.serve(), one.orchestrator.serve("sqlite:///x.db", concurrency=3))
    async with connect(serving=Serving(queues=("post.letter.*",), concurrency=2)) as wf:
        run = await wf.one.start(LETTER)
        assert_type(await run.jobs(), list[JobRecord])
        assert_type(await wf.get_job("job_1"), JobRecord)
        assert_type(await wf.list_jobs(run_id=run.id, status=["failed"]), list[JobRecord])


async def wrong(workflow: Workflow) -> None:
    """A function has no job; data and options are checked; what is not awaited has no result."""
    await workflow.do("a", lambda: 3, await_result=False)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("b", workers.mail.send, 3, await_result=False)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("c", workers.mail.send, await_result=False)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("d", "mail.send", LETTER, await_result=False, on_error="continue")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("e", "mail.send", LETTER, await_result=False, compensate="mail.sweep")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    text: str = await workflow.do("f", "mail.send", LETTER, await_result=False)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    await one.nothing.serve()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    print(text)
