"""From a hook that is resumed to the start of the step behind it, in one process. Prints one JSON object of figures.

Arguments: folder for the store, rounds.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path

from wfgen import Workflow, define_workflow
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

STARTED: asyncio.Queue[float] = asyncio.Queue()


async def begin() -> None:
    STARTED.put_nowait(time.perf_counter())


@define_workflow
async def waits(workflow: Workflow, rounds: int) -> None:
    for _ in range(rounds):
        await workflow.hook("go", int)
        await workflow.do("begin", begin)


async def main() -> None:
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    registry = Registry("none")
    registry.collect(globals())
    took = []
    async with open_engine(registry, Settings(project=folder)) as engine:
        run = await engine.start_run("waits", rounds)
        for number in range(rounds):
            while not await run.waiting():  # noqa: ASYNC110  # the store tells it, not an event of this process
                await asyncio.sleep(0.001)
            began = time.perf_counter()
            await run.hooks["go"].resume(number)
            took.append((await STARTED.get() - began) * 1000)
        await run.result()
    ordered = sorted(took)
    print(json.dumps({"p50": statistics.median(ordered), "p99": ordered[int(len(ordered) * 0.99)]}))


if __name__ == "__main__":
    asyncio.run(main())
