"""The logger of a run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Binds the run's id and workflow to every line, and is silent while history is replayed."""

    def __init__(self, run_id: str, workflow: str, replaying: Callable[[], bool]) -> None:
        super().__init__(logging.getLogger(f"wfgen.run.{workflow}"), {"run_id": run_id, "workflow": workflow})
        self._replaying = replaying

    def isEnabledFor(self, level: int) -> bool:
        return not self._replaying() and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs
