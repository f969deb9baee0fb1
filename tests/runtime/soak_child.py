"""A worker process of the soak: it works whatever there is until it is killed or its standard input is closed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from wfgen import Job, Retry, Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

FOLDER = Path(sys.argv[1])


def effect(job: Job) -> None:
    """A side effect in a table of its own, with the attempt that made it."""
    connection = sqlite3.connect(FOLDER / "effects.db", timeout=30, isolation_level=None)
    connection.execute("INSERT INTO calls VALUES (?, ?, ?)", (job.run_id, job.key, os.getpid()))
    connection.close()


@define_worker("remote", retry=Retry(attempts=3, delay="5ms"))
async def remote(name: str, job: Job) -> str:
    effect(job)
    if name == "flaky" and job.attempt == 1:
        raise ConnectionError("once")
    await asyncio.sleep(0.005)
    return name


@define_worker("blocking")
def blocking(name: str, job: Job) -> str:
    effect(job)
    return name


@define_workflow
async def below(workflow: Workflow, number: int) -> int:
    await workflow.do("inside", "remote", "x")
    return number


@define_workflow
async def mixed(workflow: Workflow, number: int) -> list[Any]:
    results: list[Any] = [await workflow.do("first", "remote", "flaky")]
    if number % 5 == 0:
        workflow.continue_as_new(number + 1)
    results += await asyncio.gather(*[workflow.do("wide", "blocking", str(n)) for n in range(3)])
    await workflow.sleep("rest", "20ms")
    results.append(await workflow.hook("word", str))
    results.append(await workflow.call("child", "below", number))
    return results


async def main() -> None:
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    async with open_engine(registry, Settings(project=FOLDER, lease="3s", concurrency=50)):
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
