"""What writes: a task that takes whatever is queued and sends it to the server in one statement.

Nothing waits for company on purpose: while one batch is being made durable the next one gathers. Each append has its
own verdict. A connection that is lost leaves it open whether the batch was recorded; that is looked up before anything
is said about it, once nobody can be recording it any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import psycopg

from wfgen.errors import PASSING, LeaseLostError, StoreError, WfgenError
from wfgen.store import refusals
from wfgen.store.postgres import arrays, control, queries
from wfgen.store.postgres.batches import (
    APPEND,
    APPEND_EVENT,
    CREATE,
    AppendBatch,
    after_refusal,
    create_values,
)
from wfgen.store.postgres.connections import REPEATED, WRITING, Backend, Connection, Connections
from wfgen.store.postgres.faults import fault, is_lost, is_passing, strikes_all
from wfgen.store.records import GIVEN_BACK, Append, NewRun, RunRecord, Verdict, created_record
from wfgen.store.stored_events import encoded

T = TypeVar("T")

MOST = 1000
"""Appends of one statement."""

_Job = tuple[Append, Callable[[Verdict], None]]
_Start = tuple[NewRun, str | None, "asyncio.Future[tuple[RunRecord, bool]]"]

_LAST_EVENTS = (
    "SELECT r.run_id, e.type, e.time, e.key, e.data, e.payload FROM unnest(%s::text[], %s::bigint[])"
    " AS given(run_id, seq) JOIN runs AS r USING (run_id) JOIN events AS e ON e.run = r.run AND e.seq = given.seq"
)


class Writer:
    """Owns the connection that appends and creates.

    Args:
        connections: connects.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._place = connections.address.place
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._lost: Backend | None = None
        """The server's process behind a connection that was lost."""
        self._appends: list[_Job] = []
        self._starts: list[_Start] = []
        self._more = asyncio.Event()
        self._refused: dict[str, int] = {}
        """Runs with the epoch of an append that was refused."""
        self._doubtful: dict[str, tuple[int, int]] = {}
        """Runs with epoch and last number of an append of which nobody knows whether it was recorded."""
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect."""
        await self._connected()
        self._task = self._loop.create_task(self._work(), name="wfgen-store-writer")

    async def close(self) -> None:
        """Finish what is queued and disconnect."""
        self._stopped = True
        self._more.set()
        if self._task is not None:
            await self._task
        if self._connection is not None:
            await self._connection.close()

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        """Queue an append; `done` is called on the loop with its verdict."""
        self._appends.append((append, done))
        self._more.set()

    async def create(self, new: NewRun, owner: str | None) -> tuple[RunRecord, bool]:
        """Queue a new run, and wait until it is recorded, or refused."""
        told: asyncio.Future[tuple[RunRecord, bool]] = self._loop.create_future()
        self._starts.append((new, owner, told))
        self._more.set()
        return await told

    async def _work(self) -> None:
        while True:
            if not self._appends and not self._starts:
                if self._stopped:
                    return
                self._more.clear()
                await self._more.wait()
                continue
            starts, self._starts = self._starts[:MOST], self._starts[MOST:]
            if starts:
                await self._create_all(starts)
            appends, self._appends = self._appends[:MOST], self._appends[MOST:]
            while appends:
                appends = await self._append_some(appends)

    # Appends.

    async def _append_some(self, jobs: list[_Job]) -> list[_Job]:
        """Record the first appends of each run; gives those that have to wait for these."""
        batch, now, later = AppendBatch(), list[_Job](), list[_Job]()
        early: list[tuple[_Job, WfgenError]] = []
        seen: set[str] = set()
        for place, job in enumerate(jobs, 1):
            append = job[0]
            run_id = append.run_id
            if run_id in seen:
                later.append(job)
                continue
            if append.status == "pending" and seen:  # it locks the run's children as well: alone, it does that in order
                seen.add(run_id)
                later.append(job)
                continue
            seen.add(run_id)
            if self._refused and not append.events and self._refused.get(run_id) == append.epoch:
                early.append((job, after_refusal(run_id)))
                continue
            try:
                batch.add(append)
            except Exception as error:  # a value that cannot be sent
                early.append((job, fault(error, self._place)))
            else:
                now.append(job)
                if append.status == "pending":
                    later += jobs[place:]
                    break
        for job, refusal in early:
            self._settle(job, refusal)
        if now:
            try:
                verdicts = await self._reliably(lambda again: self._record(batch, again=again), batch.appends)
            except Exception as error:
                if len(now) > 1 and not strikes_all(error) and not isinstance(error, StoreError):
                    for job in now:  # one of them is at fault; the others are recorded without it
                        await self._append_some([job])
                    return later
                verdicts = [fault(error, self._place) for _ in now]
            for job, verdict in zip(now, verdicts, strict=True):
                self._settle(job, verdict)
        return later

    async def _record(self, batch: AppendBatch, *, again: bool) -> list[WfgenError | None]:
        connection = await self._connected()
        recorded = await self._recorded(connection, batch.appends) if again or self._doubtful else set()
        if recorded:
            rest = AppendBatch()
            for append in batch.appends:
                if append.run_id not in recorded:
                    rest.add(append)
            verdicts = iter(await self._record_new(connection, rest) if rest.appends else [])
            return [None if one.run_id in recorded else next(verdicts) for one in batch.appends]
        return await self._record_new(connection, batch)

    async def _record_new(self, connection: Connection, batch: AppendBatch) -> list[WfgenError | None]:
        await self._connections.follow_clock(connection)
        event = batch.event
        if event is not None:
            with contextlib.suppress(psycopg.errors.UniqueViolation):
                cursor = await connection.execute(APPEND_EVENT, event, binary=True)
                if cursor.rowcount:
                    return [None]
            # Refused: the function says why.
        given_back = [one for one in batch.appends if one.status in GIVEN_BACK]
        if not given_back:
            cursor = await connection.execute(APPEND, batch.values, binary=True)
            return batch.refusals(await cursor.fetchall()) if cursor.rowcount else [None] * len(batch.appends)
        async with connection.transaction():
            cursor = await connection.execute(APPEND, batch.values, binary=True)
            verdicts = batch.refusals(await cursor.fetchall())
            for append, verdict in zip(batch.appends, verdicts, strict=True):
                if verdict is None and append.status in GIVEN_BACK:
                    row = await queries.one(connection, "SELECT run FROM runs WHERE run_id = %s", (append.run_id,))
                    assert row is not None
                    await control.give_back(connection, row[0], append.status)
        return verdicts

    async def _recorded(self, connection: Connection, appends: list[Append]) -> set[str]:
        """Those of doubtful appends, by run, that were recorded after all."""
        asked = {
            one.run_id: one
            for one in appends
            if one.events and self._doubtful.get(one.run_id) == (one.epoch, one.events[-1].seq)
        }
        if not asked:
            return set()
        rows = await queries.rows(
            connection, _LAST_EVENTS, (list(asked), [one.events[-1].seq for one in asked.values()])
        )
        found = set()
        for run_id, *there in rows:
            event = asked[run_id].events[-1]
            data = encoded(event.data) if event.data else None
            if there == [event.type, event.time, event.key, data, event.payload]:
                found.add(run_id)
        return found

    def _settle(self, job: _Job, verdict: WfgenError | None) -> None:
        append, done = job
        run_id = append.run_id
        if not isinstance(verdict, PASSING):
            self._doubtful.pop(run_id, None)
        if verdict is None or isinstance(verdict, LeaseLostError):
            self._refused.pop(run_id, None)
        elif isinstance(verdict, StoreError) and append.events:
            self._refused[run_id] = max(append.epoch, self._refused.get(run_id, 0))
        try:
            done(verdict)
        except Exception as error:
            self._loop.call_exception_handler({"message": "a store's callback failed", "exception": error})

    # Starts.

    async def _create_all(self, starts: list[_Start]) -> None:
        try:
            answers = await self._reliably(lambda again: self._create(starts, again=again), [])
        except Exception as error:
            if len(starts) > 1 and not strikes_all(error) and not isinstance(error, StoreError):
                for start in starts:
                    await self._create_all([start])
                return
            answers = [fault(error, self._place) for _ in starts]
        for (_, _, told), answer in zip(starts, answers, strict=True):
            if told.done():  # cancelled by who waited
                continue
            if isinstance(answer, WfgenError):
                told.set_exception(answer)
            else:
                told.set_result(answer)

    async def _create(self, starts: list[_Start], *, again: bool) -> list[tuple[RunRecord, bool] | WfgenError]:
        connection = await self._connected()
        await self._connections.follow_clock(connection)
        runs = [(new, owner) for new, owner, _ in starts]
        cursor = await connection.execute(CREATE, create_values(runs), binary=True)
        created = {place: (time, owned) for place, _, time, owned in await cursor.fetchall()}
        answers: list[tuple[RunRecord, bool] | WfgenError] = []
        for place, (new, owner) in enumerate(runs, 1):
            if place in created:
                time, owned = created[place]
                answers.append((created_record(new, owner if owned else None, time), True))
            else:
                answers.append(await self._existing(connection, new, again=again))
        return answers

    async def _existing(
        self, connection: Connection, new: NewRun, *, again: bool
    ) -> tuple[RunRecord, bool] | WfgenError:
        """What a run that cannot be created is told: there is one of its id or its key."""
        if again:
            row = await queries.one(
                connection, "SELECT run FROM runs WHERE run_id = %s AND salt = %s", (new.run_id, new.salt)
            )
            if row is not None:  # created by the statement of which no answer came
                return await queries.get_by_number(connection, row[0]), True
        if new.idempotency_key is None:
            return refusals.taken(new.run_id)
        existing = await queries.find_by_key(connection, new.workflow, new.idempotency_key)
        if existing is None:
            return refusals.taken(new.run_id)
        is_version = new.any_version or existing.version == new.version
        if is_version and existing.input == new.input:
            return existing, False
        what = "another input" if is_version else f"version {existing.version}"
        return refusals.another_start(new.workflow, new.idempotency_key, existing.run_id, what)

    # The connection.

    async def _reliably(self, work: Callable[[bool], Awaitable[T]], appends: Sequence[Append]) -> T:
        """Do something that may be done again: at once if another transaction was in the way, or the connection is
        lost. `work` is told whether it is not the first time, so that it looks first."""
        attempt, again = 0, False
        while True:
            attempt += 1
            try:
                return await work(again)
            except Exception as error:
                if is_passing(error) and attempt < REPEATED:
                    await asyncio.sleep(random.random() * 0.01 * attempt)
                    continue
                if not is_lost(error):
                    raise
                if self._connection is not None:  # it may have got through
                    self._doubtful |= {one.run_id: (one.epoch, one.events[-1].seq) for one in appends if one.events}
                    self._lost = self._connections.backend(self._connection)
                    await self._connection.close()
                    self._connection = None
                    if not again:
                        again = True
                        continue
                raise

    async def _connected(self) -> Connection:
        if self._connection is None:
            if self._lost is not None:
                # What it may still be doing is done, or never will be, before anybody looks.
                await self._connections.end(self._lost)
                self._lost = None
            connection = await self._connections.connect()
            try:
                arrays.register(connection)
                await connection.execute(WRITING)
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
        return self._connection
