"""What must hold when all is over, whatever happened."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from wfgen.engine import Engine
from wfgen.events import COMPLETIONS, Event
from wfgen.store.records import RunRecord

from .crew import Stop
from .effects import Effect
from .flows import JOBS, ONCE, STEPS, expected

CLOCKS = 0.25
"""Seconds by which the time of an event, which its process reads before it is recorded, may be off."""
WAKING = 1.0
"""Seconds in which a process that was stopped may begin what it was about to begin."""

INTERRUPTED = "wfgen.errors.StepInterruptedError"


@dataclass
class Judge:
    """Looks at the store and the effects; keeps what is wrong.

    Args:
        effects: all of them.
        stops: when workers stood still.
    """

    effects: Sequence[Effect]
    stops: Sequence[Stop]
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Of what was seen, for people; and so that a test can tell that it did happen."""

    async def look(self, engine: Engine, runs: int) -> None:
        """Look at everything; there must be so many runs, each with a child."""
        by_step: dict[tuple[str, str], list[Effect]] = defaultdict(list)
        for effect in self.effects:
            by_step[effect.run, effect.key].append(effect)
        before: str | None = None
        numbers: Counter[tuple[str, int]] = Counter()
        while page := await engine.store.list_runs(limit=500, before=before):
            before = page[-1].run_id
            for run in page:
                numbers[run.workflow, json.loads(run.input or b"null")] += 1
                history = await engine.store.history(run.run_id)
                self._run(run, history)
                self._steps(run, history, by_step)
        if numbers != {(workflow, number): 1 for workflow in STEPS for number in range(runs)}:
            self.problems.append(f"there are other runs than were started: {numbers}")
        self.problems += [f"{key} of no run that there is has an effect" for key in by_step]
        await self._jobs(engine)
        self.problems += [f"hook {hook.name} of run {hook.run_id} is open" for hook in await engine.store.hooks()]
        self.counts["effects"] = len(self.effects)
        self.counts["effects of a further attempt"] = sum(effect.attempt > 1 for effect in self.effects)
        self.counts["effects that had to wait"] = sum(effect.delayed for effect in self.effects)

    def _wrong(self, run: RunRecord, what: str) -> None:
        self.problems.append(f"run {run.run_id} ({run.workflow} {(run.input or b'').decode()}): {what}")

    def _run(self, run: RunRecord, history: Sequence[Event]) -> None:
        number = json.loads(run.input or b"null")
        if run.status != "completed" or run.output is None:
            self._wrong(run, f"is {run.status}: {run.error}")
            return
        wanted, result = expected(number), json.loads(run.output)
        if run.workflow == "below":
            wanted = wanted[7]
        else:  # what runs at most once may have been interrupted
            for place in (5, 6):
                if result[place] == INTERRUPTED:
                    self.counts["interrupted"] += 1
                    result[place] = wanted[place]
        if result != wanted:
            self._wrong(run, f"its result is {result}, not {wanted}")
        if [event.seq for event in history] != list(range(1, len(history) + 1)):
            self._wrong(run, f"its events are numbered {[event.seq for event in history]}")
        if [history[0].type, history[-1].type] != ["run_started", "run_completed"]:
            self._wrong(run, f"it goes from {history[0].type} to {history[-1].type}")
        twice = [key for key, count in _ends(history).items() if count > 1]
        if twice:
            self._wrong(run, f"{twice} have more than one end")
        opened = {e.key for e in history if e.type in ("timer_set", "hook_created", "job_created", "child_started")}
        if opened - _ends(history).keys():
            self._wrong(run, f"{opened - _ends(history).keys()} have no end")
        self.counts["taken over"] += any(event.type == "run_claimed" for event in history)
        if run.owner is not None:
            self._wrong(run, f"it is still held by {run.owner}")

    def _steps(self, run: RunRecord, history: Sequence[Event], by_step: dict[tuple[str, str], list[Effect]]) -> None:
        completed = {event.key or "": event for event in history if event.type == "step_completed"}
        failed = {event.key or "": event for event in history if event.type == "step_failed"}
        if {_name(key) for key in (*completed, *failed)} != STEPS[run.workflow]:
            self._wrong(run, f"the steps {sorted((*completed, *failed))} have ended")
        for key, event in failed.items():
            if _name(key) not in ONCE or event.data.get("error_type") != INTERRUPTED:
                self._wrong(run, f"{key} has failed: {event.data}")
        for key in (*completed, *failed):
            effects = by_step.pop((run.run_id, key), [])
            if key in completed and not effects:
                self._wrong(run, f"{key} is recorded as completed and has no effect")
            if _name(key) in ONCE and len(effects) > 1:
                self._wrong(run, f"{key}, which runs at most once, has {len(effects)} effects: {effects}")
            if len({effect.idempotency_key for effect in effects}) > 1:
                self._wrong(run, f"{key} has several idempotency keys")
            self.counts["steps with several effects"] += len(effects) > 1
            for effect in effects:
                if effect.late and not self._is_excused(effect, (completed | failed)[key].time):
                    self._wrong(run, f"{key} was begun (attempt {effect.attempt}) after it was recorded as completed")
        # What was begun and has neither completed nor failed would be left in by_step: there is none such.

    def _is_excused(self, effect: Effect, ended: float) -> bool:
        """Whether it began before, and could only be noted later; or its process was stopped just before it began."""
        if effect.delayed and effect.began < ended + CLOCKS:
            self.counts["noted late"] += 1
            return True
        for stop in self.stops:
            if stop.pid == effect.pid and stop.began - WAKING < effect.began < stop.ended + WAKING:
                self.counts["begun when it woke"] += 1
                return True
        return False

    async def _jobs(self, engine: Engine) -> None:
        found: Counter[tuple[str, str]] = Counter()
        before: str | None = None
        while page := await engine.store.list_jobs(limit=500, before=before):
            before = page[-1].job_id
            for job in page:
                found[job.run_id, job.key] += 1
                self.counts["jobs"] += 1
                self.counts["jobs taken more than once"] += job.epoch > 1
                fine = job.status == "completed" or (job.at_most_once and job.status == "failed")
                if not fine or job.owner is not None or job.name not in JOBS[job.workflow]:
                    what = f"job {job.job_id} ({job.queue}) of run {job.run_id}"
                    self.problems.append(f"{what} is {job.status}, held by {job.owner}: {job.error}")
        self.problems += [f"{key} of run {run} has {count} jobs" for (run, key), count in found.items() if count > 1]


def _ends(history: Collection[Event]) -> Counter[str]:
    return Counter(event.key for event in history if event.type in COMPLETIONS and event.key is not None)


def _name(key: str) -> str:
    return key.rpartition("/")[2]
