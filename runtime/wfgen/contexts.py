"""The context of a run: its type, and what makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import TypeVar

from wfgen.runinfo import RunStart

Ctx_co = TypeVar("Ctx_co", covariant=True, default=Any)
"""The type of a run's context; Any where it is not named."""

ContextFactory = Callable[[Any, RunStart], Any]
"""Makes a run's context from the process's dependencies and the run, its input included."""
