"""A process that has loaded everything, and makes a copy of itself for each worker.

It takes an order as a line of JSON for each, and answers with its pid; of each that has ended it tells how.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wfgen.controls import Controls
from wfgen.engine import open_engine
from wfgen.errors import StoreError
from wfgen.heartbeat import Heartbeat
from wfgen.serving import Serving
from wfgen.settings import Settings
from wfgen.store.postgres.store import PostgresStore  # noqa: F401 - loaded once for all
from wfgen.store.sqlite.transitions import Transitions

from . import effects
from .effects import PostgresEffects, SQLiteEffects
from .flows import registry

log = logging.getLogger("chaos")


@dataclass(frozen=True)
class Order:
    """A worker to be."""

    folder: str
    url: str
    """Of the engine."""
    lease: str
    jobs_only: bool
    effects: tuple[str, str] | None
    """PostgreSQL: place and schema of the store that effects are compared with; None for the store in the folder."""
    fault: str

    def dump(self) -> str:
        return json.dumps(asdict(self))


def _no_fencing() -> None:
    """Whoever held a run once may go on: by its own clock, and for the store."""

    def beat(self: Any) -> bool:
        self._store.renew(self._process_id, self._lease)
        return not self._closed

    Heartbeat.valid = property(lambda self: True)  # type: ignore[assignment]
    Heartbeat._beat = beat  # type: ignore[method-assign]
    Controls._look = lambda self: None  # type: ignore[method-assign]
    append = Transitions.append

    def lenient(self: Any, what: Any) -> None:
        (what.epoch,) = self._connection.execute("SELECT epoch FROM runs WHERE run_id = ?", (what.run_id,)).fetchone()
        self.flush()
        last = self._verify(what.run_id, what.epoch).seq
        what.events = [replace(event, seq=last + n) for n, event in enumerate(what.events, 1)]
        append(self, what)

    Transitions.append = lenient  # type: ignore[method-assign, assignment]


FAULTS: dict[str, Callable[[], None]] = {"": lambda: None, "no fencing": _no_fencing}
"""What is wrong with a worker."""


async def work(order: Order) -> None:
    """Work until SIGTERM; while there is no store, try again, as whoever watches over processes would."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    settings = Settings(
        project=Path(order.folder),
        engine=order.url,
        lease=order.lease,
        max_claims=1000,
        job_concurrency=20,
        resident=20,
    )
    serving = Serving(workflows=()) if order.jobs_only else Serving()
    while not ended.is_set():
        try:
            async with open_engine(registry(), settings, serving=serving):
                await ended.wait()
        except StoreError as error:
            log.warning("the engine ends: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await ended.wait()


def live(order: Order) -> None:
    """Be a worker."""
    logs = Path(order.folder) / f"worker-{os.getpid()}.log"
    logging.basicConfig(
        filename=logs, level=logging.INFO, format="%(created).3f %(levelname)s %(name)s: %(message)s", force=True
    )
    if order.effects is None:
        effects.places.append(SQLiteEffects(Path(order.folder)))
    else:
        effects.places.append(PostgresEffects(*order.effects))
    FAULTS[order.fault]()
    asyncio.run(work(order))


def begin(line: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    order = Order(**json.loads(line))
    try:
        live(order)
        status = 0
    except BaseException:
        Path(order.folder, f"worker-{os.getpid()}.error").write_text(traceback.format_exc())
    finally:
        logging.shutdown()
        os._exit(status)


def main() -> None:
    """Serve until standard input is closed."""
    gc.freeze()
    gc.disable()  # so that a copy shares its memory
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], 0.02)
        if readable:
            line = sys.stdin.readline()
            if not line:
                return
            print(json.dumps(["began", begin(line)]), flush=True)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                print(json.dumps(["ended", ended[0], os.waitstatus_to_exitcode(ended[1])]), flush=True)


if __name__ == "__main__":
    main()
