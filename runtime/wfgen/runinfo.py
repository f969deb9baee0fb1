"""What code around a run is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wfgen.ids import RunId


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run, as middleware and handlers are told of it."""

    run_id: RunId
    workflow: str
    """The workflow's name."""
    version: str
    tags: tuple[str, ...] = ()
    """Its workflow's tags and those of its start, sorted."""


@dataclass(frozen=True, slots=True)
class RunStart(RunInfo):
    """A run, as context factories are told of it."""

    input: Any = None
    """What its code is called with; None without input."""
