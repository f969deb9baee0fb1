"""Prebuild of 1,000 files of 1 KiB with ten steps each, against parsing alone, mypy and `wfgen --version`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WFGEN = str(Path(sys.executable).with_name("wfgen"))
FILES = 1000
SHARED = 10
"""How many of the workflows use the helper module."""

PARSE = """
import sys, time
from pathlib import Path
import libcst
sources = [p.read_bytes() for p in sorted(Path(sys.argv[1]).rglob("*.workflow.py"))]
began = time.perf_counter()
for source in sources:
    libcst.parse_module(source)
print(time.perf_counter() - began)
"""

PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Prints the largest memory, in KiB, that one of the processes of a command had."""

TYPES = """
import os, sys
from pathlib import Path
from wfgen.settings import Settings
from wfgen_codegen import load_manifest, mypy_call
settings = Settings.load(Path.cwd())
call = mypy_call(load_manifest(settings.project / "app" / "wfgen_gen"), settings)
os.environ.update(call.environment)
os.execv(sys.executable, [sys.executable, "-m", "mypy", "--strict", "--cache-dir", sys.argv[1], *call.arguments])
"""

WORKFLOW = '''"""Workflow {n} of the benchmark."""

from pydantic import BaseModel
from wfgen import define_workflow
from app.wfgen_gen import Workflow
{imports}

class Order{n}(BaseModel):
    id: str
    total: float


@define_workflow(name="flow_{n}", version="1")
async def flow_{n}(workflow: Workflow, order: Order{n}) -> int:
    """Ten steps."""
    a = await workflow.do("a", "work.rate", order.total)
    if a > {n}:
        b = await workflow.do("b", "work.rate", order.total)
    else:
        b = await workflow.do("c", lambda: a)
    for item in range(3):
        await workflow.do("d", "work.rate", item)
    await workflow.sleep("e", "5m")
    c = await workflow.do("f", "work.rate", 1.0)
    d = await workflow.do("g", lambda: b + c)
    await workflow.do("h", "work.rate", d)
    await {last}
    return await workflow.do("j", lambda: len(order.id))
'''

HELPER = '''"""What some of the workflows share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.wfgen_gen import Workflow


async def last(workflow: Workflow, amount: float) -> int:
    """The step before the end."""
    return await workflow.do("i", "work.rate", amount)
'''

WORKER = '''from wfgen import define_worker


@define_worker("work.rate")
async def rate(value: float) -> int:
    """Rate a value."""
    return int(value)
'''


def tree(folder: Path, files: int = FILES) -> Path:
    """Write the benchmark's project; gives its root."""
    app = folder / "app"
    app.mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.wfgen]\n")
    (app / "__init__.py").write_text("")
    (app / "work.worker.py").write_text(WORKER)
    (app / "helper.py").write_text(HELPER)
    for n in range(files):
        package = app / f"part{n % 20}"
        package.mkdir(exist_ok=True)
        uses = n % (files // SHARED) == 0
        imports, last = "", 'workflow.do("i", "work.rate", 2.0)'
        if uses:
            imports, last = "from app.helper import last\n", "last(workflow, 2.0)"
        (package / f"flow_{n}.workflow.py").write_text(WORKFLOW.format(n=n, imports=imports, last=last))
    return folder


def timed(*command: str, cwd: Path, codes: tuple[int, ...] = (0,)) -> float:
    """Seconds of a whole process.

    Args:
        command: what to run.
        cwd: the folder to run it in.
        codes: exit codes that are no failure.
    """
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    lasted = time.perf_counter() - began
    if done.returncode not in codes:
        raise SystemExit(f"{command} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return lasted


def check_types(project: Path, cache: Path) -> float:
    """Seconds that mypy takes for the sources and the generated package."""
    return timed(sys.executable, "-c", TYPES, str(cache), cwd=project, codes=(0, 1))


def rows(rounds: int) -> list[tuple[str, str, float, str, bool]]:
    """The rows for benchmarks/run.py."""
    cold, parse, warm, version, helped = [], [], [], [], []
    with tempfile.TemporaryDirectory(prefix="wfgen-bench-") as folder:
        timed(WFGEN, "prebuild", cwd=tree(Path(folder) / "first", 20))  # compiles wfgen, where that was not done yet
        for number in range(rounds):
            # A fresh tree each time: after thousands of files were deleted, ext4 is slow to make new ones for seconds.
            project = tree(Path(folder) / str(number))
            cold.append(timed(WFGEN, "prebuild", cwd=project))
            parsed = subprocess.run(
                [sys.executable, "-c", PARSE, str(project / "app")], capture_output=True, text=True, check=True
            )
            parse.append(float(parsed.stdout))
            warm.append(timed(WFGEN, "prebuild", cwd=project))
            version.append(timed(WFGEN, "--version", cwd=project))
            (project / "app" / "helper.py").write_text(HELPER.replace('"i"', '"another"'))
            helped.append(timed(WFGEN, "prebuild", cwd=project))
            shown = (project / "app" / "wfgen_gen" / "diagrams" / "flow_0@1.md").read_text()
            if "another" not in shown:
                raise SystemExit("the change of the helper module was not seen")
        # mypy takes so much longer than a round that one look is enough.
        types = check_types(project, Path(folder) / "types")
        project = tree(Path(folder) / "peak")
        peak = subprocess.run(
            [sys.executable, "-c", PEAK, WFGEN, "prebuild"], cwd=project, capture_output=True, text=True, check=True
        )
    memory = int(peak.stdout) / 1024

    def ratio(ours: list[float], theirs: list[float]) -> float:
        return statistics.median(o / t for o, t in zip(ours, theirs, strict=True))

    def show(seconds: list[float]) -> str:
        return f"{statistics.median(seconds) * 1000:,.0f} ms"

    first, third, fourth = ratio(cold, parse), ratio(warm, version), ratio(helped, cold)
    second = statistics.median(cold) / types
    return [
        (f"cold prebuild, {FILES:,} files of 1 KiB: {show(cold)}", f"libcst.parse_module alone: {show(parse)}",
         first, "<= 2", first <= 2),
        ("the same", f"mypy on the same tree without a cache: {types * 1000:,.0f} ms", second, "<= 0.5", second <= 0.5),
        (f"warm prebuild, nothing changed: {show(warm)}", f"wfgen --version: {show(version)}",
         third, "<= 1.5", third <= 1.5),
        (f"warm prebuild, a module changed that {SHARED} workflows use: {show(helped)}", f"cold: {show(cold)}",
         fourth, "<= 0.1", fourth <= 0.1),
        ("peak memory of a process, cold prebuild, in MiB", "", memory, "<= 200", memory <= 200),
    ]  # fmt: skip
