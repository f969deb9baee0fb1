"""The runs in memory that wait, and which of them leave it first.

A run that leaves memory is replayed when it goes on. Its coroutines are closed where they wait, so plain code in their
`finally` and `with` blocks may run; therefore runs that wait inside such blocks leave last.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wfgen.execution import Execution

_OWN = str(Path(__file__).parent)


class ParkedRuns:
    """Keeps some of the runs that wait, in the order in which they began to.

    Args:
        limit: how many may stay.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free: dict[str, Execution] = {}
        self._inside: dict[str, Execution] = {}
        """Those that wait inside a block."""

    def __len__(self) -> int:
        return len(self._free) + len(self._inside)

    def __contains__(self, execution: Execution) -> bool:
        return execution.run.run_id in self._free or execution.run.run_id in self._inside

    def add(self, execution: Execution) -> None:
        """A run waits, and that is durable."""
        self.discard(execution.run.run_id)
        inside = self._limit and any(waits_inside_block(task.get_coro()) for task in execution.loop.alive())
        (self._inside if inside else self._free)[execution.run.run_id] = execution

    def discard(self, run_id: str) -> None:
        """A run waits no longer, or is no longer here."""
        if self._free.pop(run_id, None) is None:
            self._inside.pop(run_id, None)

    def clear(self) -> None:
        """Forget all."""
        self._free.clear()
        self._inside.clear()

    def take_surplus(self) -> Iterator[Execution]:
        """Take out the runs that are too many: those that wait longest, and outside of blocks, first."""
        surplus = len(self) - self._limit
        for runs in (self._free, self._inside):
            for run_id, execution in list(runs.items()) if surplus > 1 else list(_first(runs)):
                if surplus <= 0:
                    return
                if execution.is_parked:  # or else something is being recorded, and it comes here again
                    del runs[run_id]
                    surplus -= 1
                    yield execution


def _first(runs: dict[str, Execution]) -> Iterator[tuple[str, Execution]]:
    """The first one that can leave; usually the first."""
    for run_id, execution in runs.items():
        if execution.is_parked:
            yield run_id, execution
            return


def waits_inside_block(coro: Any) -> bool:
    """Whether a coroutine that is suspended would run code of its own when it is closed: in `with`, `try` or `finally`.

    Told from the exception tables of the functions that wait for one another. Those of wfgen and asyncio do not count.
    """
    while coro is not None:
        frame = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None)
        if frame is None:
            return False  # a future has nothing to run
        code = frame.f_code
        module = frame.f_globals.get("__name__", "")
        if not (code.co_filename.startswith(_OWN) or module.startswith("asyncio")) and _is_covered(code, frame.f_lasti):
            return True
        coro = coro.cr_await if hasattr(coro, "cr_await") else coro.gi_yieldfrom
    return False


@functools.lru_cache(maxsize=4096)
def _is_covered(code: CodeType, at: int) -> bool:
    """Whether an exception raised at an instruction is handled by a block of the function."""
    handled = [entry for entry in dis._parse_exception_table(code) if entry.start <= at < entry.end]  # type: ignore[attr-defined]
    if not handled:
        return False
    handlers = {entry.target for entry in handled}
    for instruction in dis.get_instructions(code):
        if instruction.offset in handlers:
            # What the compiler puts around every `await`, and around the body of every coroutine.
            return instruction.opname not in ("CLEANUP_THROW", "CALL_INTRINSIC_1")
    return True
