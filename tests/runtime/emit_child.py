"""Runs that say things, each killed by SIGKILL at another commit and then finished by another process.

Argument: a folder. Prints, for each kill point, where it was, whether it killed, and what is recorded in the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wfgen import Workflow, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings


async def one() -> int:
    return 1


@define_workflow
async def talking(workflow: Workflow) -> int:
    async def branch(number: int) -> None:
        workflow.emit("begins", number)
        await workflow.do("work", one)
        workflow.progress(number, 2)

    workflow.emit("begins")
    await workflow.do("first", one)
    workflow.emit("first done")
    workflow.progress(1)
    await asyncio.gather(branch(1), branch(2))
    await workflow.sleep("pause", "1ms")
    workflow.emit("ends")
    return 1


async def work(folder: Path, where: str, number: int) -> None:
    """Work the run, and kill this process before or after the append of that number is durable."""
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    async with open_engine(registry, Settings(project=folder)) as engine, asyncio.timeout(60):
        appends = 0
        original = engine.store.append

        def append(batch: Any, done: Callable[[Any], None]) -> None:
            nonlocal appends
            appends += 1
            mine = appends
            if where == "before" and mine == number:
                os.kill(os.getpid(), signal.SIGKILL)

            def told(verdict: Any) -> None:
                if where == "after" and mine == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                done(verdict)

            original(batch, told)

        engine.store.append = append  # type: ignore[method-assign, assignment]
        run = await engine.start_run("talking", idempotency_key="the run")
        assert await run.result() == 1
        if where == "none":
            said = [[e.type, e.key] for e in await run.history() if e.type in ("emitted", "progress")]
            (folder / "said.json").write_text(json.dumps(said))


def in_a_process(folder: Path, where: str, number: int = 0) -> int:
    """Work in a forked process; gives its exit status."""
    process = os.fork()
    if process == 0:
        try:
            asyncio.run(work(folder, where, number))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitpid(process, 0)[1]


def main() -> None:
    for where in ("before", "after"):
        for number in range(1, 12):
            folder = Path(sys.argv[1]) / f"{where}-{number}"
            folder.mkdir()
            killed = os.WIFSIGNALED(in_a_process(folder, where, number))
            assert in_a_process(folder, "none") == 0
            said = json.loads((folder / "said.json").read_text())
            print(json.dumps({"where": where, "number": number, "killed": killed, "said": said}), flush=True)


if __name__ == "__main__":
    main()
