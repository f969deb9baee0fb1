"""What `do` may be told beside target and data, in one place for the handle, the generated types and the checks."""

from __future__ import annotations

from typing import Literal, TypedDict

from wfgen.durations import Duration
from wfgen.errors import HandleError, InvalidInputError, WfgenError
from wfgen.names import is_step_name
from wfgen.retry import Retry

OnError = Literal["raise", "continue"]
Validate = Literal["strict", "warn"]


class JobOptions(TypedDict, total=False):
    """The options of a `do` that does not wait for its result: `await_result=False`."""

    retry: Retry | None
    """Policy; default the worker's, then the workflow's, then one attempt."""
    timeout: Duration | None
    """Of one attempt; default the worker's."""
    validate: Validate
    """What becomes of a result that does not fit its declared type: `"strict"` (the default): the step fails, without
    another attempt. `"warn"`: it goes on as it is, with a warning in the record."""
    idempotency_key: str
    """What the worker finds as `job.idempotency_key`; default one that derives from the run and the step. Printable
    text of 1 to 255 characters."""
    at_most_once: bool
    """Never run the step a second time: if its process ends in the middle, it fails with StepInterruptedError. Costs a
    commit before it begins; excludes retries. Default as the worker says, else False."""
    description: str | None
    """One line for people."""


class AnyStepOptions(JobOptions, total=False):
    """The options of `do` but `on_error` and `await_result`, on which the type of its result depends."""

    compensate: object  # not the union that it is: generated overloads repeat it, and checkers slow down by that
    """A worker's id or reference, or a function, that undoes the step; it is given the step's result."""


class StepOptions(AnyStepOptions, total=False):
    """The options of a `do` that raises the step's error."""

    on_error: Literal["raise"]
    """The default. With `"continue"` the result is the StepError of a step that has failed for good."""
    await_result: Literal[True]
    """The default. With False the result is the JobRef of a step on a queue, at once."""


def check_options(step: str, on_error: str, validate: str | None, idempotency_key: str | None) -> None:
    """Refuse options that no step can have.

    Raises:
        HandleError: a mode is unknown.
        InvalidInputError: the key is none.
    """
    if on_error not in ("raise", "continue"):
        raise HandleError(f"step {step!r}: on_error={on_error!r:.80} is unknown.", hint='It is "raise" or "continue".')
    if validate not in (None, "strict", "warn"):
        raise HandleError(f"step {step!r}: validate={validate!r:.80} is unknown.", hint='It is "strict" or "warn".')
    if idempotency_key is not None and not (isinstance(idempotency_key, str) and is_step_name(idempotency_key)):
        raise InvalidInputError(
            f"step {step!r}: {idempotency_key!r:.80} cannot be an idempotency key.",
            hint="Use printable text of 1 to 255 characters.",
        )


def check_job(step: str, *, queued: bool, undone: bool, continues: bool) -> None:
    """Refuse `await_result=False` where there is no job that could go its own way.

    Raises:
        HandleError: the step is not on a queue, or another option needs its end.
    """
    if not queued:
        raise HandleError(
            f"step {step!r}: await_result=False, but the step is not on a queue: it runs in the run's process.",
            hint='Define its worker with dispatch="queue", or the workflow with execution_mode="remote"; '
            "a function that is no worker always runs in the run's process.",
        )
    if undone or continues:
        option = "compensate" if undone else 'on_error="continue"'
        raise HandleError(
            f"step {step!r}: {option} needs the step's end, for which await_result=False does not wait.",
            hint=f"Leave out one of the two: {option}, or await_result.",
        )


def check_once(what: str, retry: Retry, error: type[WfgenError] = HandleError) -> None:
    """Refuse a policy that would run something again that may run only once; `error` is what is raised."""
    if retry.attempts > 1:
        raise error(
            f"{what} runs at most once, and its policy has {retry.attempts} attempts.",
            hint="Leave out at_most_once, or give retry=Retry(attempts=1).",
        )
