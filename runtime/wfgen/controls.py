"""What a client does to runs from outside.

It cancels, pauses, resumes, terminates, retries, rolls back and forks them, and answers what they wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from wfgen.checkpoints import Checkpoint, checkpoints
from wfgen.definitions import MISSING
from wfgen.errors import MAX_ERROR_TEXT, InvalidInputError, StoreError
from wfgen.ids import RunId
from wfgen.new_runs import new_run

if TYPE_CHECKING:
    from wfgen.engine import Engine
    from wfgen.execution import Execution
    from wfgen.runs import Run

log = logging.getLogger("wfgen.engine")

LOOK_EVERY = 1.0
"""Seconds between looks whether runs that are worked here have been taken away."""


class Controls:
    """The controls of one engine, by run id. All of them refuse what cannot be done and change nothing then.

    Args:
        engine: whose store and runs they act on.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._looked_at = float("-inf")
        self._next_look: asyncio.TimerHandle | None = None

    async def cancel(self, run_id: str) -> None:
        """Ask a run to stop: its code gets a CancelledError, once.

        Raises:
            UnknownRunError: there is no such run.
            RunStateError: it is finished.
        """
        await self._engine.store.send("cancel", run_id=RunId(run_id))
        self._engine._wake.set()  # it ends a pause
        await self._engine.messages.fetch()

    async def resume_hook(
        self, payload: bytes, *, token: str | None = None, run_id: str | None = None, name: str | None = None
    ) -> Literal["sent", "duplicate"]:
        """Send an encoded payload to a hook: by token, or by run and name; kept if the run has not got there yet.

        Raises:
            UnknownHookError, UnknownRunError, RunStateError: nobody can take it.
            InvalidInputError: it is not encoded, or the hook is named in both ways or in none.
        """
        if not isinstance(payload, bytes):
            raise InvalidInputError(
                f"a payload of type {type(payload).__name__} is not encoded.",
                hint="`resume_hook_json` takes JSON text, `run.hooks[name].resume` any value.",
            )
        if (token is None) == (run_id is None) or (run_id is None) != (name is None):
            raise InvalidInputError("it is not said which hook.", hint="Give a token, or run_id and name.")
        sent = await self._engine.store.send(
            "hook", run_id=None if run_id is None else RunId(run_id), token=token, name=name, payload=payload
        )
        self._engine._wake.set()
        await self._engine.messages.fetch()
        return sent

    async def resume_hook_json(
        self, text: str | bytes, *, token: str | None = None, run_id: str | None = None, name: str | None = None
    ) -> Literal["sent", "duplicate"]:
        """The same for JSON text that comes from outside.

        Raises:
            InvalidInputError: it is no JSON.
        """
        payload = self._engine.codec.validate_json(text, Any, "the payload")
        return await self.resume_hook(payload, token=token, run_id=run_id, name=name)

    async def pause(self, run_id: str) -> Literal["sent", "duplicate"]:
        """Pause a run: nothing new begins, steps at work end and are recorded, timers and messages wait.

        Takes effect at once, or when the steps that are at work have ended. `duplicate`: it is paused, or is asked to
        be. Terminating or cancelling works in a pause, too; a request to cancel ends it.

        Raises:
            UnknownRunError: there is no such run.
            RunStateError: it is finished.
        """
        return await self._send("pause", run_id)

    async def resume(self, run_id: str) -> Literal["sent", "duplicate"]:
        """Let a paused run go on at the exact point. `duplicate`: it is not paused.

        Timers that came due in the meantime fire then.

        Raises:
            UnknownRunError: there is no such run.
            RunStateError: it is finished.
        """
        return await self._send("resume", run_id)

    async def terminate(self, run_id: str, reason: str | None = None) -> None:
        """End a run at once: its code is not asked, and nothing is undone.

        Steps at work are stopped as far as they can be. Children end by their policy; a parent is told.

        Args:
            run_id: the run.
            reason: for people; recorded.

        Raises:
            UnknownRunError: there is no such run.
            RunStateError: it is finished.
        """
        if reason is not None:  # as with texts of errors: not too long, and nothing that UTF-8 cannot hold
            reason = reason[:MAX_ERROR_TEXT].encode("utf-8", "backslashreplace").decode()
        await self._engine.store.terminate(run_id, reason)
        await self._taken(run_id)

    async def retry(self, run_id: str) -> None:
        """Retry a failed run from the step whose error ended it; what completed before does not run again.

        Its attempts count anew, and so does the timeout of the run. What was recorded after that step's failure is
        undone and done again. A run whose compensations have failed goes on with those.

        Raises:
            UnknownRunError: there is no such run.
            RunStateError: it has not failed, or its steps have been undone.
        """
        await self._engine.store.retry(run_id)
        await self._taken(run_id)

    async def rollback(self, run_id: str, to: int, *, compensate: bool = False) -> None:
        """Take a run, finished or not, back to one of its checkpoints; it goes on from there at once.

        A request to cancel it that it has not answered yet stays.

        Args:
            run_id: the run.
            to: seq of the checkpoint. What was recorded after it does not count any more.
            compensate: whether the run first undoes, with their compensations, the steps completed after it. Without,
                their effects stay.

        Raises:
            UnknownRunError: there is no such run.
            RunStateError: there is no such checkpoint, or it is not kept.
        """
        keep = self._engine.settings.checkpoints_kept
        await self._engine.store.rollback(run_id, to, compensate=compensate, keep=keep)
        await self._taken(run_id)

    async def fork(self, run_id: str, at: int, data: Any = MISSING, *, idempotency_key: str | None = None) -> Run[Any]:
        """Start a new run with the history of another one up to a checkpoint. The other one stays as it is.

        Args:
            run_id: the other run.
            at: seq of the checkpoint.
            data: another input, in place of the same one. Steps up to the checkpoint keep their results.
            idempotency_key: a second fork with the same key returns the first one.

        Raises:
            UnknownRunError: there is no such run.
            RunStateError: there is no such checkpoint, or it is not kept.
            InvalidInputError: the data does not fit the workflow's input.
            ConflictError: the key was used for something else.
        """
        return await self._fork(run_id, at, data, idempotency_key, is_json=False)

    async def fork_json(
        self, run_id: str, at: int, text: str | bytes | None = None, *, idempotency_key: str | None = None
    ) -> Run[Any]:
        """The same with the input as JSON text; None for the same input."""
        data = MISSING if text is None else text
        return await self._fork(run_id, at, data, idempotency_key, is_json=True)

    async def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """The points to which a run can be rolled back and from which it can be forked, oldest first.

        Raises:
            UnknownRunError: there is no such run.
        """
        events = await self._engine.store.history(run_id)
        return checkpoints(events, self._engine.settings.checkpoints_kept)

    # Runs that are taken away from this process.

    def others_wrote(self) -> None:
        """Another process has written: see soon whether it has taken runs away."""
        if self._next_look is None and self._engine.executions:
            wait = max(0.0, self._looked_at + LOOK_EVERY - self._engine._loop.time())
            self._next_look = self._engine._loop.call_later(wait, self._look)

    def close(self) -> None:
        """Look no more."""
        if self._next_look is not None:
            self._next_look.cancel()

    def _look(self) -> None:
        self._next_look = None
        self._looked_at = self._engine._loop.time()
        self._engine.spawn(self._drop_lost())

    async def _drop_lost(self) -> None:
        with contextlib.suppress(StoreError):  # what this process writes meets it again
            for run_id in await self._drop_taken(dict(self._engine.executions)):
                log.warning("run %s is given up: it was taken from this process", run_id)
                self._tell()

    async def _drop_taken(self, held: Mapping[str, Execution]) -> Sequence[str]:
        """Drop those runs of this process that it holds no longer: their epoch is another one by now; gives which."""
        dropped = []
        epochs = await self._engine.store.epochs(held)
        for run_id, execution in held.items():
            # An end that is recorded and not told yet leaves the epoch as it is.
            if epochs.get(run_id) != execution.run.epoch and self._engine.executions.get(run_id) is execution:
                execution.drop()
                self._engine._claims.forget(execution)
                dropped.append(run_id)
        return dropped

    async def _taken(self, run_id: str) -> None:
        """A run was taken from whoever had it. This process may have claimed it since: then it is its own."""
        execution = self._engine.executions.get(run_id)
        if execution is not None:
            try:
                await self._drop_taken({run_id: execution})
            except StoreError:
                self.others_wrote()  # looked at once more
        self._tell()

    def _tell(self) -> None:
        """Those who wait for a run look again, and so do jobs and its family."""
        self._engine.spawn(self._engine._waiters.look_again())
        self._engine.jobs.changed()
        self._engine.told()

    async def _send(self, kind: Literal["pause", "resume"], run_id: str) -> Literal["sent", "duplicate"]:
        sent = await self._engine.store.send(kind, run_id=RunId(run_id))
        await self._engine.messages.fetch()
        self._engine._wake.set()
        return sent

    async def _fork(self, run_id: str, at: int, data: Any, key: str | None, *, is_json: bool) -> Run[Any]:
        engine = self._engine
        record = await engine.store.get_run(run_id)
        encoded = None
        if data is not MISSING:
            definition = engine.registry.workflow(record.workflow, record.version)
            check = engine.codec.validate_json if is_json else engine.codec.validate
            encoded = definition.encode_input(data, check)
        new = new_run(engine._environment.random, record.workflow, record.version, encoded, key, record.tags)
        keep = engine.settings.checkpoints_kept
        forked, _ = await engine.store.fork(run_id, at, new, replace_input=data is not MISSING, keep=keep)
        engine._wake.set()
        return engine.run(forked.run_id)
