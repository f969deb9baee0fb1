"""A job that this process works: what attempts are made at, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, Protocol

from wfgen.codec import Codec
from wfgen.definitions import WorkerDefinition
from wfgen.errors import MAX_ERROR_TEXT, SerializationError
from wfgen.ids import RunId
from wfgen.job import Attempt
from wfgen.job_policy import JobPolicy
from wfgen.store.jobs import JobEnd, JobRecord
from wfgen.surroundings import Surroundings
from wfgen.work import Work

KEPT_ATTEMPTS = 20
"""Failed attempts of which a job keeps what went wrong, the last ones."""

Stop = Literal["asked", "leaving", "lost"]
"""Why a job is stopped: nobody waits for it any more; its process ends; its process has lost it."""


class JobHost(Protocol):
    """What a job that is worked needs of the process that does."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def reported(self, work: JobWork) -> None:
        """The worker has reported something; may be called from any thread."""
        ...

    def finish(self, work: JobWork, end: JobEnd) -> None:
        """Record how a job ended."""
        ...

    def requeue(self, work: JobWork, delay: float, failed: JobEnd | None) -> None:
        """Put a job back on its queue for so many seconds; `failed` is what the attempt came to, if it counts."""
        ...

    def forget(self, work: JobWork) -> None:
        """A job is no longer worked here, and nothing is recorded of it."""
        ...


class JobReports(Attempt):
    """What one attempt at a job reports; each report is also told at once.

    Args:
        codec: encodes reports.
        what: names the job in errors.
        told: called after each report, in the thread that made it.
    """

    __slots__ = ("_told",)

    def __init__(self, codec: Codec, what: str, told: Callable[[], None]) -> None:
        super().__init__(codec, what)
        self._told = told

    def report(self, value: Any) -> None:
        super().report(value)
        self._told()


class JobWork(Work):
    """One claim of a job.

    Args:
        record: the job, as it was claimed.
        worker: whose function it calls.
        surroundings: context, logger and middleware.
        codec: loads its input, encodes its result.
        host: records what becomes of it.

    Raises:
        SerializationError: the worker cannot be called with the job's input.
    """

    __slots__ = ("_codec", "_host", "_surroundings", "record", "stopping", "was_recorded")

    def __init__(
        self, record: JobRecord, worker: WorkerDefinition, surroundings: Surroundings, codec: Codec, host: JobHost
    ) -> None:
        super().__init__(record.key, record.name, record.worker)
        self.record = record
        self.stopping: Stop | None = None
        self.was_recorded = False
        """Whether what the attempt came to is recorded, or on its way."""
        self._surroundings = surroundings
        self._codec = codec
        self._host = host
        signature = worker.signature
        policy = JobPolicy.load(record.policy)
        self.retry = policy.retry
        self.timeout = policy.timeout
        self.validate = policy.validate
        self.began = record.first_at
        self.function = worker.function
        self.annotation = signature.output
        self.job_parameter = signature.job_parameter
        if record.input is not None and signature.takes_input:
            self.data = (record.input, signature.input)
        elif record.input is not None or signature.input_required:
            wanted = "takes no input here" if record.input is not None else "needs an input here"
            raise SerializationError(
                f"{self!r} cannot be worked: the worker {wanted} ({worker.source}).",
                hint="The process that put the job on its queue has another version of the worker.",
            )

    def __repr__(self) -> str:
        return f"job {self.record.job_id} (step {self.name!r} -> {self.target})"

    @property
    def run_id(self) -> RunId:
        return self.record.run_id

    @property
    def codec(self) -> Codec:
        return self._codec

    @property
    def surroundings(self) -> Surroundings:
        return self._surroundings

    @property
    def effect_key(self) -> str:
        return self.record.idempotency_key

    @property
    def is_given_up(self) -> bool:
        return self.stopping is not None

    @property
    def settles(self) -> bool:
        return True

    @property
    def has_to_settle(self) -> bool:
        return self.stopping == "asked"

    def new_reports(self) -> Attempt:
        return JobReports(self._codec, repr(self), lambda: self._host.reported(self))

    def completed(
        self,
        attempt: int,
        started_at: float,
        encoded: bytes,
        value: Any,
        recorded: str | None,
        warning: str | None = None,
    ) -> None:
        details: dict[str, Any] = {} if warning is None else {"warning": warning}
        if earlier := self._earlier():
            details["attempts"] = earlier
        dumped = json.dumps(details) if details else None
        self._end(JobEnd("completed", attempt, self._began(started_at), encoded, recorded, None, None, dumped))

    def failed(self, attempt: int, started_at: float, error: dict[str, Any], partial: bytes | None = None) -> None:
        if self.stopping in ("lost", "leaving"):
            self.cancelled(attempt)
        else:
            self._end(self._failure(attempt, started_at, error, partial))

    def try_again(self, attempt: int, delay: float, error: dict[str, Any]) -> None:
        if self._takes_end():
            self._host.requeue(self, delay, self._failure(attempt, self._host.time(), error, None))

    def cancelled(self, attempt: int) -> None:
        if self.stopping == "asked":
            error = {"error_type": "CancelledError", "error": "it was cancelled"}
            started_at = self._host.time()
            partial = None if self.reports is None or self.reports.last is None else self.reports.last[0]
            failure = self._failure(attempt, started_at, error, partial)
            self._end(JobEnd("cancelled", attempt, failure.started_at, partial, None, *failure_texts(failure)))
        elif self._takes_end():
            if self.stopping == "leaving" and self._can_begin_elsewhere():
                self._host.requeue(self, 0.0, None)
            else:
                self._host.forget(self)

    def lost(self) -> None:
        # It has not begun. If no other process has it by now, the lease may be renewed yet: it would stay held.
        if self._takes_end():
            self._host.requeue(self, 0.0, None)

    def _can_begin_elsewhere(self) -> bool:
        """Whether nothing of the attempt goes on here, and it may begin a second time."""
        return not self.record.at_most_once and (self.thread is None or self.thread.done())

    def _takes_end(self) -> bool:
        """Whether this is the first that is heard of how the attempt ended."""
        if self.was_recorded:
            return False
        self.was_recorded = True
        return True

    def _end(self, end: JobEnd) -> None:
        if self.stopping == "lost":
            self.cancelled(end.attempt)
        elif self._takes_end():
            self._host.finish(self, end)

    def _began(self, started_at: float) -> float:
        return started_at if self.record.started_at is None else self.record.started_at

    def _earlier(self) -> list[dict[str, Any]]:
        """What went wrong in earlier attempts."""
        found: list[dict[str, Any]] = json.loads(self.record.details or "{}").get("attempts", [])
        return found

    def _failure(self, attempt: int, started_at: float, error: dict[str, Any], partial: bytes | None) -> JobEnd:
        began = self._began(started_at)
        this = {
            "attempt": attempt,
            "started_at": began,
            "ended_at": self._host.time(),
            "error_type": error["error_type"],
            "error": str(error["error"])[:MAX_ERROR_TEXT],
        }
        details: dict[str, Any] = {name: error[name] for name in ("traceback", "timed_out") if name in error}
        details["attempts"] = [*self._earlier(), this][-KEPT_ATTEMPTS:]
        return JobEnd(
            "failed",
            attempt,
            began,
            partial,
            error.get("type"),
            error["error_type"],
            error["error"],
            json.dumps(details),
        )


def failure_texts(end: JobEnd) -> tuple[str | None, str | None, str | None]:
    """Error type, message and details of a failure."""
    return end.error_type, end.error, end.details
