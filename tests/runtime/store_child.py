"""A process beside the test that uses the same store file.

Arguments: the file, and what to do: `append RUNS` works this many runs of its own until it is killed, and prints
`run seq` for each append that was acknowledged; `create COUNT` starts runs with the keys 0, 1, … and prints
`key run_id created`; `hold` claims one run, prints it, and waits.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from wfgen.environment import Environment
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.processes import this_process
from wfgen.store.records import Append, NewRun, Verdict
from wfgen.store.sqlite import SQLiteStore


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def append(store: SQLiteStore, process_id: str, runs: int) -> None:
    for number in range(runs):
        await store.create(NewRun(RunId(f"{os.getpid()}-{number}"), f"flow-{os.getpid()}", "1", b"{}", "salt"))

    def work(run_id: RunId, epoch: int, seq: int) -> None:
        def done(verdict: Verdict) -> None:
            assert verdict is None, verdict
            say(run_id, seq)
            work(run_id, epoch, seq + 1)

        event = Event(seq, "step_completed", 1.0, f"0/{seq}", {"n": seq}, b"x" * (seq * 37 % 5000))
        store.append(Append(run_id, epoch, [event]), done)

    for claimed in await store.claim(process_id, [(f"flow-{os.getpid()}", "1")], runs):
        work(claimed.run.run_id, claimed.run.epoch, 2)
    await asyncio.sleep(60)


async def create(store: SQLiteStore, count: int) -> None:
    for key in range(count):
        new = NewRun(RunId(f"{os.getpid()}-{key}"), "flow", "1", b"{}", "salt", str(key))
        record, created = await store.create(new)
        say(key, record.run_id, created)


async def main() -> None:
    environment = Environment()
    store = SQLiteStore(Path(sys.argv[1]), environment)
    await store.open()
    process = this_process(environment)
    await store.register(process, 3600)
    match sys.argv[2:]:
        case ["append", runs]:
            await append(store, process.process_id, int(runs))
        case ["create", count]:
            await create(store, int(count))
        case ["hold"]:
            (claimed,) = await store.claim(process.process_id, [("flow", "1")], 1)
            say(claimed.run.run_id, claimed.run.epoch)
            await asyncio.sleep(60)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
