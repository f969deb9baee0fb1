"""Durations as text and as `timedelta`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from wfgen.durations import seconds
from wfgen.errors import InvalidInputError


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("250ms", 0.25),
        ("0s", 0),
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("7d", 604800),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1d 12h", 129600),
        (" 5 m ", 300),
        ("1.5h", 5400),
        ("1m500ms", 60.5),
        (timedelta(minutes=5), 300),
        (timedelta(milliseconds=1), 0.001),
        (timedelta(0), 0),
    ],
)
def test_durations_are_seconds(duration: Any, expected: float) -> None:
    """Numbers with units, several of them, with spaces between, and timedeltas."""
    assert seconds(duration) == pytest.approx(expected)


@pytest.mark.parametrize(
    "duration",
    ["", " ", "5", "m", "5 minutes", "5M", "-5m", "+5m", "5m!", "x5m", "1 0s", "1,5h", ".5h", "5.m", "1e3s", "\u0665m"],
)
def test_other_text_is_refused_with_an_example(duration: str) -> None:
    """What is no duration is named, and the message shows what one looks like."""
    with pytest.raises(InvalidInputError, match=r'is no duration.*"90s"') as raised:
        seconds(duration)
    assert repr(duration) in str(raised.value)


def test_a_duration_without_end_is_refused() -> None:
    """A number that is too large for a float is no duration."""
    with pytest.raises(InvalidInputError, match="is no duration"):
        seconds("9" * 400 + "s")


@pytest.mark.parametrize("duration", [5, 1.5, None, True, b"5m", ["5m"]])
def test_other_types_are_refused(duration: Any) -> None:
    """A bare number has no unit and is not guessed."""
    with pytest.raises(InvalidInputError, match="timedelta or text"):
        seconds(duration)


def test_negative_durations_are_refused() -> None:
    """Time does not run backwards."""
    with pytest.raises(InvalidInputError, match="negative"):
        seconds(timedelta(seconds=-1))
