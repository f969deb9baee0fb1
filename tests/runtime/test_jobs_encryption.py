"""Jobs whose payloads are encrypted: nothing readable in the store file, and processes without the key (B16)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from wfgen import EncryptionError, Job, NonRetryable, Retry, Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry
from wfgen.serving import Serving
from wfgen.settings import Settings

SECRETS = [f"s3cret-{name}" for name in ("input", "result", "report", "first", "last")]


@define_worker("pay.charge", dispatch="queue", retry=Retry(attempts=2, delay="1ms"))
async def charge(card: str, job: Job) -> str:
    assert card == "s3cret-input"
    job.report("s3cret-report")
    await asyncio.sleep(0)
    if job.attempt == 1:
        raise ConnectionError("s3cret-first")
    return "s3cret-result"


@define_worker("pay.fail", dispatch="queue")
async def fail(card: str, job: Job) -> str:
    job.report("s3cret-report")
    raise NonRetryable("s3cret-last")


@define_workflow
async def pay(workflow: Workflow) -> list[str]:
    card = "s3cret-" + "input"  # not as a whole in this source, whose lines tracebacks show
    error = await workflow.do("fail", "pay.fail", card, on_error="continue")
    return [await workflow.do("charge", "pay.charge", card), str(error), str(error.partial)]


def keyring(name: str) -> str:
    return json.dumps({"active": name, "keys": {name: base64.b64encode(name.encode().ljust(32, b".")).decode()}})


@asynccontextmanager
async def opened(folder: Path, keys: str | None, **serving: Any) -> AsyncIterator[Engine]:
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    settings = Settings(project=folder, encryption_keys=None if keys is None else f"file:{keys}.json")
    if keys is not None:
        (folder / f"{keys}.json").write_text(keyring(keys))
    async with open_engine(registry, settings, serving=Serving(**serving)) as engine, asyncio.timeout(60):
        yield engine


def stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (folder / ".wfgen").iterdir())


@pytest.mark.parametrize("keys", ["one", None])
def test_nothing_that_a_job_holds_can_be_read_in_the_file(tmp_path: Path, keys: str | None) -> None:
    """B16: inputs, results, reports and errors of jobs; without keys all of it can be read."""

    async def main() -> None:
        async with opened(tmp_path, keys) as engine:
            run = await engine.start_run("pay")
            result, error, partial = await run.result()
            assert (result, partial) == ("s3cret-result", "s3cret-report")
            assert "s3cret-last" in error
            charged, failed = await engine.store.list_jobs(run_id=run.id)
            assert (charged.input, charged.output) == (b'"s3cret-input"', b'"s3cret-result"')
            assert "s3cret-first" in (charged.details or "")
            assert failed.error == "s3cret-last"
            assert (await engine.store.get_job(failed.job_id)) == failed

    asyncio.run(main())
    found = [secret for secret in SECRETS if secret.encode() in stored(tmp_path)]
    assert found == ([] if keys else SECRETS)


@pytest.mark.parametrize("other", ["two", None])
def test_a_process_without_the_key_leaves_the_job_alone(
    tmp_path: Path, other: str | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B16: it gives it back, for one that has the key; it lists jobs without what they hold."""
    monkeypatch.setattr("wfgen.store.encrypted_jobs.LEFT_ALONE", 0.5)

    async def main() -> None:
        async with opened(tmp_path, "one", workers=[]) as runs:
            run = await runs.start_run("pay")
            async with opened(tmp_path, other, workflows=[]) as stranger:
                while "is given back to a process that has the key" not in caplog.text:
                    await asyncio.sleep(0.01)
                while not (found := await stranger.store.list_jobs(status=["queued"])):
                    await asyncio.sleep(0.01)
                (job,) = found
                assert (job.input, job.attempt, job.claims) == (None, 0, 0)
                with pytest.raises(EncryptionError):
                    await stranger.store.get_job(job.job_id)
            async with opened(tmp_path, "one", workflows=[]):
                assert (await run.result())[0] == "s3cret-result"

    asyncio.run(main())
