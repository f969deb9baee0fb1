"""Finding runs in a PostgreSQL store by what they are, without a look at all that there are.

As in a store file, see `wfgen.store.sqlite.listing`: a filter becomes one or several ranges of one index, each read in
the order wanted and no further than the limit. All ranges of a question are asked for in one statement, and it is
never prepared: how selective a range is depends on its values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from wfgen.store.filters import Pair, RunQuery
from wfgen.store.postgres import queries
from wfgen.store.postgres.queries import Connection, rows
from wfgen.store.records import FINISHED, RunRecord
from wfgen.store.refusals import unknown_run

_Range = tuple[str, tuple[Any, ...]]
"""Condition and values of a part of an index on runs."""


async def list_runs(connection: Connection, query: RunQuery) -> list[RunRecord]:
    """Runs that fit a query, newest first.

    Raises:
        UnknownRunError: there is no run `before`.
    """
    asked = await statement(connection, query)
    if asked is None:
        return []
    text, values = asked
    numbers = [run for _, run in await queries.planned(connection, text, values)]
    found = await queries.runs_by_number(connection, numbers)
    return [found[run] for run in numbers if run in found]


async def statement(connection: Connection, query: RunQuery) -> tuple[str, tuple[Any, ...]] | None:
    """What is asked of the database: it gives starts and numbers of runs, newest first. None if nothing can fit.

    Raises:
        UnknownRunError: there is no run `before`.
    """
    rest, rest_values = await _rest(connection, query)
    parts: list[str] = []
    values: list[Any] = []
    source, time, run, ranges = await _ranges(connection, query)
    for where, range_values in ranges:
        conditions = " AND ".join([where, *rest]).format(time=time, run=run)
        parts.append(
            f"(SELECT {time} AS time, {run} AS run FROM {source} WHERE {conditions}"
            f" ORDER BY {time} DESC, {run} DESC LIMIT %s)"
        )
        values += [*range_values, *rest_values, query.limit]
    if not parts:
        return None
    # No run is in two ranges.
    text = f"SELECT time, run FROM ({' UNION ALL '.join(parts)}) AS found ORDER BY time DESC, run DESC LIMIT %s"
    return text, (*values, query.limit)


async def _ranges(connection: Connection, query: RunQuery) -> tuple[str, str, str, Sequence[_Range]]:
    """The table that is read, its columns for the start and the number of a run, and the ranges of it."""
    runs = ("runs AS r", "r.created_at", "r.run")
    statuses = query.status
    if statuses is not None and not statuses:
        return *runs, []
    if query.idempotency_key is not None:
        key = query.idempotency_key
        return *runs, [
            ("r.workflow = %s AND r.idempotency_key = %s", (workflow, key))
            for workflow in await _workflows(connection, query)
        ]
    if query.parent is not None:
        return *runs, [("r.parent = (SELECT run FROM runs WHERE run_id = %s)", (query.parent,))]
    if query.error_code is not None:
        return *runs, [("r.error_code = %s", (query.error_code,))]
    if query.tag is not None and (statuses is None or "completed" in statuses):
        # OFFSET keeps the planner from reading all runs in the order of their numbers beside the tag's.
        source = "tags AS t, LATERAL (SELECT * FROM runs WHERE run = t.run OFFSET 0) AS r"
        return source, "t.created_at", "t.run", [("t.tag = %s", (query.tag,))]
    if query.workflow is None and statuses is None:
        return *runs, [("TRUE", ())]
    return *runs, list(_by_workflow(query, await pairs(connection, query.workflow, query.version)))


def _by_workflow(query: RunQuery, found: Sequence[Pair]) -> Iterator[_Range]:
    wanted = set(query.status) if query.status is not None else None
    final = sorted(FINISHED if wanted is None else FINISHED & wanted)
    same = "r.workflow = %s AND r.version = %s"
    for pair in found:
        if wanted is None or wanted - FINISHED:
            yield f"r.finished_at IS NULL AND {same}", pair
        for status in final:
            yield f"r.finished_at IS NOT NULL AND {same} AND r.status = %s", (*pair, status)


async def _rest(connection: Connection, query: RunQuery) -> tuple[list[str], tuple[Any, ...]]:
    """Conditions beside the range; those on time narrow it, where `{time}` and `{run}` are its columns."""
    conditions: list[str] = []
    values: list[Any] = []

    def add(condition: str, *given: Any) -> None:
        conditions.append(condition)
        values.extend(given)

    if query.since is not None:
        add("{time} >= %s", query.since)
    if query.until is not None:
        add("{time} < %s", query.until)
    if query.before is not None:
        row = await queries.one(connection, "SELECT created_at, run FROM runs WHERE run_id = %s", (query.before,))
        if row is None:
            raise unknown_run(query.before)
        add("({time}, {run}) < (%s::double precision, %s::bigint)", *row)
    if query.workflow is not None:
        add("r.workflow = %s", query.workflow)
    if query.version is not None:
        add("r.version = %s", query.version)
    if query.status is not None:
        add("r.status = ANY(%s)", list(query.status))
    if query.idempotency_key is not None:
        add("r.idempotency_key = %s", query.idempotency_key)
    if query.parent is not None:
        add("r.parent = (SELECT run FROM runs WHERE run_id = %s)", query.parent)
    if query.error_code is not None:
        add("r.error_code = %s", query.error_code)
    if query.tag is not None:
        add("EXISTS (SELECT 1 FROM tags WHERE tag = %s AND created_at = r.created_at AND run = r.run)", query.tag)
    return conditions, tuple(values)


async def pairs(connection: Connection, workflow: str | None = None, version: str | None = None) -> Sequence[Pair]:
    """Names and versions of the workflows that have runs, sorted; found by one step in the index for each."""
    if workflow is not None and version is not None:
        return [(workflow, version)]
    found: set[Pair] = set()
    for part in ("finished_at IS NULL", "finished_at IS NOT NULL"):
        found.update(await _steps_in(connection, part, workflow))
    return sorted(pair for pair in found if version is None or pair[1] == version)


async def _steps_in(connection: Connection, part: str, workflow: str | None) -> list[Pair]:
    after = "(workflow, version) > (pair.workflow, pair.version)"
    if workflow is not None:
        part, after = f"{part} AND workflow = %(workflow)s", "version > pair.version"
    first = f"SELECT workflow, version FROM runs WHERE {part}"
    found = await rows(
        connection,
        f"WITH RECURSIVE pair AS (({first} ORDER BY workflow, version LIMIT 1) UNION ALL"
        f" SELECT next.workflow, next.version FROM pair, LATERAL ({first}"
        f" AND {after} ORDER BY workflow, version LIMIT 1) AS next)"
        " SELECT workflow, version FROM pair",
        {"workflow": workflow},
    )
    return [(name, version) for name, version in found]


async def _workflows(connection: Connection, query: RunQuery) -> Sequence[str]:
    if query.workflow is not None:
        return [query.workflow]
    return sorted({workflow for workflow, _ in await pairs(connection)})
