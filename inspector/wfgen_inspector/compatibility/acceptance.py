"""Whether a body can produce what is recorded of a run: a replay without executing anything.

The body's program is followed as the engine follows the code: a completion is delivered, all tasks go on until each
waits for something, then comes the next completion. Where a value would decide, all ways are followed at once, so that
a run is refused only if no way leads to its record. Identity is that of the engine: the number of the task below its
parents, the operation's name, the occurrence of the name in the task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from wfgen.events import COMPLETIONS, OPENINGS, Event
from wfgen.manifest import DYNAMIC
from wfgen_inspector.compatibility.programs import Instruction, Program
from wfgen_inspector.compatibility.shapes import Operation, Shapes

LIMIT = 5_000
"""Ways that are followed at once; a run that needs more counts as reproduced."""
_FAILURES = frozenset({"step_failed", "hook_timed_out", "child_failed"})
_STEPS = frozenset({"rpc", "inline"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Where a record and a body part."""

    event: Event
    """The first recorded event that the body cannot have asked for."""
    position: int
    """How many completions were reproduced before."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """An operation that was asked for."""

    key: str
    """Of a name that is known at run time only: the branch and `/`."""
    operation: Operation = field(compare=False)
    form: str = ""
    target: str | None = None

    def fits(self, event: Event) -> bool:
        """Whether an event may have been recorded for it."""
        assert event.key is not None
        form, target = event.data.get("form"), event.data.get("target")
        if self.key != event.key and not (self.key.endswith("/") and event.key.startswith(self.key)):
            return False
        if self.target == DYNAMIC:
            return form == self.form or (form in _STEPS and self.form in _STEPS)
        return form == self.form and target == self.target


@dataclass(frozen=True, slots=True)
class _Task:
    """One task, where it stands."""

    branch: str
    at: int
    waits: str | None = None
    """For the operation of this key."""
    joins: bool = False
    """For its group."""
    group: tuple[str, int] | None = None
    """To which it belongs."""
    children: int = 0
    counts: frozenset[tuple[str, int]] = frozenset()
    """Occurrences of names."""


@dataclass(frozen=True, slots=True)
class _State:
    """One way, up to one point."""

    tasks: frozenset[_Task]
    asked: frozenset[_Asked] = frozenset()
    is_unknown: bool = False


class Replay:
    """Follows one record.

    Args:
        body: of the workflow, as it is today.
        events: all that is recorded of the run.
    """

    def __init__(self, body: Shapes, events: Sequence[Event]) -> None:
        begins = max((index for index, event in enumerate(events) if event.type == "run_continued"), default=-1)
        events = events[begins + 1 :]
        patches = frozenset(str(event.data.get("id")) for event in events if event.type == "patched")
        program = Program(body, patches)
        self._code = program.instructions
        self._completions = [event for event in events if event.type in COMPLETIONS]
        done = {event.key for event in self._completions}
        self._open = list(
            {
                event.key: event
                for event in events
                if event.type in OPENINGS and event.key is not None and event.key not in done
            }.values()
        )
        keys = [event.key for event in (*self._completions, *self._open) if event.key is not None]
        self._branches = {key.partition("/")[0] for key in keys}
        self._last_child: dict[str, int] = {}
        for branch in self._branches:
            parts = branch.split(".")
            for index in range(1, len(parts)):
                if parts[index].isdigit():
                    parent = ".".join(parts[:index])
                    self._last_child[parent] = max(self._last_child.get(parent, 0), int(parts[index]))
        self._occurrences: dict[tuple[str, str], int] = {}
        for key in keys:
            branch, _, name = key.partition("/")
            base = name.partition("#")[0]
            self._occurrences[branch, base] = self._occurrences.get((branch, base), 0) + 1
        self._start = _State(frozenset({_Task("0", program.entry)}))

    def refusal(self) -> Refusal | None:
        """Where the body cannot follow the record; None if it can, as far as can be told."""
        if any(not branch.startswith("0") for branch in self._branches):
            return None  # tasks that were made by a callback: their order is not in the graph
        states = self._settled([self._start])
        for position, event in enumerate(self._completions):
            if event.key is None:
                continue  # a request to cancel: what it leads to is among the ways already
            if states is None or any(state.is_unknown for state in states):
                return None
            states = self._settled(after for state in states if (after := self._delivered(state, event)))
            if states is not None and not states:
                return Refusal(event, position)
        if states is None or any(state.is_unknown for state in states):
            return None
        for event in self._open:
            left = [state for state in states if any(asked.fits(event) for asked in state.asked)]
            if not left:
                return Refusal(event, len(self._completions))
            states = set(left)
        return None

    def standing(self) -> Event | None:
        """The last recorded event of an operation: where the run stands."""
        return self._open[-1] if self._open else (self._completions[-1] if self._completions else None)

    # Steps

    def _delivered(self, state: _State, event: Event) -> _State | None:
        if not any(asked.fits(event) for asked in state.asked):
            return None
        failed = event.type in _FAILURES
        wild = f"{(event.key or '').partition('/')[0]}/"
        waiting = [t for t in state.tasks if t.waits == event.key] or [t for t in state.tasks if t.waits == wild][:1]
        tasks = set(state.tasks)
        for task in waiting:
            instruction = self._code[task.at]
            tasks.discard(task)
            if instruction.kind == "ask":
                goal = instruction.failed if failed else instruction.targets[0]
                tasks.add(replace(task, at=goal, waits=None))
        return replace(state, tasks=frozenset(tasks))

    def _settled(self, states: Iterable[_State]) -> set[_State] | None:
        """All ways on until each task waits; None if there are too many."""
        left = list(states)
        seen = set(left)
        quiet: set[_State] = set()
        while left:
            state = left.pop()
            task = self._runnable(state)
            if task is None or state.is_unknown:
                quiet.add(state)
                continue
            for following in self._step(state, task):
                if following not in seen:
                    seen.add(following)
                    left.append(following)
            if len(seen) > LIMIT:
                return None
        return quiet

    def _runnable(self, state: _State) -> _Task | None:
        found = [task for task in state.tasks if self._is_runnable(state, task)]
        return min(found, key=lambda task: (task.branch, task.at), default=None)

    def _is_runnable(self, state: _State, task: _Task) -> bool:
        if task.waits is not None:
            return False
        if task.joins:
            group = (task.branch, self._code[task.at].group)
            return not any(other.group == group for other in state.tasks)
        return True

    def _step(self, state: _State, task: _Task) -> Iterable[_State]:
        instruction = self._code[task.at]
        rest = state.tasks - {task}
        if instruction.kind == "end":
            yield replace(state, tasks=rest)
            return
        if instruction.kind == "anything":
            yield replace(state, is_unknown=True)
            return
        if not task.joins:
            for target in instruction.others:
                yield replace(state, tasks=rest | {replace(task, at=target)})
        match instruction.kind:
            case "choose":
                for target in instruction.targets:
                    yield replace(state, tasks=rest | {replace(task, at=target)})
            case "join" if task.joins:
                yield replace(state, tasks=rest | {replace(task, at=instruction.targets[0], joins=False)})
            case "join":
                yield replace(state, tasks=rest | {replace(task, joins=True)})
            case "spawn":
                yield self._spawned(state, rest, task, instruction)
            case _:
                following, goes_on = self._asked(state, rest, task, instruction)
                yield following
                for target in instruction.others:  # it is given up: by an error beside it, or a request to cancel
                    yield replace(following, tasks=rest | {replace(goes_on, at=target)})

    def _spawned(self, state: _State, rest: frozenset[_Task], task: _Task, instruction: Instruction) -> _State:
        parent = self._with_child(task)
        group = None if instruction.group is None else (task.branch, instruction.group)
        child = _Task(f"{task.branch}.{parent.children}", instruction.targets[1], group=group)
        return replace(state, tasks=rest | {replace(parent, at=instruction.targets[0]), child})

    def _with_child(self, task: _Task) -> _Task:
        """Numbers beyond those that are recorded need not be told apart."""
        return replace(task, children=min(task.children + 1, self._last_child.get(task.branch, 0) + 1))

    def _asked(
        self, state: _State, rest: frozenset[_Task], task: _Task, instruction: Instruction
    ) -> tuple[_State, _Task]:
        operation = instruction.operation
        assert operation is not None
        key, counted = self._reserved(task, operation)
        asked = state.asked | {_Asked(key, operation, operation.form, operation.target)}
        if instruction.kind == "ask":
            return replace(state, tasks=rest | {replace(counted, waits=key)}, asked=asked), counted
        parent = counted
        tasks = {replace(counted, at=instruction.targets[0])}
        if instruction.group is not None:
            parent = self._with_child(counted) if instruction.counted else counted
            group = (task.branch, instruction.group)
            tasks = {
                replace(parent, at=instruction.targets[0]),
                _Task(f"{task.branch}/", task.at, waits=key, group=group),
            }
        return replace(state, tasks=rest | tasks, asked=asked), parent

    def _reserved(self, task: _Task, operation: Operation) -> tuple[str, _Task]:
        if operation.name == DYNAMIC:
            return f"{task.branch}/", task
        counts: dict[str, int] = dict(task.counts)
        most = self._occurrences.get((task.branch, operation.name.partition("#")[0]), 0)
        count = min(counts.get(operation.name, 0) + 1, most + 1)
        if most:
            counts[operation.name] = count
        name = operation.name if count == 1 else f"{operation.name}#{count}"
        return f"{task.branch}/{name}", replace(task, counts=frozenset(counts.items()))
