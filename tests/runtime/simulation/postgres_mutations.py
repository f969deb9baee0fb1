"""Known bugs of the PostgreSQL store, to see that the simulation finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wfgen.store.postgres import claiming, job_ends, jobs
from wfgen.store.postgres.store import PostgresStore

from .postgres import Database

Mutation = Callable[[pytest.MonkeyPatch, Database], None]
"""Puts a bug in; what it alters in the database is restored by whoever asks for it."""


class Anybody(str):
    """Equal to every name."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


def no_fencing(patch: pytest.MonkeyPatch, database: Database) -> None:
    """Whoever wrote to a run once may go on. What hides that is left out, too: a takeover takes the next number in the
    history; and leases are short, so that many are taken over."""
    lapsed_too_early(patch, database)
    patch.setattr(claiming, "last_process", lambda events: Anybody())
    database.alter("r.epoch <> given.epoch OR r.owner IS NULL", "false")


def lapsed_too_early(patch: pytest.MonkeyPatch, database: Database) -> None:
    """A lease counts as over while its process still goes by it."""
    renew = PostgresStore._renew
    patch.setattr(PostgresStore, "_renew", lambda self, connection, id, lease: renew(self, connection, id, lease / 4))


def messages_stay(patch: pytest.MonkeyPatch, database: Database) -> None:
    """A message that was answered is left in the inbox."""
    database.alter("DELETE FROM messages WHERE id IN (", "DELETE FROM messages WHERE false AND id IN (")


def messages_unseen(patch: pytest.MonkeyPatch, database: Database) -> None:
    """The mark of a reading is later than what was read."""
    messages = claiming.messages

    async def further(*arguments: Any) -> Any:
        found, mark = await messages(*arguments)
        return found, mark + 1_000_000

    patch.setattr(claiming, "messages", further)


def ends_told_twice(patch: pytest.MonkeyPatch, database: Database) -> None:
    """The end of a job is put into the inbox of its run twice."""
    finish = job_ends.finish_jobs

    async def twice(connection: Any, finished: Any) -> Any:
        refused = await finish(connection, finished)
        ids = [job_id for job_id, _, _ in finished]
        await connection.execute("SELECT tell_of_jobs(array_agg(job)) FROM jobs WHERE job_id = ANY(%s)", (ids,))
        return refused

    patch.setattr(job_ends, "finish_jobs", twice)


def jobs_without_fence(patch: pytest.MonkeyPatch, database: Database) -> None:
    """Whoever had a job once may end it."""
    finish = job_ends.finish_jobs

    async def lenient(connection: Any, finished: Any) -> Any:
        current = []
        for job_id, _, end in finished:
            cursor = await connection.execute(
                "UPDATE jobs SET owner = coalesce(owner, 'anybody') WHERE job_id = %s RETURNING epoch", (job_id,)
            )
            (epoch,) = await cursor.fetchone()
            current.append((job_id, epoch, end))
        return await finish(connection, current)

    patch.setattr(job_ends, "finish_jobs", lenient)


def jobs_forgotten(patch: pytest.MonkeyPatch, database: Database) -> None:
    """What a dead process worked stays its own."""

    async def nothing(*arguments: Any, **options: Any) -> None:
        pass

    patch.setattr(jobs, "abandon", nothing)


def given_back_by_others(patch: pytest.MonkeyPatch, database: Database) -> None:
    """A process gives back what it may have taken, whoever has it now."""
    get_job = PostgresStore.get_job

    async def its_own(self: Any, job_id: str) -> Any:
        record = await get_job(self, job_id)
        object.__setattr__(record, "owner", Anybody())
        return record

    patch.setattr(PostgresStore, "get_job", its_own)


MUTATIONS: dict[str, tuple[Mutation, int, str]] = {
    "no_fencing": (no_fencing, 17, "wrote to"),
    "lapsed_too_early": (lapsed_too_early, 27, "begins"),
    "messages_stay": (messages_stay, 3, "answered twice"),
    "messages_unseen": (messages_unseen, 0, "are lost"),
    "ends_told_twice": (ends_told_twice, 0, "told twice"),
    "jobs_without_fence": (jobs_without_fence, 23, "is taken"),
    "jobs_forgotten": (jobs_forgotten, 0, "are lost"),
    "given_back_by_others": (given_back_by_others, 23, "is taken"),
}
"""Each with a seed that found it soon, and a part of what is wrong then."""
