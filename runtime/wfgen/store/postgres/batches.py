"""Appends and new runs as the arrays that the functions of the schema take: one statement for any number of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from wfgen.errors import StoreError, WfgenError
from wfgen.ids import RunId
from wfgen.store import refusals, tags
from wfgen.store.postgres.arrays import byteas, float8s, int8s, texts
from wfgen.store.postgres.texts import cleaned
from wfgen.store.records import FINISHED, Append, NewRun
from wfgen.store.stored_events import encoded

APPEND = b"SELECT * FROM append_events(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %s::jsonb, %b)"
APPEND_EVENT = b"""
WITH held AS MATERIALIZED (
    SELECT run FROM runs WHERE run_id = %b AND epoch = %b AND owner IS NOT NULL
        AND EXISTS (SELECT 1 FROM events WHERE events.run = runs.run AND seq = %b - 1) FOR NO KEY UPDATE)
INSERT INTO events (run, seq, type, time, key, data, payload)
    SELECT run, %b, %b, %b, %b::text, %b::text, %b::bytea FROM held"""
"""For a lone event from which nothing else follows, as most appends are: in half of the time. It records nothing unless
all is as it should be; that it was the next one, not only a later one, its key says (UniqueViolation)."""
CREATE = b"SELECT * FROM create_runs(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b)"


class AppendBatch:
    """Appends, at most one of each run, on their way to the database."""

    def __init__(self) -> None:
        self.appends: list[Append] = []
        self._run_ids: list[str] = []
        self._epochs: list[int] = []
        self._firsts: list[int | None] = []
        self._reaches: list[int] = []
        self._places: list[int] = []
        self._seqs: list[int] = []
        self._types: list[str] = []
        self._times: list[float] = []
        self._keys: list[str | None] = []
        self._data: list[str | None] = []
        self._payloads: list[bytes | None] = []
        self._more: dict[str, list[dict[str, Any]]] = {}
        self._blobs: list[bytes] = []

    def add(self, append: Append) -> None:
        """Add one. Raises UnicodeEncodeError for a text that cannot be stored; nothing is added then."""
        keys = [None if event.key is None else _text(event.key) for event in append.events]
        data = [encoded(event.data) if event.data else None for event in append.events]
        place = len(self.appends) + 1
        more, blobs = _rest(append, place, len(self._blobs)) if _has_more(append) else ({}, [])
        first = None
        for number, event in enumerate(append.events):
            # What has a gap inside is not the next event either.
            first = event.seq if number == 0 else first if event.seq == append.events[0].seq + number else 0
            self._seqs.append(event.seq)
            self._types.append(event.type)
            self._times.append(event.time)
            self._payloads.append(event.payload)
        self._places += [place] * len(keys)
        self._keys += keys
        self._data += data
        self._run_ids.append(append.run_id)
        self._epochs.append(append.epoch)
        self._firsts.append(first)
        reach = 2 if "ended" in more else 1 if append.given_up or "continued" in more else 0
        self._reaches.append(reach)
        for name, entries in more.items():
            self._more.setdefault(name, []).extend(entries)
        self._blobs += blobs
        self.appends.append(append)

    @property
    def values(self) -> Sequence[Any]:
        """Of the statement APPEND."""
        more = to_json(self._more).decode() if self._more else None
        return (
            texts(self._run_ids), int8s(self._epochs), int8s(self._firsts), int8s(self._reaches), int8s(self._places),
            int8s(self._seqs), texts(self._types), float8s(self._times), texts(self._keys), texts(self._data),
            byteas(self._payloads), more, byteas(self._blobs),
        )  # fmt: skip

    @property
    def event(self) -> Sequence[Any] | None:
        """Values of the statement APPEND_EVENT; None if that cannot record this batch."""
        if len(self._seqs) != 1 or len(self.appends) != 1 or self._more:
            return None
        seq = self._seqs[0]
        return (
            self._run_ids[0], self._epochs[0], seq,
            seq, self._types[0], self._times[0], self._keys[0], self._data[0], self._payloads[0],
        )  # fmt: skip

    def refusals(self, rows: Sequence[tuple[int, int, int, str | None, int]]) -> list[WfgenError | None]:
        """What the rows that the statement gave say of each append; None: it is recorded."""
        found: list[WfgenError | None] = [None] * len(self.appends)
        for place, verdict, epoch, owner, seq in rows:
            found[place - 1] = _refusal(self.appends[place - 1], verdict, epoch, owner, seq)
        return found


def _refusal(append: Append, verdict: int, epoch: int, owner: str | None, seq: int) -> WfgenError:
    run_id = append.run_id
    if verdict == 1:
        return refusals.unknown_run(run_id)
    if verdict == 2:
        return refusals.run_not_held(run_id, append.epoch, epoch, owner)
    if verdict == 4:
        return StoreError(
            f"what is to be recorded in run {run_id} answers the end of a child or a job that is at work again: "
            "it was retried or taken back meanwhile.",
            hint="Nothing was recorded; the run goes on from what is, and waits for it again.",
        )
    for event in append.events:
        if event.seq != seq:
            return StoreError(
                f"event {event.seq} ({event.type}) cannot be recorded in run {run_id}, whose next event is "
                f"number {seq}: an earlier append was not recorded, or this one was before."
            )
        seq += 1
    return StoreError(f"the append to run {run_id} cannot be recorded.")


def after_refusal(run_id: RunId) -> StoreError:
    """For what carries no event of its own, behind an append that was not recorded."""
    return StoreError(f"an earlier append to run {run_id} was not recorded, so this one is not either.")


def _has_more(append: Append) -> bool:
    return bool(
        append.status is not None
        or append.consumed
        or append.opened
        or append.closed
        or append.children
        or append.jobs
        or append.given_up
        or any(event.type == "run_continued" for event in append.events)
    )


def _rest(append: Append, n: int, blobs_before: int) -> tuple[dict[str, list[dict[str, Any]]], list[bytes]]:
    """What follows from the events: lists of entries by name, and the byte strings that they name by place."""
    blobs: list[bytes] = []

    def blob(value: bytes | None) -> int | None:
        if value is None:
            return None
        blobs.append(value)
        return blobs_before + len(blobs)

    last = append.events[-1] if append.events else None
    more: dict[str, list[dict[str, Any]]] = {
        "continued": [{"n": n, "seq": event.seq} for event in append.events if event.type == "run_continued"][-1:],
        "consumed": [{"n": n, "id": id} for id in append.consumed],
        "opened": [
            {
                "n": n, "token": _text(h.token), "key": _text(h.key), "name": _text(h.name), "due": _number(h.due),
                "state": h.state, "created_at": h.created_at,
            }
            for h in append.opened
        ],
        "closed": [{"n": n, "token": _text(token), "state": state} for token, state in append.closed],
        "children": [
            {
                "n": n, "run_id": _text(c.run_id), "workflow": _text(c.workflow), "version": _text(c.version),
                "input": blob(c.input), "salt": c.salt, "idempotency_key": _text(c.idempotency_key),
                "key": _text(c.parent[1] if c.parent else None), "on_parent_end": c.on_parent_end,
                "tags": _text(tags.dumped(c.tags)),
                "data": encoded({"workflow": c.workflow, "version": c.version, "parent": append.run_id}),
            }
            for c in append.children
        ],
        "jobs": [
            {
                "n": n, "job_id": _text(j.job_id), "queue": _text(j.queue), "worker": _text(j.worker),
                "key": _text(j.key), "name": _text(j.name), "input": blob(j.input), "policy": _text(j.policy),
                "idempotency_key": _text(j.idempotency_key), "awaited": j.awaited, "at_most_once": j.at_most_once,
                "expires_at": _number(j.expires_at),
            }
            for j in append.jobs
        ],
        "given_up": [{"n": n, "key": _text(key)} for key in append.given_up],
    }  # fmt: skip
    if append.status in FINISHED:
        error_type, error, code = append.error or (None, None, None)
        more["ended"] = [
            {
                "n": n, "status": append.status, "time": last and last.time, "output": blob(append.output),
                "error_type": _text(error_type), "error": None if error is None else cleaned(error), "error_code": code,
                "type": last and last.data.get("type"),
            }
        ]  # fmt: skip
    elif append.status is not None:
        wake_at = append.wake_at or 0.0 if append.status == "waiting" else 0.0
        more["status"] = [{"n": n, "status": append.status, "time": last and last.time, "wake_at": _number(wake_at)}]
    return {name: entries for name, entries in more.items() if entries}, blobs


def _text(text: str | None) -> Any:
    """A text that has to stay as it is, but for NUL. Raises UnicodeEncodeError for what UTF-8 cannot hold."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    text.encode()
    return text.replace("\0", "\ufffd")


def _number(value: float | None) -> float | str | None:
    """JSON has no infinity."""
    return value if value is None or math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def create_values(runs: Sequence[tuple[NewRun, str | None]]) -> Sequence[Any]:
    """The values of the statement CREATE. Raises UnicodeEncodeError for a text that cannot be stored."""
    free = [{"workflow": new.workflow, "version": new.version} for new, _ in runs]
    owned = [{**data, "process": owner} for data, (_, owner) in zip(free, runs, strict=True)]
    return (
        texts(_text(new.run_id) for new, _ in runs),
        texts(_text(new.workflow) for new, _ in runs),
        texts(_text(new.version) for new, _ in runs),
        byteas([new.input for new, _ in runs]),
        texts(_text(new.salt) for new, _ in runs),
        texts(_text(new.idempotency_key) for new, _ in runs),
        texts(_text(tags.dumped(new.tags)) for new, _ in runs),
        texts(owner for _, owner in runs),
        texts(encoded(data) for data in owned),
        texts(encoded(data) for data in free),
    )
