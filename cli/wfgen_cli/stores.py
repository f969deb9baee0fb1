"""The store as the command line asks it: without a registry, and without making one that is not there."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from wfgen.encryption import load_keys
from wfgen.environment import Environment
from wfgen.errors import UnknownJobError, UnknownRunError, WfgenError
from wfgen.store.encrypted import encrypted
from wfgen.store.engines import open_store

if TYPE_CHECKING:
    from wfgen.settings import Settings
    from wfgen.store.protocol import Store


def missing_store(settings: Settings) -> str | None:
    """Where the store is to be, if there is none yet: who only looks for something in it does not make it.

    Raises:
        ConfigurationError: the engine's URL is none.
        StoreError: it cannot be looked.
    """
    store = open_store(settings.engine, settings.project, Environment(), read_only=True)
    return store.place if asyncio.run(store.schema()).version == 0 else None


def require_store(settings: Settings, run_id: str) -> None:
    """See that there is a store in which a run could be.

    Raises:
        UnknownRunError: there is none.
        StoreError: it cannot be looked.
    """
    _require_store(settings, f"run {run_id!r}", UnknownRunError)


def require_store_of_job(settings: Settings, job_id: str) -> None:
    """See that there is a store in which a job could be.

    Raises:
        UnknownJobError: its file does not exist.
    """
    _require_store(settings, f"job {job_id!r}", UnknownJobError)


def _require_store(settings: Settings, what: str, unknown: type[WfgenError]) -> None:
    missing = missing_store(settings)
    if missing is not None:
        raise unknown(
            f"there is no {what}: the store {missing} does not exist yet.",
            hint="Check --project and --engine; `wfgen doctor` shows which store is meant.",
        )


@contextlib.asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Store | None]:
    """Open the store for looking alone: it is neither made nor migrated. None if there is no store yet.

    Payloads come as they are stored: no keys are needed.

    Raises:
        ConfigurationError: the engine's URL is none.
        StoreError: the store cannot be read.
    """
    store = open_store(settings.engine, settings.project, Environment(), read_only=True)
    if (await store.schema()).version == 0:
        yield None
        return
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Store]:
    """Open the store of the engine that the settings name.

    Raises:
        ConfigurationError: the engine's URL is none.
        StoreError: the store cannot be used.
        EncryptionError: the keys cannot.
    """
    store = encrypted(open_store(settings.engine, settings.project, Environment()), load_keys(settings))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def place_of(settings: Settings) -> str:
    """Where the store is, for people: a file, or a database without its password."""
    return open_store(settings.engine, settings.project, Environment()).place


def note_if_idle(settings: Settings, *, project: str | None, engine: str | None) -> None:
    """Say how a run gets on, where no process works this store just now."""
    from wfgen_cli import terminal
    from wfgen_cli.run_filters import live_processes

    async def is_idle() -> bool:
        async with connected(settings) as store:
            return not await live_processes(store)

    if asyncio.run(is_idle()):
        terminal.note(f"No process works this store now: `{command('worker', project=project, engine=engine)}` does.")


def command(*words: str, project: str | None, engine: str | None) -> str:
    """A command line of wfgen that can be copied, with the options that this one was given."""
    options = [] if project is None else ["--project", project]
    options += [] if engine is None else ["--engine", engine]
    return shlex.join(["wfgen", *words, *options])
