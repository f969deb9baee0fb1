"""What a process records of the definitions that it brings."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import psycopg
import pytest

from wfgen import Workflow, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.deployment import deployed
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry, WorkerSource, WorkflowSource
from wfgen.serving import Serving
from wfgen.settings import Settings

from ..postgres import plain
from .conftest import Project


@define_workflow
async def by_hand(workflow: Workflow) -> int:
    return 1


def step(target: str | None, form: str = "rpc", **more: Any) -> dict[str, Any]:
    return {"kind": "step", "form": form, "name": "s", "target": target, "span": {"line": 1}, **more}


BODY = [
    step("a.one"),
    {"kind": "branch", "arms": [{"label": "if", "body": [step("a.two"), step("other", "call"), step("<dynamic>")]}]},
    step("text", "inline"),
    step("gone"),
]


IMPORTS = "from wfgen import define_worker, define_workflow\n"
WORKFLOW = """
@define_workflow(name="{name}", version="{version}")
async def flow(workflow) -> None: ...
"""
WORKER = """
@define_worker("{id}")
async def work() -> str: ...
"""


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Registry:
    """A registry with the manifest of a generated package, and modules that define what that names."""
    package = f"deployed_{abs(hash(request.node.name))}"
    folder = tmp_path / package / "manifest" / "files"
    folder.mkdir(parents=True)
    (tmp_path / package / "__init__.py").touch()
    modules = tmp_path / package / "files"
    modules.mkdir()
    names = {"flow": ("1", "2"), "newer": ("1",), "damaged": ("1",), "missing": ("1",)}
    for name, versions in names.items():
        flows = "".join(WORKFLOW.format(name=name, version=version) for version in versions)
        (modules / f"{name}.py").write_text(f"{IMPORTS}{flows}{WORKER.format(id='a.one') if name == 'flow' else ''}")
    others = "".join(WORKER.format(id=id) for id in ("a.two", "b.before", "b.unused"))
    (modules / "more.py").write_text(f"{IMPORTS}{others}")
    monkeypatch.syspath_prepend(tmp_path)
    entries = [
        {
            "name": "flow",
            "version": version,
            "file": "flow.workflow.py",
            "steps_hash": f"hash {version}",
            "body": BODY,
            "before": [step("b.before")],
        }
        for version in ("1", "2")
    ]
    workers = [{"id": id, "output": "ü"} for id in ("a.one", "a.two", "b.before", "b.unused")]
    (folder / "flow.json").write_text(json.dumps({"schema_version": 1, "workflows": entries, "workers": workers[:1]}))
    (folder / "more.json").write_text(json.dumps({"schema_version": 1, "workers": workers[1:]}))
    (folder / "newer.json").write_text(json.dumps({"schema_version": 99, "workflows": entries}))
    (folder / "damaged.json").write_text('{"schema_version": 1, "workflows": [')
    return Registry(
        package,
        workflows=[
            WorkflowSource("flow", "1", "files.flow", "flow.workflow.py"),
            WorkflowSource("flow", "2", "files.flow", "flow.workflow.py"),
            *(WorkflowSource(name, "1", f"files.{name}", f"{name}.py") for name in ("newer", "damaged", "missing")),
        ],
        workers=[
            WorkerSource("a.one", "files.flow", "flow.worker.py"),
            *(WorkerSource(id, "files.more", "more.worker.py") for id in ("a.two", "b.before", "b.unused")),
        ],
    )


def test_a_definition_comes_with_the_workers_that_it_names(generated: Registry) -> None:
    """E1: version, hash, the manifest's entry and those of its workers; what cannot be read is left out."""
    found = {(one.workflow, one.version): one for one in deployed(generated, generated.workflows)}
    assert sorted(found) == [("flow", "1"), ("flow", "2")]
    one = found["flow", "2"]
    assert one.steps_hash == "hash 2"
    manifest = json.loads(one.manifest)
    assert (manifest["schema_version"], manifest["package"]) == (1, generated.package)
    assert [entry["version"] for entry in manifest["workflows"]] == ["2"]
    assert manifest["workers"] == [{"id": id, "output": "ü"} for id in ("a.one", "a.two", "b.before")]


@pytest.mark.both_stores
def test_a_process_records_what_it_serves(project: Project, generated: Registry) -> None:
    """E1: with its first registration, of the workflows that it works alone; a client or a job worker brings none."""
    settings = project.settings

    async def brought(serving: Serving | None = None, **options: Any) -> list[tuple[str, str]]:
        async with open_engine(generated, settings, serving=serving, **options):
            pass
        async with open_engine(generated, settings, work=False) as client:
            return [(one.workflow, one.version) for one in await client.store.definitions()]

    async def main() -> None:
        assert await brought(work=False) == []
        assert await brought(Serving(workflows=())) == []
        assert await brought(Serving(workflows=("newer",))) == []
        assert await brought() == [("flow", "1"), ("flow", "2")]

    asyncio.run(main())


@pytest.mark.both_stores
def test_definitions_by_hand_are_not_recorded(project: Project) -> None:
    """There is nothing to compare them with; the process says what it serves all the same."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("by_hand")
        assert await run.result() == 1
        assert list(await engine.store.definitions()) == []
        ((process, _),) = await engine.store.processes()
        assert json.loads(process.serves)["workflows"] == [["by_hand", "1"]]

    project.scenario({NAMESPACE: {1: globals()[NAMESPACE]["workflow", "by_hand", "1"]}}, scenario)


def test_what_cannot_be_recorded_now_is_recorded_later(
    tmp_path: Path, postgres_url: str, generated: Registry, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that refuses definitions keeps nobody from working; they are tried again until they are there."""
    generated.register(globals()[NAMESPACE]["workflow", "by_hand", "1"])
    settings = Settings(project=tmp_path, engine=postgres_url)
    monkeypatch.setattr("wfgen.engine.LAST_RETRY", 0.05)
    caplog.set_level(logging.WARNING, "wfgen.engine")

    async def main() -> None:
        async with open_engine(generated, settings, work=False):
            pass
        with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
            admin.execute("REVOKE INSERT ON definitions FROM CURRENT_USER")
            async with asyncio.timeout(60), open_engine(generated, settings) as engine:
                while "what was deployed is not recorded" not in caplog.text:
                    await asyncio.sleep(0.01)
                run = await engine.start_run("by_hand")
                assert await run.result() == 1
                assert list(await engine.store.definitions()) == []
                admin.execute("GRANT INSERT ON definitions TO CURRENT_USER")
                while not await engine.store.definitions():
                    await asyncio.sleep(0.01)

    asyncio.run(main())
