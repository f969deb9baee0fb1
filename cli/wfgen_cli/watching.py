"""Hints that something below the project may have changed.

Events of the file system are hints and no more: one save gives several, an editor that saves by renaming gives others,
and a container may drop some. So all that is told is "look again".
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

from wfgen_cli.failures import ArgumentError

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

    from wfgen.settings import Settings

Hint = Literal["sources", "everything", "types", "stop"]
"""What may have changed: sources; settings, templates or outputs; what mypy says; or nothing any more."""

QUIET = 0.02
"""Seconds without an event after which a burst of events is over: an editor's truncating, writing and renaming."""
LONGEST = 0.2
"""Seconds after which a burst that does not end is looked at all the same."""
_SOURCES = (".py", ".workflow.pyi", ".worker.pyi")
"""Any module may be one that a workflow uses."""
_OTHERS = (".jinja", *(os.sep + name for name in ("pyproject.toml", "mypy.ini", "setup.cfg")))
_SKIPPED = frozenset({"__pycache__", "node_modules"})
_EVENTS: list[type[events.FileSystemEvent]] = [
    events.DirCreatedEvent,
    events.DirDeletedEvent,
    events.DirMovedEvent,
    events.FileClosedEvent,
    events.FileCreatedEvent,
    events.FileDeletedEvent,
    events.FileModifiedEvent,
    events.FileMovedEvent,
]
"""What is asked for. Opening and reading are no changes, and our own reading would drown us in such events."""
_GONE = frozenset({"moved", "deleted"})


class Hints(events.FileSystemEventHandler):
    """Waits for hints, and for Ctrl-C and SIGTERM.

    Args:
        settings: the project's; its folder and, where that lies elsewhere, its import root are watched.
        poll: compare the folders once a second instead of waiting for events.
    """

    def __init__(self, settings: Settings, *, poll: bool) -> None:
        roots = [settings.project]
        if not settings.import_root.is_relative_to(settings.project):
            roots.append(settings.import_root)
        self._roots = tuple(map(str, roots))
        self._observer: BaseObserver = PollingObserver() if poll else Observer()
        self._watches: dict[str, ObservedWatch] = {}
        # A simple queue may be filled from a signal handler at any moment, an event or a condition may not.
        self._hints: queue.SimpleQueue[Hint] = queue.SimpleQueue()
        self._handlers: dict[int, Any] = {}
        self.output = ""
        """Absolute folder of the generated package: only what vanishes from it is a hint."""

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, lambda *_: self._hints.put("stop"))
        try:
            for root in self._roots:
                self._watches[root] = self._observer.schedule(self, root, recursive=False, event_filter=_EVENTS)
                with os.scandir(root) as entries:
                    for path in sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False)):
                        self._watch(path)
            self._observer.start()
        except OSError as error:
            raise ArgumentError(
                f"{self._roots[0]} cannot be watched: {error.strerror or error}.",
                hint="Use --poll, or let the system watch more files (on Linux fs.inotify.max_user_watches).",
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._observer.stop()
        self._observer.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def wait(self) -> frozenset[Hint]:
        """Wait for a hint, and until the burst that it belongs to is over. Empty when it is time to end."""
        found: set[Hint] = {self._hints.get()}
        latest = time.monotonic() + LONGEST
        while "stop" not in found and (left := latest - time.monotonic()) > 0:
            try:
                found.add(self._hints.get(timeout=min(QUIET, left)))
            except queue.Empty:
                break
        return frozenset() if "stop" in found else frozenset(found)

    def give(self, hint: Hint) -> None:
        """Add a hint that comes from elsewhere, on any thread."""
        self._hints.put(hint)

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Called by the observer, on its own thread."""
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
        if event.is_directory:
            if event.event_type in _GONE:
                self._unwatch(source)
            with contextlib.suppress(OSError):  # gone again, or one watch too many: the others go on
                self._watch(target or source)
        for path in filter(None, (source, target)):
            if not self._is_visible(path):
                continue
            if self.output and (path == self.output or path.startswith(self.output + os.sep)):
                if event.event_type in _GONE and path == source and not os.path.exists(path):
                    self._hints.put("everything")
            elif event.is_directory or path.endswith(_SOURCES):
                self._hints.put("sources")
            elif path.endswith(_OTHERS):
                self._hints.put("everything")

    def _is_visible(self, path: str) -> bool:
        root = next(root for root in self._roots if path.startswith(root))
        return not any(part.startswith(".") or part in _SKIPPED for part in path.removeprefix(root).split(os.sep))

    def _watch(self, folder: str) -> None:
        """Watch a folder of a root with all below it; a virtual environment would take thousands of watches."""
        name = os.path.basename(folder)
        if os.path.dirname(folder) not in self._roots or folder in self._watches or not os.path.isdir(folder):
            return
        if not (name.startswith(".") or name in _SKIPPED or os.path.exists(os.path.join(folder, "pyvenv.cfg"))):
            self._watches[folder] = self._observer.schedule(self, folder, recursive=True, event_filter=_EVENTS)

    def _unwatch(self, folder: str) -> None:
        watch = self._watches.pop(folder, None) if folder not in self._roots else None
        if watch is not None:
            self._observer.unschedule(watch)
