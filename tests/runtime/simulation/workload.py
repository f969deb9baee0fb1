"""What is run: random programs out of the kinds of step, and the one workflow that plays them.

A program is a tree of nodes, given to the workflow as its input. `allows` says which results it may have, whatever goes
wrong meanwhile.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from wfgen import (
    HookTimeoutError,
    Job,
    Retry,
    RunCancelledError,
    RunFailedError,
    StepError,
    StepInterruptedError,
    StepTimeoutError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.definitions import NAMESPACE
from wfgen.registry import Registry

if TYPE_CHECKING:
    from .world import World

Node = dict[str, Any]

WORLD: list[World] = []
"""The simulation that is under way: what steps do is told to it."""


@define_worker("work.remote")
async def remote(spec: Node, job: Job) -> Any:
    """An asynchronous step."""
    WORLD[0].model.step_begins(job.run_id, spec["name"])
    if spec["takes"]:
        await asyncio.sleep(spec["takes"])
    return _outcome(spec, job.attempt)


@define_worker("work.blocking")
def blocking(spec: Node, job: Job) -> Any:
    """A step in a thread."""
    WORLD[0].model.step_begins(job.run_id, spec["name"])
    WORLD[0].thread_takes = spec["takes"]
    return _outcome(spec, job.attempt)


@define_worker("work.queued", dispatch="queue")
async def queued(spec: Node, job: Job) -> Any:
    """An asynchronous step on a queue."""
    WORLD[0].model.job_begins(job.run_id, spec["name"])
    if spec["takes"]:
        await asyncio.sleep(spec["takes"])
    return _outcome(spec, job.attempt)


@define_worker("work.queued_blocking", dispatch="queue")
def queued_blocking(spec: Node, job: Job) -> Any:
    """The same in a thread."""
    WORLD[0].model.job_begins(job.run_id, spec["name"])
    WORLD[0].thread_takes = spec["takes"]
    return _outcome(spec, job.attempt)


def _outcome(spec: Node, attempt: int) -> Any:
    if attempt <= spec["fails"]:
        raise ConnectionError(f"attempt {attempt} of {spec['name']}")
    return spec["value"]


@define_worker("work.failing")
async def failing(name: str, job: Job) -> None:
    """A step whose error ends the run."""
    WORLD[0].model.step_begins(job.run_id, name)
    raise LookupError(f"as {name} is meant to")


@define_worker("work.undo", retry=Retry(attempts=8, delay="100ms"))
async def undo(spec: Node, job: Job) -> None:
    """A compensation."""
    WORLD[0].model.step_begins(job.run_id, f"undo {spec['name']}")
    if job.attempt == 1 and spec["value"] % 3 == 0:
        raise ConnectionError("the first time")


@define_workflow(name="program", version="1")
async def program(workflow: Workflow, node: Node) -> Any:
    """Play a program."""
    return await _play(workflow, node)


async def _play(workflow: Workflow, node: Node) -> Any:
    name = node.get("name", "")
    branches: list[Node] = node.get("of", [])
    match node["op"]:
        case "sequence":
            return [await _play(workflow, branch) for branch in branches]
        case "gather":
            return list(await asyncio.gather(*[_play(workflow, branch) for branch in branches]))
        case "group":
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_play(workflow, branch)) for branch in branches]
            return [task.result() for task in tasks]
        case "parallel":
            named = {str(number): _play(workflow, branch) for number, branch in enumerate(branches)}
            results = await workflow.parallel(named, wait_for=node["wait_for"], limit=node["limit"])
            return [[number, result] for number, result in results.items()]
        case "race":
            racing = [asyncio.create_task(_play(workflow, branch)) for branch in branches]
            done, pending = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            return sorted(([racing.index(task), task.result()] for task in done), key=lambda pair: pair[0])
        case "rpc" | "sync" | "inline" | "queued":
            return await _step(workflow, node, name)
        case "sleep":
            before = workflow.now()
            await workflow.sleep(name, timedelta(seconds=node["seconds"]))
            return (workflow.now() - before).total_seconds() >= node["seconds"] - 0.01
        case "hook":
            return await _hook(workflow, node)
        case "hooks":
            return [await _hook(workflow, node) for _ in range(2)]
        case "guarded":
            try:
                return await _play(workflow, branches[0])
            except asyncio.CancelledError:
                await _play(workflow, node["cleanup"])
                raise
        case "create_hook":
            hook = workflow.create_hook(name, str, timeout=timedelta(seconds=node["timeout"]))
            between = await _play(workflow, node["between"])
            try:
                return [between, await hook]
            except HookTimeoutError:
                return [between, "late"]
        case "call" | "start":
            try:
                if node["op"] == "call":
                    return await workflow.call(name, "program", node["program"])
                child = await workflow.start(name, "program", node["program"], on_parent_end=node["on_parent_end"])
                if not node["awaited"]:
                    return "started"
                return await child
            except RunCancelledError:
                return "child cancelled"
            except RunFailedError:
                return "child failed"
        case "use":
            texts = [str(workflow.uuid()), workflow.random().random(), workflow.now().isoformat()]
            return [*texts, workflow.patched(name)]
        case "fail" if node["in_step"]:
            return await workflow.do(name, "work.failing", name)
        case "fail":
            raise ValueError(f"as {name} is meant to")
        case "continue":
            workflow.continue_as_new(node["program"])
    raise AssertionError(node["op"])


async def _hook(workflow: Workflow, node: Node) -> str:
    try:
        return await workflow.hook(node["name"], str, timeout=timedelta(seconds=node["timeout"]))
    except HookTimeoutError:
        return "late"


async def _step(workflow: Workflow, node: Node, name: str) -> Any:
    retry = Retry(attempts=node["attempts"], delay=timedelta(seconds=node["delay"]))
    timeout = None if node["timeout"] is None else timedelta(seconds=node["timeout"])

    async def undo_result(result: Any) -> None:
        WORLD[0].model.step_begins(str(workflow.run_id), f"undo {name}")

    try:
        if node["undo"] == "data":
            workflow.compensate(name, "work.undo", node)
        if node["op"] == "rpc":
            once = node["once"] or None
            undone_by = undo_result if node["undo"] == "result" else None
            return await workflow.do(
                name, "work.remote", node, retry=retry, timeout=timeout, at_most_once=once, compensate=undone_by
            )
        if node["op"] == "queued":
            worker = "work.queued" if node["value"] % 2 else "work.queued_blocking"
            if not node["awaited"]:
                await workflow.do(name, worker, node, retry=retry, timeout=timeout, await_result=False)
                return "put"
            once = node["once"] or None
            undone_by = undo_result if node["undo"] == "result" else None
            return await workflow.do(
                name, worker, node, retry=retry, timeout=timeout, at_most_once=once, compensate=undone_by
            )
        if node["op"] == "sync":
            return await workflow.do(name, "work.blocking", node, retry=retry, timeout=timeout)

        async def inline() -> Any:
            WORLD[0].model.step_begins(str(workflow.run_id), name)
            return node["value"]

        return await workflow.do(name, inline)
    except StepInterruptedError:
        return "interrupted"
    except StepTimeoutError:
        return "timeout"
    except StepError:
        return "failed"


def registry() -> Registry:
    """The definitions above."""
    found = Registry("none")
    found.register(*globals()[NAMESPACE].values())
    return found


class Generator:
    """Makes random programs; each name occurs once in one program and its continuations."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._queues = random.Random(source.random())
        self._number = 0

    def program(self, depth: int = 2, parts: int = 0) -> Node:
        """One run's input."""
        random = self._random
        nodes = self._several(depth, 1, 4)
        ending = random.random()
        if parts and ending < 0.35:
            nodes.append({"op": "continue", "program": self.program(1, parts - 1)})
        elif ending > 0.9:
            nodes.append({"op": "fail", "name": self._name(), "in_step": random.random() < 0.6})
        return {"op": "sequence", "of": nodes}

    def _name(self) -> str:
        self._number += 1
        return f"n{self._number}"

    def _several(self, depth: int, least: int, most: int) -> list[Node]:
        return [self._node(depth) for _ in range(self._random.randint(least, most))]

    def _node(self, depth: int) -> Node:
        random = self._random
        leaves = ["rpc"] * 4 + ["sync", "sync", "inline", "inline", "sleep", "hook", "hooks", "create_hook", "use"]
        inner = ["sequence", "guarded", "gather", "gather", "group", "parallel", "race", "call", "start"]
        op = random.choice(leaves + inner if depth else leaves)
        match op:
            case "rpc" | "sync" | "inline":
                return self._step(op)
            case "sleep":
                return {"op": op, "name": self._name(), "seconds": round(random.uniform(0, 4), 3)}
            case "hook" | "hooks":
                return {"op": op, "name": self._name(), "timeout": random.choice((1.0, 500.0))}
            case "create_hook":
                between = self._step("rpc")
                return {"op": op, "name": self._name(), "timeout": random.choice((1.0, 500.0)), "between": between}
            case "use":
                return {"op": op, "name": self._name()}
            case "guarded":
                body, cleanup = self._node(depth - 1), self._step("rpc")
                return {"op": op, "of": [body], "cleanup": {**cleanup, "takes": 1.0}}
            case "call":
                return {"op": op, "name": self._name(), "program": self.program(depth - 1)}
            case "start":
                policy, awaited = random.choice(("cancel", "abandon")), random.random() < 0.6
                child = self.program(depth - 1)
                return {"op": op, "name": self._name(), "program": child, "on_parent_end": policy, "awaited": awaited}
            case "parallel":
                branches = self._several(depth - 1, 1, 4)
                wait_for = random.choice(["all", "any", random.randint(1, len(branches))])
                return {"op": op, "of": branches, "wait_for": wait_for, "limit": random.choice([None, 1, 2])}
        return {"op": op, "of": self._several(depth - 1, 1 if op == "race" else 0, 3)}

    def _step(self, op: str) -> Node:
        random = self._random
        once = op == "rpc" and random.random() < 0.2
        attempts = 1 if once else random.choice((1, 1, 2, 4))
        fails = random.choice((0, 0, 0, 1, 3)) if op != "inline" else 0
        takes = random.choice((0.0, 0.0, 0.001, 0.5, 2.0)) if op != "inline" else 0.0
        step = {
            "op": op,
            "name": self._name(),
            "value": random.randrange(1000),
            "attempts": attempts,
            "delay": random.choice((0.0, 0.1, 1.0)),
            "fails": fails,
            "takes": takes,
            "timeout": random.choice((None, None, 1.0)) if op != "inline" else None,
            "once": once,
            "undo": random.choice((None, None, None, None, "result", "data")) if op == "rpc" else None,
        }
        if op == "rpc" and self._queues.random() < 0.4:
            step["op"], step["awaited"] = "queued", self._queues.random() < 0.85
            if not step["awaited"]:
                step["once"], step["undo"] = False, None
        return step


def children(node: Node) -> list[Node]:
    """The nodes that are played inside a node, in the same run and the same part of it."""
    return [*node.get("of", []), *(node[part] for part in ("between", "cleanup") if part in node)]


def hooks(node: Node) -> list[Node]:
    """The hooks of a run, also of its later parts."""
    found = [node] if node["op"] in ("hook", "hooks", "create_hook") else []
    for inner in children(node):
        found += hooks(inner)
    return found + hooks(node["program"]) if node["op"] == "continue" else found


def requirements(node: Node, before: frozenset[str] = frozenset()) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    """For each step: the names of what must be recorded before it starts; and all that is recorded after the node."""
    match node["op"]:
        case "queued" if not node["awaited"]:
            return {node["name"]: before}, before
        case "rpc" | "sync" | "inline" | "queued":
            return {node["name"]: before}, before | {node["name"]}
        case "sleep" | "hook" | "call":
            return {}, before | {node["name"]}
        case "hooks":
            return {}, before | {node["name"], f"{node['name']}#2"}
        case "guarded":
            needed, after = requirements(node["of"][0], before)
            return needed | requirements(node["cleanup"], before)[0], after
        case "start":
            return {}, before | {node["name"]} if node["awaited"] else before
        case "create_hook":
            needed, after = requirements(node["between"], before)
            return needed, after | {node["name"]}
        case "continue":
            return requirements(node["program"])[0], before
    needed = {}
    after = before
    for inner in children(node):
        more, ended = requirements(inner, after if node["op"] == "sequence" else before)
        needed |= more
        if node["op"] == "sequence":
            after = ended
        elif node["op"] in ("gather", "group"):
            after |= ended
    return needed, after


def steps(node: Node) -> dict[str, Node]:
    """The steps of a run, also of its later parts, by name."""
    found = {node["name"]: node} if node["op"] in ("rpc", "sync", "inline", "queued") else {}
    for inner in children(node):
        found |= steps(inner)
    return found | steps(node["program"]) if node["op"] == "continue" else found


def fails(node: Node) -> bool:
    """Whether a program ends with an error."""
    last = node["of"][-1]
    return last["op"] == "fail" or (last["op"] == "continue" and fails(last["program"]))


def allows(node: Node, result: Any) -> bool:
    """Whether a node may have a result."""
    match node["op"]:
        case "sequence":
            if node["of"] and node["of"][-1]["op"] == "continue":
                return allows(node["of"][-1]["program"], result)
            return _all_allow(node["of"], result)
        case "gather" | "group":
            return _all_allow(node["of"], result)
        case "parallel":
            named: dict[str, int] = {"all": len(node["of"]), "any": min(1, len(node["of"]))}
            needed = named[node["wait_for"]] if node["wait_for"] in named else int(node["wait_for"])
            return len(result) >= needed and all(allows(node["of"][int(number)], one) for number, one in result)
        case "race":
            return len(result) >= 1 and all(allows(node["of"][number], one) for number, one in result)
        case "queued" if not node["awaited"]:
            return bool(result == "put")
        case "queued" if node["fails"] and result in (node["value"], "failed"):
            return True  # attempts whose processes have died count
        case "rpc" | "sync" | "inline" | "queued":
            # A process that stands still may let any bound pass.
            late = result == "timeout" and node["timeout"] is not None
            return bool(result == step_result(node)) or late or (result == "interrupted" and node["once"])
        case "sleep":
            return result is True
        case "hook":
            return _payload(node, result)
        case "hooks":
            return len(result) == 2 and all(_payload(node, one) for one in result)
        case "guarded":
            return allows(node["of"][0], result)
        case "create_hook":
            between, payload = result
            return allows(node["between"], between) and _payload(node, payload)
        case "call" | "start":
            if result == "started":
                return node["op"] == "start" and not node["awaited"]
            if result == "child failed":
                return fails(node["program"])
            return result == "child cancelled" or (not fails(node["program"]) and allows(node["program"], result))
        case "use":
            return len(result) == 4
    return False


def _payload(node: Node, result: Any) -> bool:
    return bool(result == f"for {node['name']}") or (result == "late" and node["timeout"] < 100)


def _all_allow(nodes: list[Node], results: Any) -> bool:
    return len(results) == len(nodes) and all(allows(*pair) for pair in zip(nodes, results, strict=True))


def step_result(node: Node) -> Any:
    """What a step gives in the end."""
    too_slow = node["timeout"] is not None and node["takes"] >= node["timeout"]
    if too_slow:
        return "timeout"
    return node["value"] if node["fails"] < node["attempts"] else "failed"
