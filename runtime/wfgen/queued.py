"""The steps of one run that are on queues: put there with what the run records, and heard of through its inbox.

A job is put on its queue in the transaction that records `job_created`, under an id that derives from the run and the
step, so that it is there once. Any process that has the worker takes it, and makes its attempts. Its end comes as a
message, and becomes the same `step_completed` or `step_failed` that a step in the run's process ends with.
"""

from __future__ import annotations

import json
from typing import Any

from wfgen.codec import ANY
from wfgen.definitions import MISSING
from wfgen.errors import SerializationError, error_name
from wfgen.events import Event
from wfgen.job_policy import JobPolicy
from wfgen.operations import Operation
from wfgen.recorder import Recorder
from wfgen.steps import OpenSteps
from wfgen.store.jobs import JobEnd, NewJob
from wfgen.store.records import Message
from wfgen.work import Part

_KEPT = ("traceback", "timed_out", "interrupted", "expired", "discarded")
"""What of a failure's details is recorded with the step's."""


class OpenJobs:
    """The jobs of a run whose end it does not know of.

    Args:
        recorder: where jobs and their ends are recorded.
        steps: record ends of steps.
    """

    def __init__(self, recorder: Recorder, steps: OpenSteps) -> None:
        self._recorder = recorder
        self._steps = steps
        self._open: dict[str, Operation] = {}
        self._given_up: set[str] = set()
        """Keys of those whose end concerns nobody any more."""
        self.put = False
        """Whether this process has put one on its queue."""

    @property
    def waiting(self) -> bool:
        """Whether the end of a job is awaited."""
        return bool(self._open)

    @property
    def settling(self) -> bool:
        """Whether a step that can be undone was given up, and its job may still complete."""
        return any(operation.future.cancelled() for operation in self._open.values())

    @staticmethod
    def takes(operation: Operation, opening: Event | None) -> bool:
        """Whether a step is on a queue: as it was recorded, else as its worker says."""
        return operation.queue is not None if opening is None else opening.type == "job_created"

    def open(self, operation: Operation, opening: Event | None) -> None:
        """Put a step on its queue, or take it up again as it was recorded."""
        if operation.awaited:
            self._open[operation.key] = operation
        if opening is not None:
            operation.job_id = opening.data["job_id"]
            return
        assert operation.job_id is not None
        queue, awaited = str(operation.queue), operation.awaited
        data = {"job_id": operation.job_id, "queue": queue, "awaited": awaited}
        event = self._recorder.record("job_created", operation, data)
        self.put = True
        has_input = operation.data is not MISSING
        self._recorder.outgoing.jobs.append(
            NewJob(
                job_id=operation.job_id,
                queue=queue,
                worker=str(operation.target),
                key=operation.key,
                name=operation.name,
                input=operation.data[0] if has_input else None,
                policy=JobPolicy(operation.retry, operation.timeout, operation.validate).dump(),
                idempotency_key=operation.effect_key,
                awaited=awaited,
                at_most_once=bool(operation.at_most_once),
                expires_at=None if operation.expires is None else event.time + operation.expires,
            )
        )

    def close(self, operation: Operation) -> None:
        """The code no longer waits for a step whose end is not known."""
        if operation.key in self._open:
            self.give_up(operation)

    def give_up(self, operation: Operation) -> None:
        """The code no longer waits for a step. What can be undone is still heard of: it may complete all the same."""
        if operation.compensate is not None:
            self._open[operation.key] = operation
        else:
            self._open.pop(operation.key, None)
            self._given_up.add(operation.key)
        self._recorder.outgoing.given_up.append(operation.key)

    def has(self, operation: Operation) -> bool:
        """Whether the end of a step's job is awaited, or not awaited any more."""
        return operation.key in self._open or operation.key in self._given_up

    def ended(self, key: str) -> None:
        """The recorded end of a step was delivered."""
        self._open.pop(key, None)

    def take(self, message: Message) -> list[tuple[Event, Any]] | None:
        """Turn the end of a job into an event, with its value; none if nobody wants it. None: it is too early."""
        key = message.name or ""
        operation = self._open.pop(key, None)
        if operation is None:
            if key not in self._given_up:
                return None
            self._recorder.outgoing.consumed.append(message.id)
            return []
        self._recorder.outgoing.consumed.append(message.id)
        end = JobEnd.load(message.payload or b"")
        details: dict[str, Any] = json.loads(end.details or "{}")
        data: dict[str, Any] = {"attempt": end.attempt, "started_at": end.started_at, "job_id": operation.job_id}
        if end.type is not None:
            data["type"] = end.type
        if end.status == "completed":
            if "warning" in details:
                data["warning"] = details["warning"]
            try:
                value = self._load(operation, end, "warning" in details)
            except SerializationError as error:
                data |= {"error_type": error_name(error), "error": error.message}
                return [(self._steps.record_end(operation, "step_failed", data, None), MISSING)]
            return [(self._steps.record_end(operation, "step_completed", data, end.output), value)]
        data |= {"error_type": end.error_type, "error": end.error}
        data |= {name: details[name] for name in _KEPT if name in details}
        if end.status == "expired":
            data["expired"] = True
        return [(self._steps.record_end(operation, "step_failed", data, end.output), MISSING)]

    def _load(self, operation: Operation, end: JobEnd, is_loose: bool) -> Any:
        """The result as the code gets it.

        Raises:
            SerializationError: the worker of the process that took the job has another type than it has here.
        """
        assert end.output is not None
        annotation = ANY if is_loose else operation.annotation
        return operation.codec.load(end.output, annotation, end.type, Part("the result", operation))
