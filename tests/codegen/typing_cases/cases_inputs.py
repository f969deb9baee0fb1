"""Inputs that are missing, optional, plain or generic, in the projects `worker_inputs`, `versions` and `names`."""

from typing import assert_type

from billing import wfgen_gen as billing
from billing.models import New, Old
from jobs.wfgen_gen import Workflow, connect, workers
from naming import wfgen_gen as naming
from naming.models import Item


async def steps(workflow: Workflow) -> None:
    """Workers take what they declare."""
    assert_type(await workflow.do("a", "clock.read"), int)
    assert_type(await workflow.do("b", workers.clock.read_sync), int)
    assert_type(await workflow.do("c", "list", "x"), list[str])
    assert_type(await workflow.do("d", "page"), str)
    assert_type(await workflow.do("e", "page", 3), str)
    assert_type(await workflow.do("f", workers.page), str)
    assert_type(await workflow.do("g", workers.page, 3), str)
    assert_type(await workflow.do("h", "job.both", {"a": [1]}), int)
    assert_type(workers.list("x"), list[str])
    assert_type(workers.clock.read_sync(), int)
    assert_type(await workers.clock.read(), int)


async def clients() -> None:
    """Workflows take what they declare; the client has the types of the latest version."""
    async with connect() as wf:
        assert_type(await wf.use.run(), list[str])
        await (await wf.maybe.start()).result()
        await (await wf.maybe.start(3, version="1")).result()
    async with billing.connect() as wf_billing:
        assert_type(await wf_billing.invoice.run(New(amount=1, currency="EUR")), New)
    async with naming.connect() as wf_naming:
        assert_type(await wf_naming.crm.sign_up.run(Item(value=1), version="2026.1-beta"), Item)
        assert_type(await wf_naming.crm.class_.run(), list[Item])
        await wf_naming.property.run([Item(value=1)])
        await wf_naming._3d.run()
        assert_type(await naming.workers.crm.accounts.create_one(Item(value=1)), Item)


async def wrong(workflow: Workflow) -> None:
    """Data that a worker does not take is an error."""
    await workflow.do("a", "clock.read", 3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("b", "page", "x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("c", "job.both", {"a": ["x"]})  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("d", workers.list)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    workers.list(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with connect() as wf:
        await wf.use.run(3)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
        await wf.maybe.start("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with billing.connect() as wf_billing:
        await wf_billing.invoice.start(Old(amount=1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
