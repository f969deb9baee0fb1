"""Plays stories of example projects on several engines, and prints their histories, without what differs by chance.

Arguments: a JSON object of stories, and the URLs. A story has the project's folder, the package, and a list of runs:
workflow, input, and the payloads that its hooks are resumed with, by name.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import re
import sys
from pathlib import Path
from typing import Any

from wfgen.engine import Engine, open_engine
from wfgen.environment import Environment
from wfgen.errors import WfgenError
from wfgen.settings import Settings

CHANCE = re.compile(r"\b(run|hook|job)_[0-9a-f]{8,}\b")
PLACES = frozenset({"process", "job_id", "pid", "host", "token", "place", "run_id", "parent", "traceback"})
"""Data that is a matter of chance or place."""
TIMES = re.compile(r".*(_at|due|until|delay)|began")


def plain(value: Any) -> Any:
    """Without times, ids and places."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in PLACES and not TIMES.fullmatch(k)}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return CHANCE.sub(r"\1_…", value) if isinstance(value, str) else value


async def play(engine: Engine, chance: random.Random, runs: list[Any]) -> Any:
    """Let the runs happen; gives what can be seen of all that there are then, oldest first."""
    for number, (workflow, data, hooks) in enumerate(runs):
        chance.seed(number)  # ids, and what examples derive from them, are the same everywhere
        run = await engine.start_run(workflow, data)
        for name, payload in hooks:
            await engine.controls.resume_hook_json(json.dumps(payload), run_id=run.id, name=name)
        await engine.finished(run.id, timeout=60)
    seen = []
    for record in reversed(await engine.store.list_runs(limit=500)):
        operations: dict[str, list[Any]] = {}  # what is at work at once ends in any order
        for event in await engine.store.history(record.run_id):
            payload = None if event.payload is None else plain(json.loads(event.payload))
            operations.setdefault(event.key or "", []).append([event.type, plain(event.data), payload])
        summary = [record.workflow, record.version, record.status, record.error_type, record.error_code]
        output = None if record.output is None else plain(json.loads(record.output))
        hooks = [[h.name, h.key, h.state] for h in await engine.store.hooks(run_id=record.run_id, state=None)]
        jobs = await engine.store.list_jobs(run_id=record.run_id)
        queued = sorted([j.queue, j.key, j.status, j.attempt, plain((j.output or b"").decode())] for j in jobs)
        seen.append([summary, record.tags, plain(record.error), output, operations, hooks, queued])
    return seen


async def main() -> None:
    found: dict[str, list[Any]] = {}
    for name, story in json.loads(sys.argv[1]).items():
        sys.path.insert(0, story["folder"])
        registry = importlib.import_module(f"{story['package']}.wfgen_gen").registry
        for url in sys.argv[2:]:
            engine_url = url.replace("SCHEMA", name)
            for kept in Path(story["folder"]).glob("*.db*"):  # what an example itself keeps
                kept.unlink()
            try:
                settings = Settings.load(Path(story["folder"]), engine=engine_url)
                environment = Environment(random=random.Random())
                async with open_engine(registry, settings, environment=environment) as engine:
                    seen = await play(engine, environment.random, story["runs"])
                    found.setdefault(name, []).append(seen)
            except WfgenError as error:
                raise SystemExit(f"{name} on {engine_url.partition(':')[0]}: {error}") from error
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
