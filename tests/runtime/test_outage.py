"""What is logged of a store that cannot be used for a while."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from wfgen import Workflow, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine
from wfgen.errors import LeaseLostError, StoreError, StoreFullError, StoreGoneError, StoreUnreachableError
from wfgen.outage import Outage

from .conftest import Project

ERROR, DEBUG = logging.ERROR, logging.DEBUG


@define_workflow
async def quick(workflow: Workflow) -> int:
    return 1


def test_a_fault_is_told_ever_more_seldom(caplog: pytest.LogCaptureFixture) -> None:
    """D16: At once, then after pauses that grow to a minute, and once when it is over; each kind for itself."""
    now = 100.0
    outage = Outage(lambda: now)
    told = []
    for now in range(100, 400):
        if outage.level(StoreUnreachableError("away")) == ERROR:
            told.append(now)
    assert told == [100, 105, 115, 135, 175, 235, 295, 355]
    assert [outage.level(StoreGoneError("gone")), outage.level(StoreGoneError("gone"))] == [ERROR, DEBUG]
    now = 400
    for _ in range(2):
        outage.over("runs")
    assert caplog.messages == ["the store can be used again, after 300 s"]

    now = 410  # it comes and goes
    assert outage.level(StoreUnreachableError("away")) == DEBUG
    outage.over("runs")
    now = 420
    assert outage.level(StoreUnreachableError("away")) == ERROR
    now = 430
    outage.over("runs")
    assert caplog.messages[1:] == ["the store can be used again, after 10 s"]
    now = 500
    assert outage.level(StoreUnreachableError("away")) == ERROR
    now = 504
    assert outage.level(StoreUnreachableError("away")) == DEBUG


def test_it_is_over_for_all_who_ask(caplog: pytest.LogCaptureFixture) -> None:
    """While a part of the store does not answer, the answers of another part are no end."""
    outage = Outage(lambda: 0.0)
    assert outage.level(StoreGoneError("gone"), "runs") == ERROR
    assert outage.level(StoreGoneError("gone"), "jobs") == DEBUG
    outage.over("jobs")
    assert caplog.messages == []
    outage.over("runs")
    assert caplog.messages == ["the store can be used again, after 0 s"]


def test_other_faults_are_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    """A bug and a lost lease are told each time; a store that is full answers, so that it is not told to be back."""
    outage = Outage(lambda: 0.0)
    for error in (ValueError("a bug"), LeaseLostError("lost")):
        assert [outage.level(error) for _ in range(3)] == [ERROR] * 3
    assert [outage.level(StoreFullError("full")) for _ in range(3)] == [ERROR, DEBUG, DEBUG]
    outage.over("runs")
    assert caplog.messages == []
    assert outage.level(StoreError("any")) == ERROR
    outage.over("runs")
    assert len(caplog.messages) == 1


@pytest.mark.both_stores
def test_a_table_that_is_away_for_a_while(project: Project, caplog: Any) -> None:
    """D16: Who works asks again and again, and tells it in the log once; it goes on by itself, and says so."""
    caplog.set_level(DEBUG, "wfgen.engine")

    def met(level: int, text: str = "") -> int:
        return sum(record.levelno == level and text in record.message for record in caplog.records)

    async def scenario(engine: Engine) -> None:
        await asyncio.to_thread(project.execute, "ALTER TABLE runs RENAME TO away")
        while met(DEBUG, "no run can be claimed: ") < 3:
            engine.changed()  # as when another process has written
            await asyncio.sleep(0.01)
        assert met(ERROR)
        assert not met(logging.WARNING, "can be used again")
        await asyncio.to_thread(project.execute, "ALTER TABLE away RENAME TO runs")
        while not met(logging.WARNING, "the store can be used again, after "):
            await asyncio.sleep(0.01)
        run = await engine.start_run("quick")
        assert await run.result() == 1

    project.scenario({NAMESPACE: {1: globals()[NAMESPACE]["workflow", "quick", "1"]}}, scenario)
