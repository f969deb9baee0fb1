"""The types of inline steps: taken from the parameter that is given the data, of that very function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from wfgen import Workflow, define_workflow
from wfgen.engine import Engine


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@logged
def twice(number: int) -> int:
    return number * 2


@logged
def shout(text: str) -> str:
    return text.upper()


def greeter(kind: Any) -> Callable[..., Any]:
    def greet(who: Any) -> Any:
        return who

    greet.__annotations__ = {"who": kind, "return": kind}
    return greet


class Connection:
    """Nothing that can be recorded."""


def send(connection: Connection, text: str) -> str:
    return text


def mark(text, urgent: bool = False):  # type: ignore[no-untyped-def]
    return f"{text} {urgent}"


class Doubler:
    def __call__(self, number: int) -> int:
        return number * 2

    def half(self, number: int) -> float:
        return number / 2


CASES: dict[str, tuple[Callable[..., Any], Any, Any]] = {
    "the first of two that one decorator made": (twice, 2, 4),
    "the second of two that one decorator made": (shout, "a", "A"),
    "the first of two that one function made": (greeter(int), 1, 1),
    "the second of two that one function made": (greeter(str), "Ada", "Ada"),
    "a partial function with its first argument": (functools.partial(send, Connection()), "hello", "hello"),
    "a first parameter without annotation": (mark, "note", "note False"),
    "a callable object": (Doubler(), 3, 6),
    "a method": (Doubler().half, 3, 1.5),
    "a partial method": (functools.partial(Doubler().half), 3, 1.5),
    "a type": (int, "5", 5),
}


@define_workflow(name="inline", version="1")
async def inline(workflow: Workflow) -> list[Any]:
    return [await workflow.do(name, function, data) for name, (function, data, _) in CASES.items()]


@define_workflow(name="mistyped", version="1")
async def mistyped(workflow: Workflow) -> int:
    await workflow.do("first", twice, 1)
    return int(await workflow.do("second", shout, 5))


def test_each_function_has_its_own_types(project: Any) -> None:
    """A15: data is checked against the parameter that takes it, also where functions share their code."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("inline")
        assert await run.result("60s") == [expected for _, _, expected in CASES.values()]
        with pytest.raises(Exception, match=r"the input of step 'second' .* does not fit str"):
            await (await engine.start_run("mistyped")).result("60s")

    project.scenario(globals(), scenario)
