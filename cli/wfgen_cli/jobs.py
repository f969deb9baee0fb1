"""`wfgen jobs`: steps on queues, and what becomes of them."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wfgen_cli.options import AsJson, EngineUrl, Project, example, new_app

if TYPE_CHECKING:
    from wfgen.store.jobs import JobRecord, JobStatus

app = new_app(
    help="List, show, retry and discard jobs: steps that were put on queues.",
    epilog=example("wfgen jobs list --status failed", "wfgen jobs show JOB_ID", "wfgen jobs retry JOB_ID"),
    no_args_is_help=True,
)

JobIdArgument = Annotated[
    str, typer.Argument(metavar="JOB_ID", help="As `wfgen jobs list` shows it.", show_default=False)
]


class Status(Enum):
    """Where a job stands."""

    queued = "queued"
    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"
    expired = "expired"


_STATUSES = f"Of this status: {', '.join(status.value for status in Status)}"


@app.command("list", epilog=example("wfgen jobs list --queue order.charge", "wfgen jobs list --run RUN_ID --json"))
def list_(
    run: Annotated[str | None, typer.Option("--run", metavar="RUN_ID", help="Of this run.")] = None,
    queue: Annotated[
        str | None, typer.Option("--queue", "-q", metavar="NAME", help="On this queue: workflow.step, or 'workflow.*'.")
    ] = None,
    worker: Annotated[str | None, typer.Option("--worker", "-w", metavar="ID", help="Of this worker.")] = None,
    status: Annotated[
        list[Status] | None, typer.Option("--status", "-s", metavar="STATUS", help=f"{_STATUSES}; repeatable.")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="JOB_ID", help="The page after this job, the last of one before.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", min=1, help="How many at most.")] = 50,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first; those that fit all options."""
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.records import job_data
    from wfgen_cli.stores import connected, missing_store

    settings = load_settings(project, engine=engine)

    async def fetch() -> list[JobRecord]:
        async with connected(settings) as store:
            if run is not None:
                await store.get_run(run)
            wanted: list[JobStatus] | None = [one.value for one in status] if status else None
            return await store.list_jobs(
                run_id=run, queue=queue, worker=worker, status=wanted, before=before, limit=limit
            )

    missing = missing_store(settings)
    found = [] if missing else asyncio.run(fetch())
    if as_json:
        terminal.say_json([job_data(job) for job in found])
        return
    if not found:
        terminal.note(f"No jobs: {missing} does not exist yet." if missing else "No jobs.")
        return
    terminal.table(
        ("JOB", "QUEUE", "WORKER", "STATUS", "ATTEMPTS", "CREATED", "RUN", "DETAIL"),
        (
            (j.job_id, j.queue, j.worker, j.status, j.attempt, terminal.moment(j.created_at), j.run_id, _detail(j))
            for j in found
        ),
    )


@app.command(epilog=example("wfgen jobs show job_0123456789abcdef"))
def show(job_id: JobIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Show one job: where it stands, its input, progress, result or error."""
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.records import job_data
    from wfgen_cli.stores import connected, require_store_of_job

    settings = load_settings(project, engine=engine)
    require_store_of_job(settings, job_id)

    async def fetch() -> JobRecord:
        async with connected(settings) as store:
            return await store.get_job(job_id)

    job = asyncio.run(fetch())
    if as_json:
        terminal.say_json(job_data(job))
        return
    rows = {
        "job": job.job_id,
        "step": f"{job.name} of run {job.run_id}",
        "workflow": f"{job.workflow} version {job.version}",
        "queue": job.queue,
        "worker": job.worker,
        "status": job.status if not job.cancel_requested or job.finished_at else f"{job.status}, asked to stop",
        "attempts": job.attempt,
        "awaited": "yes" if job.awaited else "no: the run goes on without its result",
        "created": terminal.moment(job.created_at),
        "due": terminal.moment(job.due) if job.status == "queued" else None,
        "expires": terminal.moment(job.expires_at) if job.status == "queued" and job.expires_at else None,
        "began": None if job.first_at is None else terminal.moment(job.first_at),
        "finished": None if job.finished_at is None else terminal.moment(job.finished_at),
        "owner": job.owner,
        "key": job.idempotency_key,
        "input": None if job.input is None else job.input.decode(),
        "progress": None if job.progress is None else job.progress.decode(),
        "result": None if job.output is None or job.status != "completed" else job.output.decode(),
        "error": None if job.error_type is None else f"{job.error_type}: {job.error}",
    }
    for label, value in rows.items():
        if value is not None:
            terminal.say(f"{label:<9} {terminal.printable(value)}")


@app.command(epilog=example("wfgen jobs retry job_0123456789abcdef"))
def retry(job_id: JobIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Let a job begin at once: one that waits for its next attempt, or that has not completed.

    Its attempts are counted anew. A job whose run has heard of its end stays as it is: retry the run.
    """
    _change("retry", job_id, project, engine, as_json)


@app.command(epilog=example("wfgen jobs discard job_0123456789abcdef"))
def discard(job_id: JobIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Take a job away.

    One that is not finished ends as cancelled, and its step fails with JobDiscardedError; a finished one is removed.
    """
    _change("discard", job_id, project, engine, as_json)


def _change(
    what: Literal["retry", "discard"], job_id: str, project: str | None, engine: str | None, as_json: bool
) -> None:
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.stores import connected, note_if_idle, require_store_of_job

    settings = load_settings(project, engine=engine)
    require_store_of_job(settings, job_id)

    async def change() -> bool:
        async with connected(settings) as store:
            job = await store.get_job(job_id)  # refused without its key, as all else
            await (store.retry_job(job_id) if what == "retry" else store.discard_job(job_id))
            return job.finished_at is not None

    was_finished = asyncio.run(change())
    if as_json:
        terminal.say_json({"job_id": job_id, what: "done"})
    elif what == "discard":
        terminal.say(f"{job_id} {'was finished, and is removed.' if was_finished else 'is discarded; its step fails.'}")
    else:
        terminal.say(f"{job_id} is on its queue, and due now.")
        note_if_idle(settings, project=project, engine=engine)


def _detail(job: JobRecord) -> str:
    """What matters about a job beside its status."""
    from wfgen_cli.terminal import moment, span

    if job.status == "queued":
        if job.error_type is not None:
            return f"{job.error_type}: {job.error}; next attempt at {moment(job.due)}"
        if job.attempt:
            return "given back, or its process has died; it begins again"
        return "" if job.expires_at is None else f"expires at {moment(job.expires_at)}"
    if job.status == "running":
        return f"in process {job.owner}"
    if job.error_type is not None and job.status != "completed":
        return f"{job.error_type}: {job.error}"
    if job.finished_at is not None and job.first_at is not None:
        return f"took {span(job.finished_at - job.first_at)}"
    return ""
