"""Poolers between a process and the server: a connection of the store must keep its session."""

from __future__ import annotations

import uuid
from typing import Any

from psycopg import AsyncConnection, Connection, sql

from wfgen.errors import StoreError
from wfgen.store.postgres.address import Address

_HEARD = 5.0
"""Seconds within which a notification must come through."""


def is_pooled(connection: AsyncConnection[Any] | Connection[Any], pid: int) -> bool:
    """Whether there is a pooler in between: it gives its clients numbers of its own to cancel by.

    Args:
        connection: to whatever is there.
        pid: what `pg_backend_pid()` gives over it.
    """
    return connection.info.backend_pid != pid


async def require_session(connection: AsyncConnection[Any], address: Address) -> None:
    """See that a connection has a session of the server for itself, also between two transactions.

    Else others would get its search path and its other settings, and it theirs. It shows by a notification for a
    connection that does nothing: a pooler that has lent the session to somebody else cannot forward it. Nothing is set
    before that is known.

    Args:
        connection: in autocommit mode, and as the server makes it.
        address: what it is connected to.

    Raises:
        StoreError: it has none.
        psycopg.Error: anything else.
    """
    cursor = await connection.execute("SELECT pg_backend_pid()")
    row = await cursor.fetchone()
    if row is None or not is_pooled(connection, row[0]):
        return
    channel = f"wfgen_{uuid.uuid4().hex}"
    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    parameters: dict[str, Any] = dict(address.parameters)
    async with await AsyncConnection.connect(autocommit=True, **parameters) as other:
        await other.execute("SELECT pg_notify(%s, '')", (channel,))
        heard = [one async for one in connection.notifies(timeout=_HEARD, stop_after=1)]
    if not heard:
        raise StoreError(
            f"the store {address.place} is behind a pooler that lends connections for a transaction or a statement, "
            "not for a session: notifications get lost.",
            hint="Connect to the server itself, or to a pool of the pooler's session mode (pgbouncer: pool_mode = "
            "session).",
        )
    await connection.execute(sql.SQL("UNLISTEN {}").format(sql.Identifier(channel)))
