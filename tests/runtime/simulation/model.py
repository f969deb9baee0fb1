"""The reference model: what must hold after each commit and at the end, told in plain dictionaries.

It sees what was asked of the store and what the store answered, the rows of the file, and each step as it begins. It
knows nothing of how engine and store go about it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wfgen.errors import LeaseLostError, StoreError
from wfgen.events import COMPLETIONS
from wfgen.store.jobs import JOB_FINISHED, JobRecord
from wfgen.store.records import FINISHED, Append, Claimed, RunRecord

from . import workload
from .asked import asked

if TYPE_CHECKING:
    from .process import Process
    from .world import World

ENDS = frozenset({"run_completed", "run_failed", "run_cancelled", "run_terminated"})

STARTS = frozenset({"run_started", "run_continued"})

MARKERS = frozenset({"rolled_back", "run_retried"})

IN_A_PAUSE = frozenset({"run_claimed", "run_terminated", "rollback_requested"})
"""What else may be recorded of a run while it is paused."""


def name_of(key: str | None) -> str:
    """The name of an operation, without its branch; a compensation is called `undo` and the name of the step."""
    branch, _, name = (key or "").rpartition("/")
    return f"undo {name}" if branch == "undo" else name


@dataclass
class ModelRun:
    """What is known of one run."""

    run_id: str
    parent: str | None = None
    seq: int = 0
    time: float = 0.0
    recorded: set[str] = field(default_factory=set)
    """Names of the operations whose completion counts."""
    cancels: int = 0
    end: str | None = None
    program: workload.Node = field(default_factory=dict)
    needs: dict[str, frozenset[str]] = field(default_factory=dict)
    steps: dict[str, workload.Node] = field(default_factory=dict)
    begun: dict[str, int] = field(default_factory=dict)
    """How often each step began, since it was last undone."""
    log: list[tuple[int, str, str]] = field(default_factory=list)
    """What counts: number, type and name of each completion and of each start."""
    hooks: list[tuple[int, str, str]] = field(default_factory=list)
    """Number, token and name of each hook that was opened, and counts."""
    jobs: dict[str, str] = field(default_factory=dict)
    """The last job that was put on its queue, by the key of its step."""
    is_fork: bool = False
    paused: bool = False
    taken_back: bool = False
    """Whether it was rolled back or retried."""


@dataclass
class ModelJob:
    """What is known of one job."""

    epoch: int = 0
    holder: str = ""
    """Which process got it in this epoch; empty if nobody was told that it did."""
    is_held: bool = False
    is_over: bool = False
    end: tuple[Any, ...] = ()
    """Status, output and error of one that is over."""


class Model:
    """Checks; whatever does not hold becomes a problem of the world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows = world.place.rows
        self.runs: dict[str, ModelRun] = {}
        self._holders: dict[tuple[str, int], str] = {}
        """Which process got a run in which epoch."""
        self._epochs: dict[str, int] = {}
        """The last epoch of each run that is known to be committed."""
        self._working: dict[str, str] = {}
        """Which process works a run, unless somebody has taken it back since."""
        self._forked: list[tuple[ModelRun, list[tuple[str, str]]]] = []
        """New forks, with the types and names of what each has to begin with."""
        self._jobs: dict[str, ModelJob] = {}
        self._consumed: set[int] = set()
        """Messages that were answered."""
        self.on_start: Callable[[str, workload.Node], None] = lambda run_id, program: None
        """Told of each new run."""
        self.on_hook: Callable[[str, str, str], None] = lambda run_id, token, name: None
        """Told of each hook that is opened: run, token, name."""
        self.refused = 0
        """Appends that came from processes that had lost their run."""
        self.jobs_refused = 0
        """The same of jobs."""

    def committed(self, process: Process, works: Sequence[Any], outcomes: Sequence[Any]) -> None:
        """A process has committed work, with these outcomes."""
        for other, changes in self._world.place.others(process, self._world.processes):
            if not other.dead:
                other.store.changed(changes)
        claimed: dict[str, int] = {}
        for work, outcome in zip(works, outcomes, strict=True):
            if isinstance(work, Append):
                self._appended(process, work, outcome, claimed)
            elif isinstance(outcome, list) and outcome and isinstance(outcome[0], JobRecord):
                for job in outcome:
                    self._job_claimed(process, job)
            elif isinstance(outcome, list) and outcome and isinstance(outcome[0], Claimed):
                for one in outcome:
                    self._claimed(process, one.run, claimed)
            elif isinstance(outcome, tuple) and isinstance(outcome[0], RunRecord) and outcome[1] and outcome[0].owner:
                self._claimed(process, outcome[0], claimed)
            elif not isinstance(outcome, StoreError) or isinstance(outcome, LeaseLostError):
                self._asked(process, work, outcome)
        self._read_events()
        self._read_jobs()
        self._epochs |= claimed

    def _claimed(self, process: Process, run: RunRecord, claimed: dict[str, int]) -> None:
        if run.epoch <= max(self._epochs.get(run.run_id, 0), claimed.get(run.run_id, 0)):
            self._problem(f"run {run.run_id} is claimed in epoch {run.epoch}, which was there before")
        self._holders[run.run_id, run.epoch] = process.name
        self._working[run.run_id] = process.name
        claimed[run.run_id] = run.epoch

    def _appended(self, process: Process, append: Append, outcome: Any, claimed: dict[str, int]) -> None:
        current = claimed.get(append.run_id, self._epochs.get(append.run_id, 0))
        if outcome is not None:
            self.refused += append.epoch < current
            return
        known = self.runs.get(append.run_id)
        if append.events and known is not None and append.events[-1].seq <= known.seq:
            pass  # recorded by a commit of which nobody had heard, as has been found out now
        elif append.epoch != current:
            self._problem(f"{process.name} wrote to {append.run_id} in epoch {append.epoch}; it is at {current}")
        if (holder := self._holders.get((append.run_id, append.epoch))) != process.name:
            self._problem(f"{process.name} wrote to {append.run_id}, which {holder} holds")
        for message in append.consumed:
            if message in self._consumed:
                self._problem(f"message {message} is answered twice")
            self._consumed.add(message)

    def _job_claimed(self, process: Process, job: JobRecord) -> None:
        known = self._jobs.setdefault(job.job_id, ModelJob())
        if job.epoch <= known.epoch:
            self._problem(f"job {job.job_id} is claimed in epoch {job.epoch}, which was there before")
        if known.is_over:
            self._problem(f"job {job.job_id} is claimed, and is over")
        known.epoch, known.holder, known.is_held = job.epoch, process.name, True

    def _asked(self, process: Process, work: Any, outcome: Any) -> None:
        """Something else was asked of the store: who tells what became of jobs must have them."""
        name, given = asked(work)
        if name == "finish_jobs":
            for place, ((job_id, epoch, _), _) in enumerate(given["some"]):
                self._job_told(process, "finish_job", job_id, epoch, is_refused=place in outcome)
        elif name in ("finish_job", "requeue_job", "report_job"):
            self._job_told(process, name, given["job_id"], given["epoch"], is_refused=outcome is not None)

    def _job_told(self, process: Process, name: str, job_id: str, epoch: int, *, is_refused: bool) -> None:
        if is_refused:
            self.jobs_refused += 1
            return
        job = self._jobs[job_id]
        job.holder = job.holder or process.name
        if epoch != job.epoch or job.holder != process.name or not job.is_held:
            self._problem(
                f"{process.name} has job {job_id} in epoch {epoch}, which {job.holder} has in epoch {job.epoch}"
                f" (held: {job.is_held}), and its {name} is taken"
            )
        if job.is_over:
            self._problem(f"job {job_id} is over, and a {name} of {process.name} is taken")

    def _read_jobs(self) -> None:
        for job_id, epoch, is_held, is_over, *end in self._rows(
            "SELECT job_id, epoch, owner IS NOT NULL, finished_at IS NOT NULL, status, output, error_type, error"
            " FROM jobs"
        ):
            job = self._jobs.setdefault(job_id, ModelJob())
            if job.is_over and job.end != tuple(end):
                self._problem(f"job {job_id} was over, {job.end}, and is {end} now")
            if epoch < job.epoch:
                self._problem(f"job {job_id} is in epoch {epoch}, and was in {job.epoch}")
            if epoch > job.epoch:
                job.holder = ""
            job.epoch, job.is_held, job.is_over = epoch, bool(is_held), bool(is_over)
            job.end = tuple(end) if is_over else ()
        for kind, name in self._rows(
            "SELECT kind, name FROM messages WHERE kind IN ('job', 'child')"
            " GROUP BY run, kind, name HAVING count(*) > 1"
        ):
            self._problem(f"the end of {kind} {name} is told twice")

    def _read_events(self) -> None:
        for run_id, seq, type, time, key, data, payload in self._world.place.new_events():
            run = self.runs.setdefault(run_id, ModelRun(run_id))
            self._event(run, seq, type, time, key, data, payload)
        for run, given in self._forked:
            if [(type, name) for _, type, name in run.log[1:]] != given:
                self._problem(f"fork {run.run_id} was given {run.log}, not {given}")
        self._forked.clear()

    def _event(self, run: ModelRun, seq: int, type: str, time: float, key: str | None, data: Any, payload: Any) -> None:
        what = f"event {seq} ({type} {key or ''}) of {run.run_id}"
        if seq != run.seq + 1:
            self._problem(f"{what} follows number {run.seq}")
        if time < run.time:
            self._problem(f"{what} is {run.time - time:g} s earlier than the one before")
        if type == "rollback_requested":
            run.end, run.taken_back = None, True
        if run.end is not None and type not in MARKERS:
            self._problem(f"{what} follows the run's end")
        run.seq, run.time = seq, time
        if type in MARKERS:
            self._take_back(run, json.loads(data)["to"])
        elif type in ("run_paused", "run_resumed"):
            run.paused = type == "run_paused"
        elif run.paused and type not in IN_A_PAUSE:
            self._problem(f"{what} is recorded in a pause")
        if type in STARTS:
            run.log.append((seq, type, ""))
        if type == "run_started":
            start = json.loads(data)
            run.program, run.parent, run.is_fork = json.loads(payload), start.get("parent"), "forked_from" in start
            run.needs = workload.requirements(run.program)[0]
            run.steps = workload.steps(run.program)
            if run.is_fork:
                part = [entry for entry in self.runs[start["forked_from"]].log if entry[0] <= start["forked_at"]]
                begin = max(index for index, (_, type, _) in enumerate(part) if type in STARTS)
                self._forked.append((run, [(type, name) for _, type, name in part[begin + 1 :]]))
            self.on_start(run.run_id, run.program)
        elif type in ENDS:
            run.end = type
        elif type == "hook_created":
            token = json.loads(data)["token"]
            run.hooks.append((seq, token, name_of(key)))
            self.on_hook(run.run_id, token, name_of(key))
        elif type == "cancel_requested":
            run.cancels += 1
            run.log.append((seq, type, ""))
            if run.cancels > 1:
                self._problem(f"{what}: it was cancelled before")
        elif type == "job_created" and key is not None:
            run.jobs[key] = json.loads(data)["job_id"]
        elif type in COMPLETIONS and key is not None:
            name = name_of(key)
            if (job := json.loads(data).get("job_id")) and run.jobs.get(key) != job and not run.is_fork:
                self._problem(f"{what} is the end of {job}; on the queue was {run.jobs.get(key)}")
            if name in run.recorded:
                self._problem(f"{what} is recorded a second time")
            run.recorded.add(name)
            run.log.append((seq, type, name))

    def _take_back(self, run: ModelRun, to: int) -> None:
        run.end = None
        self._working.pop(run.run_id, None)
        run.paused = False
        run.taken_back = True
        run.log = [entry for entry in run.log if entry[0] <= to]
        run.recorded = {name for _, type, name in run.log if name}
        run.cancels = sum(type == "cancel_requested" for _, type, _ in run.log)
        run.begun.clear()
        run.hooks = [hook for hook in run.hooks if hook[0] <= to]
        for _, token, name in run.hooks:
            if name not in run.recorded:  # it is open again
                self.on_hook(run.run_id, token, name)

    def step_begins(self, run_id: str, name: str) -> None:
        """A step's function was called."""
        run = self.runs[run_id]
        actor = self._world.actor
        self._world.note(f"step {name} of {run_id[:8]} begins in {actor}")
        if run.taken_back and self._working.get(run_id) != actor:
            return  # a process that has lost a run to a rollback notices within a second
        run.begun[name] = run.begun.get(name, 0) + 1
        if name in run.recorded:
            self._problem(f"step {name} of {run_id} begins, but its completion is recorded")
        if run.paused:
            self._problem(f"step {name} of {run_id} begins in a pause")
        if name in run.steps and run.steps[name]["once"] and run.begun[name] > 1:
            self._problem(f"step {name} of {run_id}, which runs at most once, begins again")
        if missing := run.needs.get(name, frozenset()) - run.recorded:
            self._problem(f"step {name} of {run_id} begins before {sorted(missing)} are recorded")

    def job_begins(self, run_id: str, name: str) -> None:
        """The function of a step on a queue was called, by whichever process."""
        run = self.runs[run_id]
        self._world.note(f"job {name} of {run_id[:8]} begins in {self._world.actor}")
        if run.taken_back:
            return  # who works a job that does not count any more is told within a second
        run.begun[name] = run.begun.get(name, 0) + 1
        if name in run.recorded:
            self._problem(f"job {name} of {run_id} begins, but its completion is recorded")
        if run.steps[name]["once"] and run.begun[name] > 1:
            self._problem(f"job {name} of {run_id}, which runs at most once, begins again")
        if missing := run.needs[name] - run.recorded:
            self._problem(f"job {name} of {run_id} begins before {sorted(missing)} are recorded")

    @property
    def open_jobs(self) -> int:
        """How many jobs have not ended."""
        return sum(not job.is_over for job in self._jobs.values())

    @property
    def open(self) -> list[ModelRun]:
        """Runs that have not ended."""
        return [run for run in self.runs.values() if run.end is None]

    def check_ends(self, cancelled: set[tuple[str, str]]) -> None:
        """At the end: how each run ended, and with what. `cancelled`: runs that somebody asked to stop."""
        rows = self._rows(
            "SELECT r.run_id, r.status, r.output, r.owner, r.error, p.run_id FROM runs AS r"
            " LEFT JOIN runs AS p ON p.run = r.parent"
        )
        for run_id, status, output, owner, error, parent in rows:
            run = self.runs[run_id]
            if status not in FINISHED:
                self._problem(f"run {run_id} is left {status}")
                continue
            if run.end != f"run_{status}" or owner is not None:
                self._problem(f"run {run_id} is {status}, held by {owner}, and its history ends with {run.end}")
            if status == "completed":
                if workload.fails(run.program) or not workload.allows(run.program, json.loads(output)):
                    self._problem(f"run {run_id} of {json.dumps(run.program)} gave {output!r}")
            elif status == "failed":
                if not workload.fails(run.program) or "is meant to" not in error:
                    self._problem(f"run {run_id} failed: {error}")
            elif (run_id, status) not in cancelled and parent is None and not (run.is_fork and run.cancels):
                self._problem(f"run {run_id} is {status}, and nobody asked for it")
            self._check_undone(run, status)
        ((left,),) = self._rows("SELECT count(*) FROM messages")
        if left:
            self._problem(f"{left} messages are left of runs that have ended")
        for job_id, status, awaited, owner in self._rows("SELECT job_id, status, awaited, owner FROM jobs"):
            if owner is not None or status not in JOB_FINISHED:
                self._problem(f"job {job_id} is {status}, held by {owner}")
            if not awaited and status == "cancelled":
                self._problem(f"job {job_id}, which nobody awaits, was cancelled")

    def _check_undone(self, run: ModelRun, status: str) -> None:
        """What was done since the last start is undone if the run does not succeed, and only then."""
        begin = max(index for index, (_, type, _) in enumerate(run.log) if type in STARTS)
        names = {name for _, type, name in run.log[begin:] if type == "step_completed"}
        undone = {name for name in names if name.startswith("undo ")}
        if status in ("completed", "terminated"):
            expected: set[str] = undone if status == "terminated" else set()
        else:
            expected = {f"undo {name}" for name in names if run.steps.get(name, {}).get("undo") == "result"}
            undone = {name for name in undone if run.steps[name[5:]]["undo"] == "result"}
        if undone != expected and not run.taken_back:
            self._problem(f"run {run.run_id} is {status} and has undone {sorted(undone)}, not {sorted(expected)}")

    def _problem(self, text: str) -> None:
        self._world.problem(text)
