"""Durations: `timedelta`, or text such as `"5m"` and `"1h30m"`."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from wfgen.errors import InvalidInputError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|[smhdw])")
_WHOLE = re.compile(rf"(?:{_PART.pattern} ?)+")

Duration = timedelta | str
"""What every `timeout=` and `sleep` takes."""


def seconds(duration: Duration) -> float:
    """Convert a duration to seconds.

    Text is one or more numbers with a unit (`ms`, `s`, `m`, `h`, `d`, `w`), such as `"90s"` or `"1h30m"`.

    Raises:
        InvalidInputError: the text is no duration, or the duration is negative.
    """
    if isinstance(duration, timedelta):
        value = duration.total_seconds()
        if value < 0:
            raise InvalidInputError(f"a duration cannot be negative: {duration!r}")
        return value
    if not isinstance(duration, str):
        raise InvalidInputError(f"{duration!r} is no duration.", hint='Use a timedelta or text such as "5m".')
    parts = _PART.findall(duration)
    value = float(sum(float(number) * _UNITS[unit] for number, unit in parts))
    if not _WHOLE.fullmatch(duration.strip()) or not math.isfinite(value):
        raise InvalidInputError(
            f"{duration!r} is no duration.", hint='Use a number with ms, s, m, h, d or w, such as "90s" or "1h30m".'
        )
    return value
