"""Tasks before and after a run, and compensations: what is known of them without running anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wfgen.manifest import Step, WorkflowEntry
from wfgen.settings import Settings
from wfgen_codegen.mermaid import mermaid
from wfgen_inspector import inspect
from wfgen_inspector.compatibility.snapshot import snapshot
from wfgen_inspector.facts import Project

Read = Callable[..., Project]

WORKERS = """\
from wfgen import define_worker
from flows.models import Order

@define_worker("stock.check")
async def check(order: Order) -> None: ...
@define_worker("stock.undo")
async def undo(order: Order) -> None: ...
"""
MODELS = """\
from dataclasses import dataclass

@dataclass
class Order:
    number: int = 0
def note() -> None: ...
"""


def _read(project: Read, source: str) -> tuple[Project, WorkflowEntry]:
    header = "from wfgen import After, WorkerId, Workflow, define_workflow\nfrom flows.wfgen_gen import workers\n"
    header += "import flows.models\nfrom flows.models import Order, note\n"
    files = {"flows/a.worker.py": WORKERS, "flows/models.py": MODELS, "flows/a.workflow.py": header + source}
    found = project(files)
    (entry,) = found.manifest.workflows
    return found, entry


def _shown(steps: tuple[Step, ...] | None) -> list[tuple[str, str, str | None]]:
    return [(step.form, step.name, step.target) for step in steps or ()]


def _codes(project: Project) -> list[str]:
    return [problem.code for file in project.files for problem in file.problems]


def test_every_form_of_a_task(project: Read) -> None:
    """B8: workers by id and by reference, functions of this and other modules, each under the name that it runs by."""
    found, entry = _read(
        project,
        "FIRST = 'stock.check'\nasync def tell() -> None: ...\n"
        "@define_workflow(before=[FIRST, workers.stock.check, WorkerId('elsewhere'), note],\n"
        "    after=[After(tell, on='failed'), flows.models.note, After(target='stock.undo')])\n"
        "async def flow(workflow: Workflow) -> None: ...\n",
    )
    assert _shown(entry.before) == [
        ("rpc", "stock.check", "stock.check"),
        ("rpc", "stock.check", "stock.check"),
        ("rpc", "elsewhere", "elsewhere"),
        ("inline", "note", "note"),
    ]
    assert _shown(entry.after) == [
        ("inline", "tell", "tell"),
        ("inline", "note", "flows.models.note"),
        ("rpc", "stock.undo", "stock.undo"),
    ]
    assert _codes(found) == []
    assert all(target.known for target in found.targets)


def test_workers_that_nobody_defines(project: Read) -> None:
    """B8, B23: a literal id of a task or a compensation is looked up as that of a step is."""
    found, _ = _read(
        project,
        "@define_workflow(before=['stock.chek'], after=[After('stock.tell')])\n"
        "async def flow(workflow: Workflow) -> None:\n"
        "    workflow.compensate('undo', 'stock.put', 1)\n"
        "    await workflow.do('check', 'stock.check', Order(), compensate='stock.und')\n",
    )
    unknown = [target.id for target in found.targets if not target.known]
    assert sorted(unknown) == ["stock.chek", "stock.put", "stock.tell", "stock.und"]


@pytest.mark.parametrize(
    "given", ["before=make()", "before=[lambda: None]", "after=[After(make())]", "after=[*make()]", "after=[3]"]
)
def test_tasks_that_nobody_can_know(project: Read, given: str) -> None:
    """B8: nothing is dropped without a word."""
    found, _ = _read(
        project,
        f"def make(): ...\n@define_workflow({given})\nasync def flow(workflow: Workflow) -> None: ...\n",
    )
    assert _codes(found) == ["WF402"]


def test_tasks_are_in_the_graph_and_in_what_replay_depends_on(project: Read) -> None:
    """B8, F5: they stand before and after the code in the diagram; a new before task is a change of a version."""
    body = "async def flow(workflow: Workflow) -> None:\n    await workflow.do('go', note)\n"
    _, plain = _read(project, "@define_workflow\n" + body)
    found, entry = _read(project, "@define_workflow(before=['stock.check'], after=[note])\n" + body)
    chart = str(mermaid(entry))
    assert chart.index("stock.check") < chart.index("go") < chart.index("note", chart.index("go"))
    assert entry.steps_hash != plain.steps_hash
    assert plain.before is plain.after is None
    locked = snapshot(found.manifest).workflows["flow@1"]
    assert len(locked.body) == 2


@pytest.mark.parametrize(
    ("call", "codes"),
    [
        ("workflow.compensate('undo', 'stock.undo', Order())", []),
        ("workflow.compensate('undo', workers.stock.undo, 'three')", ["WF405"]),
        ("workflow.compensate('undo', 'stock.undo')", ["WF405"]),
        ("workflow.compensate('undo', 'stock.und', Order())", ["WF401"]),
    ],
)
def test_what_a_compensation_is_given(make: Callable[..., Settings], call: str, codes: list[str]) -> None:
    """B23: it is held against the worker's input, as what a step is given."""
    source = (
        "from wfgen import Workflow, define_workflow\nfrom flows.wfgen_gen import workers\n"
        f"from flows.models import Order\n@define_workflow\nasync def flow(workflow: Workflow) -> None:\n    {call}\n"
    )
    files = {"flows/a.worker.py": WORKERS, "flows/models.py": MODELS, "flows/a.workflow.py": source}
    found = [diagnostic.code for diagnostic in inspect(make(files)).diagnostics]
    assert [code for code in found if code in ("WF401", "WF405")] == codes
