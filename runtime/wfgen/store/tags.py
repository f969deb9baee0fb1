"""The tags of a run as its row holds them."""

from __future__ import annotations

import json
from collections.abc import Collection


def dumped(tags: Collection[str]) -> str | None:
    """Tags as the run's row holds them."""
    return json.dumps(list(tags), ensure_ascii=False) if tags else None


def loaded(dumped: str | None) -> tuple[str, ...]:
    """The opposite of `dumped`."""
    return tuple(json.loads(dumped)) if dumped else ()
