"""The ends that a store itself gives to jobs: status, error type, error, and details as JSON."""

from __future__ import annotations

import json

from wfgen.errors import JobDiscardedError, JobExpiredError, StepInterruptedError

Ending = tuple[str, str, str, str]


def _name(error: type[Exception]) -> str:
    return f"{error.__module__}.{error.__qualname__}"


CANCELLED: Ending = ("cancelled", "CancelledError", "it was cancelled", "{}")
EXPIRED: Ending = (
    "expired", _name(JobExpiredError), "no process took it off its queue in time", json.dumps({"expired": True})
)  # fmt: skip
INTERRUPTED: Ending = (
    "failed",
    _name(StepInterruptedError),
    "it runs at most once, and its process ended before its end was recorded",
    json.dumps({"interrupted": True}),
)
DISCARDED: Ending = (
    "cancelled", _name(JobDiscardedError), "somebody has discarded its job", json.dumps({"discarded": True})
)  # fmt: skip
