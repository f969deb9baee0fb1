"""A store that knows whether anything is under way in it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from wfgen.store.protocol import Store
from wfgen.store.records import Append, Verdict


class WatchedStore:
    """Counts what was asked of a store and is not answered yet; everything else is the store's own.

    Args:
        store: the store; it must be open.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.under_way = 0

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        """As the store's own."""
        self.under_way += 1

        def settle(verdict: Verdict) -> None:
            self.under_way -= 1
            done(verdict)

        self._store.append(append, settle)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not inspect.iscoroutinefunction(found):
            return found

        @functools.wraps(found)
        async def counted(*arguments: Any, **keywords: Any) -> Any:
            self.under_way += 1
            try:
                return await found(*arguments, **keywords)
            finally:
                self.under_way -= 1

        vars(self)[name] = counted
        return counted
