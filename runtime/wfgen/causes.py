"""Which operation's error ended a run, so that a retry can begin with it."""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from wfgen.errors import StepError

E = TypeVar("E", bound=BaseException)

_ATTRIBUTE = "_wfgen_key"


def caused_by(error: E, key: str) -> E:
    """Note on an error which operation has raised it; gives it back."""
    setattr(error, _ATTRIBUTE, key)
    return error


def failed_operation(error: BaseException) -> str | None:
    """The key of the operation whose error this is, or is a consequence of; None if none is to blame.

    The error itself is asked first, then what it was raised from, and the members of a group.
    """
    queue: deque[BaseException] = deque([error])
    seen: set[int] = set()
    while queue:
        found = queue.popleft()
        if id(found) in seen:
            continue
        seen.add(id(found))
        key: str | None = getattr(found, _ATTRIBUTE, None) or (found.key if isinstance(found, StepError) else None)
        if key is not None:
            return key
        if isinstance(found, BaseExceptionGroup):
            queue.extend(found.exceptions)
        queue.extend(other for other in (found.__cause__, found.__context__) if other is not None)
    return None
