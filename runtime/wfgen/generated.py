"""What generated code imports; not for users."""

from wfgen.client import ClientBase, WorkflowClient, open_client
from wfgen.definitions import MISSING
from wfgen.handle import Workflow, WorkflowBase
from wfgen.references import AsyncWorkerRef, SyncWorkerRef, WorkerRef, WorkflowRef
from wfgen.registry import Registry, WorkerSource, WorkflowSource
from wfgen.runs import HookRef, Hooks, Run
from wfgen.sources import load_source

__all__ = [
    "MISSING",
    "AsyncWorkerRef",
    "ClientBase",
    "HookRef",
    "Hooks",
    "Registry",
    "Run",
    "SyncWorkerRef",
    "WorkerRef",
    "WorkerSource",
    "Workflow",
    "WorkflowBase",
    "WorkflowClient",
    "WorkflowRef",
    "WorkflowSource",
    "load_source",
    "open_client",
]
