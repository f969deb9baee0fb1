"""The trip is booked as a whole or not at all, whatever fails and wherever the process dies."""

from typing import Any

import pytest
from trips.models import Booking, Trip

from wfgen import Run, RunCancelledError, RunFailedError
from wfgen.testing import Mock, TestEngine

SHORT = Trip(id="T-1", traveller="Ada", destination="Lisbon", nights=1)
LONG = Trip(id="T-2", traveller="Ada", destination="Lisbon", nights=7, with_car=True)
UNDOING = ("flights.cancel", "hotels.cancel", "cars.cancel", "insurance.cancel")


async def steps(run: Run[Any]) -> list[str]:
    """What was completed, in order."""
    return [
        event.key.partition("/")[2] for event in await run.history() if event.type == "step_completed" and event.key
    ]


def watched(wf: TestEngine) -> dict[str, Mock]:
    """Mocks in place of all that undoes."""
    return {worker: wf.mock(worker, returns=None) for worker in UNDOING}


async def test_a_short_trip_needs_neither_car_nor_insurance(wf: TestEngine) -> None:
    run = await wf.start("book", SHORT)
    assert (await run.result()).total == 410.0
    assert await steps(run) == ["book flight", "book hotel", "charge"]


async def test_a_long_trip_is_insured(wf: TestEngine) -> None:
    """B7: the car is there on a condition; insurance depends on flight, hotel and car, and comes after them."""
    run = await wf.start("book", LONG)
    invoice = await run.result()
    assert invoice.total == pytest.approx((320 + 630 + 245) * 1.05)
    done = await steps(run)
    assert done[0] == "book flight"
    assert set(done[1:3]) == {"book hotel", "book car"}
    assert done[3:] == ["insure", "charge"]


async def test_a_refused_payment_undoes_all_bookings_backwards(wf: TestEngine) -> None:
    """B23: a saga: what was booked is cancelled, the last booking first."""
    undone = watched(wf)
    wf.fail("charge", PermissionError("card refused"), attempt=None)
    run = await wf.start("book", LONG)
    with pytest.raises(RunFailedError, match="card refused"):
        await run.result()
    for mock in undone.values():
        mock.assert_called(1)
    undo = [event.key for event in await run.history() if event.type == "step_completed" and event.key][-4:]
    assert undo[0] == "undo/insure", "the last one first"
    assert undo[-1] == "undo/book flight"
    assert undone["flights.cancel"].inputs[0].what == "flight"


async def test_what_was_not_booked_is_not_cancelled(wf: TestEngine) -> None:
    undone = watched(wf)
    wf.fail("book hotel", ConnectionError("no rooms"), attempt=None)
    with pytest.raises(RunFailedError, match="no rooms"):
        await wf.execute("book", SHORT)
    undone["flights.cancel"].assert_called(1)
    undone["hotels.cancel"].assert_not_called()


async def test_an_agency_that_is_down_for_a_moment_is_asked_again(wf: TestEngine) -> None:
    wf.fail("book flight", ConnectionError("timeout"), attempt=1)
    before = wf.clock.now
    assert (await wf.execute("book", SHORT)).total == 410.0
    assert (wf.clock.now - before).total_seconds() == pytest.approx(10, abs=1)


async def test_cancelling_takes_back_what_was_booked(wf: TestEngine) -> None:
    undone = watched(wf)
    wf.mock("payments.charge", returns=None, takes="20s")
    run = await wf.start("book", SHORT)
    await wf.clock.advance("5s")
    await run.cancel()
    with pytest.raises(RunCancelledError):
        await run.result()
    undone["flights.cancel"].assert_called(1)
    undone["hotels.cancel"].assert_called(1)


@pytest.mark.parametrize("step", ["book flight", "book hotel"])
async def test_a_crash_books_nothing_twice(wf: TestEngine, step: str) -> None:
    """A step that is recorded as completed does not run again in the process that takes over."""
    flights = wf.mock("flights.book", returns=Booking(trip_id="T-1", what="flight", reference="FL-1", price=1.0))
    wf.crash_after(step)
    await wf.execute("book", SHORT)
    flights.assert_called(1)


def test_the_definitions_are_valid() -> None:
    from trips import wfgen_gen

    from wfgen.testing import validate_definitions

    validate_definitions(wfgen_gen)
