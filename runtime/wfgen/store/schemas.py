"""Which tables a store has, and which ones this wfgen needs: what can be asked of a store that is not open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wfgen.errors import InvalidInputError, StoreError, StoreVersionError


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """The version of a store's tables."""

    place: str
    """Where the store is, for people: a file, or a database without its password."""
    version: int
    """0: there is no store yet."""
    known: int
    """Up to which version this wfgen knows them."""

    @property
    def pending(self) -> Sequence[int]:
        """Versions that migrations are still to lead to, in order; none of a newer store."""
        return range(self.version + 1, self.known + 1)

    def require_current(self) -> None:
        """See that the store can be read as it is.

        Raises:
            StoreError: there is none yet.
            StoreVersionError: its tables are older or newer than what this wfgen reads.
        """
        if self.version == self.known:
            return
        if self.version == 0:
            raise StoreError(f"there is no store {self.place} yet.", hint="The first run makes it, or `wfgen migrate`.")
        hint = "Look with the wfgen that works it"
        hint += ", or bring it up to date with `wfgen migrate`." if self.pending else "."
        raise StoreVersionError(
            f"the store {self.place} has a schema of version {self.version}, this wfgen reads {self.known}.", hint=hint
        )


def check_version(after: int, known: int) -> None:
    """See that there is a schema version `after`.

    Raises:
        InvalidInputError: this wfgen knows none of that number.
    """
    if not 0 <= after <= known:
        raise InvalidInputError(
            f"there is no schema version {after}.",
            hint=f"This wfgen knows 0 (no tables) to {known}: `wfgen migrate --status`.",
        )


class SchemaStore(Protocol):
    """What every store tells of its tables; part of `Store`. All of it also works while the store is closed."""

    @property
    def place(self) -> str:
        """Where it is, for people: a file, or a database without its password."""
        ...

    async def schema(self) -> SchemaStatus:
        """Look which tables there are, over a connection of its own. Writes nothing, and refuses no version.

        Raises:
            StoreFormatError: something else is in its place.
            StoreError: it cannot be looked at.
        """
        ...

    def migration_script(self, after: int = 0) -> str:
        """The SQL with which somebody who may do that makes the tables, or brings those of version `after` up to date.

        It ends in the state that `open` would have made, and is for the database's own client.

        Raises:
            InvalidInputError: there is no such version.
        """
        ...
