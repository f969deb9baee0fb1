"""`wfgen migrate`: the tables of the store, made or brought up to date."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from wfgen_cli.failures import FOUND, ArgumentError
from wfgen_cli.options import AsJson, EngineUrl, Project, example, new_app

if TYPE_CHECKING:
    from wfgen.store.protocol import Store
    from wfgen.store.schemas import SchemaStatus

app = new_app()


@app.command(epilog=example("wfgen migrate --status", "wfgen migrate", "wfgen migrate --sql > wfgen.sql"))
def migrate(
    status: Annotated[bool, typer.Option("--status", help="Only say which version the store has.")] = False,
    sql: Annotated[
        bool, typer.Option("--sql", help="Only print the SQL, for somebody who has the right to run it.")
    ] = False,
    after: Annotated[
        int | None,
        typer.Option("--from", metavar="VERSION", min=0, help="With --sql: from this version on; 0 for all of it."),
    ] = None,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make the store's tables, or bring them up to date: all of it or nothing.

    A process that opens the store does the same, if it has the right to. Processes of an older wfgen cannot open it
    afterwards. `--sql` without `--from` looks which version is there.

    Exit code 0: up to date; 1: with --status, it is not; 2: it could not be done, or a newer wfgen made the store.
    """
    from wfgen.environment import Environment
    from wfgen.store.engines import open_store
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings

    if status and sql:
        raise ArgumentError("--status and --sql exclude each other.")
    if after is not None and not sql:
        raise ArgumentError("--from goes with --sql.")
    settings = load_settings(project, engine=engine)
    store = open_store(settings.engine, settings.project, Environment())
    if sql:
        terminal.say_text(store.migration_script(asyncio.run(_current(store)).version if after is None else after))
        return
    before = asyncio.run(store.schema())
    found = before if status else asyncio.run(_applied(store))
    if as_json:
        data = {"place": found.place, "version": found.version, "known": found.known, "pending": list(found.pending)}
        terminal.say_json(data if status else {**data, "applied": list(before.pending)})
    else:
        terminal.say(_told(found))
    _refuse_newer(found)
    if found.pending:
        raise typer.Exit(FOUND)


async def _current(store: Store) -> SchemaStatus:
    found = await store.schema()
    _refuse_newer(found)
    return found


async def _applied(store: Store) -> SchemaStatus:
    from wfgen.errors import StoreAccessError

    try:
        await store.open()
    except StoreAccessError as error:
        hint = "Let somebody who may do that run what `wfgen migrate --sql` prints."
        raise StoreAccessError(error.message, hint=hint) from error
    try:
        return await store.schema()
    finally:
        await store.close()


def _told(found: SchemaStatus) -> str:
    if found.version == 0:
        return f"{found.place}: there are no tables yet; this wfgen makes version {found.known}."
    if found.pending:
        versions = ", ".join(map(str, found.pending))
        return (
            f"{found.place}: version {found.version}; this wfgen needs {found.known}, still to be applied: {versions}."
        )
    if found.version > found.known:
        return f"{found.place}: version {found.version}, made by a newer wfgen; this one knows up to {found.known}."
    return f"{found.place}: version {found.version}, up to date."


def _refuse_newer(found: SchemaStatus) -> None:
    from wfgen.errors import StoreVersionError

    if found.version > found.known:
        raise StoreVersionError(
            f"the store {found.place} was made by a newer wfgen: its schema is version {found.version}, this one knows "
            f"up to {found.known}.",
            hint="Upgrade wfgen.",
        )
