"""`wfgen watch` over 1,000 files: one is saved until its outputs are on disk."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import prebuild

SAVES = 20


def _wait(condition: object, what: str, seconds: float = 60.0) -> None:
    deadline = time.perf_counter() + seconds
    while not condition():  # type: ignore[operator]
        if time.perf_counter() > deadline:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.001)


def rows(rounds: int) -> list[tuple[str, str, float, str, bool]]:
    """The rows for benchmarks/run.py; `rounds` times twenty saves."""
    waits: list[float] = []
    with tempfile.TemporaryDirectory(prefix="wfgen-bench-") as folder:
        project = prebuild.tree(Path(folder) / "project")
        prebuild.timed(prebuild.WFGEN, "prebuild", cwd=project)
        with (Path(folder) / "log").open("w") as log:
            watcher = subprocess.Popen([prebuild.WFGEN, "watch"], cwd=project, stdout=log, stderr=log)
            try:
                time.sleep(5)
                for save in range(rounds * SAVES):
                    n = save % prebuild.FILES
                    source = project / "app" / f"part{n % 20}" / f"flow_{n}.workflow.py"
                    output = project / "app" / "wfgen_gen" / "diagrams" / f"flow_{n}@1.md"
                    text = source.read_text().replace('workflow.do("j"', f'workflow.do("saved {save}"')
                    began = time.perf_counter()
                    source.write_text(text)
                    _wait(lambda: f"saved {save}" in output.read_text(), f"{output} after save {save}")  # noqa: B023
                    waits.append(time.perf_counter() - began)
                    time.sleep(0.2)
            finally:
                watcher.terminate()
                watcher.wait(30)
    waits.sort()
    late = waits[int(len(waits) * 0.95) - 1] * 1000
    what = f"watch: save to outputs on disk, p95 in ms (median {statistics.median(waits) * 1000:.0f})"
    return [(what, "", late, "<= 250", late <= 250)]
