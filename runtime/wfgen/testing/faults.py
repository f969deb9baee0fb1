"""Failures and crashes at named steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from wfgen.events import COMPLETIONS, Event
from wfgen.step_runner import StepRunner
from wfgen.testing.errors import UnreachedError
from wfgen.work import Work


@dataclass(slots=True)
class Failure:
    """An error that an attempt at a step raises in place of its work."""

    step: str
    attempt: int | None
    """None for each one."""
    error: BaseException
    reached: bool = False


@dataclass(slots=True)
class Crash:
    """The end of the process at a step, once."""

    step: str
    moment: Literal["during", "after"]
    reached: bool = False


class Faults:
    """What a test has arranged to go wrong.

    Args:
        crash: ends the engine on the spot, as if its process had died.
    """

    def __init__(self, crash: Callable[[], None]) -> None:
        self._crash = crash
        self.failures: list[Failure] = []
        self.crashes: list[Crash] = []

    def add(self, *faults: Failure | Crash) -> None:
        """Arrange more."""
        for fault in faults:
            if isinstance(fault, Failure):
                self.failures.append(fault)
            else:
                self.crashes.append(fault)

    def check_reached(self) -> None:
        """Fail for what no run has got to.

        Raises:
            UnreachedError: there is some.
        """
        left = [
            f"a failure of step {f.step!r}" + ("" if f.attempt is None else f" in attempt {f.attempt}")
            for f in self.failures
            if not f.reached
        ]
        left += [f"a crash {c.moment} step {c.step!r}" for c in self.crashes if not c.reached]
        if left:
            raise UnreachedError(
                f"no run got to {', '.join(left)}.", "Compare the names with those of the workflow's steps."
            )

    def before(self, work: Work, attempt: int) -> None:
        """An attempt begins: raise what was arranged for it."""
        for failure in self.failures:
            if _is(failure.step, work.key, work.name) and failure.attempt in (None, attempt):
                failure.reached = True
                raise failure.error

    def worked(self, work: Work) -> bool:
        """A step's function has returned: crash if that was arranged. Whether it was."""
        return self._reach("during", work.key, work.name)

    def recorded(self, event: Event) -> None:
        """An event is durable: crash if that was arranged."""
        if event.type in COMPLETIONS and event.key is not None:
            self._reach("after", event.key, event.key.partition("/")[2])

    def _reach(self, moment: str, key: str, name: str) -> bool:
        for crash in self.crashes:
            if crash.moment == moment and not crash.reached and _is(crash.step, key, name):
                crash.reached = True
                self._crash()
                return True
        return False


def _is(wanted: str, key: str, name: str) -> bool:
    return wanted in (name, key, key.partition("/")[2])


class FaultyStepRunner(StepRunner):
    """A step runner that asks `faults` first and last; innermost, so that middleware and policies see what happens."""

    faults: Faults

    async def _call(self, work: Work, attempt: int) -> Any:
        self.faults.before(work, attempt)
        result = await super()._call(work, attempt)
        if self.faults.worked(work):
            await asyncio.Event().wait()  # the process is gone: cancelled soon
        return result

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        """The attempts that are being worked."""
        return set(self._tasks)
