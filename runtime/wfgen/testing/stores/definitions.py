"""What was deployed, who works it, and which tables there are."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from wfgen.store.deployments import DefinitionRecord, NewDefinition
from wfgen.testing.stores.desk import FLOW, Desk, check, new


def _definition(**changes: Any) -> NewDefinition:
    return replace(NewDefinition("flow", "1", "hash", b'{"a": 1}'), **changes)


def _shapes(found: Any) -> list[tuple[str, str, str]]:
    return [(one.workflow, one.version, one.steps_hash) for one in found]


@check
async def definitions_are_kept_with_their_versions(desk: Desk) -> None:
    """E1: each shape that a version had is kept with its times; what is deployed again is the last one."""
    store = await desk.open()
    assert list(await store.definitions()) == []
    began = desk.clock.now
    await store.record_definitions([_definition(version="2"), _definition(), _definition(workflow="b")])
    desk.clock.now += 10
    await store.record_definitions([_definition(steps_hash="other", manifest=b"\x00\xff")])
    other = await desk.open()
    assert list(await other.definitions("flow", "1")) == [
        DefinitionRecord("flow", "1", "other", b"\x00\xff", began + 10, began + 10),
        DefinitionRecord("flow", "1", "hash", b'{"a": 1}', began, began),
    ]
    desk.clock.now += 10
    await store.record_definitions([_definition()])
    again, _ = await store.definitions("flow", "1")
    assert again == DefinitionRecord("flow", "1", "hash", b'{"a": 1}', began, began + 20)
    every = [("b", "1", "hash"), ("flow", "1", "hash"), ("flow", "1", "other"), ("flow", "2", "hash")]
    assert _shapes(await store.definitions()) == every
    assert _shapes(await store.definitions("flow")) == every[1:]
    assert _shapes(await store.definitions(version="2")) == every[3:]
    assert _shapes(await store.definitions("none")) == []


@check
async def a_definition_of_the_same_steps_has_the_last_manifest(desk: Desk) -> None:
    """E1: what replay does not see may change under one hash: the last manifest counts, the first time stays."""
    store = await desk.open()
    began = desk.clock.now
    await store.record_definitions([_definition()])
    desk.clock.now += 10
    await store.record_definitions([_definition(manifest=b'{"a": 2}')])
    assert list(await store.definitions()) == [DefinitionRecord("flow", "1", "hash", b'{"a": 2}', began, began + 10)]
    await store.record_definitions([])
    assert len(list(await store.definitions())) == 1


@check
async def processes_may_record_definitions_at_the_same_time(desk: Desk) -> None:
    """E1: many processes of one deployment bring the same; it is there once."""
    stores = [await desk.open() for _ in range(3)]
    brought = [_definition(version=str(number)) for number in range(20)]
    await asyncio.gather(*[
        store.record_definitions(brought[::step]) for store, step in zip(stores, (1, -1, 2), strict=True)
    ])  # fmt: skip
    assert sorted(_shapes(await stores[0].definitions())) == sorted(_shapes(brought))


@check
async def processes_are_known_with_what_they_serve(desk: Desk) -> None:
    """B14: who works the store says where it runs, what it takes, and when it was heard of last."""
    store = await desk.open()
    serves = '{"workflows": [["flow", "1"]], "workers": [], "queues": null, "concurrency": 5}'
    process = desk.process(serves=serves, wfgen="9.9", started_at=desk.clock.now - 1)
    await store.register(process, 15)
    (found, until), *more = await store.processes()
    assert (found, until, more) == (replace(process, heartbeat_at=desk.clock.now), desk.clock.now + 15, [])
    desk.clock.now += 5
    assert await asyncio.to_thread(store.renew, process.process_id, 15)
    ((found, until),) = await store.processes()
    assert (found.heartbeat_at, until) == (desk.clock.now, desk.clock.now + 15)


@check
async def what_processes_hold_is_counted(desk: Desk) -> None:
    """B14: runs by the process that holds them; one that holds none is not among them."""
    store = await desk.open()
    first, second, _ = [await desk.register(store, lease=100) for _ in range(3)]
    assert dict(await store.holdings()) == {}
    for number in range(5):
        await store.create(new(f"r{number}"))
    await store.claim(first, [FLOW], 3)
    await store.claim(second, [FLOW], 1)
    assert dict(await store.holdings()) == {first: (3, 3, 0), second: (1, 1, 0)}
    await store.leave(first)
    assert dict(await store.holdings()) == {second: (1, 1, 0)}


@check
async def the_schema_can_be_asked_of_a_store_that_is_closed(desk: Desk) -> None:
    """E1: looking at a place makes nothing there; once a store was open there, it is up to date."""
    closed = desk.make(desk.environment)
    for _ in range(2):
        found = await closed.schema()
        assert (found.version, list(found.pending)) == (0, list(range(1, found.known + 1)))
    store = await desk.open()
    for one in (store, closed):
        found = await one.schema()
        assert (found.version, list(found.pending)) == (found.known, [])
        assert found.place == one.place != ""
    assert store.migration_script() != store.migration_script(found.known)
