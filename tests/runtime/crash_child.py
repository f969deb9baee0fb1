"""A process that works the runs of a folder, of which one kills whoever works its second step."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from wfgen import Workflow, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings


@define_workflow
async def deadly(workflow: Workflow) -> None:
    await workflow.do("well", lambda: None)
    await workflow.do("badly", lambda: os.kill(os.getpid(), signal.SIGKILL))


async def main() -> None:
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    settings = Settings(project=Path(sys.argv[1]), max_claims=3)
    async with open_engine(registry, settings) as engine:
        runs = await engine.store.list_runs()
        run = engine.run(runs[0].run_id) if runs else await engine.start_run("deadly")
        await engine.finished(run.id)


if __name__ == "__main__":
    asyncio.run(main())
