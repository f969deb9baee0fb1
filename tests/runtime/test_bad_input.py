"""What cannot be done is refused with a stable code and advice, and nothing is changed.

One matrix: each control call by the state of its run; each value that crosses into the history by what is wrong with
it. The command line's half is in tests/cli/test_bad_control_input.py.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from wfgen import (
    RunFailedError,
    UnknownWorkflowError,
    WfgenError,
    Workflow,
    define_workflow,
)
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry
from wfgen.runs import Run
from wfgen.settings import Settings

LIMIT = 10_000
"""Bytes of a payload."""


class Order(BaseModel):
    item: str
    note: str = ""

    @field_validator("item")
    @classmethod
    def known(cls, item: str) -> str:
        return {"tea": "tea", "coffee": "coffee"}[item]


class Approval(BaseModel):
    ok: bool


class Handle:
    """Nothing that can be recorded."""


@define_workflow(name="order", version="1")
async def order(workflow: Workflow, data: Order) -> str:
    return str(await workflow.do("pack", lambda: data.item))


@define_workflow(name="fails", version="1")
async def fails(workflow: Workflow) -> None:
    await workflow.do("first", lambda: 1)
    await workflow.do("explode", lambda: 1 // 0)


@define_workflow(name="approve", version="1")
async def approve(workflow: Workflow, data: Order) -> bool:
    await workflow.do("pack", lambda: data.item)
    workflow.progress(1, 2)
    return (await workflow.hook("approval", Approval)).ok


@define_workflow(name="keep", version="1")
async def keep(workflow: Workflow, what: Any) -> None:
    """An input of any kind, for a child and for continuing."""


VALUES: dict[str, Callable[[], Any]] = {"too large": lambda: "x" * LIMIT, "not serialisable": Handle}


@define_workflow(name="crosses", version="1")
async def crosses(workflow: Workflow, where: Any) -> Any:
    await workflow.do("before", lambda: 1)
    place, kind = where
    value = VALUES[kind]()
    match place:
        case "input of a step":
            await workflow.do("step", lambda given: 1, value)
        case "result of a step":
            await workflow.do("step", lambda: value)
        case "data of emit":
            workflow.emit("event", value)
        case "input of a child":
            await workflow.call("child", "keep", value)
        case "input of a started child":
            await workflow.start("child", "keep", value)
        case "input of the continuation":
            workflow.continue_as_new(value)
        case "input of a compensation":
            workflow.compensate("undo", lambda given: None, value)
    return value


Control = Callable[[Run[Any]], Awaitable[Any]]
CONTROLS: dict[str, Control] = {
    "cancel": lambda run: run.cancel(),
    "pause": lambda run: run.pause(),
    "resume": lambda run: run.resume(),
    "terminate": lambda run: run.terminate("a test"),
    "retry": lambda run: run.retry(),
    "rollback": lambda run: run.rollback(99),
    "rollback with compensations": lambda run: run.rollback(99, compensate=True),
    "fork": lambda run: run.fork(99),
    "resume hook": lambda run: run.hooks["approval"].resume(Approval(ok=True)),
    "progress": lambda run: run.progress(),
    "result": lambda run: run.result("60s"),
    "checkpoints": lambda run: run.checkpoints(),
    "steps": lambda run: run.steps(),
    "waiting": lambda run: run.waiting(),
    "history": lambda run: run.history(),
}
LOOKS = {"progress", "checkpoints", "steps", "waiting", "history"}
"""These look, and refuse only what is not there."""
WORKS = {("failed", "retry"), ("completed", "result")}
"""Control calls that have something to do on a run that has ended so."""
ENDS = {("failed", "result"): "WF721", ("cancelled", "result"): "WF722", ("terminated", "result"): "WF730"}


def registry_of(*names: str) -> Registry:
    """All definitions of this module, or those of some workflows."""
    registry = Registry("none")
    registry.register(*(one for key, one in globals()[NAMESPACE].items() if not names or key[1] in names))
    return registry


def settings_of(folder: Path, **more: Any) -> Settings:
    return Settings(project=folder, payload_limit=LIMIT, **more)


@contextlib.asynccontextmanager
async def working(folder: Path, *names: str, **more: Any) -> AsyncIterator[Engine]:
    async with open_engine(registry_of(*names), settings_of(folder, **more)) as engine, asyncio.timeout(60):
        yield engine


@contextlib.asynccontextmanager
async def client(folder: Path, *names: str, **more: Any) -> AsyncIterator[Engine]:
    async with open_engine(registry_of(*names), settings_of(folder, **more), work=False) as engine:
        yield engine


async def everything(engine: Engine) -> list[Any]:
    """All that the store tells of its runs."""
    store = engine.store
    runs = await store.list_runs(limit=1000)
    return [runs, await store.hooks(state=None), *[await store.history(run.run_id) for run in runs]]


async def refusal(engine: Engine, call: Callable[[], Awaitable[Any]]) -> WfgenError:
    """What a call is refused with; nothing is changed by it, and there is advice."""
    before = await everything(engine)
    with pytest.raises(WfgenError) as raised:
        await call()
    assert await everything(engine) == before
    return raised.value


async def ended(engine: Engine, state: str) -> Run[Any]:
    """A run that has ended in some way, or that is not there."""
    if state == "unknown":
        return engine.run("run_nowhere")
    name = {"completed": "order", "failed": "fails"}.get(state, "approve")
    run = await (engine.start_run(name) if name == "fails" else engine.start_run(name, Order(item="tea")))
    if name == "approve":
        await opened(run)
        await (run.cancel() if state == "cancelled" else run.terminate())
    await engine.finished(run.id)
    return run


async def opened(run: Run[Any]) -> str:
    """Wait until it has a hook open; gives the token."""
    while not (hooks := await run.waiting()):
        await asyncio.sleep(0.005)
    return hooks[0].token


# Control calls.


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled", "terminated", "unknown"])
def test_control_calls_on_runs_that_are_over_or_not_there(tmp_path: Path, state: str) -> None:
    """B11, E4, E5: WF727 on a finished run, WF724 on an unknown one, each with advice; looking at one always works."""

    async def main() -> None:
        async with working(tmp_path) as engine:
            run = await ended(engine, state)
            for name, control in CONTROLS.items():
                if state != "unknown" and (name in LOOKS or (state, name) in WORKS):
                    continue
                error = await refusal(engine, partial(control, run))
                expected = "WF724" if state == "unknown" else ENDS.get((state, name), "WF727")
                assert error.code == expected, name
                assert name == "result" or error.hint, name
            if state != "unknown":
                before = await everything(engine)
                for name in LOOKS:
                    await CONTROLS[name](run)
                assert await everything(engine) == before

    asyncio.run(main())


def test_a_token_that_is_used_up_or_was_never_given(tmp_path: Path) -> None:
    """B12: WF725 for a token of nobody and for a hook that is closed; a second payload is a duplicate."""

    async def main() -> None:
        async with working(tmp_path) as engine:
            run = await engine.start_run("approve", Order(item="tea"))
            token = await opened(run)
            for guessed in ("hook_guessed", token[:-1], f"{token}0", ""):
                error = await refusal(engine, partial(engine.controls.resume_hook_json, "1", token=guessed))
                assert (error.code, bool(error.hint)) == ("WF725", True)
            wrong_run = await refusal(
                engine, lambda: engine.controls.resume_hook_json("1", token=token, run_id="run_nowhere")
            )
            neither = await refusal(engine, lambda: engine.controls.resume_hook_json("1", run_id=run.id))
            assert wrong_run.code == neither.code == "WF703"
            assert await engine.controls.resume_hook_json('{"ok": true}', token=token) == "sent"
            assert await run.result() is True
            assert await engine.controls.resume_hook_json('{"ok": false}', token=token) == "duplicate"
            other = await engine.start_run("approve", Order(item="tea"))
            token = await opened(other)
            await other.pause()
            await other.terminate()
            assert (await refusal(engine, lambda: engine.controls.resume_hook_json("1", token=token))).code == "WF725"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("control", "status"),
    [
        ("cancel", "cancelled"), ("pause", "paused"), ("terminate", "terminated"), ("resume hook", "completed"),
        ("rollback", "waiting"), ("fork", "waiting"), ("progress", "waiting"), ("checkpoints", "waiting"),
    ],
)  # fmt: skip
def test_control_calls_on_a_run_of_another_process(tmp_path: Path, control: str, status: str) -> None:
    """B11, E4: a run that another process holds obeys; what cannot be done with it is refused as anywhere."""

    async def main() -> None:
        async with working(tmp_path) as owner, client(tmp_path) as engine:
            held = await owner.start_run("approve", Order(item="tea"))
            await opened(held)
            run = engine.run(held.id)
            for name in ("retry", "rollback", "fork"):
                error = await refusal(engine, partial(CONTROLS[name], run))
                assert (error.code, bool(error.hint)) == ("WF727", True)
            with pytest.raises(TimeoutError, match="it goes on"):
                await run.result("10ms")
            if control == "rollback":
                await run.rollback(1)
            elif control == "fork":
                assert await opened(await run.fork(1)) != await opened(run)
            else:
                await CONTROLS[control](run)
            while (await run.info()).status != status:
                await asyncio.sleep(0.005)
            if status == "paused":
                assert await run.resume() == "sent"
                assert await run.resume() == "duplicate"
                await run.cancel()

    asyncio.run(main())


def test_control_calls_on_a_run_whose_workflow_is_not_here(tmp_path: Path) -> None:
    """A1: what needs the workflow's types is refused with WF701; all else works, whoever works the run."""

    async def main() -> None:
        async with working(tmp_path) as engine:
            done = (await ended(engine, "completed")).id
            run = await engine.start_run("approve", Order(item="tea"))
            await opened(run)
        async with client(tmp_path, "fails") as stranger:
            for call in (
                lambda: stranger.run(done).result("60s"),
                lambda: stranger.run(run.id).fork(1, Order(item="tea")),
                lambda: stranger.start_run("order", Order(item="tea")),
            ):
                error = await refusal(stranger, call)
                assert isinstance(error, UnknownWorkflowError)
                assert (error.code, error.hint) == ("WF701", "There is fails.")
            foreign = stranger.run(run.id)
            for name in LOOKS:
                await CONTROLS[name](foreign)
            assert await foreign.pause() == "sent"
            assert await foreign.resume() == "sent"
            await foreign.rollback(1)
            fork = await foreign.fork(1)
            await fork.terminate()
            await foreign.cancel()
            assert await stranger.prune("0s") == 2  # the fork, and the one that is done
            with pytest.raises(WfgenError) as raised:
                await fork.info()
            assert raised.value.code == "WF724"

    asyncio.run(main())


# Values from outside.

FROM_OUTSIDE: dict[str, tuple[Callable[[Engine, Run[Any]], Awaitable[Any]], str]] = {
    "an input that is too large": (
        lambda engine, run: engine.start_run("order", {"item": "tea", "note": "x" * LIMIT}),
        "WF704",
    ),
    "an input that is not serialisable": (lambda engine, run: engine.start_run("keep", Handle()), "WF704"),
    "an input that is no text": (lambda engine, run: engine.start_run("keep", "\ud800"), "WF704"),
    "an input of the wrong shape": (lambda engine, run: engine.start_run("order", {"item": 1}), "WF703"),
    "an input that is missing": (lambda engine, run: engine.start_run("order"), "WF703"),
    "an input too many": (lambda engine, run: engine.start_run("fails", 1), "WF703"),
    "an input whose validator fails": (lambda engine, run: engine.start_run("order", {"item": "milk"}), "WF703"),
    "JSON whose validator fails": (lambda engine, run: engine.start_run_json("order", '{"item": "milk"}'), "WF703"),
    "an input that is no JSON": (lambda engine, run: engine.start_run_json("order", b"\xff"), "WF703"),
    "JSON that is too deep": (lambda engine, run: engine.start_run_json("keep", "[" * 100_000), "WF703"),
    "an idempotency key that is no text": (
        lambda engine, run: engine.start_run("fails", idempotency_key=1),  # type: ignore[arg-type]
        "WF703",
    ),
    "an idempotency key that cannot be printed": (
        lambda engine, run: engine.start_run("fails", idempotency_key="\n"),
        "WF703",
    ),
    "one text for tags": (lambda engine, run: engine.start_run("fails", tags="vip"), "WF703"),
    "a tag that cannot be printed": (lambda engine, run: engine.start_run("fails", tags=["\ud800"]), "WF703"),
    "one text for statuses": (lambda engine, run: engine.store.list_runs(status="failed"), "WF703"),  # type: ignore[arg-type]
    "an unknown workflow": (lambda engine, run: engine.start_run("ordr", 1), "WF701"),
    "an unknown version": (lambda engine, run: engine.start_run("order", 1, version="2"), "WF701"),
    "an id that is no text": (lambda engine, run: engine.run("run_\ud800").cancel(), "WF800"),
    "a payload that is too large": (lambda engine, run: run.hooks["approval"].resume("x" * LIMIT), "WF704"),
    "a payload that is not serialisable": (lambda engine, run: run.hooks["approval"].resume(Handle()), "WF704"),
    "a payload of the wrong shape": (
        lambda engine, run: run.hooks._hook("approval", Approval).resume({"ok": "maybe"}),
        "WF703",
    ),
    "a payload that is no JSON": (
        lambda engine, run: engine.controls.resume_hook_json("{", run_id=run.id, name="approval"),
        "WF703",
    ),
    "a payload that is not encoded": (
        lambda engine, run: engine.controls.resume_hook("true", run_id=run.id, name="approval"),  # type: ignore[arg-type]
        "WF703",
    ),
    "a fork's input that is too large": (
        lambda engine, run: run.fork(1, {"item": "tea", "note": "x" * LIMIT}),
        "WF704",
    ),
    "a fork's input of the wrong shape": (lambda engine, run: run.fork(1, {"item": 1}), "WF703"),
    "a fork's key that is no text": (
        lambda engine, run: run.fork(1, idempotency_key=1),  # type: ignore[arg-type]
        "WF703",
    ),
    "a duration that is none": (lambda engine, run: engine.prune("soon"), "WF703"),
    "a timeout that is none": (lambda engine, run: run.result("-1s"), "WF703"),
}


@pytest.mark.parametrize("what", FROM_OUTSIDE)
def test_values_from_outside(tmp_path: Path, what: str) -> None:
    """A15, B12: what does not fit is refused before anything is recorded, and the error names what it is about."""
    call, code = FROM_OUTSIDE[what]

    async def main() -> None:
        async with working(tmp_path) as engine:
            run = await engine.start_run("approve", Order(item="tea"))
            await opened(run)
            error = await refusal(engine, lambda: call(engine, run))
            assert error.code == code
            assert len(str(error)) > 20
            if code == "WF704":
                assert error.hint
            await run.hooks["approval"].resume(Approval(ok=True))
            assert await run.result() is True

    asyncio.run(main())


@pytest.mark.parametrize(
    "payload", ['{"ok": "maybe"}', "null", '{"ok": true', '"\\ud800"'], ids=["shape", "null", "no JSON", "no text"]
)
def test_a_payload_that_the_sender_could_not_judge(tmp_path: Path, payload: str) -> None:
    """B12: a payload of the wrong shape that reaches its run is recorded as rejected, and the hook goes on waiting."""

    async def main() -> None:
        async with working(tmp_path) as engine:
            run = await engine.start_run("approve", Order(item="tea"))
            token = await opened(run)
            assert await engine.controls.resume_hook(payload.encode(), token=token) == "sent"
            while (last := (await run.history())[-1]).type != "hook_rejected":
                await asyncio.sleep(0.005)
            assert "the payload of hook 'approval' does not load as" in last.data["error"]
            assert await run.hooks["approval"].resume(Approval(ok=False)) == "sent"
            assert await run.result() is False

    asyncio.run(main())


def test_a_payload_whose_validator_fails_in_its_own_way(tmp_path: Path) -> None:
    """B12: a type's own validator may raise anything; the run is told apart from the payload, and goes on waiting."""

    async def main() -> None:
        async with working(tmp_path) as engine:
            run = await engine.start_run("confirm")
            await opened(run)
            for payload in ({"item": "milk"}, {"item": "tea"}):
                await run.hooks["order"].resume(payload)
            assert await run.result() == "tea"
            (rejected,) = [event for event in await run.history() if event.type == "hook_rejected"]
            assert "its validator raised KeyError: 'milk'" in rejected.data["error"]

    asyncio.run(main())


@define_workflow(name="confirm", version="1")
async def confirm(workflow: Workflow) -> str:
    return (await workflow.hook("order", Order)).item


# Values from within.


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize(
    "place",
    [
        "input of a step", "result of a step", "data of emit", "input of a child", "input of a started child",
        "input of the continuation", "input of a compensation", "result of the workflow",
    ],
)  # fmt: skip
def test_values_from_within(tmp_path: Path, place: str, kind: str) -> None:
    """A13: what cannot be recorded fails the run at once, is not retried, and says what it was and what to do."""

    async def main() -> None:
        async with working(tmp_path) as engine:
            run = await engine.start_run("crosses", [place, kind])
            with pytest.raises(RunFailedError) as raised:
                await run.result()
            assert raised.value.error_code == ("WF710" if place == "result of a step" else "WF704")
            advice = "Keep large data elsewhere" if kind == "too large" else "Use models, dataclasses or plain values"
            if "child" in place or "continuation" in place:  # of any type: nothing is known of the class
                advice = advice if kind == "too large" else "made of what pydantic can serialise"
            assert advice in raised.value.error
            types = [event.type for event in await run.history()]
            assert types.count("step_completed") == 1
            assert types[-1] == "run_failed"
            assert not {"emitted", "child_started", "run_continued", "step_retrying"} & set(types)
            assert len(await engine.store.list_runs()) == 1

    asyncio.run(main())


# Keys.


def keys_with(fill: bytes) -> str:
    return json.dumps({"active": "k", "keys": {"k": base64.b64encode(fill * 32).decode()}})


@pytest.mark.parametrize("keys", ["wrong", "missing"])
def test_without_the_right_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    """B16: WF732 with advice wherever a payload would have to be opened; the run waits for a process with its key."""

    async def main() -> None:
        right: dict[str, Any] = {"encryption_keys": "env:SHOP_KEYS"}
        monkeypatch.setenv("SHOP_KEYS", keys_with(b"a"))
        async with working(tmp_path, **right) as engine:
            done = (await ended(engine, "completed")).id
            run = await engine.start_run("approve", Order(item="tea"))
            await opened(run)
        monkeypatch.setenv("SHOP_KEYS", keys_with(b"b"))
        async with client(tmp_path, **right) as owner:
            store = owner.store._store  # type: ignore[attr-defined]  # it cannot be compared when it is opened
            async with client(tmp_path, **(right if keys == "wrong" else {})) as engine:
                held, over = engine.run(run.id), engine.run(done)
                calls: list[Callable[[], Awaitable[Any]]] = [
                    over.result, held.info, held.history, held.steps, held.progress, held.entries, held.checkpoints,
                    lambda: held.fork(1), lambda: held.fork(1, Order(item="coffee")), lambda: over.fork(1),
                ]  # fmt: skip
                if keys == "wrong":
                    calls.append(lambda: held.hooks["approval"].resume(Approval(ok=True)))
                before = [await store.list_runs(), await store.history(run.id), await store.messages("")]
                for call in calls:
                    with pytest.raises(WfgenError) as raised:
                        await call()
                    assert raised.value.code == "WF732"
                    assert raised.value.hint
                assert [await store.list_runs(), await store.history(run.id), await store.messages("")] == before
        monkeypatch.setenv("SHOP_KEYS", keys_with(b"a"))
        async with working(tmp_path, **right) as engine:
            await engine.run(run.id).hooks["approval"].resume(Approval(ok=True))
            assert await engine.run(run.id).result() is True

    asyncio.run(main())
