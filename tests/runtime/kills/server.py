"""A process that has loaded everything, and makes a copy of itself for each life that may end at any moment.

It takes a line of JSON for each: the folder, the engine's URL, the name of the scenario, where to die, see `Moments`,
and a fault that is put into the engine; it answers with how that process ended. It has one thread, so that a copy of it
is whole.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wfgen.execution
from wfgen.engine import open_engine
from wfgen.settings import Settings
from wfgen.store.postgres import claiming, jobs
from wfgen.store.sqlite.claiming import Claiming
from wfgen.store.sqlite.transitions import Transitions

from . import effects, postgres
from .flows import registry
from .moments import Moments
from .scenarios import SCENARIOS, play

os.environ["WFGEN_TEST_KEYS"] = json.dumps({"active": "one", "keys": {"one": "A" * 43 + "="}})


def _runs_are_lost() -> None:
    async def freed(*arguments: Any, **options: Any) -> None:
        pass

    def removed(self: Any, process_id: str, *, says_goodbye: bool = False) -> None:
        pass

    Claiming._remove = removed  # type: ignore[method-assign]
    claiming._free = freed


def _steps_run_again() -> None:
    part = wfgen.execution.current_part  # pyright: ignore[reportPrivateImportUsage]
    wfgen.execution.current_part = lambda events: [e for e in part(events) if e.key != "0/inline"]  # pyright: ignore[reportPrivateImportUsage]


def _completions_are_lost() -> None:
    flush = Transitions.flush

    def leaky(self: Any) -> None:
        self._events = [row for row in self._events if row[4] != "0/inline"]
        flush(self)

    Transitions.flush = leaky  # type: ignore[method-assign]


def _jobs_are_lost() -> None:
    async def abandoned(*arguments: Any, **options: Any) -> None:
        pass

    jobs.abandon = abandoned


FAULTS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "runs are lost": _runs_are_lost,
    "steps run again": _steps_run_again,
    "completions are lost": _completions_are_lost,
    "jobs are lost": _jobs_are_lost,
}
"""Faults that have to be noticed."""
ENDLESS = ("runs are lost", "jobs are lost")
"""With these, runs never end."""


def live(folder: Path, engine_url: str, name: str, where: str, fault: str) -> None:
    """Be a process that works runs, and do what people do in it."""
    effects.FOLDER, effects.ENGINE = folder, engine_url
    moments = Moments(where, folder / "commits")
    moments.watch()
    postgres.watch(moments)
    FAULTS[fault]()

    async def main() -> None:
        settings = Settings(project=folder, engine=engine_url, max_claims=100, **SCENARIOS[name].settings)
        async with open_engine(registry(), settings) as engine, asyncio.timeout(2 if fault in ENDLESS else 60):
            told = await play(engine, name)
        moments.write()
        (folder / "told").write_text(json.dumps(told))

    asyncio.run(main())


def main() -> None:
    """Serve until standard input is closed."""
    logging.disable(logging.CRITICAL)
    gc.freeze()
    gc.disable()  # so that a copy shares its memory
    for line in sys.stdin:
        folder, engine_url, name, where, fault = json.loads(line)
        pid = os.fork()
        if not pid:
            status = 1
            try:
                live(Path(folder), engine_url, name, where, fault)
                status = 0
            except BaseException:
                Path(folder, "error").write_text(traceback.format_exc())
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
