"""`make demo`: a workflow survives a killed process.

Generates the client, starts a run, kills the working process with SIGKILL in the middle of a step, starts another,
and shows which steps were replayed from the record rather than run again.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).parent
WFGEN = str(Path(sys.executable).with_name("wfgen"))
DEADLINE = 60.0
console = Console(highlight=False)


def say(text: str) -> None:
    console.print(f"[bold cyan]»[/] {text}")


def wfgen(*arguments: str) -> str:
    done = subprocess.run([WFGEN, *arguments], cwd=PROJECT, capture_output=True, text=True)
    if done.returncode:
        console.print(done.stdout + done.stderr, markup=False)
        raise SystemExit(done.returncode)
    return done.stdout


def history(run_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(wfgen("runs", "history", run_id, "--json"))
    return events


def calls(run_id: str) -> Counter[str]:
    """How often each step's worker was really called, from the shop's own database."""
    database = PROJECT / "orders.db"
    if not database.exists():
        return Counter()
    connection = sqlite3.connect(database, timeout=30)
    try:
        return Counter(key for (key,) in connection.execute("SELECT key FROM calls WHERE run = ?", (run_id,)))
    except sqlite3.OperationalError:  # the first worker has not made the table yet
        return Counter()
    finally:
        connection.close()


def start_worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [WFGEN, "worker", "--until-idle"], cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


async def start_run() -> str:
    """Start a run, and approve it before it asks: the approval is kept until the run gets there."""
    sys.path.insert(0, str(PROJECT))
    from orders.models import Approval, Item, Order
    from orders.wfgen_gen import connect

    async with connect(work=False) as wf:
        order = Order(
            id=f"A-{uuid.uuid4().hex[:6]}",
            customer="Ada",
            items=[Item(sku="anvil"), Item(sku="bellows", count=2), Item(sku="tongs")],
            total=129.90,
        )
        run = await wf.fulfil.start(order, idempotency_key=order.id)
        await run.hooks.approval.resume(Approval(ok=True, by="Grace"))
        return run.id


def main() -> None:
    began = time.monotonic()
    os.chdir(PROJECT)
    say("wfgen prebuild")
    console.print(wfgen("prebuild").strip(), markup=False)

    run_id = asyncio.run(start_run())
    say(f"started run [bold]{run_id}[/]")

    first = start_worker()
    try:
        # Wait until the charge is being made: three steps are recorded then, and one is caught in between.
        while calls(run_id)["0/charge"] == 0:
            if first.poll() is not None or time.monotonic() - began > DEADLINE:
                raise SystemExit("the first worker did not get to the charge; try `wfgen doctor`")
            time.sleep(0.02)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    recorded = {e["key"] for e in history(run_id) if e["type"] == "step_completed"}
    say(f"killed worker {first.pid} with SIGKILL in the middle of [bold]charge[/]; {len(recorded)} steps are recorded")

    second = start_worker()
    say(f"worker {second.pid} takes over")
    if second.wait(timeout=DEADLINE) != 0:
        raise SystemExit("the second worker failed; try `wfgen doctor`")

    run = json.loads(wfgen("runs", "show", run_id, "--json"))
    counted = calls(run_id)
    table = Table(title=f"{run['workflow']} {run_id}: {run['status']}", title_justify="left")
    for column in ("step", "worker called", "attempt", "duration", "in the second process"):
        table.add_column(column)
    for event in history(run_id):
        if event["type"] not in ("step_completed", "hook_resumed"):
            continue
        key = event["key"]
        data = event["data"]
        lasted = f"{event['time'] - data['started_at']:.2f} s" if "started_at" in data else ""
        again = "replayed" if key in recorded else "run again" if counted[key] > 1 else "run"
        table.add_row(key.partition("/")[2], str(counted[key] or ""), str(data.get("attempt", "")), lasted, again)
    console.print(table)
    console.print(f"result: {json.dumps(run['output'])}", markup=False)
    if run["status"] != "completed" or any(counted[key] != 1 for key in recorded):
        raise SystemExit("a recorded step ran again, or the run did not complete: this is a bug")
    say("A recorded step never ran again. The step that was caught ran twice and had its effect once.")
    say(f"took {time.monotonic() - began:.1f} s. The diagram: examples/orders/orders/wfgen_gen/diagrams/fulfil@1.md")
    console.print(
        "\nWhat to try next, in examples/orders:\n"
        "  wfgen list                        what is defined\n"
        f"  wfgen runs history {run_id}\n"
        "  wfgen graph fulfil                the graph as Mermaid\n"
        "  wfgen watch                       then edit orders/fulfil.workflow.py\n"
        "  wfgen init my-project             a project of your own\n"
        f"with wfgen = {WFGEN}",
        markup=False,
    )


if __name__ == "__main__":
    main()
