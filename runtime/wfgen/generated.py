"""What generated code imports; not for users."""

from wfgen.client import ClientBase, WorkflowClient, open_client
from wfgen.contexts import Ctx_co
from wfgen.definitions import MISSING
from wfgen.entry_points import Orchestrator, QueueWorker, serve_module
from wfgen.handle import Workflow, WorkflowBase
from wfgen.references import AsyncWorkerRef, SyncWorkerRef, WorkerRef, WorkflowRef
from wfgen.registry import Registry, WorkerSource, WorkflowSource
from wfgen.runs import HookRef, Hooks, Run
from wfgen.serving import Serving
from wfgen.sources import load_source
from wfgen.step_options import AnyStepOptions, JobOptions, StepOptions
from wfgen.worker_process import WorkerProcess

__all__ = [
    "MISSING",
    "AnyStepOptions",
    "AsyncWorkerRef",
    "ClientBase",
    "Ctx_co",
    "HookRef",
    "Hooks",
    "JobOptions",
    "Orchestrator",
    "QueueWorker",
    "Registry",
    "Run",
    "Serving",
    "StepOptions",
    "SyncWorkerRef",
    "WorkerProcess",
    "WorkerRef",
    "WorkerSource",
    "Workflow",
    "WorkflowBase",
    "WorkflowClient",
    "WorkflowRef",
    "WorkflowSource",
    "load_source",
    "open_client",
    "serve_module",
]
