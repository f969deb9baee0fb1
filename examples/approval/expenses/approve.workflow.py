"""Ask the manager, remind twice, then ask the director; nobody's answer is a no."""

from expenses.models import Decision, Expense, Outcome, Question
from expenses.wfgen_gen import Workflow
from wfgen import HookTimeoutError, define_workflow

REMINDERS = 2


@define_workflow(name="approve", timeout="90d")
async def approve(workflow: Workflow, expense: Expense) -> Outcome:
    """Get a decision and act on it."""
    decision: Decision | None = None
    for reminder in range(REMINDERS + 1):
        # Open before the mail goes out: an answer cannot come too early.
        hook = workflow.create_hook("decision", Decision, timeout="2d")
        question = Question(to=expense.manager, expense=expense, token=hook.token, reminder=reminder)
        await workflow.do("ask the manager", "mail.ask", question)
        try:
            decision = await hook
            break
        except HookTimeoutError:
            workflow.log.info("no answer about %s from %s", expense.id, expense.manager)

    if decision is None:
        hook = workflow.create_hook("escalation", Decision, timeout="7d")
        question = Question(to=expense.director, expense=expense, token=hook.token)
        await workflow.do("ask the director", "mail.ask", question)
        try:
            decision = await hook
        except HookTimeoutError:
            await workflow.do("tell of no answer", "mail.tell", Outcome(expense_id=expense.id, status="expired"))
            return Outcome(expense_id=expense.id, status="expired")

    outcome = Outcome(expense_id=expense.id, status="paid" if decision.approved else "rejected", by=decision.by)
    if decision.approved:
        await workflow.do("pay", "payroll.pay", expense)
    await workflow.do("tell of the decision", "mail.tell", outcome)
    return outcome
