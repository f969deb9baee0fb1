"""`make bench`: measures against peers and limits, in pairs, and prints medians of ratios.

Peers are installed into an environment of their own, benchmarks/.peers. Machines are shared and noisy: each figure is
the median of several rounds, each round measures both sides one after the other, and what counts is the ratio.
Arguments: names of sections to run (steps, prebuild, watch, types); default all. `--rounds N`, default 5.
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
    if not (PEERS / ".installed").exists():
        print("installing the peers into benchmarks/.peers", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        pins = ["--require-hashes", "-r", str(HERE / "requirements-peers.txt")]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *pins], check=True)
        (PEERS / ".installed").touch()
    return python


def measure(python: Path, script: str, *arguments: object) -> dict[str, float]:
    """Run a script that prints one JSON object, in a fresh folder on this file system."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".store-") as folder:
        command = [str(python), str(HERE / script), folder, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return figures


def steps(rounds: int) -> list[Row]:
    """Durable steps per second against DBOS on the same kind of file, and the cost of a long run."""
    peer = peers()
    # Enough runs that both logs have reached their size: a file that still grows costs more at each commit.
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(measure(Path(sys.executable), "steps_wfgen.py", 200, 100))
        theirs.append(measure(peer, "steps_dbos.py", 60, 100))

    def ratio(figure: str, against: str) -> float:
        return statistics.median(o[figure] / t[against] for o, t in zip(ours, theirs, strict=True))

    def show(figures: list[dict[str, float]], name: str) -> str:
        return f"{statistics.median(f[name] for f in figures):,.0f}/s"

    one, blocking, many = ratio("one", "one"), ratio("one, synchronous steps", "one"), ratio("many", "many")
    flat = statistics.median(o["flat"] for o in ours)
    return [
        ("durable steps, ten-step runs, one at a time: " + show(ours, "one"),
         "DBOS on SQLite: " + show(theirs, "one"), one, ">= 5", one >= 5),
        ("the same with synchronous steps: " + show(ours, "one, synchronous steps"),
         "DBOS on SQLite, asynchronous: " + show(theirs, "one"), blocking, "", True),
        ("the same, 100 runs at once: " + show(ours, "many"),
         "DBOS on SQLite: " + show(theirs, "many"), many, ">= 20", many >= 20),
        ("one run of 1,000 steps: its last 100", "its first 100", flat, "<= 1.3", flat <= 1.3),
    ]  # fmt: skip


def main() -> None:
    sections: dict[str, Callable[[int], list[Row]]] = {
        "steps": steps,
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
