"""Recovery of one long run on SQLite, against reading and decoding its rows. Prints one JSON object of figures.

Arguments: folder for the store, steps.

`read`: to read the run's rows and to decode their JSON, `replay`: to take the run up until it waits again, both in
seconds of processor time, the best of several; `ratio`: of the two. `memory`: bytes that a run in memory holds for each
recorded step.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
import tracemalloc
from pathlib import Path

from wfgen import Workflow, define_workflow
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

ROUNDS = 5


async def same(number: int) -> int:
    return number


@define_workflow
async def long(workflow: Workflow, steps: int) -> str:
    for number in range(steps):
        await workflow.do("step", same, number)
    return await workflow.hook("last", str)


async def waiting(engine: Engine, run_id: str) -> None:
    while not ((execution := engine.executions.get(run_id)) and execution.is_parked):  # noqa: ASYNC110 (nothing tells of it)
        await asyncio.sleep(0.02)


async def prepare(registry: Registry, settings: Settings, steps: int) -> str:
    async with open_engine(registry, settings) as engine:
        run = await engine.start_run("long", steps)
        await waiting(engine, run.id)
        return str(run.id)


def read(path: Path) -> float:
    connection = sqlite3.connect(path)
    began = time.process_time()
    rows = connection.execute("SELECT seq, type, time, key, data, payload FROM events ORDER BY run, seq").fetchall()
    for row in rows:
        for text in row[4:]:
            if text is not None:
                json.loads(text)
    taken = time.process_time() - began
    connection.close()
    return taken


async def replay(registry: Registry, settings: Settings, run_id: str) -> float:
    """A message nobody waits for makes the run due; the engine parks it again after its replay."""
    async with open_engine(registry, settings, work=False) as client:
        await client.controls.resume_hook_json("1", run_id=run_id, name="nobody's")
    async with open_engine(registry, settings) as engine:
        began = time.process_time()
        await waiting(engine, run_id)
        return time.process_time() - began


async def main() -> None:
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    registry, settings = Registry("none"), Settings(project=folder)
    registry.collect(globals())
    run_id = await prepare(registry, settings, steps)
    path = folder / ".wfgen" / "wfgen.db"
    reading = min(read(path) for _ in range(ROUNDS))
    replaying = min([await replay(registry, settings, run_id) for _ in range(ROUNDS)])
    tracemalloc.start()
    async with open_engine(registry, settings) as engine:
        before, _ = tracemalloc.get_traced_memory()
        await engine.controls.resume_hook_json("1", run_id=run_id, name="nobody's")
        await waiting(engine, run_id)
        after, _ = tracemalloc.get_traced_memory()
    figures = {"read": reading, "replay": replaying, "ratio": replaying / reading, "memory": (after - before) / steps}
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
