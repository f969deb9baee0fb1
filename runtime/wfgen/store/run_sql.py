"""What statements about runs have in common, whichever database it is."""

from __future__ import annotations

from typing import Any

from wfgen.store import tags
from wfgen.store.records import RunRecord

RUN_COLUMNS = (
    "r.run_id, r.workflow, r.version, r.status, e.payload, r.output, r.error_type, r.error, r.error_code, r.salt,"
    " r.idempotency_key, r.epoch, r.claims, r.owner, r.created_at, r.updated_at, r.finished_at,"
    " (SELECT p.run_id FROM runs AS p WHERE p.run = r.parent), r.tags"
)
FROM_RUNS = " FROM runs AS r LEFT JOIN events AS e ON e.run = r.run AND e.seq = r.first_seq"
HOLDINGS = (
    "SELECT owner, sum(runs), sum(working), sum(jobs) FROM ("
    "SELECT owner, 1 AS runs, CASE WHEN status = 'waiting' THEN 0 ELSE 1 END AS working, 0 AS jobs FROM runs"
    " WHERE owner IS NOT NULL UNION ALL SELECT owner, 0, 0, 1 FROM jobs WHERE owner IS NOT NULL) AS held GROUP BY owner"
)
"""What each process holds, in any SQL."""


def run_record(row: tuple[Any, ...]) -> RunRecord:
    """The record that a row of RUN_COLUMNS holds."""
    columns: list[Any] = list(row)
    columns[-1] = tags.loaded(columns[-1])
    return RunRecord(*columns)
