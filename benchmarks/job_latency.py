"""From a job that is put on its queue to its worker's start, in another process that is idle. Prints one JSON object.

Arguments: URL, rounds. With a third argument it is the process that works the jobs.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from wfgen import Workflow, define_worker, define_workflow
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.serving import Serving
from wfgen.settings import Settings


@define_worker("bench.begin", dispatch="queue")
async def begin() -> float:
    return time.time()  # the server is on the same machine, and so has the same clock


@define_workflow
async def asks(workflow: Workflow) -> float:
    began: float = await workflow.do("begin", "bench.begin")
    return began


def registry() -> Registry:
    found = Registry("none")
    found.collect(globals())
    return found


async def work(url: str) -> None:
    async with open_engine(registry(), Settings(project=Path(), engine=url), serving=Serving(workflows=())):
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def measure(url: str, rounds: int) -> dict[str, float]:
    took = []
    async with open_engine(registry(), Settings(project=Path(), engine=url), serving=Serving(workers=())) as engine:
        command = [sys.executable, __file__, url, "0", "work"]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
        assert worker.stdout is not None
        worker.stdout.readline()
        for _ in range(rounds):
            run = await engine.start_run("asks")
            began = await run.result()
            put = next(event.time for event in await run.history() if event.type == "job_created")
            took.append((began - put) * 1000)
            await asyncio.sleep(0.01)  # both are idle again
    worker.communicate("")
    ordered = sorted(took)
    return {"p50": statistics.median(ordered), "p99": ordered[int(len(ordered) * 0.99)]}


if __name__ == "__main__":
    if len(sys.argv) > 3:
        asyncio.run(work(sys.argv[1]))
    else:
        print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2])))))
