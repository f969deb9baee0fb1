"""Where runs are kept: a protocol of atomic transitions, and the engines' stores that follow it."""

from wfgen.store.protocol import (
    Append,
    Claimed,
    HookRecord,
    Message,
    NewRun,
    ProcessRecord,
    RunRecord,
    RunStatus,
    Store,
)

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
