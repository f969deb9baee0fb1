"""Runs, events, jobs and hooks as data for programs and as lines for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wfgen_cli.terminal import moment, printable, span

if TYPE_CHECKING:
    from wfgen.events import Event
    from wfgen.history import HistoryEntry
    from wfgen.store.jobs import JobRecord
    from wfgen.store.records import HookRecord, RunRecord

ROOT_BRANCH = "0"
"""Branch of the workflow's own task; it is left out where a step is named to people."""


def decoded(payload: bytes | None) -> Any:
    """A recorded payload as data; None for none."""
    return None if payload is None else json.loads(payload)


def fields(record: object, *names: str) -> dict[str, Any]:
    """Attributes of a record, under their own names."""
    return {name: getattr(record, name) for name in names}


def run_data(run: RunRecord) -> dict[str, Any]:
    """A run as data. Times are seconds since the epoch."""
    error = None
    if run.error_type is not None:
        error = {"type": run.error_type, "message": run.error, "code": run.error_code}
    return {
        **fields(run, "run_id", "workflow", "version", "status"),
        "input": decoded(run.input),
        "output": decoded(run.output),
        "error": error,
        "reason": run.error if run.status == "terminated" else None,
        **fields(run, "idempotency_key", "parent", "tags", "claims", "owner"),
        **fields(run, "created_at", "updated_at", "finished_at"),
    }


def event_data(event: Event) -> dict[str, Any]:
    """An event as data. Times are seconds since the epoch."""
    return {**fields(event, "seq", "type", "time", "key", "data"), "payload": decoded(event.payload)}


def entry_data(entry: HistoryEntry) -> dict[str, Any]:
    """What a history knows of an event beside what is recorded. Durations are in seconds."""
    known = fields(entry, "step", "attempt", "process", "duration")
    return {**known, "undone": entry.is_undone, "input": entry.input}


def job_data(job: JobRecord) -> dict[str, Any]:
    """A job as data. Times are seconds since the epoch."""
    error = None
    if job.error_type is not None:
        error = {"type": job.error_type, "message": job.error}
    return {
        **fields(job, "job_id", "run_id", "workflow", "version", "name", "key", "queue", "worker", "status"),
        "input": decoded(job.input),
        "output": decoded(job.output) if job.status == "completed" else None,
        "progress": decoded(job.progress),
        "error": error,
        **fields(job, "attempt", "awaited", "at_most_once", "idempotency_key", "owner", "claims", "cancel_requested"),
        **fields(job, "created_at", "first_at", "started_at", "due", "updated_at", "expires_at", "finished_at"),
    }


def hook_data(hook: HookRecord) -> dict[str, Any]:
    """A hook as data. Times are seconds since the epoch."""
    return fields(hook, "token", "name", "state", "run_id", "workflow", "due", "created_at")


def step_of(event: Event) -> str:
    """The step of an event, for people: its name, after its branch if that is not the workflow's own."""
    if event.key is None:
        return ""
    branch, _, name = event.key.partition("/")
    return printable(name if branch == ROOT_BRANCH else event.key)


def line_of(event: Event) -> str:
    """An event in one line: what happened, to which step, and how long it took."""
    words = event.type.replace("_", " ")
    step = "" if event.type == "progress" else step_of(event)
    if event.type == "emitted":
        step = printable(event.data["event"])
    detail = detail_of(event)
    return f"{words}{f' {step}' if step else ''}{f' ({detail})' if detail else ''}"


def detail_of(event: Event) -> str:
    """What matters about an event beside its type and step; empty for nothing."""
    data = event.data
    match event.type:
        case "step_completed" | "step_failed" | "step_retrying":
            parts = [span(event.time - data["started_at"])] if "started_at" in data else []
            if data.get("attempt", 1) > 1 or event.type == "step_retrying":
                parts.append(f"attempt {data['attempt']}")
            if "error" in data:
                parts.append(_error(data))
            if data.get("next_at") is not None:
                parts.append(f"next attempt at {moment(data['next_at'])}")
            return ", ".join(parts)
        case "timer_set":
            return f"{'until' if event.key else 'the run has to end by'} {moment(data.get('due'))}"
        case "hook_created":
            return "" if data.get("due") is None else f"until {moment(data['due'])}"
        case "progress":
            total, message = data["total"], data["message"]
            done = f"{data['done']:g}{'' if total is None else f' of {total:g}'}"
            return done if message is None else f"{done}: {printable(message)}"
        case "rolled_back" | "run_retried" | "rollback_requested":
            return f"back to {data['to']}"
        case "run_terminated":
            return printable(data.get("reason") or "")
        case "hook_rejected" | "child_failed" | "run_failed":
            return _error(data)
        case "child_started":
            return printable(data["run_id"])
        case "job_created":
            return printable(f"on queue {data['queue']}{'' if data['awaited'] else ', not awaited'}")
        case "run_claimed":
            return f"by process {printable(data['process'])}"
        case "patched":
            return printable(data["id"])
        case _:
            return ""


def next_due(events: Sequence[Event]) -> float | None:
    """When a waiting run goes on by itself: its next timer or attempt, in seconds since the epoch; None for never."""
    due: dict[str | None, float] = {}
    for event in events:
        if event.type == "timer_set" and event.key is not None:
            due[event.key] = event.data["due"]
        elif event.type == "step_retrying":
            due[event.key] = event.data["next_at"]
        elif event.key is not None:
            due.pop(event.key, None)
    return min(due.values(), default=None)


def _error(data: dict[str, Any]) -> str:
    kind = data.get("error_type")
    return printable(f"{kind}: {data.get('error')}" if kind else data.get("error", ""))
