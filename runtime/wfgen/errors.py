"""Everything that wfgen raises on purpose.

    WfgenError
    ├── ConfigurationError             WF600  a setting is unknown, mistyped or contradicts another
    ├── DefinitionError                WF700  a workflow or worker is defined in a way that cannot work
    ├── UnknownWorkflowError           WF701  no workflow of that name or version in the registry
    ├── UnknownWorkerError             WF702  no worker of that id in the registry
    ├── InvalidInputError              WF703  data does not fit the declared type
    ├── SerializationError             WF704  a value does not survive its encoding, or is too large
    ├── DivergenceError                WF705  today's code does not reproduce the recorded history
    ├── NotDeterministicError          WF706  real input/output, real time or a thread in a workflow's body
    ├── HandleError                    WF707  the handle is used in a way that cannot work
    ├── StepError                      WF710  a step failed for good; carries the recorded error
    │   ├── StepTimeoutError           WF711  a step exceeded its timeout
    │   └── StepInterruptedError       WF713  a step that runs at most once was begun and its end is not known
    ├── HookTimeoutError               WF712  nobody resumed a hook before its deadline
    ├── RunError                       WF720  a run did not end with a result
    │   ├── RunFailedError             WF721  the run failed; carries the recorded error
    │   └── RunCancelledError          WF722  the run was cancelled
    │       └── RunTerminatedError     WF730  the run was terminated
    ├── RunTimeoutError                WF723  the workflow exceeded its timeout
    ├── UnknownRunError                WF724  no run of that id in the store
    ├── UnknownHookError               WF725  no such hook, or it is no longer open
    ├── ConflictError                  WF726  an idempotency key was used with another workflow or input
    ├── RunStateError                  WF727  the run is not in a state in which this can be done
    ├── CrashLoopError                 WF728  the processes that worked a run died again and again
    ├── CompensationError              WF729  a run failed, and so did what was to undo its steps
    ├── LeftGraphError                 WF731  a run asked for a step that its workflow's graph does not have
    ├── EncryptionError                WF732  a payload cannot be decrypted with the keys at hand
    └── StoreError                     WF800  the store cannot be used
        ├── StoreFormatError           WF801  the file is not a wfgen store
        ├── StoreVersionError          WF802  the store's tables are of a newer wfgen, or of an older one
        ├── StoreBusyError             WF803  another program holds the store locked
        ├── StoreFullError             WF804  no space, or no right, to write
        ├── LeaseLostError             WF805  another process has taken the run over
        └── StoreGoneError             WF806  the store's file was removed or replaced while it was in use

A message says what happened, where, and what to do.
"""

from __future__ import annotations

from typing import Any, ClassVar


class WfgenError(Exception):
    """The base of all of wfgen's errors.

    Args:
        message: what happened and where.
        hint: what to do about it, if there is something to do.
    """

    code: ClassVar[str] = "WF900"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConfigurationError(WfgenError):
    """A setting is unknown, mistyped or contradicts another one."""

    code = "WF600"


class DefinitionError(WfgenError):
    """A workflow or worker is defined in a way that cannot work."""

    code = "WF700"


class UnknownWorkflowError(WfgenError):
    """No workflow of that name or version is in the registry."""

    code = "WF701"


class UnknownWorkerError(WfgenError):
    """No worker of that id is in the registry."""

    code = "WF702"


class InvalidInputError(WfgenError):
    """Data does not fit the declared type; raised before anything is recorded."""

    code = "WF703"


class SerializationError(WfgenError):
    """A value does not survive being encoded and decoded, or is larger than the limit. Never retried."""

    code = "WF704"


class DivergenceError(WfgenError):
    """Today's code does not reproduce the recorded history. The run stops before any new step executes."""

    code = "WF705"


class NotDeterministicError(WfgenError):
    """Real input/output, real time or a thread was used in a workflow's body."""

    code = "WF706"


class HandleError(WfgenError):
    """The workflow handle was used in a way that cannot work: outside its run, inside a step, with a bad name."""

    code = "WF707"


class StepError(WfgenError):
    """A step failed for good: its attempts are used up, or its error is not retried.

    Attributes:
        step: the step's name.
        error_type: qualified name of the recorded exception, such as `builtins.ValueError`.
        error: its message.
        attempts: how often it was tried.
        key: the step's identity in the run; None for a branch of `parallel` that failed outside of its steps.
        form: `rpc` or `inline`; None for such a branch.
        target: form rpc: the worker's id.
        input: a copy of the step's input; None without one.
        partial: what the last attempt reported last with `Job.report`; None without a report.
    """

    code = "WF710"

    def __init__(
        self,
        step: str,
        error_type: str,
        error: str,
        *,
        attempts: int = 1,
        key: str | None = None,
        form: str | None = None,
        target: str | None = None,
        input: object = None,
        partial: object = None,
        hint: str | None = None,
    ) -> None:
        times = "" if attempts == 1 else f" after {attempts} attempts"
        super().__init__(f"step {step!r} failed{times}: {error_type}: {error}", hint=hint)
        self.step = step
        self.error_type = error_type
        self.error = error
        self.attempts = attempts
        self.key = key
        self.form = form
        self.target = target
        self.input: Any = input
        self.partial: Any = partial


class StepTimeoutError(StepError):
    """A step exceeded its timeout in its last attempt."""

    code = "WF711"


class StepInterruptedError(StepError):
    """A step that runs at most once was begun, and its process ended before its end was recorded."""

    code = "WF713"


class JobExpiredError(StepError):
    """No process took the step's job off its queue in time."""

    code = "WF714"


class JobDiscardedError(StepError):
    """Somebody has discarded the step's job."""

    code = "WF715"


class HookTimeoutError(WfgenError):
    """Nobody resumed a hook before its deadline."""

    code = "WF712"


class RunError(WfgenError):
    """A run did not end with a result.

    Attributes:
        run_id: the run.
    """

    code = "WF720"

    def __init__(self, run_id: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.run_id = run_id


class RunFailedError(RunError):
    """The run failed.

    Attributes:
        error_type: qualified name of the exception that ended it.
        error: its message.
        error_code: its stable code when it was one of wfgen's own.
    """

    code = "WF721"

    def __init__(self, run_id: str, error_type: str, error: str, error_code: str | None = None) -> None:
        super().__init__(run_id, f"run {run_id} failed: {error_type}: {error}")
        self.error_type = error_type
        self.error = error
        self.error_code = error_code


class RunCancelledError(RunError):
    """The run was cancelled."""

    code = "WF722"


class RunTerminatedError(RunCancelledError):
    """The run was terminated: its code was not asked, and nothing was undone."""

    code = "WF730"


def run_error(
    run_id: str, status: str, error_type: str | None, error: str | None, code: str | None, what: str | None = None
) -> RunError:
    """The error of a finished run that has not completed.

    Args:
        run_id: the run.
        status: with which it ended.
        error_type: qualified name of the exception that ended it.
        error: its message, or why the run was terminated.
        code: the exception's stable code, if it has one.
        what: names the run in the message; default by its id.
    """
    what = what or f"run {run_id}"
    if status == "terminated":
        return RunTerminatedError(run_id, f"{what} was terminated{f': {error}' if error else ''}")
    if status == "cancelled":
        return RunCancelledError(run_id, f"{what} was cancelled")
    return RunFailedError(run_id, error_type or "Error", error or "", code)


class RunTimeoutError(WfgenError):
    """The workflow exceeded its timeout."""

    code = "WF723"


class UnknownRunError(WfgenError):
    """No run of that id is in the store."""

    code = "WF724"


class UnknownHookError(WfgenError):
    """No such hook, or it is no longer open."""

    code = "WF725"


class ConflictError(WfgenError):
    """An idempotency key was used before, with another workflow or another input."""

    code = "WF726"


class RunStateError(WfgenError):
    """The run is not in a state in which this can be done; nothing was changed."""

    code = "WF727"


class CrashLoopError(WfgenError):
    """The processes that worked a run died again and again without getting further."""

    code = "WF728"


class CompensationError(WfgenError):
    """A run failed or was cancelled, and a step that was to undo another one failed, too."""

    code = "WF729"


class LeftGraphError(WfgenError):
    """A run asked for a step that the graph of its workflow does not have."""

    code = "WF731"


class EncryptionError(WfgenError):
    """A payload cannot be decrypted with the keys at hand, or a key cannot serve."""

    code = "WF732"


class UnknownJobError(WfgenError):
    """There is no job of that id."""

    code = "WF733"


class StoreError(WfgenError):
    """The store cannot be used."""

    code = "WF800"


class StoreFormatError(StoreError):
    """The file is not a wfgen store, or is damaged."""

    code = "WF801"


class StoreVersionError(StoreError):
    """The store's tables are of a newer wfgen; or of an older one, where they may only be read."""

    code = "WF802"


class StoreBusyError(StoreError):
    """Another program holds the store locked."""

    code = "WF803"


class StoreFullError(StoreError):
    """There is no space, or no right, to write."""

    code = "WF804"


class LeaseLostError(StoreError):
    """Another process has taken the run over; this one may not write to it any more."""

    code = "WF805"


class StoreGoneError(StoreError):
    """The store's file was removed or replaced while it was in use; what would be written now would be lost."""

    code = "WF806"


class StoreUnreachableError(StoreError):
    """The database server cannot be reached, or has ended the connection; what was asked of it may be tried again."""

    code = "WF807"


class StoreAccessError(StoreError):
    """The database refuses this user: a wrong name or password, or no right to do what is needed."""

    code = "WF808"


PASSING = (StoreBusyError, StoreFullError, StoreUnreachableError, StoreAccessError)
"""What is wrong with a store for a while: the same may be asked of it again."""

MAX_ERROR_TEXT = 4000
"""Characters that are kept of an error's message and of its traceback."""


def error_text(error: BaseException) -> str:
    """An exception's message as it is recorded: not too long, and there even if the exception cannot tell it.

    Of a group, as a TaskGroup raises it, with the errors in it. What UTF-8 cannot hold (names of files that are no
    text) is escaped.
    """
    try:
        text = str(error)
        if isinstance(error, BaseExceptionGroup):
            inner = "; ".join(f"{error_name(one)}: {error_text(one)}" for one in error.exceptions)
            text = f"{text}: {inner}"
        return text[:MAX_ERROR_TEXT].encode("utf-8", "backslashreplace").decode()
    except Exception:  # an error whose own text fails is still an error
        return "(its message cannot be shown)"


def error_name(error: BaseException) -> str:
    """The qualified name under which an exception is recorded: `ValueError`, `shop.errors.OutOfStock`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
