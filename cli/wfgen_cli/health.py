"""Whether the store, the processes that use it and the runs in it are well."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from wfgen.errors import CrashLoopError, WfgenError
from wfgen.settings import Settings
from wfgen.store.processes import host_identity, is_gone
from wfgen.store.protocol import HookRecord, ProcessRecord, RunRecord
from wfgen.store.schema import MIGRATIONS
from wfgen_cli.finding import UNFINISHED
from wfgen_cli.stores import connected, missing_file, place_of
from wfgen_cli.terminal import count, moment, printable, span

OLD = 60.0
"""Seconds after which a run that nobody works is worth a word."""
MANY_CLAIMS = 2
"""Claims in a row in which a run got no further, from which on it looks as if it killed the processes that take it."""
LIMIT = 10_000
"""Unfinished runs that are looked at."""
SHOWN = 10
"""Runs that are named, of each kind of trouble."""
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
            hooks = await store.hooks(limit=SHOWN + 1)
            looped = await store.list_runs(error_code=CrashLoopError.code, limit=SHOWN + 1)
    except WfgenError as error:
        return [Finding("store", "problem", f"{error.code}: {error.message}", error.hint)]
    schema = len(MIGRATIONS)
    place = place_of(settings)
    found = [Finding("store", "ok", f"{place} can be used (schema {schema})", None, {"place": place, "schema": schema})]
    found += processes_health(processes) + runs_health(runs, processes, known)
    return found + crashes_health(looped) + hooks_health(hooks)


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
    paused = [run.run_id for run in runs if run.status == "paused"]
    if paused:
        message = f"{count(len(paused), 'run')} paused: {', '.join(paused[:SHOWN])}"
        found.append(Finding("runs", "info", message, "`wfgen runs resume` lets one go on.", {"run_ids": paused}))
    return found


def crashes_health(runs: Sequence[RunRecord]) -> list[Finding]:
    """Those that were given up because each process that took them died."""
    if not runs:
        return []
    ids = [run.run_id for run in runs]
    message = f"given up because the processes that took them died: {', '.join(ids[:SHOWN])}"
    hint = "Look at the last step that each began: `wfgen runs show`; then `wfgen runs retry`."
    return [Finding("runs", "info", f"{message}{' and more' * (len(ids) > SHOWN)}", hint, {"run_ids": ids})]


def hooks_health(hooks: Sequence[HookRecord]) -> list[Finding]:
    """The hooks that are waited for, the oldest ones, and until when."""
    if not hooks:
        return []
    named = [
        f"{printable(hook.name)} of {hook.run_id}{'' if hook.due is None else f' until {moment(hook.due)}'}"
        for hook in hooks[:SHOWN]
    ]
    message = f"waited for: {', '.join(named)}{' and more' * (len(hooks) > SHOWN)}"
    listed = [{"run_id": hook.run_id, "name": hook.name, "due": hook.due} for hook in hooks[:SHOWN]]
    return [Finding("hooks", "info", message, "`wfgen hooks list` has all of them.", {"hooks": listed})]


def _troubles(
    run: RunRecord, alive: Collection[str], known: Collection[tuple[str, str]], now: float
) -> Iterator[tuple[str, str]]:
    if run.claims >= MANY_CLAIMS and run.status in ("pending", "running"):
        yield (
            f"taken {MANY_CLAIMS} times or more without getting further",
            "Each process that took it ended: look at the last step it began.",
        )
    if run.owner in alive:
        return
    if (run.workflow, run.version) not in known:
        yield (
            f"workflow {run.workflow!r} version {run.version!r} is not defined here",
            "Bring that version's file back, or `wfgen runs terminate` them; `wfgen runs list --stranded` has all.",
        )
    elif run.status in ("pending", "running") and now - run.updated_at > OLD:
        yield "nobody works", "Start `wfgen worker`."
