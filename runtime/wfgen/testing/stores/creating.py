"""Starting runs."""

from __future__ import annotations

import asyncio
from typing import Any

from wfgen.errors import ConflictError, UnknownRunError
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.records import RunRecord
from wfgen.testing.stores.desk import Desk, check, new, raises


@check
async def create_records_the_run_and_its_first_event(desk: Desk) -> None:
    """A new run is pending, at the clock's time, and its history starts with its input."""
    store = await desk.open()
    record, created = await store.create(new("r1", idempotency_key="k"))
    assert created
    now = desk.clock.now
    assert record == RunRecord(
        RunId("r1"),
        "flow",
        "1",
        "pending",
        b'{"a":1}',
        None,
        None,
        None,
        None,
        "salt",
        "k",
        0,
        0,
        None,
        now,
        now,
        None,
    )
    assert await store.get_run("r1") == record
    assert await store.history("r1") == [
        Event(1, "run_started", now, None, {"workflow": "flow", "version": "1"}, b'{"a":1}')
    ]


@check
async def input_may_be_absent(desk: Desk) -> None:
    """A run without input has none, rather than an empty one."""
    store = await desk.open()
    await store.create(new("none", input=None))
    await store.create(new("empty", input=b""))
    assert (await store.get_run("none")).input is None
    assert (await store.get_run("empty")).input == b""


@check
async def create_is_idempotent_by_key(desk: Desk) -> None:
    """A second start with a workflow's key gives the first run, whatever has become of it."""
    store = await desk.open()
    await store.create(new("r1", idempotency_key="k"))
    again, created = await store.create(new("r2", idempotency_key="k"))
    assert (again.run_id, created) == ("r1", False)
    other, created = await store.create(new("r3", workflow="other", idempotency_key="k"))
    assert (other.run_id, created) == ("r3", True)
    _, created = await store.create(new("r4"))
    assert created
    with raises(UnknownRunError, match="r2"):
        await store.get_run("r2")


@check
async def concurrent_creates_with_one_key_make_one_run(desk: Desk) -> None:
    """Of many starts with one key at the same time, on two connections, one creates."""
    stores = [await desk.open(), await desk.open()]
    outcomes = await asyncio.gather(*[stores[n % 2].create(new(f"r{n}", idempotency_key="k")) for n in range(40)])
    assert sum(created for _, created in outcomes) == 1
    assert len({record.run_id for record, _ in outcomes}) == 1
    assert len(await stores[0].list_runs()) == 1


@check.of([({"input": b"2"}, "another input"), ({"version": "2"}, "version 1")])
async def a_key_with_other_input_or_version_is_a_conflict(desk: Desk, changes: dict[str, Any], match: str) -> None:
    """A key that was used with another input or version is refused, and says by which run."""
    store = await desk.open()
    await store.create(new("r1", idempotency_key="k"))
    with raises(ConflictError, match=f"r1.*{match}"):
        await store.create(new("r2", idempotency_key="k", **changes))


@check
async def a_run_id_is_used_once(desk: Desk) -> None:
    """A run id that exists is refused, and what was queued with it goes through."""
    store = await desk.open()
    await store.create(new("r1"))
    outcomes = await asyncio.gather(
        store.create(new("r2")), store.create(new("r1")), store.create(new("r3")), return_exceptions=True
    )
    assert isinstance(outcomes[1], ConflictError)
    assert [record.run_id for record in await store.list_runs()] == ["r3", "r2", "r1"]
