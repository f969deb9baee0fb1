"""Whether a database has the store's tables, and in which version; making them, or bringing them up to date."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from wfgen.environment import Clock
from wfgen.errors import StoreAccessError, StoreError, StoreFormatError, StoreVersionError
from wfgen.store.postgres.address import Address
from wfgen.store.postgres.schema import MIGRATIONS, Migration, functions

OLDEST = 14
"""Major version of the oldest server that will do."""

_CLOCK = """CREATE OR REPLACE FUNCTION now_seconds() RETURNS double precision LANGUAGE sql VOLATILE
    AS $$ SELECT coalesce(nullif(current_setting('wfgen.now', true), '')::double precision,
        extract(epoch FROM clock_timestamp())::double precision) $$"""
"""For tests: the time is that which a store sends along, of the clock that it was given."""


async def prepare(
    connection: AsyncConnection[Any],
    address: Address,
    clock: Clock | None,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> None:
    """Make the tables, or bring them up to date, if need be.

    Raises:
        StoreVersionError: a newer wfgen made them. They are left as they are.
        StoreFormatError: the schema holds something else.
        StoreAccessError: they are to be made, and this user may not.
        StoreError: the server is too old, or keeps its texts in another encoding than UTF-8.
        psycopg.Error: anything else.
    """
    await check_server(connection, address)
    if await _known_version(connection, address, migrations) < len(migrations):
        try:
            async with connection.transaction():
                # Others wait here, and then find it done.
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_lock(address),))
                version = await _known_version(connection, address, migrations)
                if version < len(migrations):
                    await connection.execute(body(address, version, migrations).encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise StoreAccessError(
                f"the store {address.place} cannot be made: {error.diag.message_primary or error}.",
                hint="Give this user CREATE on the database, or have somebody who has it run `wfgen migrate` or what "
                "`wfgen migrate --sql` prints.",
            ) from error
    if clock is not None:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_lock(address),))
            await connection.execute(f"SET LOCAL search_path = {_quoted(address)}".encode())
            await connection.execute(_CLOCK)


async def check_server(connection: AsyncConnection[Any], address: Address) -> None:
    """Raises StoreError for a server that will not do."""
    if connection.info.server_version < OLDEST * 10000:
        raise StoreError(
            f"the store {address.place} is on PostgreSQL {connection.info.server_version // 10000}, which is too old.",
            hint=f"wfgen needs PostgreSQL {OLDEST} or later.",
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(
            f"the store {address.place} is in a database whose encoding is {encoding}.",
            hint="Create one with UTF-8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
        )


async def version_of(connection: AsyncConnection[Any], address: Address) -> int:
    """The version of the tables, which may be newer than any that is known; 0 if there are none.

    Raises:
        StoreFormatError: the schema holds something else.
    """
    cursor = await connection.execute(
        "SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        (address.schema,),
    )
    tables = {name for (name,) in await cursor.fetchall()}
    if not tables:
        return 0
    if not {"meta", "runs", "events"} <= tables:
        raise StoreFormatError(
            f"the schema of the store {address.place} holds tables of something else.",
            hint="Give the store a schema of its own: `?schema=` in the engine URL.",
        )
    cursor = await connection.execute(f"SELECT value FROM {_quoted(address)}.meta WHERE name = 'version'".encode())
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def _known_version(connection: AsyncConnection[Any], address: Address, migrations: Sequence[Migration]) -> int:
    version = await version_of(connection, address)
    if version > len(migrations):
        raise StoreVersionError(
            f"the store {address.place} was written by a newer wfgen: its schema is version {version}, this one knows "
            f"up to {len(migrations)}.",
            hint="Upgrade wfgen-runtime, or choose another schema: `?schema=` in the engine URL.",
        )
    return version


def script(address: Address, after: int = 0, migrations: Sequence[Migration] = MIGRATIONS) -> str:
    """What `prepare` runs on tables of version `after`, for psql."""
    return f"BEGIN;\nSELECT pg_advisory_xact_lock({_lock(address)});\n{body(address, after, migrations)}COMMIT;\n"


def body(address: Address, after: int, migrations: Sequence[Migration]) -> str:
    """The statements inside the transaction."""
    schema = _quoted(address)
    # CREATE SCHEMA IF NOT EXISTS would ask for the right to create one also where it is there already.
    begin = (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = {_literal(address)}) THEN"
        f" CREATE SCHEMA {schema}; END IF; END $$;\n"
    )
    return (
        f"{begin if after == 0 else ''}SET LOCAL search_path = {schema};\n"
        + "\n".join(migrations[after:])
        + functions()
        + f"INSERT INTO meta (name, value) VALUES ('version', '{len(migrations)}')"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value;\n"
    )


def _quoted(address: Address) -> str:
    return sql.Identifier(address.schema).as_string()


def _literal(address: Address) -> str:
    return sql.Literal(address.schema).as_string()


def _lock(address: Address) -> int:
    """Number of the advisory lock of a schema."""
    return 0x7766_676E_0000_0000 | zlib.crc32(address.schema.encode())
