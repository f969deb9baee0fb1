"""What every store must do, on ours. Another store joins by an entry in `STORES`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wfgen.environment import Environment
from wfgen.store.protocol import Store
from wfgen.store.sqlite import SQLiteStore

pytest.register_assert_rewrite("wfgen.testing.stores")
from wfgen.testing.stores import CHECKS, run_check  # noqa: E402

STORES: dict[str, Callable[[Path, Environment], Store]] = {
    "sqlite": lambda folder, environment: SQLiteStore(folder / "store.db", environment),
    "sqlite-normal": lambda folder, environment: SQLiteStore(folder / "store.db", environment, synchronous="normal"),
}


@pytest.mark.parametrize("store", sorted(STORES))
@pytest.mark.parametrize("name", sorted(CHECKS))
def test_conformance(name: str, store: str, tmp_path: Path) -> None:
    """D16: each check of the public suite holds."""
    run_check(name, lambda environment: STORES[store](tmp_path, environment))


def test_the_suite_finds_faults(tmp_path: Path) -> None:
    """A store that does not fence, forgets messages or leaves gaps fails the checks about that."""

    class Lax(SQLiteStore):
        async def messages(self, process_id: str, **_: object) -> list[object]:  # type: ignore[override]
            return []

        def append(self, append: object, done: Callable[[None], None]) -> None:  # type: ignore[override]
            done(None)

    failed = set()
    for number, name in enumerate(CHECKS):
        try:
            run_check(name, lambda environment, number=number: Lax(tmp_path / f"{number}.db", environment), timeout=5)  # type: ignore[misc]
        except Exception:
            failed.add(name)
    assert {
        "a process that lost a run cannot write to it",
        "messages are kept until they are consumed",
        "a gap or a repetition is refused, 1",
        "each append of a batch has its own verdict",
    } <= failed
