"""WF407: an input, a result or a payload is of a type that cannot be stored."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF407",
    name="not-serialisable",
    severity="error",
    summary="An input, a result or a payload is of a type that cannot be stored.",
    what="Reports types that pydantic cannot turn into JSON and back: functions, locks, tasks, files, sockets, "
    "modules, classes, exceptions, and classes of the project that are no model, dataclass, `NamedTuple`, "
    "`TypedDict` or enumeration; also inside containers, unions and fields of dataclasses.",
    why="Everything that enters or leaves a step is recorded. The first run fails, or the file cannot be loaded.",
    remedy="Use a model, a dataclass, or plain values; pass an id instead of the thing.",
    check=reported("WF407"),
    invalid=(
        sample(
            """\
import threading

from wfgen import define_worker


class Basket:
    def __init__(self, size: int) -> None:
        self.size = size


@define_worker("baskets.fill")
async def fill(basket: Basket) -> int:  # <- here
    return basket.size


@define_worker("locks.make")
async def make(name: str) -> list[threading.Lock]:  # <- here
    return [threading.Lock()]
""",
            path="jobs.worker.py",
        ),
        sample("""\
from collections.abc import Callable

from wfgen import Workflow, define_workflow


@define_workflow
async def later(workflow: Workflow, action: Callable[[], int] | None) -> None:  # <- here
    await workflow.sleep("wait", "1d")
"""),
    ),
    valid=(
        sample(
            """\
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from pydantic import BaseModel

from wfgen import define_worker


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Basket:
    colour: Colour
    points: list[Point]


class Shelf(BaseModel):
    baskets: dict[str, Basket]


@define_worker("baskets.sort")
async def sort(shelf: Shelf) -> list[Basket]:
    return list(shelf.baskets.values())


@define_worker("baskets.find")
async def find(when: datetime | None) -> Basket:
    return Basket(Colour.RED, [Point(1, when.year if when else 0)])
""",
            path="jobs.worker.py",
        ),
    ),
)
