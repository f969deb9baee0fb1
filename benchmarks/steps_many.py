"""Steps that take 5 ms, worked by one or several processes on one PostgreSQL. Prints one JSON object of figures.

Arguments: URL, processes, runs. With a fourth argument it is one of those processes.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

from wfgen import Workflow, define_workflow
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

STEPS = 10
TAKES = 0.005
AT_ONCE = 8
"""Runs that one process works at a time: what it can do is bounded, as it is where steps need a processor or memory."""


def busy(number: int) -> int:
    time.sleep(TAKES)
    return number


@define_workflow
async def ten(workflow: Workflow) -> int:
    for number in range(STEPS):
        await workflow.do("step", busy, number)
    return STEPS


def settings(url: str) -> Settings:
    return Settings(project=Path(), engine=url, concurrency=AT_ONCE)


def registry() -> Registry:
    found = Registry("none")
    found.collect(globals())
    return found


async def work(url: str) -> None:
    async with open_engine(registry(), settings(url)):
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def measure(url: str, processes: int, runs: int) -> dict[str, float]:
    async with open_engine(registry(), settings(url), work=False) as engine:
        started = [await engine.start_run("ten") for _ in range(runs)]
        command = [sys.executable, __file__, url, "0", "0", "work"]
        workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
            for _ in range(processes)
        ]
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        before = len(await engine.store.list_runs(status=["completed"], limit=runs))
        began = time.perf_counter()
        await asyncio.gather(*[run.result() for run in started])
        took = time.perf_counter() - began
        shares: dict[str, int] = {}
        for run in started:
            owner = next(event.data["process"] for event in await run.history() if "process" in event.data)
            shares[owner] = shares.get(owner, 0) + 1
    for worker in workers:
        worker.communicate("")
    return {"rate": (runs - before) * STEPS / took, "least share": min(shares.values()) / runs}


if __name__ == "__main__":
    if len(sys.argv) > 4:
        asyncio.run(work(sys.argv[1]))
    else:
        print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
