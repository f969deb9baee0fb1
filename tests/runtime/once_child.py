"""A process that works a run of steps that run at most once, and kills itself at a given moment.

Arguments: folder, and `none`, `step:NAME` (in the middle of that step), or `before:N` / `after:N`: at the N-th append,
before it is durable or after it is and before anybody has been told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from wfgen import Job, StepInterruptedError, Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

FOLDER = Path(sys.argv[1])
WHERE, _, NUMBER = sys.argv[2].partition(":")


def effect(key: str) -> None:
    """A side effect in a table of its own, durable at once."""
    connection = sqlite3.connect(FOLDER / "effects.db", timeout=30, isolation_level=None)
    connection.execute("CREATE TABLE IF NOT EXISTS calls (key TEXT)")
    connection.execute("INSERT INTO calls VALUES (?)", (key,))
    connection.close()


def work(job: Job) -> str:
    effect(job.key)
    if ("step", job.step) == (WHERE, NUMBER):
        os.kill(os.getpid(), signal.SIGKILL)
    return job.step


@define_worker("loop", at_most_once=True)
async def on_the_loop(job: Job) -> str:
    return work(job)


@define_worker("thread", at_most_once=True)
def in_a_thread(job: Job) -> str:
    return work(job)


@define_worker("repeated")
def repeated(job: Job) -> str:
    return work(job)


@define_workflow
async def flow(workflow: Workflow) -> list[str]:
    found = []
    for name, worker in (("first", "loop"), ("second", "thread"), ("third", "repeated"), ("fourth", "loop")):
        try:
            found.append(await workflow.do(name, worker))
        except StepInterruptedError as error:
            found.append(f"{error.step} was interrupted")
    both = await asyncio.gather(
        workflow.do("left", "loop", on_error="continue"),
        workflow.do("right", "thread", on_error="continue"),
    )
    return [*found, *(f"{one.step} was interrupted" if isinstance(one, StepInterruptedError) else one for one in both)]


async def main() -> None:
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    async with open_engine(registry, Settings(project=FOLDER)) as engine:
        appends = 0
        original = engine.store.append

        def append(batch: Any, done: Any) -> None:
            nonlocal appends
            appends += 1
            if WHERE == "before" and appends == int(NUMBER):
                os.kill(os.getpid(), signal.SIGKILL)

            def told(verdict: Any, mine: int = appends) -> None:
                if WHERE == "after" and mine == int(NUMBER):
                    os.kill(os.getpid(), signal.SIGKILL)
                done(verdict)

            original(batch, told)

        engine.store.append = append  # type: ignore[method-assign]
        run = await engine.start_run("flow", idempotency_key="the run")
        print(*(await run.result(timeout="60s")), sep=", ", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
