"""A worker process that is stopped and woken by the test. Arguments: folder, engine, name, whether it trusts its lease.

It says on standard output what it begins, and goes on until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from wfgen import Job, Workflow, define_worker, define_workflow
from wfgen.controls import Controls
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.heartbeat import Heartbeat
from wfgen.registry import Registry
from wfgen.settings import Settings

FOLDER, ENGINE, NAME, TRUST = Path(sys.argv[1]), *sys.argv[2:]


@define_worker("work")
async def work(job: Job) -> str:
    print("begins", job.step, flush=True)
    while (NAME, job.step) == ("first", "two") and not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)
    return NAME


@define_workflow
async def four_steps(workflow: Workflow) -> list[str]:
    return [await workflow.do(name, "work") for name in ("one", "two", "three", "four")]


async def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(created)f %(message)s")
    if TRUST == "blindly":  # as if its own clock had stood still with it: the store alone is left to refuse
        Heartbeat.valid = property(lambda self: True)  # type: ignore[assignment]
        Heartbeat._beat = lambda self: True  # type: ignore[method-assign]
        Heartbeat._tick = lambda self: None  # type: ignore[method-assign]
        Controls._look = lambda self: None  # type: ignore[method-assign]
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    lease = "2s" if NAME == "first" else "9s"  # the one that is stopped is not to be waited for
    async with open_engine(registry, Settings(project=FOLDER, engine=ENGINE, lease=lease)) as engine:
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            run = await engine.start_run("four_steps") if line == "start\n" else engine.run(line.strip())
            print("started", run.id, flush=True)
            if line != "start\n":
                print("result", await run.result(timeout="60s"), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
