"""Messages from outside, read for the runs that this process works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from wfgen.errors import StoreError
from wfgen.ids import RunId
from wfgen.store.protocol import Message

if TYPE_CHECKING:
    from wfgen.engine import Engine

log = logging.getLogger("wfgen.engine")

AGAIN = 0.1
"""Seconds after which a reading that failed is repeated."""


class Messages:
    """Brings each message to its run once; a run that is claimed brings those that were there before.

    Args:
        engine: whose store it reads, and whose runs it tells.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._newest = 0
        """Number of the last message that has been read."""
        self._missed = False
        """Whether one was read whose run was not here: it may just be on its way into memory."""
        self._asked = self._answered = 0
        """Requests to read, and how many of them are served."""
        self._reading = asyncio.Lock()
        """Held while messages are read and given to their runs."""

    async def fetch(self) -> None:
        """Read what has come; afterwards all that was sent before the call has been given to its run."""
        self._asked += 1
        request = self._asked
        async with self._reading:
            if self._answered < request and self._engine.executions:
                await self._read()

    async def _read(self) -> None:
        engine, served, taken = self._engine, self._asked, self._engine.taken
        try:
            messages = await engine.store.messages(engine.process_id, after=self._newest)
        except StoreError as error:  # nobody tells of them again
            log.error("messages cannot be read, next attempt in %g s: %s", AGAIN, error)
            engine.later(AGAIN, lambda: engine.spawn(self.fetch()))
            return
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
        elif messages and not missed:
            self._newest = messages[-1].id

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
            take(await self._engine.store.messages(self._engine.process_id, run_id=run_id))
