"""`workflow.parallel`: named branches at once, of which all, any or some have to succeed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Literal, TypeVar

from wfgen.errors import HandleError, StepError, error_name, error_text

T = TypeVar("T")

WaitFor = Literal["all", "any"] | int
"""How many branches have to succeed."""
Errors = Literal["raise", "collect"]


def run_branches(
    branches: Mapping[str, Awaitable[T]],
    wait_for: WaitFor,
    errors: Errors,
    limit: int | None,
    collected: Callable[[StepError], StepError],
) -> Coroutine[Any, Any, dict[str, T | StepError]]:
    """Check the arguments, and make the coroutine that runs the branches.

    `collected` is told of each error that takes the place of a result, and gives it back.

    Raises:
        HandleError: an argument that cannot work.
    """
    try:
        return _run(branches, _needed(branches, wait_for, errors, limit), errors, limit, collected)
    except HandleError:
        _close(branches)
        raise


def _needed(branches: Mapping[str, Awaitable[T]], wait_for: WaitFor, errors: Errors, limit: int | None) -> int:
    """How many branches have to succeed."""
    needed = {"all": len(branches), "any": min(1, len(branches))}.get(str(wait_for), wait_for)
    for name, branch in branches.items():
        if not isinstance(name, str) or not isinstance(branch, Awaitable):
            raise HandleError(
                f"parallel: branch {name!r:.80} is not a name with something to await.",
                hint='Give a mapping such as {"stock": workflow.do(…), "fraud": check(workflow)}.',
            )
    if not isinstance(needed, int) or isinstance(needed, bool) or not 0 <= needed <= len(branches):
        raise HandleError(
            f"parallel: {wait_for!r} of {len(branches)} branches cannot be waited for.",
            hint='wait_for is "all", "any" or a number up to that of the branches.',
        )
    if errors not in ("raise", "collect"):
        raise HandleError(f"parallel: errors={errors!r:.80} is unknown.", hint='It is "raise" or "collect".')
    if limit is not None and limit < 1:
        raise HandleError(f"parallel: a limit of {limit} lets no branch run.", hint="Give 1 or more, or None.")
    return needed


def _close(branches: Mapping[str, Awaitable[T]]) -> None:
    """Coroutines that were never begun would be complained of."""
    for branch in branches.values():
        if inspect.iscoroutine(branch):
            branch.close()


async def _run(
    branches: Mapping[str, Awaitable[T]],
    needed: int,
    errors: Errors,
    limit: int | None,
    collected: Callable[[StepError], StepError],
) -> dict[str, T | StepError]:
    gate = None if limit is None else asyncio.Semaphore(limit)
    names = {asyncio.create_task(_branch(branch, gate)): name for name, branch in branches.items()}
    failures: dict[str, BaseException] = {}
    results: dict[str, T | StepError] = {}
    pending = set(names)
    succeeded = 0
    try:
        while pending and (succeeded < needed or needed == len(branches)):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=hash):  # a run's tasks hash by the order of their creation
                name = names[task]
                error = asyncio.CancelledError() if task.cancelled() else task.exception()
                if error is None:
                    succeeded += 1
                    results[name] = task.result()
                elif errors == "collect" and isinstance(error, Exception):
                    results[name] = collected(_as_step_error(name, error))
                else:
                    failures[name] = error
            if len(failures) > len(branches) - needed:
                raise next(iter(failures.values()))
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        _close(branches)
    return {name: results[name] for name in branches if name in results}


async def _branch(branch: Awaitable[T], gate: asyncio.Semaphore | None) -> T:
    if gate is None:
        return await branch
    try:
        async with gate:
            return await branch
    finally:
        if inspect.iscoroutine(branch):
            branch.close()  # it may wait for its turn when the run is dropped


def _as_step_error(name: str, error: Exception) -> StepError:
    if isinstance(error, StepError):
        return error
    found = StepError(name, error_name(error), error_text(error))
    found.__cause__ = error
    return found
