"""What runs are looked for by on the command line."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from wfgen_cli.failures import ArgumentError

if TYPE_CHECKING:
    from wfgen.settings import Settings
    from wfgen.store.protocol import Store
    from wfgen.store.records import RunRecord, RunStatus

UNFINISHED: tuple[RunStatus, ...] = ("pending", "running", "waiting", "paused")

Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Started since then: `1d` ago, or a time such as 2026-01-31T08:00."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Started before then; written as for --since.")
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Lets the run be found by it; repeatable.")
]


def moment_of(text: str | None, option: str) -> float | None:
    """A time that was typed, in seconds since the epoch: how long ago, or a date and time, local without a zone.

    Raises:
        ArgumentError: it is neither.
    """
    from wfgen.durations import seconds
    from wfgen.errors import InvalidInputError

    if text is None:
        return None
    try:
        return time.time() - seconds(text)
    except InvalidInputError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ArgumentError(
            f"{option} {text!r} is no time.", hint="Give how long ago, such as 90m or 7d, or a time: 2026-01-31T08:00."
        ) from None


def known_workflows(settings: Settings) -> Collection[tuple[str, str]]:
    """Name and version of the workflows that the generated package has."""
    from wfgen_cli.project import registry_if_any

    return registry_if_any(settings).workflows


async def live_processes(store: Store) -> Collection[str]:
    """Ids of the processes whose lease stands."""
    from wfgen.store.processes import host_identity, is_gone

    here, now = host_identity(), store.clock.time()
    return {p.process_id for p, until in await store.processes() if until >= now and not is_gone(p, here)}


async def stranded_runs(store: Store, known: Collection[tuple[str, str]], limit: int) -> Sequence[RunRecord]:
    """Unfinished runs, newest first, of workflows and versions that are not known here and that no process holds.

    Args:
        store: where they are.
        known: name and version of the workflows that are.
        limit: how many at most.
    """
    alive = await live_processes(store)
    found: list[RunRecord] = []
    for workflow, version in await store.workflows():
        if (workflow, version) not in known:
            runs = await store.list_runs(workflow=workflow, version=version, status=UNFINISHED, limit=limit)
            found += [run for run in runs if run.owner not in alive]
    return sorted(found, key=lambda run: run.created_at, reverse=True)[:limit]
