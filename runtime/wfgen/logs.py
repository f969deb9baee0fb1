"""Loggers: what `workflow.log` and `job.log` write to, and adapters for standard logging and structlog."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

TRACE = 5
"""Level of trace lines in standard logging, below DEBUG."""

_OPTIONS = frozenset({"exc_info", "stack_info", "extra"})
"""Keywords that standard logging has itself."""
_RUN = frozenset({"run_id", "workflow", "version", "step", "attempt"})
"""What the engine binds: attributes of the record, not part of its text."""
_TAKEN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


@runtime_checkable
class Logger(Protocol):
    """What a run logs to. A message may have `%` arguments; keywords are metadata of the line.

    `exc_info=True` is the one keyword with a meaning: the exception that is being handled belongs to the line.
    """

    def trace(self, message: str, /, *args: Any, **metadata: Any) -> None:
        """Below debug: what happens in detail."""
        ...

    def debug(self, message: str, /, *args: Any, **metadata: Any) -> None:
        """For those who look for a fault."""
        ...

    def info(self, message: str, /, *args: Any, **metadata: Any) -> None:
        """What has happened."""
        ...

    def warning(self, message: str, /, *args: Any, **metadata: Any) -> None:
        """Somebody should look at it."""
        ...

    def error(self, message: str, /, *args: Any, **metadata: Any) -> None:
        """Something went wrong."""
        ...

    def child(self, **bound: Any) -> Logger:
        """A logger that adds metadata to each line."""
        ...


class StandardLogger:
    """Logs to Python's `logging`; metadata are attributes of the record, and stand behind its text as `key=value`.

    The run's ids (run_id, workflow, version, step, attempt) are attributes alone: a format shows them with
    `%(run_id)s`. A key that a record has already gets a `_` behind it: `name` becomes `name_`.

    Args:
        name: of the logger below which the lines appear.
        bound: metadata of each line.
    """

    def __init__(self, name: str = "wfgen.run", bound: Mapping[str, Any] | None = None) -> None:
        if logging.getLevelName(TRACE) == f"Level {TRACE}":  # a name that the application gave stays
            logging.addLevelName(TRACE, "TRACE")
        self._logger = logging.getLogger(name)
        self._bound = dict(bound or {})

    def trace(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._log(TRACE, message, args, metadata)

    def debug(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._log(logging.DEBUG, message, args, metadata)

    def info(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._log(logging.INFO, message, args, metadata)

    def warning(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._log(logging.WARNING, message, args, metadata)

    def error(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._log(logging.ERROR, message, args, metadata)

    def child(self, **bound: Any) -> Self:
        """A logger of the same name that adds metadata to each line."""
        return type(self)(self._logger.name, {**self._bound, **bound})

    def _log(self, level: int, message: str, args: tuple[Any, ...], metadata: dict[str, Any]) -> None:
        if not self._logger.isEnabledFor(level):
            return
        options = {key: metadata.pop(key) for key in _OPTIONS & metadata.keys()}
        metadata = {**self._bound, **metadata}
        shown = "".join(f" {key}={value!r}" for key, value in metadata.items() if key not in _RUN)
        extra = {f"{key}_" if key in _TAKEN else key: value for key, value in metadata.items()}
        options["extra"] = {**extra, **options.get("extra", {})}
        # With arguments the text is a `%` template.
        text = message + (shown.replace("%", "%%") if args else shown)
        self._logger.log(level, text, *args, stacklevel=_depth(), **options)


def _depth() -> int:
    """The `stacklevel` of who logs: frames from `_log` outwards that are wfgen's own."""
    level, frame = 1, sys._getframe(1)
    while frame.f_globals.get("__name__") in (__name__, "wfgen.runlog") and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    return level


class StructlogLogger:
    """Logs to structlog, which has no level below debug: trace lines are debug lines with `trace=True`.

    Args:
        logger: a structlog logger; default `structlog.get_logger()`.

    Raises:
        ImportError: structlog is not installed; it comes with `pip install "wfgen-runtime[structlog]"`.
    """

    def __init__(self, logger: Any = None) -> None:
        if logger is None:
            import structlog

            logger = structlog.get_logger()
        self._logger = logger

    def trace(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._logger.debug(message, *args, **_named({"trace": True, **metadata}))

    def debug(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._logger.debug(message, *args, **_named(metadata))

    def info(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._logger.info(message, *args, **_named(metadata))

    def warning(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._logger.warning(message, *args, **_named(metadata))

    def error(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._logger.error(message, *args, **_named(metadata))

    def child(self, **bound: Any) -> Self:
        """A logger that adds metadata to each line."""
        return type(self)(self._logger.bind(**_named(bound)))


def _named(metadata: dict[str, Any]) -> dict[str, Any]:
    """structlog calls the message `event`."""
    if "event" in metadata:
        metadata = {**metadata, "event_": metadata["event"]}
        del metadata["event"]
    return metadata
