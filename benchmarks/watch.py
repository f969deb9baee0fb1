"""`wfgen watch` over 1,000 files: one is saved until its outputs are on disk and its finding is told."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import prebuild

SAVES = 20


def _wait(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > deadline:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.001)


def _save(project: Path, log: Path, number: int) -> float:
    """Save one workflow with two new steps of one name, which is a warning; seconds until all shows it."""
    n = number % prebuild.FILES
    source = project / "app" / f"part{n % 20}" / f"flow_{n}.workflow.py"
    generated = project / "app" / "wfgen_gen"
    outputs = (generated / "diagrams" / f"flow_{n}@1.md", generated / "manifest/files" / f"part{n % 20}/flow_{n}.json")
    text = source.read_text()
    for step in ("h", "j"):
        text = text.replace(f'workflow.do("{step}"', f'workflow.do("saved {number}"')

    def is_shown() -> bool:
        return all(f"saved {number}" in path.read_text() for path in outputs) and f"'saved {number}'" in log.read_text()

    began = time.perf_counter()
    source.write_text(text)
    _wait(is_shown, f"{source.name} after save {number}")
    return time.perf_counter() - began


def rows(rounds: int) -> list[tuple[str, str, float, str, bool]]:
    """The rows for benchmarks/run.py; `rounds` times twenty saves."""
    with tempfile.TemporaryDirectory(prefix="wfgen-bench-") as folder:
        project = prebuild.tree(Path(folder) / "project")
        prebuild.timed(prebuild.WFGEN, "prebuild", cwd=project)
        log = Path(folder) / "log"
        with log.open("w") as out:
            # mypy's findings come later and from a process of their own; they have a benchmark of their own.
            command = [prebuild.WFGEN, "watch", "--no-types"]
            watcher = subprocess.Popen(command, cwd=project, stdout=out, stderr=out)
            try:
                _wait(lambda: "Watching" in log.read_text(), "the first look")
                waits = []
                for number in range(rounds * SAVES):
                    waits.append(_save(project, log, number))
                    time.sleep(0.2)
            finally:
                watcher.terminate()
                watcher.wait(30)
    waits.sort()
    late = waits[int(len(waits) * 0.95) - 1] * 1000
    median = statistics.median(waits) * 1000
    what = f"watch: save to outputs on disk and finding told, p95 in ms (median {median:.0f})"
    return [(what, "", late, "<= 120", late <= 120)]
