"""What code around a run is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from wfgen.ids import RunId


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run, as context factories, middleware and handlers are told of it."""

    run_id: RunId
    workflow: str
    """The workflow's name."""
    version: str
    tags: tuple[str, ...] = ()
    """Its workflow's tags and those of its start, sorted."""
