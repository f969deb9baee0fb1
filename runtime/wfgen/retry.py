"""How often and when a failed step is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from wfgen.durations import Duration, seconds
from wfgen.errors import DefinitionError, SerializationError


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy: exponential backoff with jitter.

    The delay after attempt n is `delay * factor ** (n - 1)`, at most `maximum`, and then spread evenly over
    plus and minus `jitter` of itself.
    """

    attempts: int = 3
    """Attempts in all, the first included; at least 1."""
    delay: Duration = "1s"
    """Before the second attempt."""
    factor: float = 2.0
    """By which each further delay grows; at least 1."""
    maximum: Duration = "5m"
    """Upper bound of a delay, before jitter."""
    jitter: float = 0.1
    """Share of the delay, 0 to 1."""
    on: tuple[type[BaseException], ...] = (Exception,)
    """Errors that are retried."""
    never: tuple[type[BaseException], ...] = ()
    """Errors that are not, even if `on` has them."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise DefinitionError(f"Retry(attempts={self.attempts}): there is at least one attempt.")
        if self.factor < 1 or not 0 <= self.jitter <= 1:
            raise DefinitionError(f"{self!r}: factor is at least 1, jitter between 0 and 1.")
        for duration in (self.delay, self.maximum):
            seconds(duration)

    def retries(self, error: BaseException, attempt: int) -> bool:
        """Whether a step goes on after its `attempt`-th failure. What cannot be encoded never gets better."""
        if isinstance(error, (SerializationError, *self.never)):
            return False
        return attempt < self.attempts and isinstance(error, self.on)

    def delay_after(self, attempt: int, source: random.Random) -> float:
        """Seconds to wait after the `attempt`-th failure."""
        plain = min(seconds(self.delay) * self.factor ** min(attempt - 1, 1000), seconds(self.maximum))
        return plain * (1 + self.jitter * source.uniform(-1, 1))


ONCE = Retry(attempts=1)
"""The default: a step that fails, fails."""
