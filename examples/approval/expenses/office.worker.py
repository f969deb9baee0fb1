"""Mail and payroll."""

from expenses.models import Expense, Outcome, Question
from wfgen import Retry, define_worker


@define_worker("mail.ask", retry=Retry(attempts=5, delay="1m"))
async def ask(question: Question) -> None:
    """Send the link by which a decision is given."""
    print(f"to {question.to}: please decide about {question.expense.id}, with {question.token}")


@define_worker("mail.tell", retry=Retry(attempts=5, delay="1m"))
async def tell(outcome: Outcome) -> None:
    print(f"{outcome.expense_id} is {outcome.status}")


@define_worker("payroll.pay", retry=Retry(attempts=5, delay="1m"))
async def pay(expense: Expense) -> None:
    print(f"{expense.amount:.2f} to {expense.employee}")
