"""What follows from the facts of single files, kept from one inspection to the next in one process.

A process that watches inspects again and again, and nearly all files are the same as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from wfgen_inspector.facts import FileFacts

C = TypeVar("C")
T = TypeVar("T")


class PerFile(Generic[C, T]):
    """A pure function of one file's facts and of something that all files share, with a memory of one round.

    Args:
        work: the function.
    """

    def __init__(self, work: Callable[[FileFacts, C], T]) -> None:
        self._work = work
        self._shared: C | None = None
        self._known: dict[int, tuple[FileFacts, T]] = {}
        """By identity: comparing facts would take as long as the work."""

    def __call__(self, files: Iterable[FileFacts], shared: C) -> list[T]:
        """The results for some files, in their order; those for other files are forgotten."""
        before = self._known if self._shared == shared else {}
        results = [before.get(id(facts)) or (facts, self._work(facts, shared)) for facts in files]
        self._known, self._shared = {id(pair[0]): pair for pair in results}, shared
        return [result for _, result in results]
