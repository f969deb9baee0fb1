"""`make bench`: measures against peers and limits, in pairs, and prints medians of ratios.

Peers are installed into an environment of their own, benchmarks/.peers. Machines are shared and noisy: each figure is
the median of several rounds, each round measures both sides one after the other, and what counts is the ratio.
Arguments: names of sections to run; default all. `--rounds N`, default 5.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import imports
import postgres
import prebuild
import typecheck
import watch

HERE = Path(__file__).parent
PEERS = HERE / ".peers"
Row = tuple[str, str, float, str, bool]
"""What is measured, against what, the ratio or figure, the aim, and whether it is met."""


def peers() -> Path:
    """The interpreter of the peers' environment, made on first use."""
    python = PEERS / "bin" / "python"
    wanted = (HERE / "requirements-peers.txt").read_text(encoding="utf-8")
    stamp = PEERS / ".installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print("installing the peers into benchmarks/.peers", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        pins = ["--require-hashes", "-r", str(HERE / "requirements-peers.txt")]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *pins], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def measure(python: Path, script: str, *arguments: object, place: str | None = None) -> dict[str, float]:
    """Run a script that prints one JSON object, in a fresh folder on this file system, or on a `place` by URL."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".store-") as folder:
        command = [str(python), str(HERE / script), place or folder, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return figures


def steps(rounds: int) -> list[Row]:
    """Durable steps per second against peers and plain SQLite on the same disk, and the cost of a long run."""
    peer = peers()
    # Enough runs that the logs have reached their size: a file that still grows costs more at each commit.
    ours, dbos, langgraph, raw = [], [], [], []
    for _ in range(rounds):
        ours.append(measure(Path(sys.executable), "steps_wfgen.py", 200, 100))
        raw.append(measure(Path(sys.executable), "commits.py", 2000))
        dbos.append(measure(peer, "steps_dbos.py", 60, 100))
        langgraph.append(measure(peer, "steps_langgraph.py", 30, 100))

    def ratio(figure: str, against: list[dict[str, float]]) -> float:
        name = figure.partition(",")[0]
        return statistics.median(o[figure] / t[name] for o, t in zip(ours, against, strict=True))

    def show(figures: list[dict[str, float]], name: str) -> str:
        return f"{statistics.median(f[name] for f in figures):,.0f}/s"

    def row(what: str, figure: str, peer_name: str, against: list[dict[str, float]], aim: float) -> Row:
        name, found = figure.partition(",")[0], ratio(figure, against)
        verdict = f">= {aim:g}" if aim else ""
        return f"{what}: {show(ours, figure)}", f"{peer_name}: {show(against, name)}", found, verdict, found >= aim

    flat = statistics.median(o["flat"] for o in ours)
    return [
        row("durable steps, ten-step runs, one at a time", "one", "SQLite, commits of one row", raw, 0.5),
        row("the same", "one", "DBOS on SQLite", dbos, 8),
        row("the same with synchronous steps", "one, synchronous steps", "DBOS on SQLite, asynchronous", dbos, 0),
        row("the same", "one", "LangGraph, SQLite saver", langgraph, 0),
        row("100 runs at once", "many", "DBOS on SQLite", dbos, 60),
        row("the same", "many", "LangGraph, SQLite saver", langgraph, 20),
        ("one run of 1,000 steps: its last 100", "its first 100", flat, "<= 1.1", flat <= 1.1),
    ]


def latency(rounds: int) -> list[Row]:
    """From a hook that is resumed to the step behind it."""
    found = [measure(Path(sys.executable), "latency.py", 300) for _ in range(rounds)]
    p50, p99 = (statistics.median(f[name] for f in found) for name in ("p50", "p99"))
    what = f"hook resumed to next step started, same process, p50 in ms (p99 {p99:.1f})"
    return [(what, "", p50, "<= 5", p50 <= 5)]


def recovery(rounds: int) -> list[Row]:
    """A long run taken up by another process."""
    found = [measure(Path(sys.executable), "recovery.py", 10_000) for _ in range(rounds)]
    ratio = statistics.median(f["ratio"] for f in found)
    milliseconds = statistics.median(f["replay"] for f in found) * 1000
    what = f"recovery of a run with 10,000 recorded steps, processor time: {milliseconds:.0f} ms"
    return [(what, "reading and decoding its rows", ratio, "<= 3", ratio <= 3)]


def parking(rounds: int) -> list[Row]:
    """Runs that sleep, in one process."""
    found = [measure(Path(sys.executable), "parking.py", 100_000, 1000) for _ in range(min(rounds, 3))]
    memory, late = (statistics.median(f[name] for f in found) for name in ("memory", "late p99"))
    return [
        ("100,000 sleeping runs: memory of the process in MB", "", memory, "<= 150", memory <= 150),
        ("1,000 of them due at once: late by, p99 in s", "", late, "<= 1", late <= 1),
    ]


def main() -> None:
    sections: dict[str, Callable[[int], list[Row]]] = {
        "steps": steps,
        "latency": latency,
        "recovery": recovery,
        "parking": parking,
        "postgres": lambda rounds: postgres.rows(rounds, peers, measure),
        "imports": imports.rows,
        "prebuild": prebuild.rows,
        "watch": watch.rows,
        "types": typecheck.rows,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("section", nargs="*", choices=[[], *sections], default=[])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled already
    rows = [row for name in arguments.section or sections for row in sections[name](arguments.rounds)]
    print("\n| what | against | measured | aim | |\n|---|---|---|---|---|")
    for what, against, figure, aim, met in rows:
        verdict = ("met" if met else "missed") if aim else ""
        print(f"| {what} | {against} | {figure:.2f} | {aim} | {verdict} |")


if __name__ == "__main__":
    main()
