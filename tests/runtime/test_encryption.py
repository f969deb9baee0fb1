"""Encrypted payloads: nothing readable in the store file, keys that are replaced, and keys that are wrong (B16)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from wfgen import (
    ConfigurationError,
    ConflictError,
    EncryptionError,
    Job,
    NonRetryable,
    Retry,
    RunFailedError,
    StepError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.definitions import NAMESPACE
from wfgen.encryption import Keys, load_keys, new_key, parse_keys
from wfgen.engine import Engine, open_engine
from wfgen.ids import RunId
from wfgen.registry import Registry
from wfgen.settings import Settings

SECRETS = [f"s3cret-{name}" for name in ("input", "data", "result", "error", "hook", "child", "output", "caught")]


class Order(BaseModel):
    card: str
    note: str = ""


CALLS: list[str] = []


@define_worker("pay.charge")
async def charge(order: Order) -> str:
    CALLS.append("charge")
    assert order.card == "s3cret-data"
    return "s3cret-result"


@define_worker("pay.fail")
async def fail() -> str:
    raise NonRetryable("s3cret-error")


@define_workflow
async def child(workflow: Workflow, word: str) -> str:
    return str(await workflow.do("fail", "pay.fail")) if word == "fail" else "s3cret-child"


@define_workflow
async def everything(workflow: Workflow, order: Order) -> str:
    caught: list[str] = []
    receipt = await workflow.do("charge", "pay.charge", Order(card="s3cret-data"))
    try:
        await workflow.do("fail", "pay.fail")
    except StepError as error:
        caught.append(str(error))
    word = await workflow.hook("word", str)
    below = await workflow.call("child", "child", "go")
    try:
        await workflow.call("failing child", "child", "fail")
    except RunFailedError as error:
        caught.append(error.error)
    return f"s3cret-output {order.card} {receipt} {word} {below} {len([e for e in caught if 's3cret-error' in e])}"


@define_workflow
async def fails(workflow: Workflow) -> str:
    raise ValueError("s3cret-caught")


SAID = [
    f"s3cret-{name}"
    for name in ("emitted", "progress", "reported", "retried", "warned", "refused", "early", "undo", "fork", "reason")
]


def _refuse(word: str) -> None:
    raise ValueError(f"s3cret-refused {word}")


@define_workflow
async def talkative(workflow: Workflow, word: str) -> None:
    def unfit() -> int:
        return "s3cret-warned"  # type: ignore[return-value]

    workflow.emit("event", {"text": "s3cret-emitted"})
    workflow.progress(1, 2, "s3cret-progress")
    workflow.compensate("undo", "pay.undo", "s3cret-data")
    await workflow.do("unstable", "pay.unstable", on_error="continue")
    await workflow.do("unfit", unfit, validate="warn")
    await workflow.hook("word", str, validator=_refuse)


@define_worker("pay.unstable", retry=Retry(attempts=2, delay="1ms"))
async def unstable(job: Job) -> None:
    job.report("s3cret-reported")
    raise ConnectionError("s3cret-retried")


@define_worker("pay.undo")
async def undo(word: str) -> None:
    raise LookupError("s3cret-undo")


def keyring(*ids: str, active: str | None = None, seed: int = 0) -> str:
    keys = {key_id: base64.b64encode(bytes([seed, *key_id.encode()]).ljust(32, b".")).decode() for key_id in ids}
    return json.dumps({"active": active or ids[-1], "keys": keys})


def with_keys(
    folder: Path, keys: str | None, scenario: Callable[[Engine], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> Any:
    source = None
    if keys is not None:
        monkeypatch.setenv("TEST_KEYS", keys)
        source = "env:TEST_KEYS"
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())

    async def main() -> Any:
        settings = Settings(project=folder, encryption_keys=source)
        async with open_engine(registry, settings) as engine, asyncio.timeout(60):
            return await scenario(engine)

    return asyncio.run(main())


async def _until_waiting(engine: Engine, run_id: str) -> None:
    while not await engine.store.hooks(run_id=run_id):
        await asyncio.sleep(0.01)


def stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (folder / ".wfgen").iterdir())


def test_nothing_that_a_payload_holds_can_be_read_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B16: inputs, results, errors, tracebacks and hook data of a run, and of its children, are encrypted."""

    async def scenario(engine: Engine) -> tuple[str, list[Any]]:
        run = await engine.start_run("everything", Order(card="s3cret-input"), idempotency_key="one")
        await run.hooks["word"].resume("s3cret-hook")
        result = await run.result()
        failed = await engine.start_run("fails")
        with pytest.raises(RunFailedError, match="s3cret-caught"):
            await failed.result()
        assert (await failed.info()).error == "s3cret-caught"
        assert [r.error for r in await engine.store.list_runs(workflow="fails")] == ["s3cret-caught"]
        return result, await run.history()

    result, history = with_keys(tmp_path, keyring("k1"), scenario, monkeypatch)
    assert result == "s3cret-output s3cret-input s3cret-result s3cret-hook s3cret-child 2"
    failure = next(event for event in history if event.type == "step_failed")
    assert failure.data["error"] == "s3cret-error"
    assert "s3cret-error" in failure.data["traceback"]
    assert next(e for e in history if e.type == "step_completed").data["input"].startswith("k1:")
    found = [secret for secret in SECRETS if secret.encode() in stored(tmp_path)]
    assert found == []


def test_without_keys_all_of_it_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail; only the input of a step is never stored."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("everything", Order(card="s3cret-input"))
        await run.hooks["word"].resume("s3cret-hook")
        await run.result()
        with pytest.raises(RunFailedError):
            await (await engine.start_run("fails")).result()

    with_keys(tmp_path, None, scenario, monkeypatch)
    assert [s for s in SECRETS if s.encode() not in stored(tmp_path)] == ["s3cret-data"]


@pytest.mark.parametrize("keys", [keyring("k1"), None])
def test_what_a_run_says_on_its_way_is_encrypted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str | None
) -> None:
    """B16: events of one's own, progress, reports, errors of attempts, refusals, compensations, forks, reasons."""

    async def scenario(engine: Engine) -> bytes:
        run = await engine.start_run("talkative", "s3cret-input")
        await _until_waiting(engine, run.id)
        await run.hooks["word"].resume("no")
        await run.hooks["another"].resume("s3cret-early")
        while not any(event.type == "hook_rejected" for event in await run.history()):
            await asyncio.sleep(0.01)
        fork = await run.fork((await run.checkpoints())[0].seq, "s3cret-fork")
        await _until_waiting(engine, fork.id)
        await fork.cancel()
        with pytest.raises(RunFailedError, match="s3cret-undo"):
            await fork.result()
        before = stored(tmp_path)  # while the messages that nobody has taken are there
        await run.terminate("s3cret-reason")
        assert (await run.info()).error == "s3cret-reason"
        progress = await run.progress()
        assert progress is not None
        assert progress.message == "s3cret-progress"
        return before

    before = with_keys(tmp_path, keys, scenario, monkeypatch)
    readable = [secret for secret in SAID if secret.encode() in before + stored(tmp_path)]
    assert readable == ([] if keys else SAID)


def test_keys_are_replaced_while_runs_are_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B16: a new key seals, the old one still opens; no recorded step runs again, and no input counts as changed."""
    CALLS.clear()

    async def begin(engine: Engine) -> str:
        run = await engine.start_run("everything", Order(card="s3cret-input"), idempotency_key="one")
        await _until_waiting(engine, run.id)
        return run.id

    run_id = with_keys(tmp_path, keyring("old"), begin, monkeypatch)

    async def end(engine: Engine) -> tuple[str, list[Any]]:
        again = await engine.start_run("everything", Order(card="s3cret-input"), idempotency_key="one")
        assert again.id == run_id
        with pytest.raises(ConflictError):
            await engine.start_run("everything", Order(card="another"), idempotency_key="one")
        run = engine.run(run_id)
        await run.hooks["word"].resume("s3cret-hook")
        return await run.result(), await run.history()

    result, history = with_keys(tmp_path, keyring("old", "new"), end, monkeypatch)
    assert result.endswith("s3cret-child 2")
    assert CALLS == ["charge"]
    assert "input_changed" not in [event.type for event in history]
    content = stored(tmp_path)
    assert b"wfgen:1:old:" in content
    assert b"wfgen:1:new:" in content


def test_a_payload_with_another_key_holds_up_no_other_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """B16: a process without the key of a payload gives that run back, and goes on with its others."""

    async def scenario(engine: Engine) -> Any:
        one, two = [await engine.start_run("everything", Order(card="s3cret-input")) for _ in range(2)]
        await _until_waiting(engine, one.id)
        await _until_waiting(engine, two.id)
        foreign = parse_keys(keyring("old", "new"), "test").seal(b'"s3cret-hook"')
        await engine.store._store.send("hook", run_id=one.id, name="word", payload=foreign)  # type: ignore[attr-defined]
        await two.hooks["word"].resume("s3cret-hook")
        assert "s3cret-child" in await two.result("60s")
        assert f"run {one.id} is given back" in caplog.text
        return (await one.info()).owner

    assert with_keys(tmp_path, keyring("old"), scenario, monkeypatch) is None


def test_what_was_stored_before_there_were_keys_stays_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that began without encryption goes on with it."""

    async def begin(engine: Engine) -> str:
        run = await engine.start_run("everything", Order(card="s3cret-input"))
        await _until_waiting(engine, run.id)
        return run.id

    run_id = with_keys(tmp_path, None, begin, monkeypatch)

    async def end(engine: Engine) -> list[str]:
        run = engine.run(run_id)
        await run.hooks["word"].resume("later-hook")
        assert "later-hook" in await run.result()
        return [event.type for event in await run.history()]

    assert "input_changed" not in with_keys(tmp_path, keyring("k1"), end, monkeypatch)
    assert b"later-hook" not in stored(tmp_path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        pytest.param(None, "no keys are set", id="none"),
        pytest.param(keyring("other"), "the key 'k1', which is not here", id="another id"),
        pytest.param(keyring("k1", seed=1), "cannot be decrypted with the key 'k1'", id="another key of that id"),
    ],
)
def test_a_wrong_key_leaves_runs_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    keys: str | None,
    message: str,
) -> None:
    """B16: without the right key a run is not failed: it is left alone, the log and WF732 say why; then it goes on."""

    async def begin(engine: Engine) -> str:
        run = await engine.start_run("everything", Order(card="s3cret-input"))
        await _until_waiting(engine, run.id)
        return run.id

    run_id = with_keys(tmp_path, keyring("k1"), begin, monkeypatch)

    async def wrong(engine: Engine) -> None:
        await engine.store.send("hook", run_id=RunId(run_id), name="nobody's")  # a run that only waits is let sleep
        engine._wake.set()
        while message not in caplog.text:
            await asyncio.sleep(0.01)
        with pytest.raises(EncryptionError, match=message) as caught:
            await engine.run(run_id).info()
        assert caught.value.code == "WF732"
        assert caught.value.hint
        with pytest.raises(EncryptionError):
            await engine.run(run_id).history()
        assert [run.run_id for run in await engine.store.list_runs()] == [run_id]

    with_keys(tmp_path, keys, wrong, monkeypatch)

    async def right(engine: Engine) -> str:
        run = engine.run(run_id)
        await run.hooks["word"].resume("s3cret-hook")
        return str(await run.result())

    assert with_keys(tmp_path, keyring("k1"), right, monkeypatch).startswith("s3cret-output")


def test_a_value_that_was_changed_in_the_store_is_refused() -> None:
    """AES-GCM authenticates: one flipped bit is an error, not another value."""
    keys = parse_keys(keyring("k1"), "test")
    sealed = bytearray(keys.seal(b"{}"))
    assert keys.open(bytes(sealed)) == b"{}"
    sealed[-1] ^= 1
    with pytest.raises(EncryptionError, match="was changed"):
        keys.open(bytes(sealed))
    assert keys.seal(b"{}") != keys.seal(b"{}")
    assert keys.open_text(keys.seal_text("\ud800 ü")) == "\ud800 ü"


def test_keys_come_from_a_file_a_variable_or_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B16: three places; each gives the same keys."""
    (tmp_path / "keys.json").write_text(keyring("k1"))
    (tmp_path / "vault_of_test.py").write_text(f"import json\ndef load():\n    return json.loads({keyring('k1')!r})\n")
    monkeypatch.setenv("TEST_KEYS", keyring("k1"))
    monkeypatch.syspath_prepend(str(tmp_path))
    sealed = parse_keys(keyring("k1"), "test").seal(b"1")
    for source in ("env:TEST_KEYS", "file:keys.json", "call:vault_of_test:load"):
        keys = load_keys(Settings(project=tmp_path, encryption_keys=source))
        assert keys is not None
        assert keys.open(sealed) == b"1"
    assert load_keys(Settings(project=tmp_path)) is None


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("no json", "cannot be read"),
        ('{"keys": {}}', "cannot be read"),
        ('{"active": "a", "keys": {}}', "active key 'a' is not among"),
        ('{"active": "a", "keys": {"a": "c2hvcnQ="}}', "has 5 bytes, not 32"),
        ('{"active": "a:b", "keys": {"a:b": "c2hvcnQ="}}', "cannot be the id of a key"),
    ],
)
def test_bad_keys_are_refused_without_showing_them(found: str, message: str) -> None:
    """Each says what is wrong and never repeats a key."""
    with pytest.raises(EncryptionError, match=message) as caught:
        parse_keys(found, "env:KEYS")
    assert "c2hvcnQ" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("env:NOT_SET_HERE", EncryptionError),
        ("file:missing.json", EncryptionError),
        ("call:no_such_module_here:load", ConfigurationError),
        ("somewhere", ConfigurationError),
    ],
)
def test_keys_that_cannot_be_found(tmp_path: Path, source: str, error: type[Exception]) -> None:
    """The engine does not open, rather than store readable payloads."""
    with pytest.raises(error, match=source.partition(":")[2] or source):
        load_keys(Settings(project=tmp_path, encryption_keys=source))


def test_new_keys_differ_and_serve() -> None:
    """What `wfgen keys new` writes."""
    first, second = new_key(), new_key()
    assert first != second
    assert isinstance(parse_keys({"active": "a", "keys": {"a": first, "b": second}}, "test"), Keys)
