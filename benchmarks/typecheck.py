"""mypy over one workflow: with the generated `Workflow`, which knows every worker, against the untyped handle.

Cold is without any cache, warm after an edit of the workflow. The workflow has ten steps, as in the other benchmarks,
each with a worker of its own.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import prebuild

IDS, MANY = 200, 1000
STEPS = 10
FLOW = "app/flow.workflow.py"

MODELS = """from pydantic import BaseModel

"""
MODEL = '''
class Order{n}(BaseModel):
    """What worker {n} takes."""

    id: str
    total: float


class Receipt{n}(BaseModel):
    """What worker {n} gives."""

    id: str
    paid: bool
'''
WORKER = '''

@define_worker("team{team}.work{n}")
async def work{n}(order: Order{n}) -> Receipt{n}:
    """Work on an order of kind {n}."""
    return Receipt{n}(id=order.id, paid=True)
'''
HEAD = """from app.models import {models}
from {package} import {names}
from wfgen import define_workflow


@define_workflow(name="flow", version="1")
async def flow(workflow: Workflow) -> bool:
    paid = True
"""
STEP = """
    order{n} = Order{n}(id="{n}", total={n}.5)
    receipt{n} = await workflow.do("step{n}", {target}, order{n})
    paid = paid and receipt{n}.paid
"""


def tree(folder: Path, workers: int, *, typed: bool, references: bool) -> Path:
    """Write a project of one workflow, and prebuild it; gives its root."""
    app = folder / "app"
    app.mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.wfgen]\n")
    (app / "__init__.py").write_text("")
    (app / "models.py").write_text(MODELS + "".join(MODEL.format(n=n) for n in range(workers)))
    for team in range(workers // 10):
        numbers = range(team * 10, team * 10 + 10)
        models = ", ".join(f"Order{n}, Receipt{n}" for n in numbers)
        text = f"from app.models import {models}\nfrom wfgen import define_worker\n"
        text += "".join(WORKER.format(team=team, n=n) for n in numbers)
        (app / f"team{team}.worker.py").write_text(text)
    called = range(0, workers, workers // STEPS)
    text = HEAD.format(
        models=", ".join(f"Order{n}" for n in called),
        package="app.wfgen_gen" if typed else "wfgen",
        names="Workflow, workers" if references else "Workflow",
    )
    for n in called:
        target = f"workers.team{n // 10}.work{n}" if references else f'"team{n // 10}.work{n}"'
        text += STEP.format(target=target, n=n)
    (folder / FLOW).write_text(text + "    return paid\n")
    prebuild.timed(prebuild.WFGEN, "prebuild", cwd=folder)
    return folder


def mypy(project: Path) -> float:
    """Seconds of mypy over the workflow."""
    options = ["--namespace-packages", "--explicit-package-bases", "--no-error-summary"]
    os.environ["MYPYPATH"] = str(project)
    return prebuild.timed(sys.executable, "-P", "-m", "mypy", *options, FLOW, cwd=project)


def cold(project: Path) -> float:
    """Seconds without a cache."""
    shutil.rmtree(project / ".mypy_cache", ignore_errors=True)
    return mypy(project)


def warm(project: Path, number: int) -> float:
    """Seconds after an edit of the workflow, with the cache of the run before."""
    with (project / FLOW).open("a") as flow:
        flow.write(f"\n\ndef edited_{number}() -> int:\n    return {number}\n")
    return mypy(project)


def compared(typed: Path, plain: Path, rounds: int) -> tuple[list[float], list[float], list[float], list[float]]:
    """Seconds of both projects, cold and then warm, measured in turn."""
    figures: tuple[list[float], list[float], list[float], list[float]] = ([], [], [], [])
    for number in range(rounds):
        figures[0].append(cold(typed))
        figures[1].append(cold(plain))
        figures[2].append(warm(typed, number))
        figures[3].append(warm(plain, number))
    return figures


def rows(rounds: int) -> list[tuple[str, str, float, str, bool]]:
    """The rows for benchmarks/run.py."""

    def show(seconds: list[float]) -> str:
        return f"{statistics.median(seconds) * 1000:,.0f} ms"

    def ratio(ours: list[float], theirs: list[float]) -> float:
        return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))

    found = []
    with tempfile.TemporaryDirectory(prefix="wfgen-bench-") as name:
        folder = Path(name)
        for ids, limit_cold, limit_warm in ((IDS, 2.0, 1.2), (MANY, 1.5, 1.5)):
            typed = tree(folder / f"typed{ids}", ids, typed=True, references=ids == MANY)
            plain = tree(folder / f"plain{ids}", ids, typed=False, references=False)
            first, first_plain, again, again_plain = compared(typed, plain, rounds)
            how = "references to" if ids == MANY else "the ids of"
            for state, ours, theirs, limit in (
                ("cold", first, first_plain, limit_cold),
                ("warm", again, again_plain, limit_warm),
            ):
                figure = ratio(ours, theirs)
                what = f"mypy, {state}, one workflow with {how} {ids:,} workers: {show(ours)}"
                against = f"the same with the untyped handle: {show(theirs)}"
                found.append((what, against, figure, f"<= {limit}", figure <= limit))
    return found
