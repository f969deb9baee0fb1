"""Type checking beside `wfgen watch`: in the background, so that nothing waits for it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from wfgen_cli.failures import told_of
from wfgen_cli.rebuilding import FindingKey, Outcome

if TYPE_CHECKING:
    from wfgen.errors import WfgenError
    from wfgen.settings import Settings
    from wfgen_cli.rebuilding import Rebuilder
    from wfgen_cli.typedaemon import Daemon
    from wfgen_inspector import Diagnostic, Inspection

_Key = tuple[str, str, str, int]
"""File, code, message, and how many such findings stand before it."""


@dataclass(frozen=True)
class Answer:
    """What mypy said of one state of the sources."""

    diagnostics: tuple[Diagnostic, ...] = ()
    failure: WfgenError | None = None
    """Why it could say nothing."""


class TypeWatch:
    """Asks mypy's daemon about the latest inspection, on a thread of its own.

    Args:
        ready: called on that thread when there is news.
    """

    def __init__(self, ready: Callable[[], None]) -> None:
        self._ready = ready
        self._change = threading.Condition()
        self._wanted: tuple[Settings, Inspection] | None = None
        self._answer: Answer | None = None
        self._findings: dict[_Key, Diagnostic] = {}
        self._failure: str | None = None
        self._is_closed = False
        self._daemon: Daemon | None = None
        self._thread = threading.Thread(target=self._work, name="types", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def look(self, rebuilder: Rebuilder) -> None:
        """Ask about the last inspection. What was asked before and is not answered yet is dropped."""
        if rebuilder.inspection is None:
            return
        with self._change:
            self._wanted, self._answer = (rebuilder.settings, rebuilder.inspection), None
            self._change.notify()

    def news(self) -> Outcome:
        """What the answer to what was asked last changes; nothing while there is none, or it was taken before."""
        with self._change:
            answer, self._answer = self._answer, None
        if answer is None:
            return Outcome()
        if answer.failure is not None:
            is_known = str(answer.failure) == self._failure
            self._failure = str(answer.failure)
            return Outcome(failure=None if is_known else answer.failure)
        is_recovered, self._failure = self._failure is not None, None
        before, self._findings = self._findings, _keyed(answer.diagnostics)
        return Outcome(
            recovered=is_recovered,
            appeared=tuple(found for key, found in self._findings.items() if key not in before),
            mended=tuple(found for key, found in before.items() if key not in self._findings),
        )

    def close(self) -> None:
        """End the daemon and the thread."""
        with self._change:
            self._is_closed = True
            self._change.notify()
            daemon = self._daemon
        if daemon is not None:
            daemon.cancel()
        self._thread.join()

    def _work(self) -> None:
        try:
            self._answer_all()
        finally:
            if self._daemon is not None:
                self._daemon.close()

    def _answer_all(self) -> None:
        from wfgen_cli.typedaemon import PING, CancelledError

        while True:
            with self._change:
                if self._wanted is None and not self._is_closed:
                    self._change.wait(PING)
                wanted, self._wanted = self._wanted, None
                if self._is_closed:
                    return
            try:
                if wanted is not None:
                    self._give(self._ask(*wanted))
                elif self._daemon is not None:
                    self._daemon.ping()
            except CancelledError:
                return
            except Exception as error:  # whatever it is, the next save may mend it
                self._give(Answer(failure=told_of(error)))

    def _ask(self, settings: Settings, inspection: Inspection) -> Answer:
        from wfgen_cli.typechecking import Places, groups, is_wanted, judged
        from wfgen_cli.typedaemon import CancelledError, Daemon
        from wfgen_cli.typereport import findings
        from wfgen_codegen import mypy_call

        if not is_wanted(settings, inspection):
            return Answer()
        with self._change:
            if self._is_closed:
                raise CancelledError
            daemon = self._daemon = self._daemon or Daemon(settings)
        # One daemon knows one file of each module name: the files of a second part are left to `wfgen check`.
        call = mypy_call(groups(inspection.manifest)[0], settings)
        entries, is_stopped = daemon.check(call)
        places = Places(settings, inspection, None, everywhere=is_stopped)
        return Answer(judged(settings, inspection, findings(entries, settings.project, places)))

    def _give(self, answer: Answer) -> None:
        with self._change:
            if self._wanted is not None:
                return
            self._answer = answer
        self._ready()


def _keyed(diagnostics: Iterable[Diagnostic]) -> dict[_Key, Diagnostic]:
    """Findings by what does not change when they move; mypy words all mistakes of one kind alike, so they count."""
    seen: Counter[FindingKey] = Counter()
    found: dict[_Key, Diagnostic] = {}
    for diagnostic in diagnostics:
        key = (diagnostic.file, diagnostic.code, diagnostic.message)
        found[(*key, seen[key])] = diagnostic
        seen[key] += 1
    return found
