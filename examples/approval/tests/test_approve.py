"""Weeks of waiting, in no time."""

from datetime import timedelta

import pytest
from expenses.models import Decision, Expense
from expenses.wfgen_gen import Client

from wfgen.testing import TestEngine

EXPENSE = Expense(id="E-1", employee="Ada", manager="Grace", director="Edsger", amount=99.5)
YES = Decision(approved=True, by="Grace")
NO = Decision(approved=False, by="Grace")


@pytest.mark.parametrize(("decision", "status", "paid"), [(YES, "paid", 1), (NO, "rejected", 0)])
async def test_the_manager_decides(wf: TestEngine, decision: Decision, status: str, paid: int) -> None:
    pay = wf.mock("payroll.pay", returns=None)
    wf.answer("decision", decision)
    outcome = await wf.execute("approve", EXPENSE)
    assert (outcome.status, outcome.by) == (status, "Grace")
    pay.assert_called(paid)


async def test_two_reminders_then_the_director(wf: TestEngine) -> None:
    ask = wf.mock("mail.ask", returns=None)
    wf.answer("escalation", Decision(approved=True, by="Edsger"))
    before = wf.clock.now
    outcome = await wf.execute("approve", EXPENSE)
    assert outcome.by == "Edsger"
    assert [(question.to, question.reminder) for question in ask.inputs] == [
        ("Grace", 0),
        ("Grace", 1),
        ("Grace", 2),
        ("Edsger", 0),
    ]
    assert wf.clock.now - before == timedelta(days=6)
    assert len({question.token for question in ask.inputs}) == 4, "each question has a link of its own"


async def test_an_answer_to_a_reminder(wf: TestEngine) -> None:
    """The typed client resumes the hook, as the application's web handler does."""
    client = wf.client(Client)
    run = await client.approve.start(EXPENSE)
    await wf.until_waiting(run, "decision")
    await wf.clock.advance("3d")
    await run.hooks.decision.resume(YES)
    assert (await run.result()).status == "paid"


async def test_nobody_answers(wf: TestEngine) -> None:
    pay = wf.mock("payroll.pay", returns=None)
    assert (await wf.execute("approve", EXPENSE)).status == "expired"
    pay.assert_not_called()


async def test_a_mail_server_that_is_down_holds_nothing_up_for_long(wf: TestEngine) -> None:
    wf.fail("ask the manager", ConnectionError("down"), attempt=1)
    wf.fail("ask the manager", ConnectionError("down"), attempt=2)
    wf.answer("decision", YES)
    assert (await wf.execute("approve", EXPENSE)).status == "paid"


@pytest.mark.parametrize("step", ["ask the manager", "decision", "pay"])
async def test_a_crash_loses_no_decision(wf: TestEngine, step: str) -> None:
    pay = wf.mock("payroll.pay", returns=None)
    wf.crash_after(step)
    wf.answer("decision", YES)
    assert (await wf.execute("approve", EXPENSE)).status == "paid"
    pay.assert_called(1)
