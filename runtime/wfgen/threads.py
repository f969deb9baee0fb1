"""Calling plain functions in threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_thread(call: Callable[[], T]) -> T:
    """Call a function, so that what it raises reaches who waits for its thread.

    A future cannot hold a StopIteration, and would never be done; and a KeyboardInterrupt that a thread raises is not
    the user's, which goes to the main thread.

    Raises:
        RuntimeError: it raised one of these, as a coroutine that raises StopIteration does.
    """
    try:
        return call()
    except (StopIteration, KeyboardInterrupt) as error:
        raise RuntimeError(f"the function raised {type(error).__name__}: {error}".rstrip(": ")) from error
