"""wfgen: durable workflows for Python, checked before they run.

Names are loaded when they are first used: tools that need the manifest alone do not load the engine's parts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wfgen.around import After, Outcome
    from wfgen.checkpoints import Checkpoint
    from wfgen.children import Child
    from wfgen.definitions import define_worker, define_workflow
    from wfgen.durations import Duration
    from wfgen.emissions import Progress
    from wfgen.entry_points import Orchestrator, QueueWorker
    from wfgen.errors import (
        CompensationError,
        ConfigurationError,
        ConflictError,
        CrashLoopError,
        DefinitionError,
        DivergenceError,
        EncryptionError,
        HandleError,
        HookTimeoutError,
        InvalidInputError,
        JobDiscardedError,
        JobExpiredError,
        LeftGraphError,
        NotDeterministicError,
        RunCancelledError,
        RunError,
        RunFailedError,
        RunStateError,
        RunTerminatedError,
        RunTimeoutError,
        SerializationError,
        StepError,
        StepInterruptedError,
        StepTimeoutError,
        StoreError,
        UnknownHookError,
        UnknownJobError,
        UnknownRunError,
        UnknownWorkerError,
        UnknownWorkflowError,
        WfgenError,
    )
    from wfgen.handle import Workflow
    from wfgen.history import HistoryEntry
    from wfgen.ids import HookToken, JobId, RunId, WorkerId, WorkflowId
    from wfgen.job import Job
    from wfgen.job_ref import JobRef
    from wfgen.lifecycle import LifecycleHandlers, RunUpdate
    from wfgen.logs import Logger, StandardLogger, StructlogLogger
    from wfgen.metrics import Metrics
    from wfgen.middleware import Middleware, Proceed, StepCall, WorkflowCall
    from wfgen.retry import NonRetryable, Retry, RetryAfter
    from wfgen.runinfo import RunInfo, RunStart
    from wfgen.runs import Run
    from wfgen.serving import Serving
    from wfgen.step_states import StepState
    from wfgen.waits import Hook
    from wfgen.worker_process import WorkerProcess

__version__ = "0.1.0"

__all__ = [
    "After",
    "Checkpoint",
    "Child",
    "CompensationError",
    "ConfigurationError",
    "ConflictError",
    "CrashLoopError",
    "DefinitionError",
    "DivergenceError",
    "Duration",
    "EncryptionError",
    "HandleError",
    "HistoryEntry",
    "Hook",
    "HookTimeoutError",
    "HookToken",
    "InvalidInputError",
    "Job",
    "JobDiscardedError",
    "JobExpiredError",
    "JobId",
    "JobRef",
    "LeftGraphError",
    "LifecycleHandlers",
    "Logger",
    "Metrics",
    "Middleware",
    "NonRetryable",
    "NotDeterministicError",
    "Orchestrator",
    "Outcome",
    "Proceed",
    "Progress",
    "QueueWorker",
    "Retry",
    "RetryAfter",
    "Run",
    "RunCancelledError",
    "RunError",
    "RunFailedError",
    "RunId",
    "RunInfo",
    "RunStart",
    "RunStateError",
    "RunTerminatedError",
    "RunTimeoutError",
    "RunUpdate",
    "SerializationError",
    "Serving",
    "StandardLogger",
    "StepCall",
    "StepError",
    "StepInterruptedError",
    "StepState",
    "StepTimeoutError",
    "StoreError",
    "StructlogLogger",
    "UnknownHookError",
    "UnknownJobError",
    "UnknownRunError",
    "UnknownWorkerError",
    "UnknownWorkflowError",
    "WfgenError",
    "WorkerId",
    "WorkerProcess",
    "Workflow",
    "WorkflowCall",
    "WorkflowId",
    "define_worker",
    "define_workflow",
]

_HOMES = {
    "After": "around",
    "Checkpoint": "checkpoints",
    "Child": "children",
    "Duration": "durations",
    "HistoryEntry": "history",
    "Hook": "waits",
    "HookToken": "ids",
    "Job": "job",
    "JobId": "ids",
    "JobRef": "job_ref",
    "LifecycleHandlers": "lifecycle",
    "Logger": "logs",
    "Metrics": "metrics",
    "Middleware": "middleware",
    "NonRetryable": "retry",
    "Orchestrator": "entry_points",
    "Outcome": "around",
    "Proceed": "middleware",
    "Progress": "emissions",
    "QueueWorker": "entry_points",
    "Retry": "retry",
    "RetryAfter": "retry",
    "Run": "runs",
    "RunId": "ids",
    "RunInfo": "runinfo",
    "RunStart": "runinfo",
    "RunUpdate": "lifecycle",
    "Serving": "serving",
    "StandardLogger": "logs",
    "StepCall": "middleware",
    "StepState": "step_states",
    "StructlogLogger": "logs",
    "WorkerId": "ids",
    "WorkerProcess": "worker_process",
    "Workflow": "handle",
    "WorkflowCall": "middleware",
    "WorkflowId": "ids",
    "define_worker": "definitions",
    "define_workflow": "definitions",
}
"""Name -> its module here; all others are errors."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
