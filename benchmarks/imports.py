"""What it takes to import wfgen, against pydantic, which it needs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

Row = tuple[str, str, float, str, bool]


def _take(statement: str) -> float:
    """Milliseconds of a fresh interpreter that runs one statement."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (time.perf_counter() - began) * 1000


def rows(rounds: int) -> list[Row]:
    """`import wfgen`, and the names that a workflow file imports, against `from pydantic import BaseModel`."""
    plain, names, peer, nothing = [], [], [], []
    for _ in range(rounds * 3):
        plain.append(_take("import wfgen"))
        names.append(_take("from wfgen import Retry, Workflow, define_worker, define_workflow"))
        peer.append(_take("from pydantic import BaseModel"))
        nothing.append(_take("pass"))

    def ratio(ours: list[float]) -> float:
        return statistics.median((o - n) / (p - n) for o, p, n in zip(ours, peer, nothing, strict=True))

    def show(times: list[float]) -> str:
        return f"{statistics.median(times) - statistics.median(nothing):.0f} ms"

    one, all_names = ratio(plain), ratio(names)
    against = f"`from pydantic import BaseModel`: {show(peer)}"
    return [
        (f"`import wfgen`: {show(plain)}", against, one, "<= 1.6", one <= 1.6),
        (f"what a workflow file imports of it: {show(names)}", against, all_names, "", True),
    ]  # fmt: skip
