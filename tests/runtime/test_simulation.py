"""Several processes that crash, stall and come back, on one store with faults: whatever happens, the model holds.

`WFGEN_TEST_SEEDS=100000` runs more seeds, `WFGEN_TEST_SEED=4711` that one alone and prints all that happened in it.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_folder = Path(__file__).with_name("simulation")
_spec = importlib.util.spec_from_file_location(
    "simulation", _folder / "__init__.py", submodule_search_locations=[str(_folder)]
)
assert _spec is not None
assert _spec.loader is not None
_package = importlib.util.module_from_spec(_spec)
sys.modules["simulation"] = _package
_spec.loader.exec_module(_package)

from simulation.mutations import MUTATIONS  # noqa: E402
from simulation.simulation import simulate  # noqa: E402

SEEDS = int(os.environ.get("WFGEN_TEST_SEEDS", "300"))
SHARES = 20
ALONE = os.environ.get("WFGEN_TEST_SEED")
KEPT = [
    int(line.split()[0])
    for line in (_folder / "seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """What processes that crashed have left goes here, not while Python compiles something: 3.11 fails then."""
    yield
    gc.collect()


def check(seed: int) -> None:
    outcome = simulate(seed)
    if ALONE is not None:
        print(outcome)
    assert not outcome.problems, (
        f"{outcome}\n\nRun this seed alone: WFGEN_TEST_SEED={seed} pytest -s {Path(__file__).name} -k alone\n"
        f"Once it is understood, keep it: a line in {_folder.name}/seeds.txt."
    )


@pytest.mark.parametrize("share", range(SHARES))
def test_seeds(share: int) -> None:
    """F7: whoever crashes or stalls when, no run is lost, no completion is recorded twice, nothing runs again."""
    for seed in range(share, SEEDS, SHARES):
        check(seed)


@pytest.mark.parametrize("seed", KEPT)
def test_kept_seeds(seed: int) -> None:
    """E5: what once went wrong does not go wrong again."""
    check(seed)


def test_one_seed_alone() -> None:
    """The seed in WFGEN_TEST_SEED, or the first; and one seed is one history."""
    seed = int(ALONE or 0)
    check(seed)
    assert simulate(seed).digest == simulate(seed).digest


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_known_bugs_are_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bug put in, the simulation fails within a few seeds."""
    MUTATIONS[name](monkeypatch)
    assert any(simulate(seed).problems for seed in range(400)), "the bug was not found"


def test_what_happens_in_a_simulation() -> None:
    """Everything that is to be tried does happen: each kind of event, takeovers, refusals, deaths."""
    counts: dict[str, int] = {}
    for seed in range(60):
        for what, count in simulate(seed).counts.items():
            counts[what] = counts.get(what, 0) + (count or 0)
    expected = """
        step_completed step_failed step_retrying timer_set timer_fired hook_created hook_resumed hook_timed_out
        child_started child_completed child_failed cancel_requested patched run_continued run_completed run_failed
        run_cancelled refused step_started compensation_started run_paused run_resumed run_terminated rollback_requested
        rolled_back run_retried run_claimed forked job_created
    """
    jobs = [f"job {what}" for what in ("completed", "failed", "cancelled", "taken over")]
    assert [what for what in [*expected.split(), *jobs] if not counts.get(what)] == []
    assert counts["claims"] > counts["run_started"] * 1.2, "runs are taken over"
