"""A process that works one kind of run and kills itself at a given commit.

Arguments: folder, the workflow's name, and either `none` or `before:N` / `after:N`: at the N-th append, before it is
durable or after it is and before anybody has been told.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from wfgen import (
    Job,
    Outcome,
    Retry,
    RunFailedError,
    UnknownRunError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

FOLDER = Path(sys.argv[1])


def effect(key: str) -> None:
    """A side effect in a table of its own, durable at once."""
    connection = sqlite3.connect(FOLDER / "effects.db", timeout=30, isolation_level=None)
    connection.execute("CREATE TABLE IF NOT EXISTS calls (key TEXT, pid INTEGER)")
    connection.execute("INSERT INTO calls VALUES (?, ?)", (key, os.getpid()))
    connection.close()


@define_worker("remote", retry=Retry(attempts=3, delay="1ms"))
async def remote(name: str, job: Job) -> str:
    effect(job.key)
    if name == "flaky" and job.attempt == 1:
        raise ConnectionError("once")
    return name.upper()


@define_worker("blocking")
def blocking(name: str, job: Job) -> str:
    effect(job.key)
    return name.upper()


@define_worker("losing")
async def losing(name: str, job: Job) -> str:
    effect(job.key)
    raise LookupError(name)


@define_worker("told")
async def told(outcome: Outcome, job: Job) -> None:
    effect(job.key)


@define_workflow
async def child(workflow: Workflow, name: str) -> str:
    return str(await workflow.do("in child", "remote", name))


@define_workflow
async def every_kind(workflow: Workflow, name: str) -> list[Any]:
    if name == "start":
        await workflow.do("warm up", "remote", name)
        workflow.continue_as_new("a")
    results: list[Any] = [await workflow.do("first", "remote", name)]
    results.append(await workflow.do("inline", lambda: effect("0/inline")))
    results.append(await workflow.do("flaky", "remote", "flaky"))
    results += await asyncio.gather(*[workflow.do("parallel", "blocking", f"{name}{n}") for n in range(3)])
    await workflow.sleep("pause", "1ms")
    results.append(await workflow.hook("word", str))
    results.append(await workflow.call("child", "child", "below"))
    async with asyncio.TaskGroup() as group:
        for n in range(2):
            group.create_task(workflow.do("grouped", "remote", str(n)))
    results.append(await workflow.do("last", "blocking", "end"))
    return results


@define_workflow(before=["remote"], after=["told"])
async def undone(workflow: Workflow, name: str) -> None:
    workflow.compensate("plain", "blocking", name)
    await asyncio.gather(*[workflow.do("booked", "remote", f"{name}{n}", compensate="blocking") for n in range(2)])
    await workflow.do("last", "remote", "flaky", compensate="remote")
    await workflow.do("lost", "losing", name, compensate="remote")


async def main() -> None:
    where, _, number = sys.argv[3].partition(":")
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    async with open_engine(registry, Settings(project=FOLDER)) as engine:
        appends = 0
        original = engine.store.append

        def append(batch: Any, done: Any) -> None:
            nonlocal appends
            appends += 1
            if where == "before" and appends == int(number):
                os.kill(os.getpid(), signal.SIGKILL)

            def told(verdict: Any, mine: int = appends) -> None:
                if where == "after" and mine == int(number):
                    os.kill(os.getpid(), signal.SIGKILL)
                done(verdict)

            original(batch, told)

        engine.store.append = append  # type: ignore[method-assign]
        run = await engine.start_run(sys.argv[2], "start", idempotency_key="the run")
        with contextlib.suppress(UnknownRunError):  # it is finished already
            await engine.resume_json('"now"', run_id=run.id, name="word")
        try:
            print(await run.result(timeout="30s"), appends, flush=True)
        except RunFailedError as error:
            print(error.error, appends, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
