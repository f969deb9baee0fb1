"""Why one run does not move: who holds it or could, and all that it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wfgen.checkpoints import current_part, undone
from wfgen.errors import UnknownJobError, UnknownRunError
from wfgen.events import COMPLETIONS, OPENINGS
from wfgen.store.records import FINISHED
from wfgen_cli.health_findings import MANY_CLAIMS, OLD, Finding, Ward, processes
from wfgen_cli.key_health import run_keys_health
from wfgen_cli.records import step_of
from wfgen_cli.terminal import moment, printable, span

if TYPE_CHECKING:
    from wfgen.encryption import Keys
    from wfgen.events import Event
    from wfgen.store.protocol import Store
    from wfgen.store.records import RunRecord


async def run_health(store: Store, run_id: str, ward: Ward, keys: Keys | None = None) -> list[Finding]:
    """All that can be said of one run.

    Raises:
        UnknownRunError: there is no such run.
    """
    run = await store.get_run(run_id)
    told = f"{run_id}, workflow {run.workflow!r} version {run.version!r}: {run.status}"
    data: dict[str, Any] = {"run_id": run_id, "workflow": run.workflow, "version": run.version, "status": run.status}
    if run.status in FINISHED:
        return [_finished(run, told, data)]
    found = [Finding("run", "ok", f"{told} since {moment(run.updated_at)}", None, data)]
    events = await store.history(run_id)
    if run.status == "paused":
        since = next((event.time for event in reversed(events) if event.type == "run_paused"), run.updated_at)
        message = f"paused since {moment(since)}"
        found.append(
            Finding("paused", "info", message, f"`wfgen runs resume {run_id}` lets it go on.", {"since": since})
        )
    found += run_keys_health(run, events, keys)
    found += holder(run, ward)
    for event in open_operations(events):
        found.append(await _open(store, run, event, ward))
    return found


def _finished(run: RunRecord, told: str, data: dict[str, Any]) -> Finding:
    ended = f"{told} at {moment(run.finished_at)}"
    if run.status != "failed":
        return Finding("run", "ok", ended, None, data)
    why = ": ".join(filter(None, (run.error_code, run.error_type)))
    hint = f"`wfgen runs show {run.run_id}` has the error; `wfgen runs retry {run.run_id}` tries the step once more."
    return Finding("run", "info", f"{ended} ({why})", hint, data)


def holder(run: RunRecord, ward: Ward) -> list[Finding]:
    """Who holds a run, or who could take it."""
    found: list[Finding] = []
    if run.claims >= MANY_CLAIMS and run.status in ("pending", "running"):
        message = f"taken {run.claims} times in a row without getting further"
        hint = "Each process that took it ended: look at the last step it began, `wfgen runs show`."
        found.append(Finding("claims", "problem", message, hint, {"claims": run.claims}))
    able = ward.workers_of(run.workflow, run.version)
    owner = ward.member(run.owner)
    data = {"owner": run.owner, "served_by": [member.process.process_id for member in able]}
    if owner is not None and owner.state == "live":
        message = f"held by {owner.name}, lease for another {span(owner.lease_until - ward.now)}"
        return [*found, Finding("holder", "ok", message, None, data)]
    lost = ""
    if owner is not None:
        gone = "has ended" if owner.state == "ended" else f"is silent for {span(ward.now - owner.lease_until)}"
        lost = f"its process {owner.name} {gone}, and "
    if not able:
        message, hint = ward.nobody_serves(run.workflow, run.version)
        idle = run.status in ("waiting", "paused") and (run.workflow, run.version) in ward.known
        return [*found, Finding("holder", "info" if idle else "problem", f"{lost}{message}", hint, data)]
    serve = f"{processes(len(able))} that {'serves' if len(able) == 1 else 'serve'} it"
    if owner is not None:
        message = f"{lost}it is taken over by one of {serve}"
        return [*found, Finding("holder", "info", message, None, data)]
    if run.status in ("waiting", "paused") or ward.now - run.updated_at <= OLD:
        return [*found, Finding("holder", "ok", f"nobody holds it just now; there is {serve}", None, data)]
    message = f"nobody has taken it since {moment(run.updated_at)}, though there is {serve}"
    hint = "They may be full (setting `concurrency`), or cannot load or read it: look at what they have logged."
    return [*found, Finding("holder", "problem", message, hint, data)]


def open_operations(events: Sequence[Event]) -> list[Event]:
    """What a run waits for: the last event of each operation that has begun and not ended, in the order of these."""
    begins, gone = current_part(events)[0].seq, undone(events)
    still: dict[str | None, Event] = {}
    for event in events:
        if event.seq < begins or event.seq in gone:
            continue
        if event.type in OPENINGS:
            still.pop(event.key, None)
            if event.data.get("awaited", True):
                still[event.key] = event
        elif event.type in COMPLETIONS and event.key is not None:
            still.pop(event.key, None)
    return list(still.values())


def phrase(event: Event) -> str:
    """What a run waits for, in a few words."""
    data = event.data
    match event.type:
        case "hook_created":
            due = data.get("due")
            return f"hook {step_of(event)}{'' if due is None else f' until {moment(due)}'}"
        case "timer_set":
            return f"{step_of(event) or 'its timeout'} until {moment(data['due'])}"
        case "step_retrying":
            return f"the next attempt of {step_of(event)} at {moment(data['next_at'])}"
        case "child_started":
            return f"child {printable(data['run_id'])} of {step_of(event)}"
        case "job_created":
            return f"job {printable(data['job_id'])} on queue {printable(data['queue'])}"
        case _:
            return f"{step_of(event)}, begun at {moment(event.time)}"


async def _open(store: Store, run: RunRecord, event: Event, ward: Ward) -> Finding:
    data = {"key": event.key, "type": event.type, "due": event.data.get("due", event.data.get("next_at"))}
    message = f"waits for {phrase(event)}"
    match event.type:
        case "hook_created":
            name = step_of(event).partition("#")[0]
            hint = f"`wfgen hooks resume --run {run.run_id} --name {name} --input JSON` answers it."
            return Finding("hook", "info", message, hint, data)
        case "timer_set":
            return Finding("timer", "info", message, None, data)
        case "step_retrying":
            error = printable(f"{event.data.get('error_type')}, attempt {event.data.get('attempt')}")
            return Finding("step", "info", f"{message} ({error})", None, data)
        case "child_started":
            return await _child(store, event, message, data)
        case "job_created":
            return await job_health(store, event.data["job_id"], ward)
        case _:
            return Finding("step", "info", message, "It runs at most once.", data)


async def _child(store: Store, event: Event, message: str, data: dict[str, Any]) -> Finding:
    child_id = event.data["run_id"]
    try:
        child = await store.get_run(child_id)
    except UnknownRunError:
        return Finding("child", "problem", f"{message}, which is not there", "It was removed: cancel the run.", data)
    data = {**data, "run_id": child_id, "status": child.status}
    hint = None if child.status in FINISHED else f"`wfgen doctor {child_id}` says what that waits for."
    which = f"workflow {child.workflow!r} version {child.version!r}"
    return Finding("child", "info", f"{message} ({which}), which is {child.status}", hint, data)


async def job_health(store: Store, job_id: str, ward: Ward) -> Finding:
    """Where one job stands, and who could take it."""
    try:
        job = await store.get_job(job_id)
    except UnknownJobError:
        return Finding("job", "problem", f"job {printable(job_id)} is not there", "Cancel the run.", {"job_id": job_id})
    data: dict[str, Any] = {
        "job_id": job_id,
        "queue": job.queue,
        "worker": job.worker,
        "status": job.status,
        "owner": job.owner,
    }
    what = f"waits for job {job_id} of worker {job.worker!r} on queue {job.queue!r}"
    if job.status == "running":
        owner = ward.member(job.owner)
        if owner is not None and owner.state == "live":
            return Finding("job", "ok", f"{what}: attempt {job.attempt}, with {owner.name}", None, data)
        where = "with a process that is gone" if owner is None else f"with {owner.name}, which {owner.state}"
        return Finding("job", "info", f"{what}: {where}; the next process that takes jobs puts it back", None, data)
    if job.status != "queued":
        return Finding("job", "info", f"{what}: it is {job.status}, which its run is about to hear", None, data)
    until = "" if job.expires_at is None else f"; it expires at {moment(job.expires_at)}"
    takers = [member for member in ward.live if member.takes(job.worker, job.queue)]
    data["served_by"] = [member.process.process_id for member in takers]
    if not takers:
        message = f"{what}: no live process takes it{until}"
        return Finding("job", "problem", message, no_taker(job.worker, ward), data)
    if job.due > ward.now:
        failed = f" (attempt {job.attempt}: {job.error_type})" if job.error_type else ""
        return Finding("job", "info", f"{what}: due at {moment(job.due)}{failed}{until}", None, data)
    message = f"{what}: queued since {moment(job.due)}, {processes(len(takers))} may take it{until}"
    late = ward.now - job.due > OLD
    hint = "They are full (setting `job_concurrency`), or cannot load the worker: start more, look at their logs."
    return Finding("job", "info", message, hint if late else None, data)


def no_taker(worker: str, ward: Ward) -> str:
    """What to do about jobs that no process takes."""
    for member in ward.live:
        if (reason := member.unloadable_workers.get(worker)) is not None:
            return f"{member.name} cannot load it: {printable(reason)}. Mend it and start that process anew."
    return f"Start a process that has it: `wfgen worker --workers {worker}`; or `wfgen jobs discard` it."
