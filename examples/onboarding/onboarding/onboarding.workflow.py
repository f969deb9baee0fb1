"""Every form of step in one workflow."""

from pydantic import BaseModel

from onboarding.models import Mail, Signup, User
from onboarding.wfgen_gen import Workflow, workers
from wfgen import Retry, define_workflow


class Welcome(BaseModel):
    user: User
    tax: float
    score: int
    mails: list[str]


@define_workflow(name="onboarding", description="Welcome a customer", version="1", tags=["crm"])
async def onboarding(workflow: Workflow, signup: Signup) -> Welcome:
    """Create the account, work out the tax, rate and welcome the customer."""
    # A worker by its id, with a description and a policy.
    user = await workflow.do(
        "create user", "users.create", signup, description="Create the account", retry=Retry(attempts=5)
    )
    # A worker without options.
    first = await workflow.do("greet", "mail.send", Mail(to=user.email, subject="Welcome"))
    # Inline.
    tax = await workflow.do("calculate tax", lambda: signup.amount * 0.08)
    # Inline, calling a worker through its reference.
    score = await workflow.do("rate", lambda: workers.scores.rate(user))

    await workflow.sleep("cool off", "50ms")

    mails = [first]
    for interest in signup.interests:
        # A name that is only known at run time: a warning (WF101) ...
        mails.append(await workflow.do(f"mail {interest}", "mail.send", Mail(to=user.email, subject=interest)))
    # ... and with a description none.
    mails.append(
        await workflow.do(
            f"summary for {user.id}",
            "mail.send",
            Mail(to=user.email, subject="Summary"),
            description="The closing mail",
        )
    )
    return Welcome(user=user, tax=tax, score=score, mails=mails)
