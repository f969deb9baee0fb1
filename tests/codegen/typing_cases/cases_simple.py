"""What mypy and pyright have to accept, and what they have to refuse, in the project `simple`.

Each refusal is marked for both; a mark that is not needed is itself an error.
"""

import asyncio
from typing import Any, assert_type

from flows.models import Approval, Signup, User
from flows.wfgen_gen import Workflow, connect, workers, workflows
from flows.wfgen_gen.files.onboarding import Welcome

from wfgen import Retry, StepError, WorkerId


async def fetch() -> int:
    return 1


async def fetch_for(name: str) -> list[int]:
    return []


def compute(number: int) -> str:
    return str(number)


async def steps(workflow: Workflow, signup: Signup, known_later: str) -> None:
    """Results of steps have the types of workers and functions."""
    assert_type(await workflow.do("a", "users.create", signup), User)
    assert_type(await workflow.do("b", "users.create", data=signup, retry=Retry(attempts=2), timeout="5s"), User)
    assert_type(await workflow.do("c", workers.users.create, signup), User)
    assert_type(await workflow.do("d", WorkerId(known_later), 3), Any)
    assert_type(await workflow.do("e", fetch), int)
    assert_type(await workflow.do("f", fetch_for, "x"), list[int])
    assert_type(await workflow.do("g", compute, 1), str)
    assert_type(await workflow.do("h", lambda: signup.amount * 2), float)
    assert_type(await workflow.do("i", lambda: fetch()), int)
    assert_type(await workflow.do("j", lambda: workers.users.create(signup)), User)
    assert_type(await workflow.do("k", lambda number: number + 1, 1), int)
    assert_type(await workflow.hook("l", Approval), Approval)
    assert_type(await workflow.create_hook("m", Approval), Approval)
    assert_type(await workers.users.create(signup), User)


async def with_options(workflow: Workflow, signup: Signup) -> None:
    """Each way to name a target takes every option; with on_error="continue" the result may be the error."""
    assert_type(await workflow.do("a", "users.create", signup, on_error="raise", validate="warn"), User)
    assert_type(await workflow.do("b", "users.create", signup, at_most_once=True, idempotency_key="b-42"), User)
    assert_type(await workflow.do("c", workers.users.create, signup, compensate="users.remove", timeout=None), User)
    assert_type(await workflow.do("d", compute, 1, compensate=workers.users.create, retry=None), str)
    assert_type(await workflow.do("e", fetch, compensate=lambda number: number, description="fetch it"), int)
    assert_type(await workflow.do("f", "users.create", signup, on_error="continue"), User | StepError)
    assert_type(await workflow.do("g", workers.users.create, signup, on_error="continue"), User | StepError)
    assert_type(await workflow.do("h", fetch, on_error="continue", retry=Retry()), int | StepError)
    assert_type(await workflow.do("i", fetch_for, "x", on_error="continue"), list[int] | StepError)
    assert_type(await workflow.do("j", compute, 1, on_error="continue", at_most_once=False), str | StepError)
    assert_type(await workflow.do("k", lambda: signup.amount, on_error="continue"), float | StepError)
    user = await workflow.do("l", "users.create", data=signup, on_error="continue")
    if isinstance(user, StepError):
        assert_type(user.partial, Any)
    else:
        assert_type(user, User)
    assert_type(workflow.errors[0], StepError)
    assert_type([error.step for error in workflow.errors], list[str])


async def together(workflow: Workflow, signup: Signup) -> None:
    """Types pass through gather, tasks and task groups."""
    user, number, text, amount = await asyncio.gather(
        workflow.do("a", "users.create", signup),
        workflow.do("b", fetch),
        workflow.do("c", compute, 1),
        workflow.do("d", lambda: signup.amount),
    )
    assert_type(user, User)
    assert_type(number, int)
    assert_type(text, str)
    assert_type(amount, float)
    task = asyncio.create_task(workflow.do("e", "users.create", signup))
    assert_type(await task, User)
    async with asyncio.TaskGroup() as group:
        other = group.create_task(workflow.do("f", workers.users.create, signup))
    assert_type(other.result(), User)
    many = await asyncio.gather(*[workflow.do("g", "users.create", signup) for _ in range(3)])
    assert_type(many, list[User])


async def clients() -> None:
    """Clients have the types of the workflow, and a type declared in its file is one class."""
    async with connect() as wf:
        run = await wf.onboarding.start(Signup(name="Ada", amount=1), idempotency_key="signup-42")
        await run.hooks.approval.resume(Approval(ok=True))
        await run.hooks["any name"].resume(object())
        assert_type(await run.result(), Welcome)
        assert_type(await run.result(timeout="5s"), Welcome)
        assert_type(await wf.onboarding.run(Signup(name="Ada", amount=1)), Welcome)
        assert_type((await (await wf.onboarding.get_run("x")).result()).tax, float)
        await wf.onboarding.cancel_run("x")


async def wrong_steps(workflow: Workflow, signup: Signup) -> None:
    """Wrong data, unknown ids and wrong uses of results are errors."""
    await workflow.do("a", "users.create", "Ada")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("b", "users.create")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("c", "users.craete", signup)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("d", workers.users.create, 3)  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("e", workers.users.craete, signup)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await workflow.do("f", compute, "one")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("g", "users.create", signup, retries=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    text: str = await workflow.do("h", "users.create", signup)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    await workflow.do("k", "users.create", signup, on_error="contnue")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("l", workers.users.create, signup, validate="lax")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await workflow.do("m", fetch, idempotency_key=42)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    (await workflow.do("n", "users.create", signup, on_error="continue")).name  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
    await workflow.do("o", "users.craete", signup, on_error="continue")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    workflow.errors.append(StepError("x", "y", "z"))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    (await workflow.do("i", "users.create", signup)).nmae  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
    workflow.do("j", fetch)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    del text


async def wrong_clients() -> None:
    """Wrong inputs, payloads, names and uses of results are errors."""
    async with connect() as wf:
        await wf.onboarding.start("Ada")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await wf.onboarding.start()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        await wf.onboarding.run(User(id="x"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await wf.onbaording.start(Signup(name="Ada", amount=1))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        run = await wf.onboarding.get_run("x")
        await run.hooks.approval.resume(True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await run.hooks.aproval.resume(Approval(ok=True))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        user: User = await run.result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        (await run.result()).name  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
        del user
    workflows.onbaording  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
