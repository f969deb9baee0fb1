"""wfgen: durable workflows for Python, checked before they run.

Names are loaded when they are first used: tools that need the manifest alone do not load the engine's parts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wfgen.children import Child
    from wfgen.definitions import Job, define_worker, define_workflow
    from wfgen.durations import Duration
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
        UnknownRunError,
        UnknownWorkerError,
        UnknownWorkflowError,
        WfgenError,
    )
    from wfgen.handle import Hook, Workflow
    from wfgen.ids import HookToken, RunId, WorkerId, WorkflowId
    from wfgen.retry import NonRetryable, Retry, RetryAfter
    from wfgen.runs import Run

__version__ = "0.1.0"

__all__ = [
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
    "Hook",
    "HookTimeoutError",
    "HookToken",
    "InvalidInputError",
    "Job",
    "LeftGraphError",
    "NonRetryable",
    "NotDeterministicError",
    "Retry",
    "RetryAfter",
    "Run",
    "RunCancelledError",
    "RunError",
    "RunFailedError",
    "RunId",
    "RunStateError",
    "RunTerminatedError",
    "RunTimeoutError",
    "SerializationError",
    "StepError",
    "StepInterruptedError",
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

_HOMES = {
    "Child": "children",
    "Duration": "durations",
    "Hook": "handle",
    "HookToken": "ids",
    "Job": "definitions",
    "NonRetryable": "retry",
    "Retry": "retry",
    "RetryAfter": "retry",
    "Run": "runs",
    "RunId": "ids",
    "WorkerId": "ids",
    "Workflow": "handle",
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
