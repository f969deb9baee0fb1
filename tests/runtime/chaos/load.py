"""Who starts runs and resumes their hooks while all this goes on. What cannot be done just now is asked for again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from wfgen.engine import Engine
from wfgen.errors import RunStateError, StoreError, UnknownHookError

T = TypeVar("T")

UNFINISHED: Any = ["pending", "running", "waiting", "paused"]
OPEN = 0.5
"""Seconds that a hook is open before it is resumed."""
PATIENCE = 60.0
"""Seconds after which a store that cannot be reached is a problem."""


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """What the call gives, once it does not raise a StoreError."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return await call()
        except StoreError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.05)


class Load:
    """Starts runs as long as trouble lasts.

    Args:
        engine: a client.
        runs: how many there are to be.
        at_once: how many may be unfinished.
    """

    def __init__(self, engine: Engine, runs: int, at_once: int) -> None:
        self._engine = engine
        self._runs = runs
        self._at_once = at_once
        self._over = False

    async def start(self, seconds: float) -> None:
        """Start the runs, spread over so many seconds at least."""
        engine = self._engine
        began = time.monotonic()
        for number in range(self._runs):
            run = await patiently(lambda n=number: engine.start_run("chaotic", n, idempotency_key=f"run {n}"))  # type: ignore[misc]
            await patiently(lambda id=run.id: engine.controls.resume_hook_json('"early"', run_id=id, name="early"))  # type: ignore[misc]
            while time.monotonic() - began < seconds * number / self._runs or await self._is_full():
                await asyncio.sleep(0.02)

    async def _is_full(self) -> bool:
        return (
            len(await patiently(lambda: self._engine.store.list_runs(status=UNFINISHED, limit=999))) > self._at_once * 2
        )

    async def busy(self) -> set[int]:
        """The pids of those that hold runs or jobs."""
        store = self._engine.store
        holders = await patiently(store.holdings)
        return {process.pid for process, _ in await patiently(store.processes) if process.process_id in holders}

    async def resume(self) -> None:
        """Resume the hooks that open, until the last run has ended."""
        engine = self._engine
        while not self._over:
            for hook in await patiently(lambda: engine.store.hooks(limit=500)):
                if hook.name == "late" and time.time() - hook.created_at > OPEN:
                    # It may be resumed, though nobody was told: the run has gone on then.
                    with contextlib.suppress(UnknownHookError, RunStateError):
                        await patiently(
                            lambda token=hook.token: engine.controls.resume_hook_json('"late"', token=token)
                        )  # type: ignore[misc]
            await asyncio.sleep(0.05)

    async def end(self, patience: float) -> list[str]:
        """Wait until all runs have ended; gives those that have not after so many seconds."""
        until = time.monotonic() + patience
        while left := await patiently(lambda: self._engine.store.list_runs(status=UNFINISHED, limit=999)):
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.05)
        self._over = True
        return [f"run {run.run_id} ({run.workflow}) is {run.status}, held by {run.owner}" for run in left]
