"""The simulation on PostgreSQL: the same processes, programs, faults and model, with the real store on a real server.

`WFGEN_TEST_SEEDS=10000` runs more seeds, `WFGEN_TEST_SEED=4711` that one alone and prints all that happened in it.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..postgres import schema
from .simulation.postgres import HARSH, Database, new_database
from .simulation.postgres_mutations import MUTATIONS
from .simulation.simulation import Outcome, simulate

SEEDS = int(os.environ.get("WFGEN_TEST_SEEDS", "24"))
SHARES = 1 if SEEDS < 100 else 4
"""Each has to meet whatever is to be met: few seeds are not divided."""
QUICK = ["ends_told_twice", "jobs_without_fence", "messages_stay"]
"""Known bugs that are found within seconds; with WFGEN_TEST_SEEDS all are put in."""
ALONE = os.environ.get("WFGEN_TEST_SEED")
KEPT = [
    int(line.split()[0])
    for line in Path(__file__).with_name("simulation").joinpath("postgres_seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.fixture(scope="module")
def database(postgres_server: str) -> Iterator[Database]:
    """A schema that one seed after the other uses."""
    with schema(postgres_server) as url, new_database(url) as database:
        yield database


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """What processes that crashed have left goes here, not while Python compiles something: 3.11 fails then."""
    yield
    gc.collect()


def outcome(database: Database, seed: int) -> Outcome:
    database.empty()
    return simulate(seed, HARSH, database)


def check(database: Database, seed: int) -> Outcome:
    found = outcome(database, seed)
    if ALONE is not None:
        print(found)
    assert not found.problems, (
        f"{found}\n\nRun this seed alone: WFGEN_TEST_SEED={seed} pytest -s {Path(__file__).name} -k alone\n"
        "Once it is understood, keep it: a line in simulation/postgres_seeds.txt."
    )
    return found


@pytest.mark.parametrize("share", range(SHARES))
def test_seeds(database: Database, share: int) -> None:
    """F7, E5: on PostgreSQL, too, whoever crashes, stalls or loses the server when: no run and no job is lost, no end
    is recorded twice, nothing runs again; and what is to be tried does happen."""
    counts: dict[str, int] = {}
    for seed in range(share, SEEDS, SHARES):
        for what, count in check(database, seed).counts.items():
            counts[what] = counts.get(what, 0) + int(count or 0)
    counts["refused"] += counts["job refused"]  # either is rare among so few seeds
    expected = [
        *("step_completed", "step_failed", "timer_fired", "hook_resumed", "child_completed", "run_claimed", "refused"),
        *("rolled_back", "run_continued", "job_created", "job completed", "job failed", "job taken over"),
    ]
    assert [what for what in expected if not counts.get(what)] == []


@pytest.mark.parametrize("seed", KEPT)
def test_kept_seeds(database: Database, seed: int) -> None:
    """E5: what once went wrong does not go wrong again."""
    check(database, seed)


def test_one_seed_alone(database: Database) -> None:
    """The seed in WFGEN_TEST_SEED, or one; and one seed is one history."""
    seed = int(ALONE or 3)
    first = check(database, seed)
    assert outcome(database, seed).digest == first.digest


@pytest.mark.parametrize("name", sorted(MUTATIONS) if "WFGEN_TEST_SEEDS" in os.environ else QUICK)
def test_known_bugs_are_found(name: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bug put into the store or the schema, the simulation fails within a few seeds."""
    mutate, first, wrong = MUTATIONS[name]
    try:
        mutate(monkeypatch, database)
        assert any(
            wrong in problem for seed in range(first, first + 300) for problem in outcome(database, seed).problems
        ), "the bug was not found"
    finally:
        database.restore()
