"""Readings, and the life of a store object."""

from __future__ import annotations

import asyncio
from typing import Any

from wfgen.errors import StoreError, UnknownRunError
from wfgen.ids import RunId
from wfgen.store.records import Append, Verdict
from wfgen.testing.stores.desk import FLOW, Desk, check, claim_one, enqueue, hook, new, raises, record, step


@check
async def runs_are_listed_newest_first_and_filtered(desk: Desk) -> None:
    """Lists filter by workflow and status, and stop at their limit."""
    store = await desk.open()
    process = await desk.register(store)
    for n in range(4):
        await store.create(new(f"r{n}", workflow="flow" if n % 2 else "other"))
    await store.claim(process, [FLOW], 1)

    async def ids(**query: Any) -> list[str]:
        return [record.run_id for record in await store.list_runs(**query)]

    assert await ids() == ["r3", "r2", "r1", "r0"]
    assert await ids(limit=2) == ["r3", "r2"]
    assert await ids(workflow="flow") == ["r3", "r1"]
    assert await ids(status=["pending"]) == ["r3", "r2", "r0"]
    assert await ids(workflow="flow", status=["running", "waiting"]) == ["r1"]
    assert await ids(status=[]) == []


@check
async def hooks_are_listed_oldest_first(desk: Desk) -> None:
    """Open hooks of one run or of all, up to a limit."""
    store = await desk.open()
    process = await desk.register(store)
    for run_id in ("r1", "r2"):
        await store.create(new(run_id))
    await store.claim(process, [FLOW], 2)
    await record(store, "r2", 1, step(2), opened=[hook("r2", "b"), hook("r2", "a")])
    await record(store, "r1", 1, step(2), opened=[hook("r1", "c")])
    assert [h.token for h in await store.hooks()] == ["b", "a", "c"]
    assert [h.token for h in await store.hooks(limit=1)] == ["b"]
    assert [h.token for h in await store.hooks(run_id="r1")] == ["c"]


@check
async def everything_is_there_after_closing_and_opening(desk: Desk) -> None:
    """Closing finishes what is queued; another store on the same place goes on."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    await claim_one(store, process)
    verdicts = enqueue(store, *[Append(RunId("r1"), 1, [step(seq)]) for seq in range(2, 100)])
    await store.close()
    assert verdicts.done(), "what was queued is answered before close() returns"
    assert set(await verdicts) == {None}
    again = await desk.open()
    assert len(await again.history("r1")) == 99
    assert await record(again, "r1", 1, step(100)) is None


@check
async def a_closed_store_says_so(desk: Desk) -> None:
    """Every method of a store that is not open raises StoreError; closing twice does no harm."""
    store = await desk.open()
    await store.close()
    await store.close()
    for asked in (store.create(new("r1")), store.list_runs(), store.claim("p", [FLOW], 1), store.leave("p")):
        with raises(StoreError, match="not open"):
            await asked
    with raises(StoreError, match="not open"):
        store.append(Append(RunId("r1"), 1), lambda verdict: None)
    with raises(StoreError, match="not open"):
        store.renew("p", 15)


@check
async def changes_of_others_are_told(desk: Desk) -> None:
    """A write through another connection wakes this one soon; its own writes do not."""
    one, two = await desk.open(), await desk.open()
    told = asyncio.Event()
    one.on_change(lambda changes: told.set() if "runs" in changes else None)
    await one.create(new("mine"))
    await asyncio.sleep(0.3)
    assert not told.is_set()
    await two.create(new("theirs"))
    await asyncio.wait_for(told.wait(), 2)


@check
async def a_cancelled_caller_disturbs_nobody(desk: Desk) -> None:
    """A create whose caller gave up is recorded or not, and everybody else is answered."""
    store = await desk.open()
    abandoned = asyncio.ensure_future(store.create(new("r1")))
    await asyncio.sleep(0)
    abandoned.cancel()
    await store.create(new("r2"))
    assert (await store.get_run("r2")).status == "pending"


@check
async def a_callback_that_raises_disturbs_nobody(desk: Desk) -> None:
    """The loop is told of the exception, and the other verdicts of the batch arrive."""
    store = await desk.open()
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    def fail(verdict: Verdict) -> None:
        raise RuntimeError("mine")

    store.append(Append(RunId("nobody"), 1, [step(2)]), fail)
    assert isinstance(await record(store, "nobody", 1, step(2)), UnknownRunError)
    assert [str(context["exception"]) for context in reported] == ["mine"]
