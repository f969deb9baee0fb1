"""How a job is tried, as it travels with the job: the process that takes it need not know the workflow.

Types of errors travel by their qualified names. An error is one of a type if its class, or one that this derives from,
has that name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from wfgen.durations import seconds
from wfgen.errors import SerializationError
from wfgen.retry import NonRetryable, Retry
from wfgen.step_options import Validate


def type_name(kind: type[BaseException]) -> str:
    """The name of an error's type: `ValueError`, `shop.errors.OutOfStock`."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


@dataclass(frozen=True, slots=True)
class NamedRetry(Retry):
    """A retry policy whose errors are known by name alone."""

    on_names: frozenset[str] = frozenset()
    never_names: frozenset[str] = frozenset()

    def retries(self, error: BaseException, attempt: int) -> bool:
        """Whether a job goes on after its `attempt`-th failure."""
        names = {type_name(kind) for kind in type(error).__mro__ if issubclass(kind, BaseException)}
        if isinstance(error, (SerializationError, NonRetryable)) or names & self.never_names:
            return False
        return attempt < self.attempts and bool(names & self.on_names)


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """How a job is tried."""

    retry: Retry
    timeout: float | None
    """Seconds of one attempt."""
    validate: Validate | None
    """What becomes of a result that does not fit its type."""

    def dump(self) -> str:
        """As JSON."""
        retry = self.retry
        return json.dumps(
            {
                "attempts": retry.attempts,
                "delay": seconds(retry.delay),
                "factor": retry.factor,
                "maximum": seconds(retry.maximum),
                "jitter": retry.jitter,
                "on": sorted(map(type_name, retry.on)),
                "never": sorted(map(type_name, retry.never)),
                "within": None if retry.within is None else seconds(retry.within),
                "overlap": retry.overlap,
                "timeout": self.timeout,
                "validate": self.validate,
            }
        )

    @classmethod
    def load(cls, dumped: str) -> JobPolicy:
        """The opposite of `dump`; what an older or newer version leaves out has its default."""
        found: dict[str, Any] = json.loads(dumped)
        plain: dict[str, Any] = {
            name: found[name] for name in ("attempts", "factor", "jitter", "overlap") if name in found
        }
        for name in ("delay", "maximum", "within"):
            if found.get(name) is not None:
                plain[name] = timedelta(seconds=found[name])
        retry = NamedRetry(
            **{"attempts": 1, **plain},
            on_names=frozenset(found.get("on", ["Exception"])),
            never_names=frozenset(found.get("never", [])),
        )
        return cls(retry, found.get("timeout"), cast("Validate | None", found.get("validate")))
