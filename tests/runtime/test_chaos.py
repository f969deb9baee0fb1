"""Workers under load while they are killed, stopped, ended and started anew; the server and the network fail meanwhile.

What is worked, what is done and what must hold stands in the folder `chaos`. `WFGEN_TEST_CHAOS=2000` works so many
runs, with as much more trouble; `WFGEN_TEST_SEED=7` decides what happens to whom.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from wfgen.engine import open_engine
from wfgen.settings import Settings

from ..postgres import Server, connections, plain, schema
from ..proxy import proxy
from .chaos.crew import Crew, trouble
from .chaos.effects import PostgresEffects, SQLiteEffects
from .chaos.flows import registry
from .chaos.judge import Judge
from .chaos.load import Load
from .chaos.network import ACTS, Network
from .chaos.server import Order

LONG = int(os.environ.get("WFGEN_TEST_CHAOS", "0"))
SEED = int(os.environ.get("WFGEN_TEST_SEED", "7"))


@dataclass
class Story:
    """What happened, and what is wrong with it."""

    problems: list[str]
    counts: Counter[str]


async def play(
    settings: Settings,
    crew: Crew,
    effects: SQLiteEffects | PostgresEffects,
    *,
    runs: int,
    seconds: float,
    acts: Sequence[str],
    network: Network | None = None,
    rounds: int = 0,
    seed: int = SEED,
) -> Story:
    """Work so many runs, started over so many seconds, while these things are done to the workers; then look.

    What can be done to the network is done so many `rounds`.
    """
    source = random.Random(seed)
    lease = float(settings.lease.removesuffix("s"))
    problems: list[str] = []
    async with open_engine(registry(), settings, work=False) as engine:
        load = Load(engine, runs, at_once=min(40, runs // 2))
        resuming = asyncio.create_task(load.resume())
        async with asyncio.TaskGroup() as group:
            group.create_task(load.start(seconds))
            group.create_task(trouble(crew, random.Random(source.random()), acts, lease, load.busy))
            if network is not None:
                group.create_task(network.trouble(random.Random(source.random()), rounds))
        problems += await load.end(patience=60 + runs / 10)
        await resuming
        await crew.dismiss()
        judge = Judge(effects.read(), crew.stops)
        await judge.look(engine, runs)
        holdings = await engine.store.holdings()
        problems += [f"process {process} still holds {held}" for process, held in holdings.items()]
    effects.close()
    counts = judge.counts + Counter(crew.counts) + (network.counts if network else Counter())
    print(f"\n{dict(counts)}")
    return Story([*problems, *crew.problems, *judge.problems], counts)


def on_sqlite(
    folder: Path, *, runs: int, seconds: float, acts: Sequence[str], fault: str = "", workers: int = 4, seed: int = SEED
) -> Story:
    """The story of several processes on one file, each third of which works jobs alone."""
    settings = Settings(project=folder, lease="2s")
    asyncio.run(_created(settings))
    order = Order(str(folder), settings.engine, settings.lease, False, None, fault)
    effects = SQLiteEffects(folder)
    with contextlib.closing(Crew([replace(order, jobs_only=n % 3 == 2) for n in range(workers)])) as crew:
        return asyncio.run(play(settings, crew, effects, runs=runs, seconds=seconds, acts=acts, seed=seed))


async def _created(settings: Settings) -> None:
    async with open_engine(registry(), settings, work=False):
        pass


def test_processes_on_one_file(tmp_path: Path) -> None:
    """B13, B14, F7: whatever becomes of the workers, each run and job ends as it should, once, with all its effects."""
    runs = LONG or 60
    acts = ["kill", "kill", "kill", "stop", "end"] * (1 + runs // 100)
    story = on_sqlite(tmp_path, runs=runs, seconds=runs / 20, acts=acts)
    assert story.problems == []
    assert story.counts["taken over"]


if LONG:  # whom a stop hits is a matter of chance, and up to three tries take long

    def test_workers_without_fencing_are_noticed(tmp_path: Path) -> None:
        """Workers that go on with what they have lost do not pass; whom a stop hits is a matter of chance."""
        for number in range(3):
            folder = tmp_path / str(number)
            folder.mkdir()
            acts = ["stop", "stop"]
            story = on_sqlite(folder, runs=40, seconds=1, acts=acts, fault="no fencing", workers=2, seed=SEED + number)
            if any("more than one end" in problem for problem in story.problems):
                return
        pytest.fail("it was not noticed")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a story of a few runs in which nothing happened."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert on_sqlite(folder, runs=2, seconds=0, acts=[], workers=1).problems == []
    return folder


@pytest.mark.parametrize(
    ("tampering", "seen"),
    [
        ("UPDATE effects SET late = true WHERE key = '0/here'", "was begun (attempt 1) after it was recorded"),
        ("DELETE FROM effects WHERE key = '0/here'", "is recorded as completed and has no effect"),
        ("UPDATE effects SET key = '0/once' WHERE key = '0/here'", "which runs at most once, has 2 effects"),
        ("UPDATE effects SET run = 'run_x' WHERE key = '0/here'", "of no run that there is has an effect"),
        ("UPDATE store.events SET seq = seq + 1 WHERE type = 'run_completed'", "its events are numbered"),
        ("UPDATE store.events SET key = '0/once' WHERE key = '0/here'", "have more than one end"),
        ("UPDATE store.runs SET output = CAST('[]' AS BLOB) WHERE workflow = 'below'", "its result is []"),
        ("UPDATE store.runs SET status = 'failed' WHERE workflow = 'below'", "is failed"),
        ("UPDATE store.runs SET owner = 'x' WHERE workflow = 'below'", "it is still held by x"),
        ("DELETE FROM store.runs WHERE workflow = 'below'", "there are other runs than were started"),
        ("UPDATE store.hooks SET state = 'open' WHERE name = 'late'", "hook late of run"),
        ("UPDATE store.jobs SET status = 'queued', finished_at = NULL", "is queued, held by None"),
    ],
)
def test_what_is_wrong_is_seen(undisturbed: Path, tmp_path: Path, tampering: str, seen: str) -> None:
    """Each thing that must hold is looked at."""
    folder = Path(shutil.copytree(undisturbed, tmp_path / "copy"))
    effects = SQLiteEffects(folder)
    effects.tamper(tampering)

    async def look() -> Judge:
        async with open_engine(registry(), Settings(project=folder), work=False) as engine:
            judge = Judge(effects.read(), [])
            await judge.look(engine, 2)
            return judge

    judge = asyncio.run(look())
    effects.close()
    assert any(seen in problem for problem in judge.problems), judge.problems


def test_processes_on_a_server(tmp_path: Path, own_postgres: Server) -> None:
    """B13, B14, F7, E5: the same on PostgreSQL, which is restarted and killed, over a network that fails."""
    runs = LONG or 150
    with schema(own_postgres.url, 20) as url, proxy(url) as one, proxy(url) as other:
        name = dict(parse_qsl(urlsplit(url).query))["schema"]
        settings = Settings(project=tmp_path, engine=url, lease="2s")
        asyncio.run(_created(settings))
        order = Order(str(tmp_path), url, settings.lease, False, (plain(url), name), "")
        orders = [
            order,
            replace(order, jobs_only=True),
            replace(order, url=one.url(url)),
            replace(order, url=one.url(url), jobs_only=True),
            replace(order, url=other.url(url)),
            replace(order, url=other.url(url)),
        ]
        effects = PostgresEffects(plain(url), name)
        effects.create()
        with contextlib.closing(Crew(orders)) as crew:
            network = Network(own_postgres, name, [one, other], 2)
            rounds = 1 + runs // 200
            acts = ["kill", "kill", "stop", "end"] * 2 * rounds
            story = asyncio.run(
                play(settings, crew, effects, runs=runs, seconds=runs / 10, acts=acts, network=network, rounds=rounds)
            )
        assert story.problems == []
        assert story.counts["taken over"]
        assert all(story.counts[act] >= 1 for act in ACTS)
        assert connections(own_postgres.url, name, wait=20) == []
