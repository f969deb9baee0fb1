"""Durable steps of wfgen on SQLite (WAL, synchronous=FULL) or PostgreSQL. Prints one JSON object of figures.

Arguments: folder for the store or URL of a database, runs one at a time, runs at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from wfgen import Workflow, define_workflow
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

STEPS = 10


async def asynchronous(number: int) -> int:
    return number


def synchronous(number: int) -> int:
    return number


@define_workflow
async def ten(workflow: Workflow, blocking: bool) -> int:
    for number in range(STEPS):
        await workflow.do("step", synchronous if blocking else asynchronous, number)
    return STEPS


@define_workflow
async def thousand(workflow: Workflow) -> int:
    for number in range(1000):
        await workflow.do("step", asynchronous, number)
    return 1000


async def one_at_a_time(engine: Engine, runs: int, blocking: bool) -> float:
    began = time.perf_counter()
    for _ in range(runs):
        await (await engine.start_run("ten", blocking)).result()
    return runs * STEPS / (time.perf_counter() - began)


async def at_once(engine: Engine, runs: int) -> float:
    began = time.perf_counter()
    started = await asyncio.gather(*[engine.start_run("ten", False) for _ in range(runs)])
    await asyncio.gather(*[run.result() for run in started])
    return runs * STEPS / (time.perf_counter() - began)


async def last_against_first(engine: Engine) -> float:
    run = await engine.start_run("thousand")
    await run.result()
    times = [event.time for event in await run.history() if event.type == "step_completed"]
    return (times[-1] - times[-101]) / (times[100] - times[0])


async def main() -> None:
    place, single, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    settings = Settings(engine=place) if "://" in place else Settings(project=Path(place))
    registry = Registry("none")
    registry.collect(globals())
    async with open_engine(registry, settings) as engine:
        await one_at_a_time(engine, single // 4, False)  # as much as commits_postgres.py, before it measures
        figures = {
            "one": await one_at_a_time(engine, single, False),
            "one, synchronous steps": await one_at_a_time(engine, single, True),
            "many": await at_once(engine, many),
            "flat": await last_against_first(engine),
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
