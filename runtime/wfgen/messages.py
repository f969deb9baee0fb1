"""Messages from outside, read for the runs that this process works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from wfgen.claims import SOON
from wfgen.errors import StoreError
from wfgen.ids import RunId
from wfgen.store.records import Message

if TYPE_CHECKING:
    from wfgen.engine import Engine

log = logging.getLogger("wfgen.engine")

AGAIN = 0.1
"""Seconds after which a reading that failed is repeated; twice as many each time, up to SOON."""


class Messages:
    """Brings each message to its run once; a run that is claimed brings those that were there before.

    Args:
        engine: whose store it reads, and whose runs it tells.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mark = 0
        """Of the last reading: from where the next one goes on."""
        self._missed = False
        """Whether one was read whose run was not here: it may just be on its way into memory."""
        self._asked = self._answered = 0
        """Requests to read, and how many of them are served."""
        self._reading = asyncio.Lock()
        """Held while messages are read and given to their runs."""
        self._pause = AGAIN
        """Seconds until the next attempt, should a reading fail."""
        self._is_due = False
        """Whether an attempt is on its way."""

    async def fetch(self) -> None:
        """Read what has come; afterwards all that was sent before the call has been given to its run."""
        self._asked += 1
        request = self._asked
        async with self._reading:
            if self._answered < request and (self._engine.executions or self._engine.is_taking):
                await self._read()

    async def _read(self) -> None:
        engine, served, taken = self._engine, self._asked, self._engine.taken
        try:
            messages, mark = await engine.store.messages(engine.process_id, after=self._mark)
        except StoreError as error:
            self._try_again(error)
            return
        self._pause = AGAIN
        self._answered = served
        inboxes: dict[RunId, list[Message]] = {}
        for message in messages:
            inboxes.setdefault(message.run_id, []).append(message)
        missed = is_late = False
        for run_id, inbox in inboxes.items():
            execution = engine.executions.get(run_id)
            if execution is None:
                missed |= engine.is_taking
            elif execution.number > taken:  # it was taken meanwhile: what was read may be answered since
                is_late = True
            else:
                engine.soon(lambda execution=execution, inbox=inbox: execution.receive(*inbox))  # type: ignore[misc]
        self._missed = missed
        if is_late:
            engine.spawn(self.fetch())
        elif not missed:
            self._mark = mark

    def _try_again(self, error: StoreError) -> None:
        """Read once more after a while, since nobody tells of it again; also if several readings have failed."""
        if self._is_due:
            return
        level = self._engine.level_of(error)
        log.log(level, "messages cannot be read, next attempt in %g s: %s", self._pause, error)
        self._is_due = True

        def fetch() -> None:
            self._is_due = False
            self._engine.spawn(self.fetch())

        self._engine.later(self._pause, fetch)
        self._pause = min(self._pause * 2, SOON)

    def taken(self) -> None:
        """Runs have come into memory: what was read for them before they were there is read again."""
        if self._missed:
            self._missed = False
            self._engine.spawn(self.fetch())

    async def hand_over(self, run_id: RunId, take: Callable[[list[Message]], None]) -> None:
        """Read anew what a run has not answered, and give it to its new part.

        No other reading is under way meanwhile: that could bring what the old part has answered.

        Raises:
            StoreError: it cannot be read.
        """
        async with self._reading:
            messages, _ = await self._engine.store.messages(self._engine.process_id, run_id=run_id)
            take(messages)
