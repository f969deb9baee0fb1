"""What people do to the runs of a process that may be killed at any moment, and what has to come of it.

Who was cut off does not know what became of what was asked for, so everything here is asked for again by the next
process, unless the run's history shows that it was done.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from wfgen import Run, RunCancelledError, RunFailedError, RunStateError, RunTerminatedError
from wfgen.engine import Engine
from wfgen.store.deployments import NewDefinition

from . import effects

Act = Callable[[Engine], Awaitable[Any]]

UNFINISHED: Any = ["pending", "running", "waiting", "paused"]


@dataclass(frozen=True)
class Scenario:
    """One story."""

    act: Act
    """What people do; gives what they are told in the end."""
    told: Any
    runs: dict[str, int]
    """How many runs there are in the end, by workflow and status."""
    twice: frozenset[str] = frozenset()
    """Steps that begin twice in an undisturbed process: retried, or taken back and done again."""
    settings: dict[str, Any] = field(default_factory=dict)
    first: str = ""
    """The moment at which a process before ends; then the one after it is killed at every moment."""
    begin: str = "create"
    """The commit from which on the process is killed; empty: from the first one, which makes the store."""


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    told: Any, runs: dict[str, int], *twice: str, begin: str = "create", **settings: Any
) -> Callable[[Act], Act]:
    """Put a story among the others, under the name of its function. The arguments are as in `Scenario`."""

    def add(act: Act) -> Act:
        SCENARIOS[act.__name__] = Scenario(act, told, runs, frozenset(twice), settings, begin=begin)
        return act

    return add


def variant(name: str, of: str, *, first: str = "", **settings: Any) -> None:
    """The same story under other settings, or in a second process."""
    begin = "run_claimed" if first else "create"
    SCENARIOS[name] = dataclasses.replace(SCENARIOS[of], first=first, begin=begin, settings=settings)


async def start(engine: Engine, workflow: str, data: Any = "a") -> Run[Any]:
    return await engine.start_run(workflow, data, idempotency_key="the run")


async def until(run: Run[Any], *types: str) -> None:
    """Wait until an event of one of these types is recorded, or the run is finished."""
    while (await run.info()).finished_at is None and not await recorded(run, *types):
        await asyncio.sleep(0.002)


async def recorded(run: Run[Any], *types: str) -> bool:
    return any(event.type in types for event in await run.history())


async def finished(engine: Engine, run: Run[Any]) -> None:
    await engine.finished(run.id)


@scenario(["A", "A", "FLAKY", "slow", "stuck", ["losing"], True, "A"], {"steps completed": 1}, "flaky", begin="")
async def steps(engine: Engine) -> Any:
    return await (await start(engine, "steps")).result()


@scenario(["A", "A", "A", "A"], {"most_once completed": 1})
async def most_once(engine: Engine) -> Any:
    return await (await start(engine, "most_once")).result()


@scenario([5, "now", "late"], {"waits completed": 1})
async def waits(engine: Engine) -> Any:
    """A hook is resumed with what it cannot take, then by its name; another one by its token."""
    run = await start(engine, "waits")
    with contextlib.suppress(RunStateError):  # it is finished already
        await engine.controls.resume_hook_json('"five"', run_id=run.id, name="number")
        await until(run, "hook_rejected")
        await engine.controls.resume_hook_json("5", run_id=run.id, name="number")
        while (await run.info()).finished_at is None:
            hooks = [hook for hook in await engine.store.hooks(run_id=run.id, state=None) if hook.name == "sent"]
            if hooks:
                await engine.controls.resume_hook_json('"now"', token=hooks[0].token)
                break
            await asyncio.sleep(0.002)
    return await run.result()


@scenario(
    ["CALLED", "failed", "STARTED"],
    {"family completed": 1, "below completed": 3, "below failed": 1, "below cancelled": 1},
)
async def family(engine: Engine) -> Any:
    return await (await start(engine, "family")).result()


@scenario(
    [{"a": ["A", "A"], "b": ["B", "B"]}, "quick", True, ["0", "1"]],
    {"branches completed": 1, "below cancelled": 1},
)
async def branches(engine: Engine) -> Any:
    return await (await start(engine, "branches")).result()


@scenario("step 'losing' failed: LookupError: a", {"undone failed": 1}, "last")
async def undone(engine: Engine) -> Any:
    try:
        await (await start(engine, "undone")).result()
    except RunFailedError as error:
        return error.error


@scenario("cancelled", {"guarded cancelled": 1})
async def cancelled(engine: Engine) -> Any:
    run = await start(engine, "guarded")
    await until(run, "hook_created")
    with contextlib.suppress(RunStateError):
        await run.cancel()
    try:
        await run.result()
    except RunCancelledError:
        return "cancelled"


@scenario("done", {"parts completed": 1})
async def continued(engine: Engine) -> Any:
    return await (await start(engine, "parts", 2)).result()


@scenario("wfgen.errors.RunTimeoutError", {"bounded failed": 1})
async def bounded(engine: Engine) -> Any:
    run = await start(engine, "bounded")
    with contextlib.suppress(RunFailedError):
        await run.result()
    return (await run.info()).error_type


@scenario(["first", "now", "last"], {"held completed": 1})
async def paused(engine: Engine) -> Any:
    """A run is paused while a step is at work, and while it waits."""
    run = await start(engine, "held")
    with contextlib.suppress(RunStateError):
        if not await recorded(run, "run_paused"):
            await run.pause()
        await until(run, "run_paused")
        await run.resume()
        await until(run, "hook_created")
        history = [event.type for event in await run.history()]
        if history.count("run_paused") < 2:
            await run.pause()
            while (await run.info()).status not in ("paused", "completed"):
                await asyncio.sleep(0.002)
        await run.resume()
        await engine.controls.resume_hook_json('"now"', run_id=run.id, name="word")
    return await run.result()


@scenario("enough", {"ended terminated": 1, "below cancelled": 1})
async def terminated(engine: Engine) -> Any:
    run = await start(engine, "ended")
    await until(run, "hook_created")
    with contextlib.suppress(RunStateError):
        await run.terminate("enough")
    try:
        await run.result()
    except RunTerminatedError:
        return (await run.info()).error


@scenario(["A", "A", "MENDED"], {"mended completed": 1, "below completed": 1}, "fragile", begin="retry")
async def retried(engine: Engine) -> Any:
    run = await start(engine, "mended")
    await finished(engine, run)
    (effects.FOLDER / "mended").touch()
    with contextlib.suppress(RunStateError):
        await run.retry()
    return await run.result()


@scenario(["A", "B", "C", "A"], {"chain completed": 1, "below completed": 2}, "b", "c", begin="rollback")
async def rolled_back(engine: Engine) -> Any:
    run = await start(engine, "chain")
    await finished(engine, run)
    if not await recorded(run, "rolled_back"):
        await run.rollback((await run.checkpoints())[1].seq)
    return await run.result()


@scenario(["A", "B", "C", "A"], {"chain completed": 1, "below completed": 2}, "b", "c", begin="rollback")
async def compensated(engine: Engine) -> Any:
    run = await start(engine, "chain")
    await finished(engine, run)
    if not await recorded(run, "rollback_requested"):
        await run.rollback((await run.checkpoints())[1].seq, compensate=True)
    return await run.result()


@scenario(["A", "B", "C", "A"], {"chain completed": 2, "below completed": 2}, begin="fork")
async def forked(engine: Engine) -> Any:
    run = await start(engine, "chain")
    await finished(engine, run)
    fork = await run.fork((await run.checkpoints())[2].seq, idempotency_key="the fork")
    return await fork.result()


@scenario("A", {})
async def pruned(engine: Engine) -> Any:
    """What is removed is gone; who starts it again afterwards starts another run."""
    result = await (await start(engine, "below")).result()
    while await engine.store.list_runs(limit=1):  # which may have ended this very moment
        await engine.prune("0s")
        await asyncio.sleep(0.002)
    return result


@scenario(["A", "whole", "FLAKY", "A", "A", "quick"], {"handed completed": 1}, "flaky")
async def handed(engine: Engine) -> Any:
    return await (await start(engine, "handed")).result()


@scenario(["MENDED", "wfgen.errors.JobDiscardedError"], {"stuck_jobs completed": 1}, "mended", "spoilt")
async def tended(engine: Engine) -> Any:
    """Of two jobs that wait for their next attempt, one is told to make it now, and one is discarded."""
    run = await start(engine, "stuck_jobs")
    while (await run.info()).finished_at is None:
        for job in await run.jobs():
            if job.status != "queued" or job.due < engine.time() + 60:
                continue
            with contextlib.suppress(RunStateError):  # it is not queued any more
                if job.name == "mended":
                    (effects.FOLDER / "mended").touch()
                    await engine.store.retry_job(job.job_id)
                else:
                    await engine.store.discard_job(job.job_id)
                engine.changed()  # as if another process had asked for it
        await asyncio.sleep(0.002)
    return await run.result()


@scenario("posted", {"posted completed": 1})
async def cleared(engine: Engine) -> Any:
    """A job that goes its own way is removed once it is over; the definitions that a process brings are told again."""
    told = await (await start(engine, "posted")).result()
    await engine.store.record_definitions([NewDefinition("posted", "1", "hash", b"{}")])
    while await engine.store.list_jobs():
        await engine.store.prune_jobs(engine.time() + 1)
        await asyncio.sleep(0.002)
    return told


@scenario(["B", "C"], {"wandering completed": 1})
async def wandering(engine: Engine) -> Any:
    return await (await start(engine, "wandering")).result()


@scenario("A", {"below completed": 1}, begin="renew", lease="1s")
async def renewed(engine: Engine) -> Any:
    """The lease is renewed meanwhile."""
    last = lasting = max(end for _, end in await engine.store.processes())
    while lasting == last:
        await asyncio.sleep(0.01)
        lasting = max(end for _, end in await engine.store.processes())
    return await (await start(engine, "below")).result()


variant("steps, encrypted", "steps", encryption_keys="env:WFGEN_TEST_KEYS")
variant("waits, always replayed", "waits", resident=0)
variant("family, always replayed", "family", resident=0)
variant("steps, taken over", "steps", first="after:step_retrying")
variant("undone, taken over", "undone", first="after:compensation_started")
variant("branches, taken over", "branches", first="after:child_started")
variant("handed, taken over", "handed", first="after:finish_job")
variant("wandering, taken over", "wandering", first="after:step_completed")
variant("rolled back, taken over", "rolled_back", first="after:rolled_back")


async def play(engine: Engine, name: str) -> Any:
    """Let people do what they do, and wait until all runs and jobs have ended."""
    told = await SCENARIOS[name].act(engine)
    while await engine.store.list_runs(status=UNFINISHED, limit=1):
        await asyncio.sleep(0.002)
    while await engine.store.list_jobs(status=("queued", "running"), limit=1):
        await asyncio.sleep(0.002)
    return told
