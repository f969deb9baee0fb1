"""Where runs are kept: a protocol of atomic transitions, and the engines' stores that follow it."""

from wfgen.store.protocol import Store
from wfgen.store.records import Append, Claimed, HookRecord, Message, NewRun, ProcessRecord, RunRecord, RunStatus

__all__ = [
    "Append",
    "Claimed",
    "HookRecord",
    "Message",
    "NewRun",
    "ProcessRecord",
    "RunRecord",
    "RunStatus",
    "Store",
]
