"""Shapes of concurrent workflows, and a host that works them in a seeded order, without any store or real time."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Sequence
from typing import Any

from wfgen.codec import Codec
from wfgen.conformance import OffGraph
from wfgen.definitions import WorkflowDefinition
from wfgen.events import COMPLETIONS, Event
from wfgen.execution import Execution
from wfgen.handle import Workflow
from wfgen.ids import RunId
from wfgen.lifecycle import Handler, RunUpdate
from wfgen.operations import Operation
from wfgen.registry import Registry
from wfgen.store.records import Append, Claimed, RunRecord, Verdict
from wfgen.worker_process import OpenProcess


async def _step(value: int) -> int:
    raise AssertionError("the host completes steps itself")


async def _helper(workflow: Workflow, number: int, depth: int = 2) -> int:
    first = await workflow.do("first", _step, number)
    if depth == 0:
        return int(first)
    both = await asyncio.gather(
        _helper(workflow, number * 2, depth - 1),
        _helper(workflow, number * 2 + 1, depth - 1),
    )
    return int(first + sum(both))


async def sequence(workflow: Workflow) -> Any:
    return [await workflow.do("same name", _step, n) for n in range(5)]


async def nested_gather(workflow: Workflow) -> Any:
    return await asyncio.gather(*[_helper(workflow, n) for n in range(3)])


async def task_group(workflow: Workflow) -> Any:
    async def branch(number: int) -> int:
        await workflow.sleep("pause", "1s")
        return int(await workflow.do("work", _step, number))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(branch(n)) for n in range(4)]
        tasks.append(group.create_task(workflow.do("direct", _step, 9)))
    return [t.result() for t in tasks]


async def worker_pool(workflow: Workflow) -> Any:
    queue: asyncio.Queue[int] = asyncio.Queue()
    results: list[list[int]] = []

    async def worker(number: int) -> None:
        while True:
            item = await queue.get()
            results.append([item, await workflow.do("item", _step, item)])
            if item % 3 == 0:
                results.append([item, await workflow.do("extra", _step, -item)])
            queue.task_done()

    workers = [asyncio.create_task(worker(n)) for n in range(3)]
    for item in range(8):
        queue.put_nowait(item)
    await queue.join()
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return sorted(results)


async def first_completed(workflow: Workflow) -> Any:
    tasks = [asyncio.create_task(_helper(workflow, n, 1)) for n in range(3)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    winner = next(iter(done))
    return await workflow.do("after", _step, tasks.index(winner))


async def completed_in_order(workflow: Workflow) -> Any:
    tasks = [asyncio.create_task(_helper(workflow, n, 1)) for n in range(3)]
    order = []
    for future in asyncio.as_completed(tasks):
        value = await future
        order.append(await workflow.do("then", _step, value))
    for future in asyncio.as_completed([workflow.do(f"direct {n}", _step, n) for n in range(3)]):
        order.append(await future)
    return sorted(order)


async def gated(workflow: Workflow) -> Any:
    gate = asyncio.Event()
    condition = asyncio.Condition()
    opened: list[int] = []

    async def opener(number: int) -> None:
        await workflow.do("open", _step, number)
        async with condition:
            opened.append(number)
            condition.notify_all()
        if len(opened) == 2:
            gate.set()

    async def behind(number: int) -> int:
        await gate.wait()
        return int(await workflow.do("behind", _step, number))

    async def waiter() -> int:
        async with condition:
            await condition.wait_for(lambda: len(opened) == 3)
        return int(await workflow.do("all", _step, sum(opened)))

    results = await asyncio.gather(*[opener(n) for n in range(3)], *[behind(n) for n in range(3)], waiter())
    return results[3:]


async def _patchable(workflow: Workflow, is_changed: bool) -> Any:
    async def branch(number: int) -> list[int]:
        found = []
        for turn in range(2):
            found.append(await workflow.do("before", _step, number))
            if is_changed and workflow.patched("a change"):
                found.append(await workflow.do("new", _step, turn))
            await workflow.sleep("pause", "1s")
            if is_changed and workflow.patched(f"another change {number}"):
                found.append(await workflow.do("newer", _step, turn))
        return found

    return await asyncio.gather(*[branch(n) for n in range(3)])


async def patched(workflow: Workflow) -> Any:
    return await _patchable(workflow, True)


async def unpatched(workflow: Workflow) -> Any:
    return await _patchable(workflow, False)


async def parallel(workflow: Workflow) -> Any:
    async def failing(number: int) -> int:
        value = int(await workflow.do("maybe", _step, number))
        if number % 2:
            raise ValueError(number)
        return value

    some = await workflow.parallel({str(n): failing(n) for n in range(5)}, wait_for=2)
    first = await workflow.parallel({str(n): failing(n) for n in range(0, 6, 2)}, wait_for="any")
    every = await workflow.parallel({str(n): failing(n) for n in range(4)}, errors="collect", limit=2)
    try:
        await workflow.parallel({str(n): failing(n) for n in range(4)})
    except ValueError as error:
        last = str(error)
    return [sorted(some), list(first), [str(value) for value in every.values()], last]


async def semaphore(workflow: Workflow) -> Any:
    limit = asyncio.Semaphore(2)

    async def limited(number: int) -> int:
        async with limit:
            await workflow.do("a", _step, number)
            return int(await workflow.do("b", _step, number))

    return await asyncio.gather(*[limited(n) for n in range(5)])


async def failing_group(workflow: Workflow) -> Any:
    async def bad() -> None:
        await workflow.do("before", _step, 1)
        raise ValueError("bad")

    async def good(number: int) -> None:
        for _ in range(3):
            await workflow.do("good", _step, number)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(bad())
            for n in range(2):
                group.create_task(good(n))
    except* ValueError:
        pass
    return await workflow.do("clean up", _step, 0)


async def seeded(workflow: Workflow) -> Any:
    async def branch(number: int) -> list[str]:
        texts = [str(workflow.uuid())]
        await workflow.do("x", _step, number)
        texts += [str(workflow.uuid()), str(workflow.random("a").random()), workflow.now().isoformat()]
        await workflow.do(f"y{workflow.random().randrange(5)}", _step, number)
        return texts

    # The order in which branches end differs from run to run; within one run it is recorded.
    return await asyncio.gather(*[branch(n) for n in range(3)])


async def timeouts(workflow: Workflow) -> Any:
    async def race(number: int) -> str:
        work = asyncio.create_task(workflow.do("slow", _step, number))
        clock = asyncio.create_task(workflow.sleep("limit", f"{number + 1}s"))
        done, _ = await asyncio.wait([work, clock], return_when=asyncio.FIRST_COMPLETED)
        for task in (work, clock):
            if task not in done:
                task.cancel()
        return "work" if work in done else "clock"

    return await asyncio.gather(*[race(n) for n in range(4)])


async def emitting(workflow: Workflow) -> Any:
    async def branch(number: int) -> None:
        for turn in range(3):
            workflow.emit("turn", {"branch": number, "turn": turn})
            await workflow.do("work", _step, number)
            workflow.emit("worked")
            workflow.progress(turn + 1, 3, f"branch {number}")
            await workflow.sleep("pause", "1s")

    workflow.emit("begins")
    await asyncio.gather(*[branch(n) for n in range(2)])
    workflow.emit("ends")


PATTERNS: dict[str, Callable[[Workflow], Any]] = {
    function.__name__: function
    for function in (
        sequence,
        nested_gather,
        task_group,
        worker_pool,
        first_completed,
        completed_in_order,
        gated,
        parallel,
        patched,
        semaphore,
        failing_group,
        seeded,
        timeouts,
        emitting,
    )
}


class SeededHost:
    """Completes steps, fires timers and acknowledges appends in an order that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.registry = Registry("none")
        self.codec = Codec(1_000_000)
        self.process = OpenProcess()
        self.off_graph: OffGraph = "warn"
        self.record_inputs = False
        self.recorded: list[Event] = []
        self.started: list[str] = []
        self.last: Append | None = None
        self.each_turn: Callable[[], None] = lambda: None
        self.given_up: set[str] = set()
        """Keys of steps that were stopped before they ended."""
        self._random = random.Random(seed)
        self._now = 1000.0
        self._steps: dict[str, tuple[Operation, int]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._stopped: set[int] = set()
        self._number = 0
        self._soon: list[Callable[[], None]] = []
        self._appends: list[tuple[Append, Callable[[Verdict], None]]] = []

    def time(self) -> float:
        self._now += 0.001
        return self._now

    def shorten(self, filename: str) -> str:
        return filename

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        self._appends.append((append, done))

    def start_step(self, operation: Operation, attempt: int) -> Callable[[], None]:
        self.started.append(operation.key)
        self._steps[operation.key] = (operation, attempt)
        return lambda: self._give_up(operation.key)

    def _give_up(self, key: str) -> None:
        if self._steps.pop(key, None) is not None:
            self.given_up.add(key)

    def soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def at(self, due: float, callback: Callable[[], None]) -> Callable[[], None]:
        self._number += 1
        number = self._number
        heapq.heappush(self._timers, (due, number, callback))
        return lambda: self._stopped.add(number)

    def call_handlers(self, handlers: Sequence[Handler], update: RunUpdate) -> None:
        raise AssertionError("no pattern has handlers")

    def parked(self, execution: Execution) -> None:
        pass

    def woken(self, execution: Execution) -> None:
        pass

    def continued(self, execution: Execution, start: Event) -> None:
        raise AssertionError("no pattern continues as new")

    def ended(self, execution: Execution, last: Append | None) -> None:
        self.last = last

    def work(self, execution: Execution) -> None:
        """Work a run to its end."""
        execution.begin()
        while not execution.closed:
            self.each_turn()
            if execution.closed:
                break
            choices: list[Callable[[], None]] = []
            if self._soon:
                choices += [lambda: self._soon.pop(0)()] * 3
            if self._appends:
                choices += [self._acknowledge] * 2
            if self._steps:
                choices += [self._complete] * 3
            if any(n not in self._stopped for _, n, _ in self._timers):
                choices.append(self._fire)
            assert choices, "the run is stuck"
            self._random.choice(choices)()

    def _acknowledge(self) -> None:
        append, done = self._appends.pop(0)
        self.recorded += append.events
        done(None)

    def _complete(self) -> None:
        operation, attempt = self._steps.pop(self._random.choice(sorted(self._steps)))
        encoded, annotation = operation.data
        value = self.codec.decode(encoded, annotation, "input") + 1
        result, decoded, name = self.codec.record(value, operation.annotation, "result")
        operation.execution.steps.completed(operation, attempt, self.time(), result, decoded, name)

    def _fire(self) -> None:
        while self._timers:
            due, number, callback = heapq.heappop(self._timers)
            if number not in self._stopped:
                self._now = max(self._now, due)
                callback()
                return


def define(function: Callable[..., Any]) -> WorkflowDefinition:
    return WorkflowDefinition(
        name=function.__name__,
        version="1",
        function=function,
        description=None,
        tags=(),
        timeout=None,
        hook_timeout=None,
        execution_mode="inline",
        middleware=(),
        context=None,
        retry=None,
        source=f"{__file__}:1",
    )


def claim(history: list[Event]) -> Claimed:
    run = RunRecord(
        run_id=RunId("run_1"),
        workflow="pattern",
        version="1",
        status="running",
        input=None,
        output=None,
        error_type=None,
        error=None,
        error_code=None,
        salt="salt",
        idempotency_key=None,
        epoch=1,
        claims=1,
        owner="me",
        created_at=1000.0,
        updated_at=1000.0,
        finished_at=None,
    )
    return Claimed(run=run, events=history, messages=[])


STARTED = Event(1, "run_started", 1000.0)


def completed_keys(events: list[Event]) -> set[str]:
    return {e.key for e in events if e.type in COMPLETIONS and e.key}
