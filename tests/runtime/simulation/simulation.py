"""One seed, from the first start to the last check."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import random
import traceback
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from wfgen.engine import Engine
from wfgen.errors import ConflictError, RunStateError, StoreError, UnknownHookError, UnknownRunError, WfgenError
from wfgen.settings import Settings

from . import workload
from .place import Place, new_file
from .process import Process
from .replays import differences
from .world import LEASE, Faults, World

USUAL = Faults()

BUSY_TIME = 30.0
"""Seconds of virtual time in which things go wrong."""
PATIENCE = 300.0
"""Seconds of virtual time after that in which everything has to end."""


@dataclass
class Outcome:
    """What became of one seed."""

    seed: int
    problems: list[str]
    trace: list[str]
    digest: str
    counts: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = "\n".join(self.trace)
        return f"seed {self.seed}:\n{lines}\n" + "\n".join(self.problems)


class Simulation:
    """Several processes, customers that start, resume and cancel runs, and whatever goes wrong."""

    def __init__(self, seed: int, place: Place, faults: Faults) -> None:
        self.world = World(seed, place, faults)
        self.registry = workload.registry()
        self._random = random.Random(f"{seed} customers")
        self._forks = random.Random(f"{seed} forks")
        self._settings = Settings(
            project=place.folder,
            lease=f"{LEASE:g}s",
            concurrency=self._random.choice((2, 5, 100)),
            resident=random.Random(f"{seed} resident").choice((0, 1, 1000, 1000)),
        )
        self._names = itertools.count(1)
        self._seats: list[Process] = []
        self.cancelled: set[tuple[str, str]] = set()
        """Runs that somebody asked to end, and how."""
        self._model = self.world.model
        self._model.on_start = self._serve
        self._model.on_hook = self._answer
        self._outstanding = 0
        """What customers have still to do."""

    def run(self) -> list[str]:
        """Everything; gives the problems."""
        world = self.world
        for _ in range(self._random.choice((1, 2, 3))):
            self._seats.append(self._start())
        self._tend()
        for number in range(self._random.randint(1, 4)):
            self._customer(number)
        for trouble in (self._crash, self._stall, self._set_clock, self._leave):
            trouble(first=True)
        world.run(lambda: world.now >= BUSY_TIME or self._over, BUSY_TIME)
        world.calm = True
        for process in self._seats:
            process.stalled_until = process.wedged_until = min(
                max(process.stalled_until, process.wedged_until), world.now + 20
            )
        if not world.run(lambda: self._over, world.now + PATIENCE) and not world.problems:
            world.problem(
                f"runs are lost: {[run.run_id for run in world.model.open]}, {self._outstanding} customers wait"
            )
        if not world.problems:
            world.model.check_ends(self.cancelled)
            world.problems += differences(world.place, self.registry)
        return world.problems

    @property
    def _over(self) -> bool:
        return self._outstanding == 0 and not self.world.model.open and not self.world.model.open_jobs

    # Processes.

    def _start(self) -> Process:
        return Process(self.world, f"p{next(self._names)}", self.registry, self._settings)

    def _tend(self) -> None:
        """Start processes in the place of those that ended."""
        for seat, process in enumerate(self._seats):
            if process.dead:
                self._seats[seat] = self._start()
        self.world.after(self.world.random.uniform(0.2, 2), self._tend)
        if self.world.calm:  # whatever was asked for last: everything shall end
            process = self._pick()
            for run in self._model.open:
                if run.paused and process.engine is not None:
                    process.ask(lambda engine, run_id=run.run_id: engine.controls.resume(run_id), lambda answer: None)

    def _again(self, action: Callable[[], None], mean: float) -> None:
        if not self.world.calm:
            self.world.after(self.world.random.expovariate(1 / mean), action)

    def _pick(self) -> Process:
        return self.world.random.choice(self._seats)

    def _crash(self, first: bool = False) -> None:
        if not first and not self.world.calm:
            self._pick().crash("at any moment")
        self._again(self._crash, self.world.faults.crash_every)

    def _stall(self, first: bool = False) -> None:
        if not first and not self.world.calm:
            self._pick().stall(self.world.stall(), self.world.random.random() < 0.7)
        self._again(self._stall, self.world.faults.stall_every)

    def _set_clock(self, first: bool = False) -> None:
        world = self.world
        if not first and not world.calm:
            world.clock_offset += world.random.choice(world.place.jumps)
            world.note(f"the clock is set: {world.clock_offset:+g} s")
        self._again(self._set_clock, world.faults.clock_every)

    def _leave(self, first: bool = False) -> None:
        if not first and not self.world.calm:
            self._pick().leave()
        self._again(self._leave, self.world.faults.leave_every)

    # Customers.

    def _customer(self, number: int) -> None:
        """Start a run."""
        generator = workload.Generator(self._random)
        program = generator.program(2, parts=2)
        start_at = self._random.uniform(0, 10)
        self._insist(start_at, lambda engine: engine.start_run("program", program, idempotency_key=f"k{number}"))

    def _serve(self, run_id: str, program: workload.Node) -> None:
        """Resume the hooks of a run that was started, and sometimes cancel it."""
        for hook in workload.hooks(program):
            name, payload = hook["name"], json.dumps(f"for {hook['name']}")
            several = hook["op"] == "hooks"
            times = self._random.choice((1, 1, 2)) if hook["timeout"] > 100 else self._random.choice((0, 1))
            for _ in range(times + several):
                when = self.world.now + self._random.choice((0.0, self._random.uniform(0, 15)))
                if several or self._random.random() < 0.5:
                    self._insist(
                        when,
                        lambda engine, name=name, payload=payload: engine.controls.resume_hook_json(
                            payload, run_id=run_id, name=name
                        ),
                    )
                else:
                    self._insist(
                        when, lambda engine, name=name, payload=payload: _resume_by_token(engine, run_id, name, payload)
                    )
        if self._random.random() < 0.15:
            self.cancelled.add((run_id, "cancelled"))
            self._insist(self.world.now + self._random.uniform(0, 10), lambda engine: engine.controls.cancel(run_id))
        if self._random.random() < 0.04:
            self.cancelled.add((run_id, "terminated"))
            self._insist(self.world.now + self._random.uniform(0, 10), lambda engine: engine.controls.terminate(run_id))
        if self._random.random() < 0.15 and self._model.runs[run_id].parent is None:
            self._take_back(run_id)
        if self._random.random() < 0.3 and self._model.runs[run_id].parent is None and workload.fails(program):
            self._again_if_failed(run_id)
        if self._forks.random() < 0.08 and self._model.runs[run_id].parent is None:
            self._fork(run_id)
        if self._random.random() < 0.2:
            when = self.world.now + self._random.uniform(0, 10)
            self._insist(when, lambda engine: engine.controls.pause(run_id))
            when += self._random.uniform(0, 5)
            self._insist(when, lambda engine: engine.controls.resume(run_id))

    def _answer(self, run_id: str, token: str, name: str) -> None:
        """Resume a hook that was opened, if the run would wait for long."""
        name = name.partition("#")[0]
        hook = next(hook for hook in workload.hooks(self._model.runs[run_id].program) if hook["name"] == name)
        if hook["timeout"] > 100:
            payload = json.dumps(f"for {name}")
            when = self.world.now + self._random.choice((0.0, self._random.uniform(0, 10)))
            self._insist(when, lambda engine: engine.controls.resume_hook_json(payload, token=token))

    def _take_back(self, run_id: str) -> None:
        """Retry a run, or roll it back to one of its checkpoints."""
        compensate = self._random.random() < 0.3
        point = self._random.random()

        async def act(engine: Engine) -> None:
            failed = (await engine.store.get_run(run_id)).status == "failed"
            if failed and point < 0.7:
                await engine.controls.retry(run_id)
            else:
                checkpoints = await engine.controls.checkpoints(run_id)
                to = checkpoints[int(point * len(checkpoints))].seq
                await engine.controls.rollback(run_id, to, compensate=compensate)

        self._insist(self.world.now + self._random.uniform(0, 20), act)

    def _fork(self, run_id: str) -> None:
        """Make a run that goes on from one of the checkpoints of this one."""
        point = self._forks.random()

        async def act(engine: Engine) -> None:
            checkpoints = await engine.controls.checkpoints(run_id)
            at = checkpoints[int(point * len(checkpoints))].seq
            # Whoever asks a second time, since nobody has answered, may mean another checkpoint by now.
            with contextlib.suppress(ConflictError):
                await engine.controls.fork(run_id, at, idempotency_key=f"fork of {run_id}")

        self._insist(self.world.now + self._forks.uniform(0, 20), act)

    def _again_if_failed(self, run_id: str) -> None:
        """Retry a run soon after it may have failed."""
        self._insist(self.world.now + self._random.uniform(0, 10), lambda engine: engine.controls.retry(run_id))

    def _insist(self, when: float, action: Callable[[Engine], Coroutine[Any, Any, Any]]) -> None:
        """Ask a process for something, and another one when it does not answer."""
        world = self.world
        self._outstanding += 1
        is_done = False

        def attempt() -> None:
            if is_done:
                return
            process = self._pick()
            if process.engine is not None and not process.dead:
                process.ask(action, answered)
            world.after(world.random.uniform(1, 3), attempt)

        def answered(answer: Any) -> None:
            nonlocal is_done
            if is_done or isinstance(answer, StoreError | _NotYet):
                return
            is_done = True
            self._outstanding -= 1
            if isinstance(answer, WfgenError) and not isinstance(
                answer, UnknownRunError | UnknownHookError | RunStateError
            ):
                world.problem(f"a customer was told {answer!r}")

        world.at(when, attempt)


class _NotYet(WfgenError):
    """The hook is not open yet."""


async def _resume_by_token(engine: Engine, run_id: str, name: str, payload: str) -> Any:
    for hook in await engine.store.hooks(run_id=run_id, state=None):
        if hook.name == name:
            return await engine.controls.resume_hook_json(payload, token=hook.token)
    record = await engine.store.get_run(run_id)
    if record.finished_at is None:
        raise _NotYet("not yet")
    return None


def simulate(seed: int, faults: Faults = USUAL, place: Place | None = None) -> Outcome:
    """Run one seed; where no place is given, on a store file of its own."""
    if place is None:
        with new_file() as file:
            return simulate(seed, faults, file)
    with warnings.catch_warnings():
        logging.disable(logging.CRITICAL)
        warnings.filterwarnings("ignore", message=".*was never awaited", category=RuntimeWarning)
        simulation = Simulation(seed, place, faults)
        workload.WORLD[:] = [simulation.world]
        try:
            try:
                problems = simulation.run()
            except Exception:
                problems = [*simulation.world.problems, traceback.format_exc()]
            return Outcome(seed, problems, list(simulation.world.trace), place.digest(), _counts(place, simulation))
        finally:
            simulation.world.close()
            logging.disable(logging.NOTSET)


def _counts(place: Place, simulation: Simulation) -> dict[str, int]:
    counts = dict(place.rows("SELECT type, count(*) FROM events GROUP BY type"))
    counts |= {f"status {status}": n for status, n in place.rows("SELECT status, count(*) FROM runs GROUP BY 1")}
    counts |= {f"job {status}": n for status, n in place.rows("SELECT status, count(*) FROM jobs GROUP BY 1")}
    for what, query in {
        "forked": "SELECT count(*) FROM events WHERE type = 'run_started' AND data LIKE '%forked_from%'",
        "job taken over": "SELECT count(*) FROM jobs WHERE claims > 1",
        "claims": "SELECT sum(epoch) FROM runs",
    }.items():
        ((counts[what],),) = place.rows(query)
    counts["refused"] = simulation.world.model.refused
    counts["job refused"] = simulation.world.model.jobs_refused
    counts["processes"] = len(simulation.world.processes)
    return counts
