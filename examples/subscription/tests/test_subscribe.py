"""Years of a subscription."""

from pathlib import Path

import pytest
from billing import wfgen_gen
from billing.models import Cancellation, Subscription

from wfgen.testing import TestEngine, history_files, replay_history

ADA = Subscription(customer="Ada", price=9.5)


async def test_it_is_charged_every_month_for_years(wf: TestEngine) -> None:
    charge = wf.mock("cards.charge", returns="paid")
    run = await wf.start("subscribe", ADA)
    await wf.clock.advance("750d")
    assert [one.period for one in charge.inputs] == list(range(1, 27))
    await run.hooks["cancellation"].resume(Cancellation(reason="moved"))
    end = await run.result()
    assert (end.periods, end.why) == (26, "cancelled")
    assert [event.type for event in await run.history()].count("run_continued") == 2


async def test_a_card_that_fails_is_tried_for_a_week(wf: TestEngine) -> None:
    charge = wf.mock("cards.charge", outcomes=["paid", *[ConnectionError("refused")] * 4])
    before = wf.clock.now
    end = await wf.execute("subscribe", ADA)
    assert (end.periods, end.why) == (1, "not paid")
    assert [call.job.attempt for call in charge.calls] == [1, 1, 2, 3, 4]
    assert 36 <= (wf.clock.now - before).days <= 38


async def test_a_crash_at_the_turn_of_the_year_charges_no_month_twice(wf: TestEngine) -> None:
    charge = wf.mock("cards.charge", returns="paid")
    wf.crash_after("charge#12")
    run = await wf.start("subscribe", ADA)
    await wf.clock.advance("400d")
    assert [one.period for one in charge.inputs] == list(range(1, 15))
    await run.cancel()


@pytest.mark.parametrize("path", history_files(Path(__file__).parent / "histories"), ids=lambda path: path.stem)
def test_subscriptions_of_today_go_on_with_the_code_of_today(path: Path) -> None:
    """Histories of real runs, one of them in flight: a change of the workflow that would break them fails here."""
    replay_history(path, wfgen_gen)


@pytest.mark.wfgen(replay="always")
async def test_it_is_the_same_in_every_replay(wf: TestEngine) -> None:
    run = await wf.start("subscribe", ADA)
    await wf.clock.advance("400d")
    await run.hooks["cancellation"].resume(Cancellation(reason="moved"))
    assert (await run.result()).periods == 14
