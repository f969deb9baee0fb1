"""Recording what runs append: what the store cannot take just now is offered to it again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from wfgen.claims import FIRST_RETRY, LAST_RETRY, SOON
from wfgen.errors import PASSING, LeaseLostError, StoreUnreachableError
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.membership import Membership
from wfgen.store.records import Append, Verdict

if TYPE_CHECKING:
    from wfgen.engine import Engine

log = logging.getLogger("wfgen.engine")


class Appends:
    """The appends of the runs that this process works, on their way to the store.

    Args:
        engine: whose store takes them, and who tells others of what they bring.
        membership: nothing is recorded without a lease.
        observe: told of each event that is recorded.
    """

    def __init__(self, engine: Engine, membership: Membership, observe: Callable[[RunId, Event], None] | None) -> None:
        self._engine = engine
        self._store = engine.store
        self._membership = membership
        self._observe = observe
        self._loop = asyncio.get_running_loop()

    def record(self, append: Append, done: Callable[[Verdict], None], *, delay: float = FIRST_RETRY) -> None:
        """Record, then call back with the final verdict; `delay` is how many seconds later it would be tried again."""
        if not self._membership.valid:
            self._loop.call_soon(done, LeaseLostError(f"this process has lost its lease on run {append.run_id}."))
            return

        def settle(verdict: Verdict) -> None:
            if verdict is None and self._observe is not None:
                for event in append.events:
                    self._observe(append.run_id, event)
            if verdict is None and (append.children or append.given_up):
                self._engine.told()
                self._engine.jobs.changed()
            if verdict is None and append.jobs:
                self._engine.jobs.put(append.jobs)
            if not isinstance(verdict, PASSING):
                done(verdict)
                return
            longest = SOON if isinstance(verdict, StoreUnreachableError) else LAST_RETRY
            level = self._engine.level_of(verdict)
            log.log(level, "run %s cannot be recorded, next attempt in %g s: %s", append.run_id, delay, verdict)
            self._engine.later(delay, lambda: self.record(append, done, delay=min(delay * 2, longest)))

        self._store.append(append, settle)
