"""What handles and clients of a test hold in place of the engine, which may be replaced under them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from wfgen.ids import RunId
from wfgen.runs import Run
from wfgen.store.records import RunRecord

if TYPE_CHECKING:
    from wfgen.engine import Engine
    from wfgen.testing.bench import Bench


class Front:
    """Passes everything on to the engine that is open just now; waiting is the test engine's own.

    Args:
        bench: gives what holds the engine.
        wait: waits for the end of a run, with a timeout in seconds.
    """

    def __init__(
        self,
        bench: Callable[[], Bench],
        wait: Callable[[str, float | None], Awaitable[RunRecord]],
    ) -> None:
        self._bench = bench
        self._wait = wait

    @property
    def as_engine(self) -> Engine:
        """This, as what handles take it for."""
        return cast("Engine", self)

    def __getattr__(self, name: str) -> Any:
        if not inspect.iscoroutinefunction(getattr(self._bench().engine, name)):
            return getattr(self._bench().engine, name)

        async def passed_on(*arguments: Any, **keywords: Any) -> Any:
            engine = await self._bench().ready()
            result = await getattr(engine, name)(*arguments, **keywords)
            return self.run(result.id) if isinstance(result, Run) else result

        return passed_on

    def run(self, run_id: str) -> Run[Any]:
        """As the engine's own."""
        return Run(self.as_engine, RunId(run_id))

    async def finished(self, run_id: str, timeout: float | None = None) -> RunRecord:
        """As the engine's own; time jumps meanwhile, and `timeout` is in seconds of it."""
        return await self._wait(run_id, timeout)
