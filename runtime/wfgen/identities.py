"""What tells the operations of a run apart, and what derives from that: keys, tokens, random values."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any

from wfgen.checkpoints import effects_origin, marker, seed_origin, seeds
from wfgen.events import Event
from wfgen.ids import HookToken, JobId
from wfgen.loop import BranchTask
from wfgen.store.records import RunRecord


class Identities:
    """Gives each operation its key, and what derives from the run, the key and what was delivered last.

    Args:
        run: the run.
        events: what counts of it since it was last started or continued.
        recorded: tokens and child ids by key, as they were recorded.
    """

    def __init__(self, run: RunRecord, events: Sequence[Event], recorded: Mapping[str | None, str]) -> None:
        origin = f"{run.salt}/{events[0].seq}"
        back = marker(events)
        self.origin = origin if back is None else f"{origin}/{back.seq}"
        """From which the tokens and the ids of children and jobs derive that are not recorded; another one each time
        the run is taken back."""
        self._run_id = run.run_id
        self._recorded = recorded
        self._effects = effects_origin(events, origin)
        self._seeds = list(seeds(events, seed_origin(run.salt, events[0].seq)))
        self._last_completion = "start"
        self.last_seq = events[0].seq
        """Number of the last delivered event."""
        self._draws: Counter[tuple[str, str]] = Counter()

    def delivered(self, event: Event) -> None:
        """The code goes on from this event."""
        self._last_completion = event.key or event.type
        self.last_seq = event.seq
        if self._draws:
            self._draws.clear()

    def key(self, task: BranchTask[Any], branch: str | None, name: str, taken: Container[str]) -> str:
        """Branch, name and occurrence of the next operation of that name; without a branch that of the task."""
        slot = name if branch is None else f"{branch}/{name}"
        branch = branch or task.branch
        count = task.occurrences.get(slot, 0) + 1
        key = f"{branch}/{name}" if count == 1 else f"{branch}/{name}#{count}"
        while key in taken:  # a step that is really called `name#2`
            count += 1
            key = f"{branch}/{name}#{count}"
        task.occurrences[slot] = count
        return key

    def token(self, key: str) -> HookToken:
        """What resumes the hook of that key."""
        known = self._recorded.get(key)
        if known is None:
            known = f"hook_{hashlib.sha256(f'{self.origin}/{self._run_id}/{key}'.encode()).hexdigest()[:32]}"
        return HookToken(known)

    def job_id(self, key: str) -> JobId:
        """That of the job of the step of that key."""
        known = self._recorded.get(key)
        if known is None:
            known = f"job_{hashlib.sha256(f'{self.origin}/{self._run_id}/{key}'.encode()).hexdigest()[:32]}"
        return JobId(known)

    def idempotency_key(self, key: str) -> str:
        """What tells the effects of one step from those of all others: the same in every attempt and process."""
        digest = hashlib.sha256(f"{self._effects}/{key}".encode()).hexdigest()
        return f"{self._run_id}-{digest[:32]}"

    def seed(self, branch: str, name: str) -> int:
        """A number that is the same in every replay, and another one at each call."""
        self._draws[branch, name] += 1
        origin = next(text for text, until in self._seeds if self.last_seq < until)
        text = f"{origin}/{branch}/{self._last_completion}/{name}/{self._draws[branch, name]}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16])
