"""What stores refuse, in the same words whichever store it is."""

from __future__ import annotations

from wfgen.errors import (
    ConflictError,
    LeaseLostError,
    RunStateError,
    StoreError,
    UnknownHookError,
    UnknownJobError,
    UnknownRunError,
)


def unknown_run(run_id: str) -> UnknownRunError:
    """No run has this id."""
    return UnknownRunError(f"no run {run_id!r} in the store.", hint="`wfgen runs list` shows the runs that there are.")


def taken(run_id: str) -> ConflictError:
    """Another run has the id."""
    return ConflictError(f"there is a run {run_id} already.", hint="Give each run an id of its own.")


def run_is_over(run_id: str, done: str, status: str) -> RunStateError:
    """A finished run cannot be `done`: paused, terminated, …"""
    return RunStateError(
        f"run {run_id} cannot be {done}: it is {status}.", hint="`wfgen runs show` tells how it ended."
    )


def run_takes_no_messages(run_id: str, status: str) -> RunStateError:
    """A finished run has no inbox."""
    return RunStateError(
        f"run {run_id} takes no more messages: it is {status}.",
        hint="`wfgen runs show` tells how it ended; nothing was changed.",
    )


def run_cannot_be_retried(run_id: str, status: str) -> RunStateError:
    """Only a failed run can."""
    hint = {
        "completed": "Start a new run, or fork this one.",
        "cancelled": "Roll it back, or fork it: `wfgen runs checkpoints` shows from where.",
        "terminated": "Roll it back, or fork it: `wfgen runs checkpoints` shows from where.",
    }.get(status, "A run that is not finished retries its steps by itself, as their policies say.")
    return RunStateError(f"run {run_id} cannot be retried: it is {status}.", hint=hint)


def another_start(workflow: str, key: str, run_id: str, what: str) -> ConflictError:
    """An idempotency key belongs to a run that was started with something else: `what`."""
    return ConflictError(
        f"the idempotency key {key!r} of workflow {workflow!r} belongs to run {run_id}, which was started with {what}.",
        hint="Use another key for another start.",
    )


def another_fork(workflow: str, key: str, run_id: str) -> ConflictError:
    """An idempotency key belongs to a run that is not the fork that was asked for."""
    return ConflictError(
        f"the idempotency key {key!r} of workflow {workflow!r} belongs to run {run_id}, which is not the same fork.",
        hint="Use another key for another fork.",
    )


def unknown_hook() -> UnknownHookError:
    """No hook has this token."""
    return UnknownHookError("no hook has this token.", hint="Copy the token from `wfgen hooks list`.")


def hook_is_over(name: str, run_id: str, state: str) -> UnknownHookError:
    """A hook has timed out, or was closed."""
    reason = "its deadline has passed" if state == "timed_out" else "it is no longer waited for"
    return UnknownHookError(
        f"the hook {name!r} of run {run_id} cannot be resumed: {reason}.",
        hint="`wfgen hooks list` shows the open ones; nothing was changed.",
    )


def run_not_held(run_id: str, epoch: int, current: int, owner: str | None) -> LeaseLostError:
    """An epoch of the past wants to write to a run."""
    return LeaseLostError(
        f"run {run_id} is no longer held by epoch {epoch}: "
        + ("it was given back or has ended." if owner is None else f"epoch {current} of process {owner} does."),
        hint="Nothing was recorded; its new owner goes on with it.",
    )


def not_registered(process_id: str) -> LeaseLostError:
    """A process that nobody knows, or not any more."""
    return LeaseLostError(
        f"process {process_id} is not registered, or its lease ended and its runs were taken over.",
        hint="Register it again, under a new id.",
    )


def unknown_job(job_id: str) -> UnknownJobError:
    """No job has this id."""
    return UnknownJobError(f"no job {job_id!r} in the store.", hint="`wfgen jobs list` shows the jobs that there are.")


def not_utf8(error: UnicodeEncodeError) -> StoreError:
    """A text that no database takes."""
    return StoreError(
        f"{error.object!r:.80} can neither be stored nor be found: UTF-8 cannot hold it.",
        hint="Check where the text comes from; it holds a lone surrogate, such as undecodable bytes leave.",
    )


def job_not_held(job_id: str, epoch: int, found: tuple[int, str] | None) -> LeaseLostError:
    """An epoch of the past wants to write to a job, of which epoch and status were `found`."""
    what = "there is no such job any more" if found is None else f"it is {found[1]}, in epoch {found[0]}"
    return LeaseLostError(
        f"job {job_id} is no longer held by epoch {epoch}: {what}.", hint="Nothing was recorded; others go on with it."
    )


def job_cannot_be_retried(job_id: str, status: str) -> RunStateError:
    """It is at work, has completed, or its run has heard of its end."""
    if status in ("running", "completed"):
        done = "at work" if status == "running" else "completed"
        return RunStateError(
            f"job {job_id} cannot be retried: it is {done}.", hint="Nothing was changed; `wfgen jobs show` tells."
        )
    return RunStateError(
        f"job {job_id} cannot be retried: its run has heard that it is {status}, or has gone on without it.",
        hint="Retry the run, or roll it back to before the step.",
    )


def job_cannot_be_discarded(job_id: str, status: str) -> RunStateError:
    """Its run has not heard of its end."""
    return RunStateError(
        f"job {job_id} cannot be discarded: it is {status}, and its run has not heard of that yet.",
        hint="A process that works the run takes it; see `wfgen doctor`. Nothing was changed.",
    )
