"""What many connections do at the same time: order of messages, ends of families, appends together."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.postgres import connections, writing
from wfgen.store.records import Append, ChildEnd
from wfgen.testing.stores.desk import enqueue, inbox, new, record, step

from ...postgres import plain
from .worlds import ask, opened, play, registered


def test_a_message_that_is_committed_late_is_not_missed(emptied_schema: str) -> None:
    """Of two messages the second may be committed, and read, first: the next reading tells of the other one."""
    url = emptied_schema

    async def story() -> None:
        async with opened(url) as store:
            process = await registered(store)
            for run_id in ("r1", "r2"):
                await store.create(new(run_id), process)
            with psycopg.connect(plain(url)) as slow:
                slow.execute("SELECT 1 FROM runs WHERE run_id = 'r1' FOR UPDATE")
                slow.execute("INSERT INTO messages (run, kind) SELECT run, 'cancel' FROM runs WHERE run_id = 'r1'")
                await store.send("cancel", run_id=RunId("r2"))
                early, mark = await store.messages(process)
                assert [message.run_id for message in early] == ["r2"]
                slow.commit()
            late, after = await store.messages(process, after=mark)
            assert {message.run_id for message in late} >= {"r1"}
            assert min(message.id for message in late) < early[0].id
            assert after > mark
            assert (await store.messages(process, after=after))[0] == []

    play(story)


def test_appends_of_one_moment_are_one_transaction(emptied_schema: str) -> None:
    """B22: What fifty runs append at once is committed together."""
    url = emptied_schema

    async def story() -> None:
        async with opened(url) as store:
            process = await registered(store)
            await asyncio.gather(*[store.create(new(f"r{n}"), process) for n in range(50)])
            ends: dict[str, Any] = {"status": "completed", "output": b"1"}
            verdicts = await enqueue(
                store, *[Append(RunId(f"r{n}"), 1, [step(2)], **(ends if n % 2 else {})) for n in range(50)]
            )
            assert verdicts == [None] * 50
        with psycopg.connect(plain(url), autocommit=True) as look:
            assert ask(look, "SELECT count(DISTINCT xmin::text) FROM events WHERE seq = 2") == 1

    play(story)


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors for which a transaction was begun again."""
    found: list[BaseException] = []
    judge = connections.is_passing

    def judged(error: BaseException) -> bool:
        if judge(error):
            found.append(error)
        return judge(error)

    for module in (connections, writing):
        monkeypatch.setattr(module, "is_passing", judged)
    return found


def test_parents_and_children_end_at_once(emptied_schema: str, passing: list[BaseException]) -> None:
    """B1: Families whose members end at the same time, in two processes and in any order, never block each other."""
    url = emptied_schema
    families, size = 12, 5

    async def story() -> None:
        async with opened(url, 2) as stores:
            ids = [await registered(store) for store in stores]
            for family in range(families):
                await stores[0].create(new(f"p{family}"), ids[0])
            for family in range(families):
                children = [
                    new(f"c{family}.{n}", parent=(RunId(f"p{family}"), f"0/call{n}"), on_parent_end="cancel")
                    for n in range(size)
                ]
                assert await record(stores[0], f"p{family}", 1, step(2), children=children) is None
            claimed = [await stores[n].claim(ids[n], [("flow", "1")], families * size // 2) for n in (0, 1)]

            async def end(store: Any, run_id: str, epoch: int, seq: int) -> None:
                ending = Event(seq, "run_completed", 1_800_000_000.5)
                assert await record(store, run_id, epoch, ending, status="completed", output=b"1") is None

            work = [end(stores[n], one.run.run_id, 1, 2) for n in (0, 1) for one in reversed(claimed[n])]
            # Every other parent ends meanwhile, the rest hears how all of its children ended.
            work[5:5] = [end(stores[0], f"p{family}", 1, 3) for family in range(0, families, 2)]
            await asyncio.gather(*work)
            told = await inbox(stores[0], ids[0])
            ended = {(one.run_id, one.name, ChildEnd.load(one.payload or b"").status) for one in told}
            assert ended == {
                (f"p{family}", f"0/call{n}", "completed") for family in range(1, families, 2) for n in range(size)
            }
            assert len(told) == len(ended)

    play(story)
    assert passing == []


def test_a_connection_is_not_used_again_that_somebody_left_in_the_middle(emptied_schema: str) -> None:
    """Who is cancelled between the begin of a pipeline and what it sends leaves a connection that nobody could use."""

    async def story() -> None:
        async with opened(emptied_schema) as store:
            async with store._connections._lent() as (left, _):
                left.pgconn.enter_pipeline_mode()
            assert left.closed
            assert await store.list_runs() == []

    play(story)
