"""Finding runs: filters, pages, tags; what a query reads; and removing old runs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from wfgen import Run, define_workflow
from wfgen.engine import Engine
from wfgen.errors import InvalidInputError, UnknownRunError
from wfgen.ids import RunId
from wfgen.store.filters import RunQuery
from wfgen.store.records import NewRun, RunRecord
from wfgen.store.sqlite import pruning, queries
from wfgen.store.sqlite.listing import list_runs, statements

from .conftest import Project
from .shelf import Shelf, tell

STATUSES = ("pending", "running", "waiting", "completed", "failed", "cancelled")


async def fill(shelf: Shelf, count: int = 60) -> list[dict[str, Any]]:
    """Runs of many kinds, half of them at the same times; gives what is known of each."""
    chance = random.Random(5)
    known: list[dict[str, Any]] = []
    for number in range(count):
        status = chance.choice(STATUSES)
        one: dict[str, Any] = {
            "id": f"r{number:03}",
            "status": status,
            "workflow": chance.choice(["a", "b", "c"]),
            "version": chance.choice(["1", "2"]),
            "code": chance.choice(["WF710", "WF711"]) if status == "failed" else None,
            "tags": tuple(sorted(chance.sample(["x", "y", "z"], chance.randint(0, 2)))),
            "key": f"key-{number % 20}" if number < 20 else None,
        }
        shelf.clock.now += chance.choice([0, 0, 10, -3])
        one["time"] = shelf.clock.now
        await shelf.put(
            one["id"],
            status,
            workflow=one["workflow"],
            version=one["version"],
            code=one["code"],
            tags=one["tags"],
            idempotency_key=one["key"],
        )
        known.append(one)
    return known


def test_every_filter_finds_what_fits(tmp_path: Path) -> None:
    """A19: each filter alone and any of them together give just the runs that fit, newest first."""

    async def story(shelf: Shelf) -> None:
        known = await fill(shelf)
        times = sorted({one["time"] for one in known})
        chance = random.Random(9)
        choices: dict[str, list[Any]] = {
            "workflow": ["a", "b", "none"],
            "version": ["1", "2", "9"],
            "status": [["failed"], ["completed", "running"], ["waiting", "cancelled", "failed"], list(STATUSES), []],
            "tag": ["x", "y", "other"],
            "since": times[::7],
            "until": times[::9],
            "idempotency_key": ["key-3", "key-11", "nope"],
            "error_code": ["WF710", "WF799"],
        }

        def fits(one: dict[str, Any], name: str, value: Any) -> bool:
            checks: dict[str, Any] = {
                "status": lambda: one["status"] in value,
                "tag": lambda: value in one["tags"],
                "since": lambda: one["time"] >= value,
                "until": lambda: one["time"] < value,
                "idempotency_key": lambda: one["key"] == value,
                "error_code": lambda: one["code"] == value,
            }
            return bool(checks[name]() if name in checks else one[name] == value)

        questions = [{name: value} for name, values in choices.items() for value in values]
        for _ in range(150):
            names = chance.sample(sorted(choices), chance.randint(2, 4))
            questions.append({name: chance.choice(choices[name]) for name in names})
        for filters in [{}, *questions]:
            wanted = sorted(
                (one for one in known if all(fits(one, *given) for given in filters.items())),
                key=lambda one: (one["time"], one["id"]),
            )
            assert await shelf.ids(limit=1000, **filters) == [one["id"] for one in reversed(wanted)], filters
            page, pages = await shelf.ids(limit=7, **filters), list[str]()
            while page:
                pages += page
                page = await shelf.ids(limit=7, before=page[-1], **filters)
            assert pages == [one["id"] for one in reversed(wanted)], filters
        with pytest.raises(UnknownRunError, match="nope"):
            await shelf.store.list_runs(before="nope")
        assert await shelf.store.workflows() == sorted({(one["workflow"], one["version"]) for one in known})

    tell(tmp_path, story)


def test_children_are_found_by_their_parent(tmp_path: Path) -> None:
    """A19: the children of a run, with the tags of their workflow."""

    async def story(shelf: Shelf) -> None:
        parent = await shelf.put("p", "running")
        child = NewRun(RunId("c"), "sub", "1", b"1", "salt", parent=(parent.run_id, "0/c"), tags=("sub",))
        await shelf.change(parent, "waiting", children=[child])
        assert await shelf.ids(parent="p") == ["c"]
        assert await shelf.ids(parent="p", status=["pending"], tag="sub") == ["c"]
        assert await shelf.ids(parent="p", tag="other") == []
        assert await shelf.ids(parent="nope") == []
        assert (await shelf.store.get_run("c")).tags == ("sub",)

    tell(tmp_path, story)


QUESTIONS: list[dict[str, Any]] = [
    {},
    {"workflow": "a"},
    {"version": "2"},
    {"workflow": "a", "version": "2", "status": ["failed"]},
    {"status": ["failed", "running"]},
    {"status": ["completed"]},
    {"tag": "x"},
    {"tag": "x", "status": ["failed"], "since": 1_800_000_000.0},
    {"since": 1_800_000_000.0, "until": 1_900_000_000.0},
    {"idempotency_key": "key-3"},
    {"parent": "r001"},
    {"error_code": "WF710"},
]


@pytest.mark.parametrize("filters", QUESTIONS, ids=lambda filters: "+".join(filters) or "none")
def test_no_filter_reads_all_runs(tmp_path: Path, filters: dict[str, Any]) -> None:
    """A19: each filter is answered from an index, in its order: nothing is scanned, and nothing sorted."""

    async def story(shelf: Shelf) -> None:
        await fill(shelf)
        connection = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        for before in (None, "r030"):
            query = RunQuery(limit=5, before=before, **filters)
            plans = [
                row[3]
                for statement, values in statements(connection, query)
                for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            ]
            # A scan in the order of an index ends at the limit.
            scans = [plan for plan in plans if plan.startswith("SCAN") and "USING" not in plan]
            # The "right part" of the order is that of runs that were started at the same instant.
            sorts = [
                plan
                for plan in plans
                if plan.endswith("B-TREE FOR ORDER BY") and not {"parent", "idempotency_key"} & {*filters}
            ]
            assert plans
            assert not scans
            assert not sorts
        connection.close()

    tell(tmp_path, story)


def test_a_rare_status_is_found_among_many_runs(tmp_path: Path) -> None:
    """A19: one failed run among very many completed ones costs a few hundred steps of the database, not one a run."""

    async def story(shelf: Shelf) -> None:
        await shelf.put("rare", "failed", workflow="flow")
        await shelf.put("waits", "waiting", workflow="flow")
        connection = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        connection.execute("BEGIN")
        for number in range(20_000):
            connection.execute(
                "INSERT INTO runs (run_id, workflow, version, status, created_at, updated_at, finished_at, salt)"
                " VALUES (?, 'flow', '1', 'completed', 1.9e9, 1.9e9, 1.9e9, '')",
                (f"c{number}",),
            )
        connection.execute("COMMIT")
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        connection.set_progress_handler(count, 100)
        for filters in ({"status": ["failed"]}, {"workflow": "flow", "status": ["waiting", "failed"]}):
            assert list_runs(connection, RunQuery(**filters))[-1].run_id == "rare"
        connection.close()
        assert steps < 40

    tell(tmp_path, story)


@define_workflow(tags=["crm", "night"])
async def child(workflow: Any) -> int:
    return 1


@define_workflow(tags=["crm"])
async def parent(workflow: Any) -> int:
    result: int = await workflow.call("child", "child")
    return result


def test_runs_carry_tags(project: Project) -> None:
    """A19: a run has its workflow's tags and those of its start; its children have those of theirs."""

    async def scenario(engine: Engine) -> None:
        run: Run[int] = await engine.start_run("parent", tags=["acme", "crm"])
        assert (await run.info()).tags == ("acme", "crm")
        assert await run.result() == 1
        assert (await run.info()).tags == ("acme", "crm")
        found = await engine.store.list_runs(parent=run.id)
        assert [record.tags for record in found] == [("crm", "night")]
        assert len(await engine.store.list_runs(tag="crm")) == 2
        assert [record.run_id for record in await engine.store.list_runs(tag="acme")] == [run.id]
        for bad in ("", "x" * 101, "two\nlines"):
            with pytest.raises(InvalidInputError, match="tag"):
                await engine.start_run("parent", tags=[bad])

    project.scenario(globals(), scenario)


def test_old_runs_are_removed(tmp_path: Path) -> None:
    """A19: finished runs that ended before a time go, of the statuses that are asked for; nothing of them stays."""

    async def story(shelf: Shelf) -> None:
        for number in range(10):
            status = ("completed", "failed", "waiting")[number % 3]
            await shelf.put(f"old{number}", status, tags=("t",), idempotency_key=f"k{number}")
        shelf.clock.now += 100
        await shelf.put("new", "completed", tags=("t",))
        before = shelf.clock.now
        assert await shelf.store.prune(before, ["failed"], limit=2) == ["old1", "old4"]
        assert await shelf.store.prune(before, ["failed"]) == ["old7"]
        assert sorted(await shelf.store.prune(before)) == ["old0", "old3", "old6", "old9"]
        assert await shelf.store.prune(before) == []
        assert await shelf.ids() == ["new", "old8", "old5", "old2"]
        assert await shelf.ids(tag="t") == ["new", "old8", "old5", "old2"]
        with pytest.raises(UnknownRunError):
            await shelf.store.history("old0")
        connection = sqlite3.connect(tmp_path / "store.db")
        (rows,) = connection.execute("SELECT count(DISTINCT run) FROM events").fetchone()
        assert rows == 4
        connection.close()
        again, created = await shelf.store.create(NewRun(RunId("again"), "flow", "1", b"2", "s", idempotency_key="k1"))
        assert (again.run_id, created) == ("again", True)

    tell(tmp_path, story)


def test_families_go_from_above(tmp_path: Path) -> None:
    """A19: a child stays while its parent is there, a parent until its children can go as well."""

    async def story(shelf: Shelf) -> None:
        parent = await shelf.put("p", "running")
        child = NewRun(RunId("c"), "flow", "1", b"1", "salt", parent=(parent.run_id, "0/c"))
        await shelf.change(parent, "waiting", children=[child])
        (claimed,) = await shelf.store.claim(shelf.process, [("flow", "1")], 5)
        await shelf.change(claimed.run, "completed")
        late = shelf.clock.now + 1e6
        assert await shelf.store.prune(late) == []
        await shelf.change(parent, "completed")
        assert await shelf.store.prune(late) == ["p"]
        assert await shelf.store.prune(late) == ["c"]

    tell(tmp_path, story)


def test_long_runs_go_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E4: what one commit removes is bounded by events too, not by runs alone."""

    async def story(shelf: Shelf) -> None:
        monkeypatch.setattr(pruning, "PRUNED_EVENTS", 3)
        for number in range(4):
            await shelf.put(f"r{number}", "completed")
        shelf.clock.now += 1
        assert await shelf.store.prune(shelf.clock.now) == ["r0", "r1"]
        assert await shelf.store.prune(shelf.clock.now) == ["r2", "r3"]

    tell(tmp_path, story)


def test_a_run_that_is_removed_while_runs_are_listed_is_left_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A19: a list is found first and read then; retention may come in between."""
    read = queries.runs_by_number

    def removed_before(connection: sqlite3.Connection, runs: Sequence[int]) -> dict[int, RunRecord]:
        with contextlib.closing(sqlite3.connect(project.settings.project / ".wfgen" / "wfgen.db")) as other, other:
            other.execute("DELETE FROM runs WHERE run = ?", (runs[0],))
        return read(connection, runs)

    async def scenario(engine: Engine) -> None:
        older, newer = [await engine.start_run("child") for _ in range(2)]
        await older.result()
        await newer.result()
        monkeypatch.setattr(queries, "runs_by_number", removed_before)
        assert [run.run_id for run in await engine.store.list_runs()] == [older.id]

    project.scenario(globals(), scenario)


def test_retention(project: Project) -> None:
    """A19: a process that works runs removes those that have been over for longer than the setting says."""

    async def start(engine: Engine) -> str:
        run: Run[int] = await engine.start_run("child")
        await run.result()
        return run.id

    async def work(engine: Engine) -> list[str]:
        while len(runs := await engine.store.list_runs()) > 1:
            await asyncio.sleep(0.01)
        return [run.run_id for run in runs]

    project.scenario(globals(), start)
    connection = sqlite3.connect(project.settings.project / ".wfgen" / "wfgen.db")
    connection.execute("UPDATE runs SET created_at = created_at - 100, finished_at = finished_at - 100")
    connection.commit()
    connection.close()
    kept = project.scenario(globals(), start)
    project.settings = project.settings.model_copy(update={"retention": "60s"})
    assert project.scenario(globals(), work) == [kept]


def test_the_engine_removes_runs_on_demand(project: Project) -> None:
    """A19: `Engine.prune` says how many runs were removed."""

    async def scenario(engine: Engine) -> None:
        run: Run[int] = await engine.start_run("parent")
        await run.result()
        assert await engine.prune("1h") == 0
        assert await engine.prune("0s", ["failed"]) == 0
        removed = 0
        while removed < 2:  # they may have ended this very moment
            await asyncio.sleep(0.01)
            removed += await engine.prune("0s")
        assert removed == 2

    project.scenario(globals(), scenario)
