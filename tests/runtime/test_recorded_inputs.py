"""The setting `record_inputs`: what each step was given stands in the history."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from wfgen import Workflow, define_worker, define_workflow
from wfgen.engine import Engine

if TYPE_CHECKING:
    from conftest import Project


class Order(BaseModel):
    id: str
    amount: float = 2.0


@define_worker("charge")
async def charge(order: Order) -> str:
    order.id = "changed"
    return "s3cret-receipt"


@define_worker("refuse")
def refuse(order: Order) -> None:
    raise LookupError("nothing there")


@define_workflow
async def shop(workflow: Workflow) -> int:
    await workflow.do("charge", "charge", {"id": "s3cret-order"})
    await workflow.do("refuse", "refuse", Order(id="o-2"), on_error="continue", compensate=None)
    await workflow.hook("go on", str)
    doubled, one = await workflow.do("double", lambda number: number * 2, 21), await workflow.do("none", lambda: 1)
    return int(doubled + one)


def given(project: Project) -> tuple[list[Any], bytes]:
    """Work a run in two processes; gives the inputs of its steps, and all that its store holds."""

    async def before(engine: Engine) -> str:
        run = await engine.start_run("shop")
        while not await run.waiting():
            await engine.store.history(run.id)
        return str(run.id)

    run_id = project.scenario(globals(), before)

    async def after(engine: Engine) -> list[Any]:
        run = engine.run(run_id)
        await run.hooks["go on"].resume("now")
        assert await run.result() == 43
        return [(entry.step, entry.input) for entry in await run.entries() if entry.form in ("rpc", "inline")]

    found = project.scenario(globals(), after)
    files = sorted((project.settings.project / ".wfgen").iterdir())
    return found, b"".join(path.read_bytes() for path in files)


ALL = [
    ("charge", {"id": "s3cret-order", "amount": 2.0}),
    ("refuse", {"id": "o-2", "amount": 2.0}),
    ("double", 21),
    ("none", None),
]


def test_inputs_of_steps_are_in_the_history(project: Project) -> None:
    """A19, B21: of completed and of failed steps, as they were given, also of those that a replay takes from it."""
    project.settings = project.settings.model_copy(update={"record_inputs": True})
    found, stored = given(project)
    assert found == ALL
    assert b"s3cret-order" in stored


def test_by_default_they_are_not(project: Project) -> None:
    """A19: a hash alone is recorded of an input, which replay compares."""
    found, stored = given(project)
    assert found == [(step, None) for step, _ in ALL]
    assert b"s3cret-order" not in stored
    assert b"s3cret-receipt" in stored


def test_they_are_encrypted_like_results(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A19, B16: with keys nothing of them can be read in the file, and who has the keys reads them."""
    keys = {"active": "k", "keys": {"k": base64.b64encode(b"k" * 32).decode()}}
    monkeypatch.setenv("TEST_KEYS", json.dumps(keys))
    changes = {"record_inputs": True, "encryption_keys": "env:TEST_KEYS"}
    project.settings = project.settings.model_copy(update=changes)
    found, stored = given(project)
    assert found == ALL
    assert b"s3cret" not in stored
