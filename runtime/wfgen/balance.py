"""Idle processes get runs from loaded ones: a process that works many runs gives some back while another has few.

A run goes at a point where nothing of it is at work, so that the next process repeats no step; it replays what is
recorded. Runs that have more than one step at work stay, for they would have to wait for all of those.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wfgen.errors import StoreError

if TYPE_CHECKING:
    from wfgen.claims import Claims
    from wfgen.engine import Engine

log = logging.getLogger("wfgen.engine")

LOOK = 1.0
"""Seconds between two looks of a process that has many runs at work."""

MANY = 16
"""Runs at work from which on a process looks whether another one has less to do."""

FACTOR = 2
"""How many times as many it has to have as the other one: less is not worth the replays."""

AT_ONCE = 32
"""Runs that go in one look at most: until the others are on their way, those that are on it stand still."""


@dataclass(frozen=True, slots=True)
class _Other:
    """A process that works runs."""

    id: str
    pairs: frozenset[tuple[str, str]]
    """Name and version of the workflows that it takes."""
    working: int
    """Runs that it works now."""
    free: int
    """How many more it takes."""


class Balance:
    """Looks how much others have to do.

    Args:
        engine: whose store it asks.
        claims: the runs of this process.
    """

    def __init__(self, engine: Engine, claims: Claims) -> None:
        self._engine = engine
        self._claims = claims

    async def keep(self) -> None:
        """Look again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            if self._claims.at_work >= MANY:
                try:
                    await self._look()
                except StoreError as error:
                    log.debug("what other processes have to do is not known: %s", error)

    async def _look(self) -> None:
        others = await self._others()
        for number, other in enumerate(others):
            mine = self._claims.at_work_of(other.pairs)
            if mine <= FACTOR * other.working + MANY:
                continue
            # Its share; the same for each of those that are still to be looked at, and for this process.
            share = (mine - other.working) // (len(others) - number + 1)
            given = self._claims.give_away(min(share, other.free, AT_ONCE), other.pairs)
            if given:
                log.info("%d of %d runs at work are given to process %s, which has less to do", given, mine, other.id)

    async def _others(self) -> list[_Other]:
        """The live processes that take runs and have room, those with the least work first."""
        store, own = self._engine.store, self._engine.process_id
        holdings, now = await store.holdings(), self._engine.time()
        found = []
        for process, until in await store.processes():
            said = json.loads(process.serves)
            if process.process_id == own or until <= now or said.get("own"):
                continue
            held = holdings.get(process.process_id)
            working = 0 if held is None else held.working
            free = said.get("concurrency", 0) - working
            pairs = frozenset((name, version) for name, version in said.get("workflows") or ())
            if pairs and free > 0:
                found.append(_Other(process.process_id, pairs, working, free))
        return sorted(found, key=lambda other: other.working)
