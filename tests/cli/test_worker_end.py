"""How `wfgen worker` ends while a step does not."""

from __future__ import annotations

import signal
from typing import Any

STUBBORN = """\
import asyncio

from shop.wfgen_gen import Workflow
from wfgen import define_workflow


async def hold_on() -> None:
    print("holding on", flush=True)
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("asked to end", flush=True)


@define_workflow(name="stubborn", version="1")
async def stubborn(workflow: Workflow) -> None:
    await workflow.do("hold on", hold_on)
"""


def test_a_second_signal(shop: Any, until: Any) -> None:
    """B3: a step that catches its cancellation delays the end of its worker; who asks again ends it at once."""
    shop.write("shop/stubborn.workflow.py", STUBBORN)
    assert shop("prebuild").returncode == 0
    run_id = shop("start", "stubborn").stdout.strip()
    worker = shop.start("worker", "--drain-timeout", "0s")
    until(lambda: "holding on" in shop.out())
    worker.send_signal(signal.SIGTERM)
    until(lambda: "asked to end" in shop.out())
    assert worker.poll() is None
    worker.send_signal(signal.SIGINT)
    assert worker.wait(60) == 130
    assert shop.err().endswith("ended at once; what was under way begins again in the next worker\n")
    assert shop.ask("runs", "show", run_id, "--json")["status"] == "running"
