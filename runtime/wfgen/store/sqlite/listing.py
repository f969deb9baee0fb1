"""Finding runs in a store file by what they are, without a look at all that there are.

Runs are found newest first, by their start. The indexes hold what never changes of a run, and its status once it is
final, so that no change of status of a run in flight touches them. (Measured: writing a run that changes its status
four times takes 1.15 times as long as without them; with its status in them all the time 1.45 times.)

- `runs_unfinished` and `runs_finished` by workflow, version (and final status), then time of the start;
- `runs_by_time`, `runs_by_code`, and the table `tags`, each in the order of the start as well.

A filter becomes one or several ranges of one index, each read in the order wanted and no further than the limit; what
the index does not hold is looked up for the entries of its range.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wfgen.store.filters import Pair, RunQuery
from wfgen.store.records import FINISHED, RunRecord
from wfgen.store.refusals import unknown_run
from wfgen.store.sqlite import queries


@dataclass(frozen=True, slots=True)
class _Range:
    """A part of an index."""

    index: str
    """Its name; `tags` for that table, empty for a unique value."""
    where: str
    values: tuple[Any, ...]


def list_runs(connection: sqlite3.Connection, query: RunQuery) -> list[RunRecord]:
    """Runs that fit a query, newest first.

    Raises:
        UnknownRunError: there is no run `before`.
    """
    found: set[tuple[float, int]] = set()
    for statement, values in statements(connection, query):
        found.update(connection.execute(statement, values))
    newest = [run for _, run in sorted(found, reverse=True)[: query.limit]]
    records = queries.runs_by_number(connection, newest)
    return [records[run] for run in newest if run in records]  # one may have been removed meanwhile


def statements(connection: sqlite3.Connection, query: RunQuery) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What is asked of the file: each gives starts and numbers of runs, newest first."""
    rest, values = _rest(connection, query)
    for part in _ranges(connection, query):
        if part.index == "tags":
            source, time = "tags AS t CROSS JOIN runs AS r ON r.run = t.run", "t.created_at"
            order = f"{time} DESC, t.run DESC"
        else:
            source = f"runs AS r INDEXED BY {part.index}" if part.index else "runs AS r"
            time, order = "r.created_at", "r.created_at DESC, r.run DESC"
        where = " AND ".join([part.where, *rest])
        yield (
            f"SELECT {time}, r.run FROM {source} WHERE {where.format(time=time)} ORDER BY {order} LIMIT ?",
            (*part.values, *values, query.limit),
        )


def _ranges(connection: sqlite3.Connection, query: RunQuery) -> Iterator[_Range]:
    statuses = query.status
    if statuses is not None and not statuses:
        return
    if query.idempotency_key is not None:
        for workflow in _workflows(connection, query):
            yield _Range("runs_by_key", "r.workflow = ? AND r.idempotency_key = ?", (workflow, query.idempotency_key))
    elif query.parent is not None:
        yield _Range("", "r.parent = (SELECT run FROM runs WHERE run_id = ?)", (query.parent,))
    elif query.error_code is not None:
        yield _Range("runs_by_code", "r.error_code = ?", (query.error_code,))
    elif query.tag is not None and (statuses is None or "completed" in statuses):
        yield _Range("tags", "t.tag = ?", (query.tag,))
    elif query.workflow is None and statuses is None:
        yield _Range("runs_by_time", "TRUE", ())
    else:
        yield from _by_workflow(connection, query)


def _by_workflow(connection: sqlite3.Connection, query: RunQuery) -> Iterator[_Range]:
    wanted = set(query.status) if query.status is not None else None
    final = sorted(FINISHED if wanted is None else FINISHED & wanted)
    for pair in pairs(connection, query.workflow, query.version):
        same = "r.workflow = ? AND r.version = ?"
        if wanted is None or wanted - FINISHED:
            yield _Range("runs_unfinished", f"r.finished_at IS NULL AND {same}", pair)
        for status in final:
            yield _Range("runs_finished", f"r.finished_at IS NOT NULL AND {same} AND r.status = ?", (*pair, status))


def _rest(connection: sqlite3.Connection, query: RunQuery) -> tuple[list[str], tuple[Any, ...]]:
    """Conditions beside the range; those on time narrow it, where `{time}` is its column."""
    conditions: list[str] = []
    values: list[Any] = []

    def add(condition: str, *given: Any) -> None:
        conditions.append(condition)
        values.extend(given)

    if query.since is not None:
        add("{time} >= ?", query.since)
    if query.until is not None:
        add("{time} < ?", query.until)
    if query.before is not None:
        run = connection.execute("SELECT created_at, run FROM runs WHERE run_id = ?", (query.before,)).fetchone()
        if run is None:
            raise unknown_run(query.before)
        add("{time} <= ? AND ({time}, r.run) < (?, ?)", run[0], *run)
    if query.workflow is not None:
        add("r.workflow = ?", query.workflow)
    if query.version is not None:
        add("r.version = ?", query.version)
    if query.status is not None:
        add(f"r.status IN ({', '.join('?' * len(query.status))})", *query.status)
    if query.idempotency_key is not None:
        add("r.idempotency_key = ?", query.idempotency_key)
    if query.parent is not None:
        add("r.parent = (SELECT run FROM runs WHERE run_id = ?)", query.parent)
    if query.error_code is not None:
        add("r.error_code = ?", query.error_code)
    if query.tag is not None:
        add("EXISTS (SELECT 1 FROM tags WHERE tag = ? AND created_at = r.created_at AND run = r.run)", query.tag)
    return conditions, tuple(values)


def pairs(connection: sqlite3.Connection, workflow: str | None = None, version: str | None = None) -> Sequence[Pair]:
    """Names and versions of the workflows that have runs, sorted; found by one step in the index for each."""
    if workflow is not None and version is not None:
        return [(workflow, version)]
    found = {
        *_steps_in(connection, "runs_unfinished", "finished_at IS NULL", workflow),
        *_steps_in(connection, "runs_finished", "finished_at IS NOT NULL", workflow),
    }
    return sorted(pair for pair in found if version is None or pair[1] == version)


def _steps_in(connection: sqlite3.Connection, index: str, where: str, workflow: str | None) -> Iterator[Pair]:
    source = f"SELECT workflow, version FROM runs INDEXED BY {index} WHERE {where}"
    # Not `(workflow, version) > (?, ?)`, for which SQLite reads all entries that are equal.
    next_version = f"{source} AND workflow = ? AND version > ? ORDER BY version LIMIT 1"
    next_workflow = f"{source} AND workflow > ? ORDER BY workflow, version LIMIT 1"
    last = (workflow or "", "")
    while True:
        pair = connection.execute(next_version, last).fetchone()
        if pair is None and workflow is None:
            pair = connection.execute(next_workflow, last[:1]).fetchone()
        if pair is None:
            return
        yield pair
        last = pair


def _workflows(connection: sqlite3.Connection, query: RunQuery) -> Sequence[str]:
    if query.workflow is not None:
        return [query.workflow]
    return sorted({workflow for workflow, _ in pairs(connection)})
