"""How often and when a failed step is tried again.

A step's error has a say: `NonRetryable` ends the attempts, and an attribute `retry_after` (a duration, such as HTTP's
header of that name gives) sets the delay before the next one; `RetryAfter` is an error that has it.
"""

from __future__ import annotations

import contextlib
import math
import random
from dataclasses import dataclass
from datetime import timedelta

from wfgen.durations import Duration, seconds
from wfgen.errors import DefinitionError, InvalidInputError, SerializationError


class NonRetryable(Exception):
    """Raised by a step that would fail again: it is not retried, whatever its policy says."""


class RetryAfter(Exception):
    """Raised by a step that knows when to try again.

    Args:
        message: what went wrong.
        delay: until the next attempt, in place of the policy's.
    """

    def __init__(self, message: str, delay: Duration) -> None:
        super().__init__(message)
        self.retry_after = delay


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy: exponential backoff with jitter.

    The delay after attempt n is `delay * factor ** (n - 1)`, at most `maximum`, and then spread evenly over
    plus and minus `jitter` of itself. An error may ask for another delay with an attribute `retry_after`.
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
    within: Duration | None = None
    """Bound on all attempts and the delays between them, from the start of the first: an attempt that is still at work
    then has timed out, and none begins later. None for no bound. After a crash in the first attempt it counts anew."""
    overlap: bool = True
    """Whether the next attempt may begin while the thread of the last one goes on. The thread of a plain function
    cannot be stopped: when the attempt has timed out, it goes on to its end, and what it returns is refused. With False
    the next attempt waits for that end, at most as long as `within` leaves time. After a crash, or in another process,
    there is nothing to wait for."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise DefinitionError(f"Retry(attempts={self.attempts}): there is at least one attempt.")
        if self.factor < 1 or not 0 <= self.jitter <= 1:
            raise DefinitionError(f"{self!r}: factor is at least 1, jitter between 0 and 1.")
        for duration in (self.delay, self.maximum, *(() if self.within is None else (self.within,))):
            seconds(duration)

    def retries(self, error: BaseException, attempt: int) -> bool:
        """Whether a step goes on after its `attempt`-th failure. What cannot be encoded never gets better."""
        if isinstance(error, (SerializationError, NonRetryable, *self.never)):
            return False
        return attempt < self.attempts and isinstance(error, self.on)

    def deadline(self, first: float) -> float:
        """When all attempts have to be over, if the first began at `first`, in seconds since the epoch."""
        return math.inf if self.within is None else first + seconds(self.within)

    def delay_after(self, attempt: int, error: BaseException, source: random.Random) -> float:
        """Seconds to wait after the `attempt`-th failure; what the error asks for, if that is a duration."""
        asked = getattr(error, "retry_after", None)
        if isinstance(asked, int | float) and not isinstance(asked, bool) and 0 <= asked < math.inf:
            return float(asked)
        if isinstance(asked, str | timedelta):
            with contextlib.suppress(InvalidInputError):
                return seconds(asked)
        plain = min(seconds(self.delay) * self.factor ** min(attempt - 1, 1000), seconds(self.maximum))
        return plain * (1 + self.jitter * source.uniform(-1, 1))


ONCE = Retry(attempts=1)
"""The default: a step that fails, fails."""
