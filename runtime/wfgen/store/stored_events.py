"""Events as stores keep them: their data is a text of JSON."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from wfgen.events import Event


def encoded(data: dict[str, Any]) -> str:
    """The data of an event as its row holds it."""
    try:
        return to_json(data).decode()
    except PydanticSerializationError:
        # Text that UTF-8 cannot hold; the standard encoder, four times slower, escapes it.
        return json.dumps(data)


def event_data(data: str) -> dict[str, Any]:
    """The opposite of `encoded`. Raises ValueError: it is damaged."""
    try:
        found: dict[str, Any] = from_json(data)
    except ValueError:
        # Text that UTF-8 cannot hold; the standard decoder, three times slower, takes it.
        found = json.loads(data)
    return found


def last_process(events: list[Event]) -> str | None:
    """The process that held the run last, as far as these events tell."""
    for event in reversed(events):
        if event.type in ("run_claimed", "run_started"):
            return event.data.get("process")
    return None
