"""A process that takes jobs alone. Arguments: folder, engine's URL, lease, how it works, whether it trusts its lease.

`waits` works a job until it is told to go on, by a file `go` in the folder; `quick` at once. It says on standard output
what it begins and ends, and goes on until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from wfgen import Job, Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.heartbeat import Heartbeat
from wfgen.job_runner import JobRunner
from wfgen.registry import Registry
from wfgen.serving import Serving
from wfgen.settings import Settings


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


HOW = "quick"
FOLDER = Path()


@define_worker("work", dispatch="queue")
async def work(n: int, job: Job) -> str:
    say("begins", n, job.attempt)
    while HOW == "waits" and not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)
    say("ends", n, job.attempt)
    return f"{n} in {HOW}"


@define_worker("once", dispatch="queue", at_most_once=True)
async def once(n: int, job: Job) -> str:
    return await work(n, job)


@define_workflow
async def one(workflow: Workflow, worker: str) -> str:
    return str(await workflow.do("step", worker, 1))


@define_workflow
async def several(workflow: Workflow, count: int) -> list[str]:
    found = await workflow.parallel({f"n{n}": workflow.do(f"n{n}", "work", n) for n in range(count)})
    return list(found.values())


def registry() -> Registry:
    made = Registry("none")
    made.register(*globals()[NAMESPACE].values())
    return made


async def main(folder: str, url: str, lease: str, how: str, trust: str) -> None:
    global FOLDER, HOW
    FOLDER, HOW = Path(folder), how
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    if trust == "blindly":  # as if its own clock had stood still with it: the store alone is left to refuse
        Heartbeat.valid = property(lambda self: True)  # type: ignore[assignment]
        Heartbeat._beat = lambda self: True  # type: ignore[method-assign]
        Heartbeat._tick = lambda self: None  # type: ignore[method-assign]
        JobRunner._look = lambda self: asyncio.sleep(0)  # type: ignore[method-assign]
    settings = Settings(project=FOLDER, engine=url, lease=lease, job_concurrency=4)
    async with open_engine(registry(), settings, serving=Serving(workflows=[])) as engine:
        say("ready", engine.process_id)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
