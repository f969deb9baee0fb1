"""Steps of runs and statistics of them, as data for programs and as lines for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wfgen import suggestions
from wfgen_cli import terminal
from wfgen_cli.records import ROOT_BRANCH, fields

if TYPE_CHECKING:
    from wfgen.graph import Graph
    from wfgen.settings import Settings
    from wfgen.statistics import Durations, StepStatistics, WorkflowStatistics
    from wfgen.step_states import StepState
    from wfgen.store.jobs import JobRecord


def graph_of(settings: Settings, workflow: str, version: str) -> Graph | None:
    """The steps that a workflow's source has, if the generated package here knows it."""
    from wfgen.errors import WfgenError
    from wfgen_cli.project import registry_if_any

    try:
        return registry_if_any(settings).graph(workflow, version)
    except WfgenError:  # a project that does not load is no reason not to show what is recorded
        return None


def step_data(step: StepState) -> dict[str, Any]:
    """A step as data. Times are seconds since the epoch."""
    found = fields(step, "name", "key", "status", "form", "target", "place", "attempts")
    return {
        **found,
        **fields(step, "started_at", "ended_at", "duration", "due", "error"),
        **fields(step, "queue", "job_id"),
    }


def say_steps(steps: Sequence[StepState], jobs: Mapping[str, JobRecord] | None = None) -> None:
    """Print a table of steps; `jobs` are those of the run that are not finished, by id."""
    terminal.table(
        ("STEP", "STATUS", "FORM", "ATTEMPTS", "STARTED", "TOOK", "DETAIL"),
        (
            (
                _label(step),
                step.status,
                step.form,
                step.attempts or "-",
                terminal.moment(step.started_at),
                "-" if step.duration is None else terminal.span(step.duration),
                step.error or _detail(step, (jobs or {}).get(step.job_id or "")),
            )
            for step in steps
        ),
    )


def _detail(step: StepState, job: JobRecord | None) -> str:
    if step.due is not None:
        return f"until {terminal.moment(step.due)}"
    if step.queue is None or (step.status != "waiting" and job is None):
        return ""
    if job is not None and job.status == "running":
        return f"on queue {step.queue}, at work in process {job.owner} since {terminal.moment(job.started_at)}"
    since = f"on queue {step.queue} since {terminal.moment(step.started_at)}"
    if job is not None and job.attempt > 0:
        return f"{since}, attempt {job.attempt} failed, next at {terminal.moment(job.due)}"
    return since


def _label(step: StepState) -> str:
    if step.key is None:
        return step.name
    branch, _, name = step.key.partition("/")
    return name if branch == ROOT_BRANCH else step.key


def _durations(durations: Durations) -> dict[str, float | None]:
    return {f"p{percent}": durations.percentile(percent) for percent in (50, 95, 99)}


def statistics_data(found: WorkflowStatistics) -> dict[str, Any]:
    """Statistics of a workflow as data; durations in seconds, rates from 0 to 1."""
    return {
        "workflow": found.workflow,
        "version": found.version,
        "runs": found.runs,
        "statuses": dict(sorted(found.statuses.items())),
        "success_rate": found.success_rate,
        "durations": _durations(found.durations),
        "steps": [
            {
                "name": step.name,
                "executions": step.executions,
                "completed": step.completed,
                "failed": step.failed,
                "retries": step.retries,
                "success_rate": step.success_rate,
                "durations": _durations(step.durations),
            }
            for step in found.steps.values()
        ],
        "suggestions": [dataclasses.asdict(one) for one in suggestions.suggestions(found)],
    }


def say_statistics(found: Sequence[WorkflowStatistics]) -> None:
    """Print tables: one of the workflows, and one of the steps of each."""
    terminal.table(
        ("WORKFLOW", "VERSION", "RUNS", "SUCCESS", "P50", "P95", "P99", "BY STATUS"),
        (
            (
                one.workflow,
                one.version,
                one.runs,
                _rate(one.success_rate),
                *_spans(one.durations),
                ", ".join(f"{count} {status}" for status, count in sorted(one.statuses.items())),
            )
            for one in found
        ),
    )
    for one in found:
        if one.steps:
            terminal.say(f"\n{terminal.printable(one.workflow)} version {terminal.printable(one.version)}")
            terminal.table(
                ("STEP", "EXECUTIONS", "SUCCESS", "RETRIES", "P50", "P95", "P99"), map(_row, one.steps.values())
            )


def say_suggestions(found: Sequence[WorkflowStatistics]) -> None:
    """Print which timeouts and retries the history of the steps suggests, and why."""
    rows = [
        (one.workflow, made.step, made.option, made.value, made.reason)
        for one in found
        for made in suggestions.suggestions(one)
    ]
    terminal.say("")
    if rows:
        terminal.table(("WORKFLOW", "STEP", "OPTION", "SUGGESTED", "SINCE"), rows)
    else:
        terminal.say(f"Nothing is suggested: that takes {suggestions.ENOUGH} executions of a step.")


def _row(step: StepStatistics) -> Sequence[object]:
    return (step.name, step.executions, _rate(step.success_rate), step.retries, *_spans(step.durations))


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"


def _spans(durations: Durations) -> list[str]:
    return ["-" if value is None else terminal.span(value) for value in _durations(durations).values()]
