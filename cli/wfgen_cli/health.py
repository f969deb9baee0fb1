"""Whether the store, the processes that use it and the runs in it are well."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from wfgen.errors import WfgenError
from wfgen.settings import Settings
from wfgen.store.processes import host_identity, is_gone
from wfgen.store.protocol import ProcessRecord, RunRecord, RunStatus
from wfgen.store.schema import MIGRATIONS
from wfgen_cli.stores import connected, missing_file, place_of
from wfgen_cli.terminal import count, span

OLD = 60.0
"""Seconds after which a run that nobody works is worth a word."""
MANY_CLAIMS = 10
"""Claims of a run that waits for nothing, from which on it looks as if it killed the processes that take it."""
LIMIT = 10_000
"""Unfinished runs that are looked at."""
SHOWN = 10
"""Runs that are named, of each kind of trouble."""
UNFINISHED: tuple[RunStatus, ...] = ("pending", "running", "waiting")

State = Literal["ok", "info", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    state: State
    message: str
    hint: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


async def store_health(settings: Settings, known: Collection[tuple[str, str]]) -> list[Finding]:
    """Look at the store that the settings name.

    Args:
        settings: the project's.
        known: name and version of the workflows that the project defines.
    """
    try:
        missing = missing_file(settings)
        if missing is not None:
            return [Finding("store", "info", f"{missing} does not exist yet: the first run makes it")]
        async with connected(settings) as store:
            processes = await store.processes()
            runs = await store.list_runs(status=UNFINISHED, limit=LIMIT)
    except WfgenError as error:
        return [Finding("store", "problem", f"{error.code}: {error.message}", error.hint)]
    schema = len(MIGRATIONS)
    place = place_of(settings)
    found = [Finding("store", "ok", f"{place} can be used (schema {schema})", None, {"place": place, "schema": schema})]
    return found + processes_health(processes) + runs_health(runs, processes, known)


def processes_health(processes: Sequence[tuple[ProcessRecord, float]]) -> list[Finding]:
    """One finding a process that has registered itself and not left."""
    found = []
    here, now = host_identity(), time.time()
    for process, until in processes:
        name = f"{process.process_id}, pid {process.pid} on {process.host.partition('/')[0]}"
        data = {"process_id": process.process_id, "pid": process.pid, "lease_until": until}
        if is_gone(process, here):
            message, hint = f"{name}, ended without saying so", "Whoever claims next takes its runs over."
            found.append(Finding("process", "info", message, hint, data))
        elif until < now:
            message, hint = f"{name}, silent for {span(now - until)} after its lease", "It may hang; its runs are free."
            found.append(Finding("process", "problem", message, hint, data))
        else:
            found.append(Finding("process", "ok", f"{name}, lease for another {span(until - now)}", None, data))
    return found


def runs_health(
    runs: Sequence[RunRecord],
    processes: Sequence[tuple[ProcessRecord, float]],
    known: Collection[tuple[str, str]],
) -> list[Finding]:
    """How many runs are unfinished, and those of them that do not move."""
    here, now = host_identity(), time.time()
    alive = {process.process_id for process, until in processes if until >= now and not is_gone(process, here)}
    more = " at least" if len(runs) == LIMIT else ""
    found = [Finding("runs", "ok", f"{count(len(runs), 'run')}{more} unfinished", None, {"unfinished": len(runs)})]
    troubles: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for trouble in _troubles(run, alive, known, now):
            troubles.setdefault(trouble, []).append(run.run_id)
    for (message, hint), ids in troubles.items():
        listed = ", ".join(ids[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")
        found.append(Finding("runs", "problem", f"{message}: {listed}", hint, {"run_ids": ids}))
    return found


def _troubles(
    run: RunRecord, alive: Collection[str], known: Collection[tuple[str, str]], now: float
) -> Iterator[tuple[str, str]]:
    if (run.workflow, run.version) not in known:
        yield (
            f"workflow {run.workflow!r} version {run.version!r} is not defined here",
            "Bring that version's file back, or cancel the runs.",
        )
    elif run.owner not in alive and now - run.updated_at > OLD:
        yield "nobody works", "Start `wfgen worker`."
    if run.claims >= MANY_CLAIMS and run.status != "waiting":
        yield f"taken {MANY_CLAIMS} times or more", "Each process that took it ended: look at the last step it began."
