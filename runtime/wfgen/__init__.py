"""wfgen: durable workflows for Python, checked before they run."""

from wfgen.definitions import Job, define_worker, define_workflow
from wfgen.durations import Duration
from wfgen.errors import (
    ConfigurationError,
    ConflictError,
    DefinitionError,
    DivergenceError,
    HandleError,
    HookTimeoutError,
    InvalidInputError,
    NotDeterministicError,
    RunCancelledError,
    RunError,
    RunFailedError,
    RunTimeoutError,
    SerializationError,
    StepError,
    StepTimeoutError,
    StoreError,
    UnknownHookError,
    UnknownRunError,
    UnknownWorkerError,
    UnknownWorkflowError,
    WfgenError,
)
from wfgen.handle import Hook, Workflow
from wfgen.ids import HookToken, RunId, WorkerId, WorkflowId
from wfgen.retry import Retry
from wfgen.runs import Run

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "ConflictError",
    "DefinitionError",
    "DivergenceError",
    "Duration",
    "HandleError",
    "Hook",
    "HookTimeoutError",
    "HookToken",
    "InvalidInputError",
    "Job",
    "NotDeterministicError",
    "Retry",
    "Run",
    "RunCancelledError",
    "RunError",
    "RunFailedError",
    "RunId",
    "RunTimeoutError",
    "SerializationError",
    "StepError",
    "StepTimeoutError",
    "StoreError",
    "UnknownHookError",
    "UnknownRunError",
    "UnknownWorkerError",
    "UnknownWorkflowError",
    "WfgenError",
    "WorkerId",
    "Workflow",
    "WorkflowId",
    "define_worker",
    "define_workflow",
]
