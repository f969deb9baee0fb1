"""Real input and output in a workflow's body fails at once.

The run's own loop refuses timers, sockets and threads that asyncio is asked for. What blocking calls do (`open`,
`time.sleep`, `subprocess`) is seen through Python's audit events, on the engine's thread, while workflow code runs on
it. The table lists events of the standard library (Python documentation, "Audit events table").
"""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

from wfgen.errors import NotDeterministicError

_REFUSED = {
    "open": "opens a file",
    "time.sleep": "sleeps",
    "socket.connect": "connects a socket",
    "socket.bind": "binds a socket",
    "socket.sendto": "sends on a socket",
    "socket.getaddrinfo": "looks up a host",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.fork": "starts a process",
    "os.listdir": "lists a folder",
    "os.scandir": "lists a folder",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "os.mkdir": "makes a folder",
    "sqlite3.connect": "opens a database",
    "_thread.start_new_thread": "starts a thread",
    "_thread.start_joinable_thread": "starts a thread",
}

# What Python and its logging do of themselves: importing a module, showing a traceback, turning over a log file.
# pydantic, which encodes what an operation is given, looks for plugins on first use. Where a run's lines and numbers
# go is the process's own matter.
_ALLOWED = (
    *("importlib._bootstrap", "importlib._bootstrap_external", "logging", "linecache", "warnings", "zipimport"),
    *("wfgen.runlog", "wfgen.metrics"),
)

_guarded: set[int] = set()
_installed = False


class Guard:
    """Marks this thread as running a workflow's body, as a context manager. Not reentrant."""

    __slots__ = ("_thread",)

    def __init__(self) -> None:
        global _installed
        if not _installed:
            _installed = True
            sys.addaudithook(_audit)
            if sys.version_info < (3, 12):
                _announce_threads()
        self._thread = threading.get_ident()

    def __enter__(self) -> None:
        _guarded.add(self._thread)

    def __exit__(self, *_: object) -> None:
        _guarded.discard(self._thread)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _guarded or event not in _REFUSED or threading.get_ident() not in _guarded:
        return
    frame: FrameType | None = sys._getframe(1)
    place = None
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(_ALLOWED) or (place is None and module.startswith("pydantic")):
            return
        if place is None and module != __name__ and not _is_library(frame):
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if module == "wfgen.loop":
            break
        frame = frame.f_back
    raise NotDeterministicError(
        f"{place or 'the workflow'} {_REFUSED[event]} ({event}), which a workflow's body must not.",
        hint="Make it a step: `await workflow.do(name, function)`.",
    )


def _announce_threads() -> None:
    """Give Python 3.11 the audit event that 3.12 has for threads that are started."""
    start: Any = threading._start_new_thread  # type: ignore[attr-defined]

    def start_new_thread(*arguments: Any) -> Any:
        sys.audit("_thread.start_new_thread", *arguments)
        return start(*arguments)

    threading._start_new_thread = start_new_thread  # type: ignore[attr-defined]


def _is_library(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith((sys.base_prefix, "<frozen"))
