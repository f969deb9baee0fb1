"""Runs that sleep, in one process on SQLite. Prints one JSON object of figures.

Arguments: folder for the store, sleeping runs, runs that are due at once.

`memory`: resident memory of the process in MB with all of them asleep; before any was started, and with half of them.
`late`: how long after its time a run that was due went on, in seconds. `started`: runs a second that
were started and parked.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import timedelta
from pathlib import Path

from wfgen import Workflow, define_workflow
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

AT_ONCE = 200


@define_workflow
async def sleeper(workflow: Workflow, seconds: float) -> float:
    due = workflow.now() + timedelta(seconds=seconds)
    await workflow.sleep_until("sleep", due)
    return due.timestamp()


@define_workflow
async def together(workflow: Workflow, due: float) -> float:
    await workflow.sleep("sleep", timedelta(seconds=max(0.0, due - workflow.now().timestamp())))
    return due


def memory() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * 4096 / 1e6, 1)


async def parked(engine: Engine) -> None:
    """Wait until all that can leave memory has left it."""
    while len(engine.executions) > engine.settings.resident:  # noqa: ASYNC110 (nothing tells of it)
        await asyncio.sleep(0.01)


async def sleep_many(engine: Engine, runs: int) -> list[float]:
    figures = [memory()]
    for part in range(2):
        for _ in range(runs // 2 // AT_ONCE):
            await asyncio.gather(*[engine.start_run("sleeper", 86400.0 * (part + 1)) for _ in range(AT_ONCE)])
        await parked(engine)
        figures.append(memory())
    return figures


async def wake_many(engine: Engine, runs: int) -> list[float]:
    due = time.time() + 2 + runs / 200
    started = [await engine.start_run("together", due) for _ in range(runs)]
    # Out of memory with them: others wait longer, so these are evicted.
    for _ in range(engine.settings.resident // AT_ONCE + 1):
        await asyncio.gather(*[engine.start_run("sleeper", 86400.0) for _ in range(AT_ONCE)])
    await parked(engine)
    if time.time() > due:
        raise SystemExit("the runs were due before all of them slept")
    await asyncio.gather(*[run.result() for run in started])
    late = []
    for run in started:
        (fired,) = [event for event in await run.history() if event.type == "timer_fired"]
        late.append(fired.time - due)
    return sorted(late)


async def main() -> None:
    folder, sleeping, due = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    registry = Registry("none")
    registry.collect(globals())
    async with open_engine(registry, Settings(project=folder)) as engine:
        began = time.perf_counter()
        used = await sleep_many(engine, sleeping)
        started = sleeping / (time.perf_counter() - began)
        late = await wake_many(engine, due)
    figures = {
        "memory before": used[0],
        "memory with half": used[1],
        "memory": used[2],
        "started": round(started),
        "late p50": late[len(late) // 2],
        "late p99": late[int(len(late) * 0.99)],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
