"""The events of a run. A run is an append-only list of these; all else that is told about it is a reading of them.

| type | key | data | payload |
|---|---|---|---|
| `run_started` | | workflow, version, parent, process; of a fork: forked_from, forked_at (the seq there), \
    forked_time, seeds, continued (the other run had been) | the input |
| the first of a run that was started unclaimed | | process, beside what its type has | |
| `run_claimed` | | process, epoch: another process, or the same one again, has taken the run up | |
| `step_started` | the step | form, target, attempt, at: of steps that run at most once | |
| `step_completed` | the step | form, target, attempt, started_at, job_id, input, given, type, warning, \
    after_cancel, at | the result |
| `step_retrying` | the step | form, target, attempt, error_type, error, traceback, began, next_at, at | |
| `step_failed` | the step | form, target, attempt, started_at, job_id, input, given, error_type, error, traceback, \
    timed_out, interrupted, expired, discarded, after_cancel, type, at | what it reported last |
| `input_changed` | the step | form, target, recorded, at: a replay gave it another input | |
| `patched` | | id: the run takes the path of a change, here and wherever else it asks | |
| `timer_set` | the sleep | form, due, at | |
| `timer_fired` | the sleep | form | |
| `hook_created` | the hook | form, token, due, at | |
| `hook_resumed` | the hook | form, token | the payload |
| `hook_rejected` | the hook | token, error: the payload did not fit its type, or its validator refused it | |
| `hook_timed_out` | the hook | form, token | |
| `job_created` | the step | form, target, job_id, queue, awaited, at: the step is on a queue | |
| `child_started` | the call | form, target, run_id, version, at | |
| `child_completed` | the call | form, target, run_id, version, type | its result |
| `child_failed` | the call | form, target, run_id, version, status, error_type, error, code | |
| `emitted` | `emit:` and its name | event, type, at: what `emit` was called with | its data |
| `progress` | `progress` | done, total, message, at: what `progress` was called with | |
| `left_graph` | the operation | form, target, at: the workflow's graph does not have it | |
| `cancel_requested` | | | |
| `compensation_started` | | steps: names of the undo steps, in their order; back_to: the seq after which \
    history has to be undone for the undone effects to come about again | |
| `run_paused` | | | |
| `run_resumed` | | | |
| `rollback_requested` | | to, compensate, anew | |
| `rolled_back` | | to: what was recorded after that seq is undone, the run goes on from there; compensated: so are \
    its effects; anew: calls that begin anew, since their children were cancelled when the run ended | |
| `run_retried` | | to: the same, for a run that had failed; step: the operation that failed it, which begins anew; \
    compensations: those that had failed go on; anew | |
| `run_terminated` | | reason | |
| `run_timed_out` | | | |
| `run_continued` | | workflow, version: what was recorded before is history, the run starts again | the new input |
| `run_completed` | | | the result |
| `run_failed` | | error_type, error, code, step: the operation whose error it is | |
| `run_cancelled` | | | |

Times are seconds since the epoch. `began` is the start of a step's first attempt; `at` is where the operation was
called, as `file:line`; `input` a short hash of the step's input, `given` that input as
JSON text, if the setting `record_inputs` asks for it; `type` the class of a result whose function declares
none, as `module:qualname`; `warning` says why a result does not fit its declared type; `after_cancel` that the code had
cancelled the step before it ended, so that the end is recorded and was not delivered; `interrupted` that the step runs
at most once and its process ended first; `expired` that no process took its job in time, `discarded` that somebody took
the job away. `job_id` is that of a step which was on a queue; attempts that were retried are kept with the job.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

EventType = Literal[
    "run_started",
    "run_claimed",
    "step_started",
    "step_completed",
    "step_retrying",
    "step_failed",
    "input_changed",
    "patched",
    "timer_set",
    "timer_fired",
    "hook_created",
    "hook_resumed",
    "hook_rejected",
    "hook_timed_out",
    "job_created",
    "child_started",
    "child_completed",
    "child_failed",
    "emitted",
    "progress",
    "left_graph",
    "cancel_requested",
    "run_timed_out",
    "compensation_started",
    "run_paused",
    "run_resumed",
    "rollback_requested",
    "rolled_back",
    "run_retried",
    "run_continued",
    "run_terminated",
    "run_completed",
    "run_failed",
    "run_cancelled",
]

COMPLETIONS: frozenset[str] = frozenset(
    {
        "step_completed",
        "step_failed",
        "timer_fired",
        "hook_resumed",
        "hook_timed_out",
        "child_completed",
        "child_failed",
        "cancel_requested",
        "run_timed_out",
        "compensation_started",
        "rollback_requested",
    }
)
"""Events that are delivered to the workflow, one at a time, in recorded order."""

OPENINGS: frozenset[str] = frozenset(
    {"timer_set", "hook_created", "step_started", "step_retrying", "job_created", "child_started"}
)
"""Events that leave an operation open; what they recorded is taken up again in a replay."""


@dataclass(slots=True)
class Event:
    """One entry of a run's history."""

    seq: int
    """Position in the run, from 1, without gaps."""
    type: EventType
    time: float
    """When it was recorded, in seconds since the epoch."""
    key: str | None = None
    """The durable operation it belongs to, such as `0/charge` or `0.1/charge#2`: branch, name, occurrence."""
    data: dict[str, Any] = field(default_factory=dict)
    """Small JSON values, see the table."""
    payload: bytes | None = None
    """Encoded JSON of an input, a result or a hook's payload."""
