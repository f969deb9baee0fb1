"""Text on its way to PostgreSQL, whose text columns hold neither NUL characters nor what UTF-8 cannot."""

from __future__ import annotations

from psycopg import AsyncConnection
from psycopg.adapt import Buffer
from psycopg.types.string import StrBinaryDumper, StrDumper


def cleaned(text: str) -> str:
    """Text as it is kept: names of files that are not text, and messages that repeat them, do not lose a run."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text.encode("utf-8", "backslashreplace").decode()


class CleanText(StrDumper):
    """Sends text as it can be kept."""

    def dump(self, obj: str) -> Buffer | None:
        """Gives the text as bytes."""
        return cleaned(obj).encode()


class CleanBinaryText(StrBinaryDumper):
    """The same, in arrays."""

    def dump(self, obj: str) -> Buffer | None:
        """Gives the text as bytes."""
        return cleaned(obj).encode()


def register(connection: AsyncConnection[object]) -> None:
    """Let all texts that a connection sends be cleaned, those in arrays, too."""
    connection.adapters.register_dumper(str, CleanBinaryText)
    connection.adapters.register_dumper(str, CleanText)
