"""`wfgen workers`: the processes that work a store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wfgen_cli.options import AsJson, EngineUrl, Project, example, new_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wfgen_cli.store_processes import Member

SHOWN = 5
"""Names that a line has of each kind."""

app = new_app(
    no_args_is_help=True,
    help="Show the processes that work the store.",
    epilog=example("wfgen workers list", "wfgen workers list --json"),
)


@app.callback()
def workers() -> None:
    """A group, although there is one command alone."""


@app.command("list", epilog=example("wfgen workers list", "wfgen workers list --json"))
def list_(project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """List the processes that work the store: where they run, what they serve, and what they hold.

    State `lapsed`: its lease is over, and what it holds is taken over by the next one that looks; `ended`: it has died
    on this machine, and nobody has looked since. A process that ends in order is not listed any more.
    """
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.store_processes import members
    from wfgen_cli.stores import place_of, reading

    settings = load_settings(project, engine=engine)

    async def fetch() -> tuple[Sequence[Member], float] | None:
        async with reading(settings) as store:
            return None if store is None else (await members(store), store.clock.time())

    answer = asyncio.run(fetch())
    found, now = answer or ((), 0.0)
    if as_json:
        terminal.say_json([member.data() for member in found])
    elif not found:
        missing = answer is None
        terminal.note(f"No processes: {place_of(settings)} does not exist yet." if missing else "No processes.")
    else:
        terminal.table(
            ("PROCESS", "HOST", "PID", "WFGEN", "STATE", "HEARTBEAT", "RUNS", "JOBS", "SERVES"),
            (
                (
                    member.process.process_id,
                    member.host,
                    member.process.pid,
                    member.process.wfgen or "-",
                    member.state,
                    f"{terminal.span(max(0.0, now - member.process.heartbeat_at))} ago",
                    member.runs,
                    member.jobs,
                    _serves(member),
                )
                for member in found
            ),
        )


def _serves(member: Member) -> str:
    if member.workflows is None:
        return "-"
    parts = [_listed([f"{name}@{version}" for name, version in member.workflows]) or "no runs"]
    if member.workers is not None:
        queues = "" if member.queues is None else f" on {_listed(member.queues) or 'no queue'}"
        parts.append(f"jobs of {_listed(member.workers)}{queues}" if member.workers else "no jobs")
    if member.concurrency is not None and member.workers != ():
        parts.append(f"{member.concurrency} jobs at once")
    broken = [*(f"{name}@{version}" for name, version in member.unloadable), *member.unloadable_workers]
    if broken:
        parts.append(f"cannot load {_listed(broken)}")
    if member.is_own:
        parts.append("only of the runs that it has started")
    return "; ".join(parts)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
