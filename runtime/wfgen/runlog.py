"""The logger of a run: silent while history is replayed, and never what a run fails of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from wfgen.logs import Logger

log = logging.getLogger("wfgen.engine")


class RunLogger:
    """Passes on what is logged, unless it was logged before: in a replay it says nothing.

    What the process's logger raises goes to the engine's log: a run and its replays must not depend on it.

    Args:
        logger: where lines go.
        replaying: whether history is being replayed.
    """

    def __init__(self, logger: Logger, replaying: Callable[[], bool]) -> None:
        self._logger = logger
        self._replaying = replaying

    def trace(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._pass_on(self._logger.trace, message, args, metadata)

    def debug(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._pass_on(self._logger.debug, message, args, metadata)

    def info(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._pass_on(self._logger.info, message, args, metadata)

    def warning(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._pass_on(self._logger.warning, message, args, metadata)

    def error(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._pass_on(self._logger.error, message, args, metadata)

    def child(self, **bound: Any) -> RunLogger:
        """A logger that adds metadata to each line, as silent in a replay."""
        return RunLogger(self._logger.child(**bound), self._replaying)

    def _pass_on(
        self, method: Callable[..., None], message: str, args: tuple[Any, ...], metadata: dict[str, Any]
    ) -> None:
        if self._replaying():
            return
        try:
            method(message, *args, **metadata)
        except Exception:
            log.exception("a line of a run could not be logged: %r", message)
