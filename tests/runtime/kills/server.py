"""A process that has loaded everything, and makes a copy of itself for each life that may end at any moment.

It takes a line of JSON for each: the folder, the name of the scenario, where to die, see `Moments`, and a fault that is
put into the engine; it answers with how that process ended. It has one thread, so that a copy of it is whole.
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
from wfgen.store.claiming import Claiming
from wfgen.store.transitions import Transitions

from . import effects
from .flows import registry
from .moments import Moments
from .scenarios import SCENARIOS, play

os.environ["WFGEN_TEST_KEYS"] = json.dumps({"active": "one", "keys": {"one": "A" * 43 + "="}})


def _runs_are_lost() -> None:
    Claiming._remove = lambda self, process_id: None  # type: ignore[method-assign]


def _steps_run_again() -> None:
    part = wfgen.execution.current_part  # pyright: ignore[reportPrivateImportUsage]
    wfgen.execution.current_part = lambda events: [e for e in part(events) if e.key != "0/inline"]  # pyright: ignore[reportPrivateImportUsage]


def _completions_are_lost() -> None:
    flush = Transitions.flush

    def leaky(self: Any) -> None:
        self._events = [row for row in self._events if row[4] != "0/inline"]
        flush(self)

    Transitions.flush = leaky  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "runs are lost": _runs_are_lost,
    "steps run again": _steps_run_again,
    "completions are lost": _completions_are_lost,
}
"""Faults that have to be noticed."""


def live(folder: Path, name: str, where: str, fault: str) -> None:
    """Be a process that works runs, and do what people do in it."""
    effects.FOLDER = folder
    moments = Moments(where, folder / "commits")
    moments.watch()
    FAULTS[fault]()

    async def main() -> None:
        settings = Settings(project=folder, **SCENARIOS[name].settings)
        async with open_engine(registry(), settings) as engine, asyncio.timeout(2 if fault == "runs are lost" else 20):
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
        folder, name, where, fault = json.loads(line)
        pid = os.fork()
        if not pid:
            status = 1
            try:
                live(Path(folder), name, where, fault)
                status = 0
            except BaseException:
                Path(folder, "error").write_text(traceback.format_exc())
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
