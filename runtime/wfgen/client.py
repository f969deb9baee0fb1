"""The base of generated clients."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar, Unpack, cast

from wfgen.definitions import MISSING
from wfgen.engine import Engine, open_engine
from wfgen.errors import UnknownRunError
from wfgen.ids import RunId
from wfgen.registry import Registry
from wfgen.runs import Run
from wfgen.serving import Serving
from wfgen.settings import Settings
from wfgen.store.filters import RunFilters
from wfgen.store.jobs import JobRecord, JobStatus
from wfgen.store.records import RunRecord
from wfgen.worker_process import WorkerProcess

C = TypeVar("C", bound="ClientBase")
RunT = TypeVar("RunT", bound=Run[Any])


class ClientBase:
    """What every generated client offers beside its workflows."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def get_run(self, run_id: str) -> Run[Any]:
        """A handle on a run of any workflow."""
        return self.engine.run(run_id)

    async def list_runs(self, *, limit: int = 100, **filters: Unpack[RunFilters]) -> list[RunRecord]:
        """Runs that fit all filters, the newest first.

        Args:
            limit: how many at most; `before=` the last one's id gives the next page.
            filters: workflow, version, status (several), tag, since and until (of their start, in seconds since the
                epoch), idempotency_key, parent, error_code.

        Raises:
            UnknownRunError: there is no run `before`.
        """
        return await self.engine.store.list_runs(limit=limit, **filters)

    async def get_job(self, job_id: str) -> JobRecord:
        """A step that was put on a queue: where it stands, its progress, result or error.

        Raises:
            UnknownJobError: there is no such job, or it is gone with its run.
        """
        return await self.engine.store.get_job(job_id)

    async def list_jobs(
        self,
        *,
        run_id: str | None = None,
        queue: str | None = None,
        worker: str | None = None,
        status: Collection[JobStatus] | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> list[JobRecord]:
        """Jobs that fit all filters, the newest first.

        Args:
            run_id: of this run.
            queue: on this queue, `<workflow>.<step>`, or those that begin so: `<workflow>.*`.
            worker: of the worker of this id.
            status: of one of these.
            before: a job's id: those that are older. The last one's gives the next page.
            limit: how many at most.

        Raises:
            UnknownJobError: there is no job `before`.
        """
        return await self.engine.store.list_jobs(
            run_id=run_id, queue=queue, worker=worker, status=status, before=before, limit=limit
        )


class WorkflowClient(Generic[RunT]):
    """Starts one workflow's runs and finds them again."""

    name: ClassVar[str]
    run_class: ClassVar[type[Run[Any]]]

    def __init__(self, client: ClientBase) -> None:
        self._engine = client.engine

    async def _start(
        self,
        data: Any = MISSING,
        *,
        version: str | None = None,
        idempotency_key: str | None = None,
        tags: Collection[str] = (),
    ) -> RunT:
        run = await self._engine.start_run(self.name, data, version=version, idempotency_key=idempotency_key, tags=tags)
        return self._run(run.id)

    def _run(self, run_id: RunId) -> RunT:
        return cast("RunT", self.run_class(self._engine, run_id))

    async def get_run(self, run_id: str) -> RunT:
        """A typed handle on a run of this workflow.

        Raises:
            UnknownRunError: there is no such run, or it is another workflow's.
        """
        record = await self._engine.store.get_run(run_id)
        if record.workflow != self.name:
            raise UnknownRunError(
                f"run {run_id!r} is one of workflow {record.workflow!r}, not of {self.name!r}.",
                hint="The client's own `get_run` finds runs of any workflow.",
            )
        return self._run(record.run_id)

    async def cancel_run(self, run_id: str) -> None:
        """Ask a run to stop.

        Raises:
            UnknownRunError: there is no such run, or it is another workflow's.
            RunStateError: it is finished.
        """
        await (await self.get_run(run_id)).cancel()

    async def pause_run(self, run_id: str) -> Literal["sent", "duplicate"]:
        """Let nothing new begin in a run, see `Run.pause`.

        Raises:
            UnknownRunError: there is no such run, or it is another workflow's.
            RunStateError: it is finished.
        """
        return await (await self.get_run(run_id)).pause()

    async def resume_run(self, run_id: str) -> Literal["sent", "duplicate"]:
        """Let a paused run go on, see `Run.resume`. Raises as `pause_run` does."""
        return await (await self.get_run(run_id)).resume()

    async def terminate_run(self, run_id: str, reason: str | None = None) -> None:
        """End a run at once, see `Run.terminate`. Raises as `pause_run` does."""
        await (await self.get_run(run_id)).terminate(reason)

    async def retry_run(self, run_id: str) -> None:
        """Run a failed run again from the step that failed it, see `Run.retry`.

        Raises:
            UnknownRunError: there is no such run, or it is another workflow's.
            RunStateError: it has not failed, or its steps have been undone.
        """
        await (await self.get_run(run_id)).retry()


@contextlib.asynccontextmanager
async def open_client(
    client: type[C],
    registry: Registry,
    *,
    engine: str | None = None,
    work: bool | None = None,
    process: WorkerProcess | None = None,
    serving: Serving | None = None,
    start: Path,
) -> AsyncIterator[C]:
    """Open a generated client on the engine that the settings name.

    Args:
        client: the generated class.
        registry: the generated registry.
        engine: an engine's URL, instead of the setting.
        work: whether this process also works runs and jobs; by default it does on SQLite, and with `serving`.
        process: what this process brings to the runs that it works, instead of the setting.
        serving: which part of the work it takes; default all that the project has the code for.
        start: a folder of the project, whose settings apply.
    """
    settings = Settings.load(start, engine=engine)
    works = (serving is not None or settings.engine.startswith("sqlite:")) if work is None else work
    async with open_engine(registry, settings, work=works, process=process, serving=serving) as opened:
        yield client(opened)
