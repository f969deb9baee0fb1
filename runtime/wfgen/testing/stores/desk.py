"""What the checks share: the registry of them, a desk with stores on one place, and what is done most."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Concatenate, ParamSpec

from wfgen.environment import Environment
from wfgen.events import Event, EventType
from wfgen.ids import HookToken, RunId
from wfgen.store.processes import this_process
from wfgen.store.protocol import Store
from wfgen.store.records import Append, Claimed, HookRecord, Message, NewRun, ProcessRecord, Verdict

P = ParamSpec("P")

FLOW = ("flow", "1")
"""The workflow of which all runs of the checks are."""


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


@dataclass
class Desk:
    """Opens stores on one place.

    Args:
        make: gives a store that is not open yet; each one that it gives is on the same place.
    """

    make: Callable[[Environment], Store]
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.environment = Environment(clock=self.clock, random=random.Random(7))
        self.stores: list[Store] = []

    async def open(self) -> Store:
        """Open another store."""
        store = self.make(self.environment)
        await store.open()
        self.stores.append(store)
        return store

    async def close(self) -> None:
        """Close all that were opened."""
        for store in self.stores:
            await store.close()

    def process(self, **changes: Any) -> ProcessRecord:
        """A process that lives on this machine."""
        return replace(this_process(self.environment), **changes)

    async def register(self, store: Store, lease: float = 15, **changes: Any) -> str:
        """Announce a process with a lease in seconds; gives its id."""
        process = self.process(**changes)
        await store.register(process, lease)
        return process.process_id


Check = Callable[[Desk], Awaitable[None]]


class _Registry:
    """Collects the checks: `@check` adds one, `@check.of([…])` one for each value."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}

    def __call__(self, function: Check) -> Check:
        self.checks[function.__name__.replace("_", " ")] = function
        return function

    def of(
        self, values: list[Any]
    ) -> Callable[[Callable[Concatenate[Desk, P], Awaitable[None]]], Callable[Concatenate[Desk, P], Awaitable[None]]]:
        """Add a check for each of some values, or tuples of values."""

        def add(
            function: Callable[Concatenate[Desk, P], Awaitable[None]],
        ) -> Callable[Concatenate[Desk, P], Awaitable[None]]:
            for number, value in enumerate(values, 1):
                arguments = value if isinstance(value, tuple) else (value,)
                name = function.__name__.replace("_", " ")
                self.checks[f"{name}, {number}"] = _bound(function, arguments)
            return function

        return add


def _bound(function: Callable[..., Awaitable[None]], arguments: tuple[Any, ...]) -> Check:
    def bound(desk: Desk) -> Awaitable[None]:
        return function(desk, *arguments)

    return bound


check = _Registry()


@contextlib.contextmanager
def raises(kind: type[BaseException], match: str = "") -> Iterator[None]:
    """What is done inside must raise an error of this type whose text matches."""
    try:
        yield
    except kind as error:
        if not re.search(match, str(error)):
            raise AssertionError(f"{str(error)!r} does not match {match!r}") from error
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


def new(run_id: str, **changes: Any) -> NewRun:
    """A run to create."""
    return replace(NewRun(RunId(run_id), "flow", "1", b'{"a":1}', "salt"), **changes)


def step(seq: int, *, type: EventType = "step_completed", **changes: Any) -> Event:
    """An event."""
    return Event(seq, type, 1_800_000_000.5, f"0/step{seq}", **changes)


def hook(run_id: str, token: str, name: str = "approval", due: float | None = None) -> HookRecord:
    """An open hook."""
    return HookRecord(HookToken(token), RunId(run_id), "flow", f"0/{name}", name, due, "open", 1_800_000_000.0)


def enqueue(store: Store, *appends: Append) -> asyncio.Future[list[Verdict]]:
    """Queue appends in one go; gives their verdicts in the order in which they were told."""
    verdicts: list[Verdict] = []
    told: asyncio.Future[list[Verdict]] = asyncio.get_running_loop().create_future()

    def done(verdict: Verdict) -> None:
        verdicts.append(verdict)
        if len(verdicts) == len(appends):
            told.set_result(verdicts)

    for append in appends:
        store.append(append, done)
    return told


async def record(store: Store, run_id: str, epoch: int, *events: Event, **changes: Any) -> Verdict:
    """Append events to a run; gives the verdict."""
    (verdict,) = await enqueue(store, Append(RunId(run_id), epoch, list(events), **changes))
    return verdict


async def claim_one(store: Store, process: str) -> Claimed:
    """Claim the only run that there is to claim."""
    (claimed,) = await store.claim(process, [FLOW], 10)
    return claimed


async def inbox(store: Store, process: str, **options: Any) -> list[Message]:
    """The messages for the runs of a process."""
    found, _ = await store.messages(process, **options)
    return found
