"""`wfgen runs stats` and `prune`: how runs have gone, and removing those that are long over."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from wfgen_cli.failures import ArgumentError
from wfgen_cli.options import AsJson, EngineUrl, Project, example
from wfgen_cli.run_filters import Since, Until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wfgen.statistics import WorkflowStatistics
    from wfgen.store.records import RunStatus

BATCH = 100
"""Runs that are removed with one commit."""


def stats(
    workflow: Annotated[
        str | None, typer.Argument(metavar="WORKFLOW", help="Default: all.", show_default=False)
    ] = None,
    version: Annotated[str | None, typer.Option("--version", metavar="V", help="Of this version.")] = None,
    since: Since = None,
    until: Until = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Also say which timeouts and retries this history suggests.")
    ] = False,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show how runs and their steps have gone: how many, how many well, how long.

    Durations are percentiles; those of runs are of the completed ones, those of steps of the last attempts.
    """
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.run_filters import moment_of
    from wfgen_cli.step_tables import say_statistics, say_suggestions, statistics_data
    from wfgen_cli.stores import connected, missing_store

    settings = load_settings(project, engine=engine)
    begin, end = moment_of(since, "--since"), moment_of(until, "--until")

    async def fetch() -> Sequence[WorkflowStatistics]:
        async with connected(settings) as store:
            return await store.statistics(workflow=workflow, version=version, since=begin, until=end)

    missing = missing_store(settings)
    found = [] if missing else asyncio.run(fetch())
    if as_json:
        terminal.say_json([statistics_data(one) for one in found])
    elif not found:
        terminal.note(f"No runs: {missing} does not exist yet." if missing else "No runs.")
    else:
        say_statistics(found)
        if suggest:
            say_suggestions(found)


def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Ended so long ago, such as 30d.", show_default=False)
    ],
    status: Annotated[
        list[str] | None,
        typer.Option("--status", "-s", metavar="STATUS", help="Of this final status; repeatable. Default: of any."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """Remove finished runs, with all that is recorded of them.

    A run stays while its parent is kept, and until its children can go as well. Its idempotency key is free again
    afterwards.
    The file does not shrink: what is freed is used for new runs.
    """
    from wfgen.durations import seconds
    from wfgen.store.records import FINISHED
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.stores import connected, missing_store

    settings = load_settings(project, engine=engine)
    before = time.time() - seconds(older_than)
    wanted: list[RunStatus] = []
    for one in status or sorted(FINISHED):
        if one not in FINISHED:
            raise ArgumentError(f"--status {one!r} is not final.", hint=f"Give {', '.join(sorted(FINISHED))}.")
        wanted.append(one)  # type: ignore[arg-type]

    async def work() -> int:
        async with connected(settings) as store:
            if dry_run:
                return await store.count_prunable(before, wanted)
            removed = 0
            while gone := await store.prune(before, wanted, limit=BATCH):
                removed += len(gone)
            return removed

    count = 0 if missing_store(settings) else asyncio.run(work())
    if as_json:
        terminal.say_json({"runs": count, "removed": not dry_run})
    else:
        terminal.say(f"{terminal.count(count, 'run')} {'would be' if dry_run else 'removed'}{' removed' * dry_run}.")


def add_to(app: typer.Typer) -> None:
    """Add these commands to an application."""
    app.command(epilog=example("wfgen runs stats", "wfgen runs stats order --since 7d --json"))(stats)
    app.command(
        epilog=example("wfgen runs prune --older-than 30d --dry-run", "wfgen runs prune --older-than 7d -s completed")
    )(prune)
