"""Answers to hooks, arranged beforehand and given in order."""

from __future__ import annotations

import inspect
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from wfgen.events import Event
from wfgen.ids import HookToken, RunId
from wfgen.testing.errors import AnswerError, UnreachedError

if TYPE_CHECKING:
    from wfgen.runs import Run


_NUMBER = re.compile(r"#\d+$")


class Answers:
    """Payloads for the hooks that runs open, by the hooks' names.

    Args:
        send: resumes a hook by its token.
        run: a handle on a run, for answers that are functions.
        failed: told of an answer that its hook has refused.
    """

    def __init__(
        self,
        send: Callable[[Any, HookToken, str], Awaitable[None]],
        run: Callable[[RunId], Run[Any]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._send = send
        self._run = run
        self._failed = failed
        self._queues: dict[str, deque[Any]] = {}
        self._answered: set[str] = set()

    def add(self, name: str, payloads: tuple[Any, ...]) -> None:
        """Keep answers for the next hooks of a name."""
        self._queues.setdefault(name, deque()).extend(payloads)

    def take(self, run_id: RunId, token: HookToken, name: str) -> Coroutine[Any, Any, None] | None:
        """A hook is open: what answers it, if an answer is kept for it."""
        # A key tells hooks of one name apart by a number, but a hook may also be really called so.
        queue = self._queues.get(name) or self._queues.get(_NUMBER.sub("", name))
        if not queue or token in self._answered:
            return None
        self._answered.add(token)
        payload = queue.popleft()

        async def answer() -> None:
            given = payload
            if callable(given) and not isinstance(given, type):
                given = given(self._run(run_id))
                given = await given if inspect.isawaitable(given) else given
            await self._send(given, token, name)

        return answer()

    def recorded(self, event: Event) -> None:
        """An event is durable: an answer of ours that does not fit its hook is the test's mistake."""
        if event.type == "hook_rejected" and event.data.get("token") in self._answered:
            name = (event.key or "").partition("/")[2]
            self._failed(AnswerError(f"the answer to hook {name!r} does not fit it: {event.data.get('error')}"))

    def check_reached(self) -> None:
        """Fail for answers that no hook has asked for.

        Raises:
            UnreachedError: there are some.
        """
        left = [f"{len(queue)} to hook {name!r}" for name, queue in self._queues.items() if queue]
        if left:
            raise UnreachedError(
                f"answers were arranged that no run asked for: {', '.join(left)}.",
                "Compare the names with those of the workflow's hooks.",
            )
