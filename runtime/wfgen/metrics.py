"""Numbers that a run's code reports: how often, how much, how long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

log = logging.getLogger("wfgen.engine")

Tags = Mapping[str, str]


@runtime_checkable
class Metrics(Protocol):
    """Where the numbers of all runs of a process go. Called on the engine's loop and in threads of steps; quick."""

    def count(self, name: str, n: float, tags: Tags) -> None:
        """Something happened, `n` times."""
        ...

    def gauge(self, name: str, value: float, tags: Tags) -> None:
        """Something stands at a value now."""
        ...

    def timing(self, name: str, seconds: float, tags: Tags) -> None:
        """Something took so long."""
        ...


class RunMetrics:
    """`workflow.metrics`: adds the workflow's name and version as tags, and is silent while history is replayed.

    What a process reported right before it crashed may be reported again by the next one. What the process's metrics
    raise goes to the engine's log.

    Args:
        sink: the process's metrics; None to drop them.
        tags: of each number.
        replaying: whether history is being replayed.
    """

    def __init__(self, sink: Metrics | None, tags: Tags, replaying: Callable[[], bool]) -> None:
        self._sink = sink
        self._tags = tags
        self._replaying = replaying

    def count(self, name: str, n: float = 1, **tags: str) -> None:
        """Say that something happened, `n` times."""
        if self._sink is not None:
            self._pass_on(self._sink.count, name, n, tags)

    def gauge(self, name: str, value: float, **tags: str) -> None:
        """Say at what value something stands now."""
        if self._sink is not None:
            self._pass_on(self._sink.gauge, name, value, tags)

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """Say how many seconds something took."""
        if self._sink is not None:
            self._pass_on(self._sink.timing, name, seconds, tags)

    def _pass_on(self, method: Callable[[str, float, Tags], None], name: str, value: float, tags: Tags) -> None:
        if self._replaying():
            return
        try:
            method(name, value, {**self._tags, **tags})
        except Exception:
            log.exception("the metrics of this process cannot take %r", name)
