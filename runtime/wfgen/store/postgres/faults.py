"""What can be wrong with a PostgreSQL store, as wfgen's own errors: nobody above sees a bare `psycopg.Error`."""

from __future__ import annotations

import psycopg
from psycopg import errors

from wfgen.errors import (
    StoreAccessError,
    StoreBusyError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreGoneError,
    StoreUnreachableError,
)
from wfgen.store import refusals

_AGAIN = frozenset({"40P01", "40001"})
"""Deadlocks and failed serialisation: the same may be done again at once."""
_BUSY = _AGAIN | {"55P03", "57014"}
_LOST = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "53300", "25P04"})
_GONE = frozenset({"42P01", "42883", "3F000", "42703"})
_RIGHTS = (
    "The user needs USAGE on the schema and rights on its tables, or CREATE on the database if `wfgen migrate` is to "
    "make them."
)
_LOGIN = (
    "Check user and password; the password may be in PGPASSWORD, in the URL, or in a .pgpass file that nobody else may "
    "read."
)
_TLS = "See sslmode and sslrootcert in the engine URL, and whether the server has TLS (ssl = on)."
_SERVER_REFUSES = (
    (("too many",), ""),  # connections for this user: not for ever
    (("pg_hba.conf",), "Have the server's pg_hba.conf admit this user from here; for TLS, `?sslmode=require`."),
    (("authentication", "password", "role ", "no such user"), _LOGIN),
    (("permission denied",), "GRANT CONNECT ON DATABASE … TO this user."),
    (("does not exist", "no such database"), "Create the database, or correct the URL."),
)
"""What is said of connections, with advice; without: it may be tried again."""
_LIBPQ_REFUSES = (
    (("no password supplied", "authentication"), _LOGIN),
    (("SSL was required", "certificate verify failed", "root certificate", "server certificate"), _TLS),
)


def is_passing(error: BaseException) -> bool:
    """Whether two transactions were in each other's way: one of them begins again."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _AGAIN


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that nobody knows what became of the statement that was under way."""
    if not isinstance(error, psycopg.Error):
        return isinstance(error, OSError)
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return state in _LOST or state.startswith("08")


def strikes_all(error: BaseException) -> bool:
    """Whether the server, the connection or the disk is at fault, and not the one operation that met the error."""
    if is_lost(error):
        return True
    state = getattr(error, "sqlstate", None) or ""
    return state in _BUSY | _GONE or state.startswith(("53", "58", "XX", "28")) or state in ("25006", "42501")


def fault(error: BaseException, place: str) -> StoreError:
    """The store error for what psycopg or the system raised while the store at `place` was used."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, UnicodeEncodeError):
        return refusals.not_utf8(error)
    state = getattr(error, "sqlstate", None) or ""
    said = _said(error)
    what = f"the store {place}"
    if is_lost(error):
        return _refused(what, said) or StoreUnreachableError(
            f"{what} cannot be reached: {said}.",
            hint="See that the server runs and that this machine gets to it; what was asked of it may be tried again.",
        )
    if state == "57014":
        return StoreBusyError(
            f"{what} did not do in time what was asked: {said}.",
            hint="Raise the user's statement_timeout if it is short, and look in pg_stat_activity for what takes long.",
        )
    if state in _BUSY:
        return StoreBusyError(
            f"{what} is locked by another program: {said}.",
            hint="End long transactions of others on its tables (see pg_stat_activity), then try again.",
        )
    if state.startswith("53") or state == "25006":
        return StoreFullError(
            f"{what} cannot be written: {said}.",
            hint="Make room on the server, or point the URL to one that may be written to; nothing recorded is lost.",
        )
    if state.startswith("28") or state == "42501":
        return StoreAccessError(f"{what} refuses this user: {said}.", hint=_LOGIN if state < "29" else _RIGHTS)
    if state in _GONE:
        return StoreGoneError(
            f"{what} has lost its tables, or was never made: {said}.",
            hint="Put the schema back from a backup, or start with another one: `?schema=` in the engine URL.",
        )
    if state.startswith(("XX", "58")):
        return StoreFormatError(f"{what} is damaged: {said}.", hint="See the server's log; restore it from a backup.")
    return StoreError(f"{what} failed: {type(error).__name__}: {said}.")


def _refused(what: str, said: str) -> StoreError | None:
    """Of a connection that was refused, for libpq gives no code then: a server that this user or URL does not suit."""
    is_server = "FATAL:" in said
    text = said.rpartition("FATAL:" if is_server else " failed: ")[2].strip()
    for words, hint in _SERVER_REFUSES if is_server else _LIBPQ_REFUSES:
        if any(word in text for word in words):
            return StoreAccessError(f"{what} cannot be opened: {text}.", hint=hint) if hint else None
    return None


def _said(error: BaseException) -> str:
    """What the server says, on one line, or libpq, without its questions."""
    diagnosis = error.diag.message_primary if isinstance(error, errors.Error) else None
    text = diagnosis or str(error).partition("\n\tIs the server running")[0] or type(error).__name__
    return " ".join(text.split()).rstrip(".")
