"""Whether the store, the processes that use it, and the runs and jobs in it are well."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wfgen.encryption import load_keys
from wfgen.errors import CrashLoopError, UnknownRunError, WfgenError
from wfgen.origins import Origins
from wfgen_cli.health_findings import MANY_CLAIMS, OLD, SHOWN, Finding, State, Ward, listed, processes
from wfgen_cli.key_health import keys_health
from wfgen_cli.records import fields
from wfgen_cli.run_filters import UNFINISHED
from wfgen_cli.run_health import no_taker, open_operations, phrase, run_health
from wfgen_cli.store_processes import members
from wfgen_cli.stores import place_of, reading
from wfgen_cli.terminal import count, moment, printable, span

if TYPE_CHECKING:
    from collections.abc import Collection

    from wfgen.encryption import Keys
    from wfgen.settings import Settings
    from wfgen.store.deployments import DefinitionRecord
    from wfgen.store.jobs import JobRecord
    from wfgen.store.protocol import Store
    from wfgen.store.records import HookRecord, RunRecord

LIMIT = 10_000
"""Unfinished runs that are looked at."""
SKEW = 2.0
"""Seconds by which clocks may differ without a word."""


async def store_health(
    settings: Settings, known: Collection[tuple[str, str]], package: str, run_id: str | None = None
) -> list[Finding]:
    """Look at the store that the settings name; it is only read.

    Args:
        settings: the project's.
        known: name and version of the workflows that the project defines.
        package: import name of its generated package.
        run_id: for one run alone.

    Raises:
        UnknownRunError: there is no such run.
    """
    keys, found = _keys(settings)
    try:
        async with reading(settings) as store:
            place = place_of(settings)
            if store is None:
                if run_id is not None:
                    raise UnknownRunError(
                        f"there is no run {run_id!r}: there is no store {place} yet.",
                        hint="Check --project and --engine; `wfgen doctor` shows which store is meant.",
                    )
                return [*found, Finding("store", "info", f"{place} does not exist yet: the first run makes it")]
            definitions = await store.definitions()
            ward = Ward(await members(store), known, store.clock.time(), Origins(definitions, package, known))
            if run_id is not None:
                return [*found, *await run_health(store, run_id, ward, keys)]
            schema = (await store.schema()).version
            data = {"place": place, "schema": schema}
            found.append(Finding("store", "ok", f"{place} can be used (schema {schema})", None, data))
            runs = await store.list_runs(status=UNFINISHED, limit=LIMIT)
            if all(finding.topic != "keys" for finding in found):
                found += await keys_health(store, runs, keys)
            return [*found, *deployed_health(definitions), *await _all(store, runs, ward)]
    except UnknownRunError:
        raise
    except WfgenError as error:
        return [*found, Finding("store", "problem", f"{error.code}: {error.message}", error.hint)]


def _keys(settings: Settings) -> tuple[Keys | None, list[Finding]]:
    """The keys that the settings name; or why there are none, though they name some."""
    try:
        return load_keys(settings), []
    except WfgenError as error:
        return None, [Finding("keys", "problem", f"{error.code}: {error.message}", error.hint)]


async def _all(store: Store, runs: Sequence[RunRecord], ward: Ward) -> list[Finding]:
    return [
        *clock_health(ward, time.time()),
        *processes_health(ward),
        *versions_health(ward),
        *runs_health(runs, ward),
        *await _overdue(store, runs, ward),
        *await _waiting(store, runs),
        *crashes_health(await store.list_runs(error_code=CrashLoopError.code, limit=SHOWN + 1)),
        *queues_health(await store.waiting_jobs(), ward),
        *expired_health(await store.list_jobs(status=["expired"], limit=SHOWN + 1)),
        *hooks_health(await store.hooks(limit=SHOWN + 1)),
    ]


def clock_health(ward: Ward, here: float) -> Iterator[Finding]:
    """Clocks that are not one: this machine's, and those that processes have written times with."""
    if abs(skew := here - ward.now) > SKEW:
        message = f"this machine is {span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the store's clock"
        hint = "Runs go by the store's clock; set this one right, so that what it prints is."
        yield Finding("clock", "info", message, hint, {"skew": skew})
    for member in ward.members:
        ahead = member.process.heartbeat_at - ward.now
        if ahead > SKEW:
            message = f"{member.name} was heard of {span(ahead)} in the future"
            hint = "The machine's clock was set back: timers that were set before come later by that."
            yield Finding("clock", "problem", message, hint, {"process_id": member.process.process_id, "skew": ahead})


def processes_health(ward: Ward) -> Iterator[Finding]:
    """One finding a process that has registered itself and not left."""
    for member in ward.members:
        name = f"{member.process.process_id}, pid {member.process.pid} on {member.host}"
        held = f"{count(member.runs, 'run')}, {count(member.jobs, 'job')}"
        data = {key: value for key, value in member.data().items() if key != "state"}  # a finding has one, too
        if member.state == "ended":
            hint = "Whoever claims next takes its work over." if member.runs or member.jobs else None
            yield Finding("process", "info", f"{name}, ended without saying so ({held})", hint, data)
        elif member.state == "lapsed":
            silent = f"silent for {span(ward.now - member.lease_until)} after its lease ({held})"
            yield Finding("process", "problem", f"{name}, {silent}", "It may hang; its work is free.", data)
        else:
            left = span(member.lease_until - ward.now)
            yield Finding("process", "ok", f"{name}, lease for another {left} ({held})", None, data)
            for reason, names in member.cannot_load().items():
                message = f"{name}, cannot load {listed(names)}: {printable(reason)}"
                yield Finding("process", "problem", message, "Mend it and start that process anew.", data)


def versions_health(ward: Ward) -> Iterator[Finding]:
    """Whether processes of several versions of wfgen are at work, as in a rolling upgrade."""
    versions = sorted({member.process.wfgen for member in ward.live} - {""})
    if len(versions) > 1:
        yield Finding(
            "process", "info", f"of several versions of wfgen: {', '.join(versions)}", None, {"wfgen": versions}
        )


def deployed_health(definitions: Sequence[DefinitionRecord]) -> list[Finding]:
    """What was deployed, and when the last time."""
    if not definitions:
        return []
    shapes = Counter((one.workflow, one.version) for one in definitions)
    several = [f"{workflow}@{version}" for (workflow, version), number in shapes.items() if number > 1]
    more = f"; with several shapes: {listed(several)}" if several else ""
    last = moment(max(one.last_at for one in definitions))
    data = {
        "definitions": [fields(one, "workflow", "version", "steps_hash", "first_at", "last_at") for one in definitions]
    }
    return [Finding("deployed", "ok", f"{count(len(shapes), 'version')}, the last at {last}{more}", None, data)]


def runs_health(runs: Sequence[RunRecord], ward: Ward) -> list[Finding]:
    """How many runs are unfinished, and those of them that do not move."""
    more = " at least" if len(runs) == LIMIT else ""
    found = [Finding("runs", "ok", f"{count(len(runs), 'run')}{more} unfinished", None, {"unfinished": len(runs)})]
    troubles: dict[tuple[State, str, str], list[str]] = {}
    for run in runs:
        for trouble in _troubles(run, ward):
            troubles.setdefault(trouble, []).append(run.run_id)
    for (state, message, hint), ids in troubles.items():
        found.append(Finding("runs", state, f"{message}: {listed(ids)}", hint, {"run_ids": ids}))
    paused = sorted((run for run in runs if run.status == "paused"), key=lambda run: run.updated_at)
    if paused:
        ids = [run.run_id for run in paused]
        message = f"{count(len(ids), 'run')} paused, the first since {moment(paused[0].updated_at)}: {listed(ids)}"
        found.append(Finding("runs", "info", message, "`wfgen runs resume` lets one go on.", {"run_ids": ids}))
    return found


def _troubles(run: RunRecord, ward: Ward) -> Iterator[tuple[State, str, str]]:
    if run.claims >= MANY_CLAIMS and run.status in ("pending", "running"):
        yield (
            "problem",
            f"taken {MANY_CLAIMS} times or more without getting further",
            "Each process that took it ended: look at the last step it began.",
        )
    owner = ward.member(run.owner)
    if owner is not None and owner.state == "live":
        return
    able = ward.workers_of(run.workflow, run.version)
    is_due = run.status in ("pending", "running")
    is_old = is_due and ward.now - run.updated_at > OLD
    if not able and ward.origins.stranger(run.workflow, run.version) is not None:
        yield ("info", *ward.nobody_serves(run.workflow, run.version))
    elif not able and (is_due or (run.workflow, run.version) not in ward.known):
        # What was just started may come before its worker.
        is_fresh = not is_old and (run.workflow, run.version) in ward.known
        yield ("info" if is_fresh else "problem", *ward.nobody_serves(run.workflow, run.version))
    elif able and is_old and owner is None:
        yield (
            "problem",
            f"taken by nobody for more than {span(OLD)}, though {processes(len(able))} could",
            "They may be full (setting `concurrency`), or cannot load or read it: look at what they have logged.",
        )


async def _overdue(store: Store, runs: Sequence[RunRecord], ward: Ward) -> list[Finding]:
    """Versions whose parked runs are due and that nobody takes up."""
    found = []
    free = {(run.workflow, run.version) for run in runs if run.owner is None and run.status == "waiting"}
    for workflow, version in sorted(free):
        due = await store.next_wake([(workflow, version)])
        if 0 < due < ward.now - OLD:
            message, hint = ward.nobody_serves(workflow, version)
            if able := ward.workers_of(workflow, version):
                message, hint = f"{processes(len(able))} could take them", "Look at what they have logged."
            said = (
                f"waiting runs of workflow {workflow!r} version {version!r} are due since {moment(due)}, and {message}"
            )
            data = {"workflow": workflow, "version": version, "due": due}
            is_ours = ward.origins.stranger(workflow, version) is None
            found.append(Finding("runs", "problem" if is_ours else "info", said, hint, data))
    return found


async def _waiting(store: Store, runs: Sequence[RunRecord]) -> list[Finding]:
    """What the runs wait for that have not moved for the longest time."""
    waiting = sorted((run for run in runs if run.status == "waiting"), key=lambda run: run.updated_at)
    told: list[str] = []
    for run in waiting[:SHOWN]:
        try:
            reasons = [phrase(event) for event in open_operations(await store.history(run.run_id))]
        except UnknownRunError:  # it has ended and was removed meanwhile
            continue
        told.append(f"{run.run_id} for {listed(reasons) or 'nothing any more'}")
    if not told:
        return []
    message = f"{count(len(waiting), 'run')} waiting: {'; '.join(told)}{'; …' * (len(waiting) > SHOWN)}"
    data = {"waiting": len(waiting), "run_ids": [run.run_id for run in waiting]}
    return [Finding("runs", "info", message, "`wfgen doctor RUN_ID` says more of one.", data)]


def crashes_health(runs: Sequence[RunRecord]) -> list[Finding]:
    """Those that were given up because each process that took them died."""
    if not runs:
        return []
    ids = [run.run_id for run in runs]
    message = f"given up because the processes that took them died: {', '.join(ids[:SHOWN])}"
    hint = "Look at the last step that each began: `wfgen runs show`; then `wfgen runs retry`."
    return [Finding("runs", "info", f"{message}{' and more' * (len(ids) > SHOWN)}", hint, {"run_ids": ids})]


def queues_health(waiting: Sequence[tuple[str, str, int, float]], ward: Ward) -> Iterator[Finding]:
    """One finding a queue and worker whose jobs wait: who takes them, or that nobody does."""
    for queue, worker, number, since in waiting:
        takers = [member for member in ward.live if member.takes(worker, queue)]
        which = f"{count(number, 'job')} of worker {worker!r} on queue {queue!r}, the first since {moment(since)}"
        data = {
            "queue": queue,
            "worker": worker,
            "jobs": number,
            "since": since,
            "served_by": [member.process.process_id for member in takers],
        }
        if not takers:
            if (stranger := ward.origins.stranger_of_queue(queue)) is not None:
                said = f"{which}, which is not of this project but of {stranger}: no live process takes them"
                yield Finding("queue", "info", said, "Start a worker of that project.", data)
            else:
                yield Finding("queue", "problem", f"{which}: no live process takes them", no_taker(worker, ward), data)
            continue
        room = [m for m in takers if m.concurrency is None or m.jobs < m.concurrency]
        full = "" if room else ", and all are full"
        hint = "Start more, or raise the setting `job_concurrency`." if not room else None
        yield Finding("queue", "info", f"{which}: {processes(len(takers))} may take them{full}", hint, data)


def expired_health(jobs: Sequence[JobRecord]) -> list[Finding]:
    """Jobs that nobody has taken in time."""
    if not jobs:
        return []
    named = [f"{job.job_id} (queue {printable(job.queue)})" for job in jobs[:SHOWN]]
    message = f"expired before a process took them: {', '.join(named)}{' and more' * (len(jobs) > SHOWN)}"
    data = {"job_ids": [job.job_id for job in jobs[:SHOWN]]}
    return [Finding("jobs", "info", message, "`wfgen jobs retry` puts one on its queue again.", data)]


def hooks_health(hooks: Sequence[HookRecord]) -> list[Finding]:
    """The hooks that are waited for, the oldest ones, and until when."""
    if not hooks:
        return []
    named = [
        f"{printable(hook.name)} of {hook.run_id}{'' if hook.due is None else f' until {moment(hook.due)}'}"
        for hook in hooks[:SHOWN]
    ]
    message = f"waited for: {', '.join(named)}{' and more' * (len(hooks) > SHOWN)}"
    found = [{"run_id": hook.run_id, "name": hook.name, "due": hook.due} for hook in hooks[:SHOWN]]
    return [Finding("hooks", "info", message, "`wfgen hooks list` has all of them.", {"hooks": found})]
