"""Prebuild of 1,000 files of 1 KiB with ten steps each, against parsing alone and against `wfgen --version`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WFGEN = str(Path(sys.executable).with_name("wfgen"))
FILES = 1000

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

WORKFLOW = '''"""Workflow {n} of the benchmark."""

from pydantic import BaseModel
from wfgen import define_workflow
from app.wfgen_gen import Workflow


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
    await workflow.do("i", "work.rate", 2.0)
    return await workflow.do("j", lambda: len(order.id))
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
    for n in range(files):
        package = app / f"part{n % 20}"
        package.mkdir(exist_ok=True)
        (package / f"flow_{n}.workflow.py").write_text(WORKFLOW.format(n=n))
    return folder


def timed(*command: str, cwd: Path) -> float:
    """Seconds of a whole process."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    lasted = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return lasted


def rows(rounds: int) -> list[tuple[str, str, float, str, bool]]:
    """The rows for benchmarks/run.py."""
    cold, parse, warm, version = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="wfgen-bench-") as folder:
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
    first = statistics.median(c / p for c, p in zip(cold, parse, strict=True))
    second = statistics.median(w / v for w, v in zip(warm, version, strict=True))

    def show(seconds: list[float]) -> str:
        return f"{statistics.median(seconds) * 1000:,.0f} ms"

    return [
        (f"cold prebuild, {FILES:,} files of 1 KiB: {show(cold)}", f"libcst.parse_module alone: {show(parse)}",
         first, "<= 2.5", first <= 2.5),
        (f"warm prebuild, nothing changed: {show(warm)}", f"wfgen --version: {show(version)}",
         second, "<= 2", second <= 2),
    ]  # fmt: skip
