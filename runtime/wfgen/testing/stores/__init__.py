"""What any store must do, as checks that a third party runs on a store of its own.

    import pytest
    from wfgen.testing.stores import CHECKS, run_check

    @pytest.mark.parametrize("name", CHECKS)
    def test_my_store(name, tmp_path):
        run_check(name, lambda environment: MyStore(tmp_path / "place", environment))

Nothing here needs pytest. A check that does not hold raises AssertionError; with pytest,
`pytest.register_assert_rewrite("wfgen.testing.stores")` before the import shows the values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wfgen.environment import Environment
from wfgen.store.protocol import Store
from wfgen.testing.stores import (
    appending,
    controls,
    creating,
    definitions,
    families,
    finding,
    holding,
    job_controls,
    jobs,
    lost_jobs,
    messages,
    reading,
)
from wfgen.testing.stores.desk import Check, Desk, ManualClock, check

__all__ = ["CHECKS", "Desk", "ManualClock", "run_check"]

_MODULES = (
    creating,
    appending,
    holding,
    messages,
    reading,
    finding,
    families,
    controls,
    definitions,
    jobs,
    lost_jobs,
    job_controls,
)

CHECKS: dict[str, Check] = check.checks
"""By what each one claims."""


def run_check(name: str, make: Callable[[Environment], Store], *, timeout: float = 30.0) -> None:
    """Run one check.

    Args:
        name: one of CHECKS.
        make: gives a store that is not open yet, with this clock and randomness. It is called several times in some
            checks: all stores that it gives are on the same, at first empty, place.
        timeout: how long the check may take, in seconds.

    Raises:
        AssertionError: the store does not do what it must.
        TimeoutError: it took too long.
    """

    async def main() -> None:
        desk = Desk(make)
        try:
            async with asyncio.timeout(timeout):
                await CHECKS[name](desk)
        finally:
            await desk.close()

    asyncio.run(main())
