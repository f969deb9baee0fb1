"""What a workflow gets of a step on a queue whose result it does not wait for."""

from __future__ import annotations

from dataclasses import dataclass

from wfgen.ids import JobId


@dataclass(frozen=True, slots=True)
class JobRef:
    """A job that goes its own way: `do(..., await_result=False)`.

    The client's `get_job(job_id)` and `wfgen jobs show` say what has become of it.
    """

    job_id: JobId
    queue: str
    """Workflow and step: `onboarding.create_user`."""
