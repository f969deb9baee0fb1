"""Compensations, tasks around a run and lifecycle handlers, to a type checker."""

from flows.models import Signup, User
from flows.wfgen_gen import Workflow, workers

from wfgen import After, LifecycleHandlers, Outcome, RunUpdate, WorkerProcess, define_workflow


def undo(number: int) -> None: ...


async def notify() -> None: ...


def tell(outcome: Outcome) -> None:
    print(outcome.status == "failed", outcome.error)


async def told(update: RunUpdate) -> None:
    print(update.run_id, update.wake_at)


@define_workflow(
    before=["users.create", workers.users.create, notify],
    after=[tell, After(workers.users.create, on="failed"), After("users.create", on=("failed", "cancelled"))],
    on_start=told,
    on_error=lambda update: print(update.error),
)
async def accepted(workflow: Workflow, signup: Signup) -> User:
    workflow.compensate("undo", undo, 3)
    workflow.compensate("notify", notify, timeout="5s")
    workflow.compensate("users", workers.users.create, signup)
    workflow.compensate("by id", "users.create", signup, description="make it again")
    return await workflow.do("user", "users.create", signup, compensate=lambda user: print(user))


process = WorkerProcess(handlers=LifecycleHandlers(on_cancel=told))


async def refused(workflow: Workflow, user: User) -> None:
    workflow.compensate("undo", undo, "3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    workflow.compensate("users", workers.users.create, user)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    After(tell, on="success")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    define_workflow(refused, befor=[tell])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    define_workflow(refused, on_start=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
