"""Whether the file that was opened is still where it was: what is written to a removed file is lost."""

from __future__ import annotations

import os
from pathlib import Path

from wfgen.errors import StoreGoneError


class Presence:
    """Remembers which file a path led to.

    Args:
        path: of a file that is open.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _identity(path)

    def check(self) -> None:
        """Look again.

        Raises:
            StoreGoneError: the path leads to no file, or to another one.
        """
        found = _identity(self._path)
        if found != self._file:
            raise StoreGoneError(
                f"the store {self._path} was {'removed' if found is None else 'replaced'} while it was in use.",
                hint="Nothing more is written. Put the file back, with its -wal file if there is one, and start this "
                "process again.",
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
