"""Contracts between steps, workers and workflows: WF404 to WF409."""

from __future__ import annotations

import ast
import builtins
import importlib
import sys
import textwrap
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from tests.inspector.conftest import Read
from wfgen.codec import Codec, adapter
from wfgen.errors import DefinitionError, InvalidInputError, SerializationError
from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.contracts.compatible import is_incompatible
from wfgen_inspector.contracts.kinds import Kinds
from wfgen_inspector.contracts.payloads import Payloads, refused
from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.modules import Module
from wfgen_inspector.parsing import parse
from wfgen_inspector.positions import Text
from wfgen_inspector.program import Program
from wfgen_inspector.resolution import Resolver

Make = Callable[..., Settings]
MINE = {"WF404", "WF405", "WF406", "WF407", "WF408", "WF409"}

MODELS = """\
import enum
import uuid
from dataclasses import dataclass
from typing import Generic, NewType, Protocol, TypedDict, TypeVar

import somewhere
from pydantic import BaseModel, RootModel, model_validator

T = TypeVar("T")
UserId = NewType("UserId", str)


class Order(BaseModel):
    id: str
    total: float
    key: uuid.UUID


class Special(Order):
    note: str | None = None


class User(BaseModel):
    name: str


@dataclass
class Point:
    x: int


class Named(Protocol):
    name: str


class Row(TypedDict):
    name: str


class Box(BaseModel, Generic[T]):
    value: T


class Words(RootModel[list[str]]):
    pass


class Colour(enum.StrEnum):
    RED = "red"


class Parsed(BaseModel):
    text: str

    @model_validator(mode="before")
    @classmethod
    def from_text(cls, data: object) -> object:
        return {"text": data} if isinstance(data, str) else data


class Loose(BaseModel):
    model_config = {"from_attributes": True}
    name: str


class Foreign(somewhere.Base):
    name: str
"""

NAMES = "Box, Colour, Foreign, Loose, Named, Order, Parsed, Point, Row, Special, User, UserId, Words"


def project(input_: str, output: str, body: str, *, parameter: str = "order: Order") -> dict[str, str]:
    """A workflow whose step names a worker with that signature."""
    taken = f"data: {input_}" if input_ else ""
    return {
        "shop/__init__.py": "",
        "shop/models.py": MODELS,
        "shop/jobs.worker.py": (
            "from collections.abc import Mapping, Sequence\nfrom datetime import date, datetime\n"
            "from pathlib import Path\n"
            "from typing import Annotated, Any, Literal, Optional\nfrom uuid import UUID\n"
            f"from shop.models import {NAMES}\n"
            f'from wfgen import define_worker\n\n\n@define_worker("w")\n'
            f"def w({taken}) -> {output}:\n    ...\n"
        ),
        "shop/flow.workflow.py": (
            f"import uuid\nfrom shop.models import {NAMES}\n"
            f"from wfgen import define_workflow\nfrom shop.wfgen_gen import Workflow, workers\n\n\n"
            f"@define_workflow\nasync def flow(workflow: Workflow, {parameter}) -> None:\n"
            f"{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"
        ),
    }


def found(settings: Settings) -> list[Diagnostic]:
    return [d for d in inspect(settings, cache=False).diagnostics if d.code in MINE | {"WF901"}]


def codes(settings: Settings) -> list[str]:
    return [diagnostic.code for diagnostic in found(settings)]


@pytest.mark.parametrize(
    ("input_", "data"),
    [
        ("Order", '"text"'),
        ("Order", "5"),
        ("Order", "None"),
        ("Order", "[order]"),
        ("Order", 'User(name="x")'),
        ("Order", "Point(1)"),
        ("Order | None", 'f"order {order.id}"'),
        ("User", "order"),
        ("Special", 'User(name="x")'),
        ("Point", "order"),
        ("int", '"5"'),
        ("int", "order.id"),
        ("int", "2.5"),
        ("int", "None"),
        ("str", "5"),
        ("str", "order.total"),
        ("str", "order.key"),
        ("str", "order"),
        ("str", "workflow.uuid()"),
        ("str", "workflow.now()"),
        ("str", "uuid.UUID(order.id)"),
        ("str", "[order.id]"),
        ("float", '"1.5"'),
        ("list[str]", "order.id"),
        ("list[str]", "{}"),
        ("dict[str, int]", "[1]"),
        ("dict[str, int]", "order"),
        ("bool", '"yes"'),
        ("Literal['a', 'b']", "1"),
        ("Optional[int]", '"5"'),
        ("Order", "not order"),
        ("Order", "1 if order else 2"),
    ],
)
@pytest.mark.parametrize("form", ["{}", "kept", "reference"])
def test_data_that_does_not_fit(make: Make, input_: str, data: str, form: str) -> None:
    """Data that is certainly of another type is an error at the data, whichever way the worker is named."""
    body = f'await workflow.do("a", "w", {data})'
    if form == "kept":
        body = f'kept = {data}\nawait workflow.do("a", "w", kept)'
    elif form == "reference":
        body = f'await workflow.do("a", workers.w, data={data})'
    assert codes(make(project(input_, "None", body))) == ["WF405"]


@pytest.mark.parametrize(
    ("input_", "data"),
    [
        ("Order", "order"),
        ("Order", 'Special(id="1", total=1, key=order.key)'),
        ("Order", '{"id": "1"}'),
        ("Order", "order.model_copy()"),
        ("Order", "make(order)"),
        ("Special", "order"),
        ("Order | User", 'User(name="x")'),
        ("Optional[Order]", "None"),
        ("float", "5"),
        ("int", "True"),
        ("complex", "2.5"),
        ("int | str", "order.id"),
        ("object", "order"),
        ("Any", "order"),
        ("Named", 'User(name="x")'),
        ("Row", '{"name": "x"}'),
        ("Box[int]", "Box(value=1)"),
        ("Words", '["a"]'),
        ("Colour", '"red"'),
        ("str", "Colour.RED"),
        ("UserId", "order.id"),
        ("str", "UserId(order.id)"),
        ("Parsed", '"text"'),
        ("Loose", 'User(name="x")'),
        ("Foreign", 'User(name="x")'),
        ("User", "Foreign()"),
        ("datetime", "'2030-01-01'"),
        ("UUID", "order.id"),
        ("Path", "order.id"),
        ("datetime", "workflow.now()"),
        ("date", "workflow.now()"),
        ("tuple[int, ...]", "[1]"),
        ("set[int]", "[1]"),
        ("bytes", "'text'"),
        ("list[int]", "(n for n in [1])"),
        ("Sequence[int]", "[1]"),
        ("Mapping[str, int]", "{}"),
        ("Literal['a', 'b']", "order.id"),
        ("Annotated[int, 'any']", "'5'"),
        ("Missing", "'5'"),
        ("str", "order.missing"),
        ("str", "[order for order in order.items][0]"),
        ("str", "order if order else 'x'"),
    ],
)
def test_data_that_may_fit(make: Make, input_: str, data: str) -> None:
    """What pydantic takes, what a subclass is, and whatever is not certain is no finding."""
    body = f'await workflow.do("a", "w", {data})'
    assert "WF405" not in codes(make(project(input_, "None", body)))


@pytest.mark.parametrize(
    "body",
    [
        'kept = "x"\nif order:\n    kept = order\nawait workflow.do("a", "w", kept)',
        'for kept in ["x"]:\n    await workflow.do("a", "w", kept)',
        'kept, other = "x", 1\nawait workflow.do("a", "w", kept)',
        'kept = "x"\nawait workflow.do("a", "w", [kept for kept in [order]][0])',
        'kept = "x"\nresults = [await workflow.do("a", "w", kept) for kept in [order]]',
        'with open("x") as kept:\n    await workflow.do("a", "w", kept)',
        'await workflow.do("a", "w", *[order])',
        'await workflow.do("a", "w", **{"data": order})',
        'await workflow.do("a", lambda: 1, "x")',
    ],
)
def test_names_that_are_bound_twice_say_nothing(make: Make, body: str) -> None:
    """The type of a name is known only if one plain assignment or parameter binds it."""
    assert codes(make(project("Order", "None", body))) == []


@pytest.mark.parametrize(
    ("input_", "call", "message"),
    [
        (
            "Order",
            'workflow.do("a", "w")',
            "worker 'w' needs an input of type shop.models.Order, and step 'a' gives it none.",
        ),
        ("", 'workflow.do("a", "w", 1)', "worker 'w' takes no input, and step 'a' gives it one."),
        ("", 'workflow.do("a", "w", None)', None),
        ("", 'workflow.do("a", "w")', None),
        ("int = 1", 'workflow.do("a", "w")', None),
    ],
)
def test_data_that_is_missing_or_too_much(make: Make, input_: str, call: str, message: str | None) -> None:
    """A worker without default needs data, and one without input takes none."""
    diagnostics = found(make(project(input_, "None", f"await {call}")))
    assert [d.message for d in diagnostics] == ([] if message is None else [message])
    if message is not None:
        assert diagnostics[0].related[0].file == "shop/jobs.worker.py"


@pytest.mark.parametrize(
    ("output", "body", "expected"),
    [
        ("str", 'x: int = await workflow.do("a", "w", order)', ["WF406"]),
        ("None", 'x: Order = await workflow.do("a", "w", order)', ["WF406"]),
        ("User", 'x: Order = await workflow.do("a", "w", order)', ["WF406"]),
        ("Special", 'x: Order = await workflow.do("a", "w", order)', []),
        ("Order", 'x: Special = await workflow.do("a", "w", order)', []),
        ("int", 'x: float | None = await workflow.do("a", "w", order)', []),
        ("Any", 'x: int = await workflow.do("a", "w", order)', ["WF408"]),
        ("list[str]", 'x: list[int] = await workflow.do("a", "w", order)', []),
        ("str", 'return await workflow.do("a", "w", order)', ["WF406"]),
        ("None", 'return await workflow.do("a", "w", order)', []),
        ("str", 'x = await workflow.do("a", "w", order)\nawait workflow.do("b", "w", x)', ["WF405"]),
        ("Order", 'x = await workflow.do("a", "w", order)\nawait workflow.do("b", "w", x)', []),
        ("str", 'x = await workflow.hook("h", User)\nawait workflow.do("b", "w", x)', ["WF405"]),
        ("str", 'x: int = await workflow.hook("h", User)', ["WF406"]),
        ("str", 'x: int = await workflow.do("a", "w", order, on_error="raise")', ["WF406"]),
        ("str", 'x = await workflow.do("a", "w", order, on_error="continue")\nawait workflow.do("b", "w", x)', []),
    ],
)
def test_results(make: Make, output: str, body: str, expected: list[str]) -> None:
    """A result is compared with the annotation of what takes it, and with the worker that it is given to."""
    assert codes(make(project("Order", output, body))) == expected


def test_a_message_says_where_the_value_comes_from(make: Make) -> None:
    """The result of an earlier step is called so."""
    body = 'x = await workflow.do("a", "w", order)\nawait workflow.do("b", "w", x)'
    assert [d.message for d in found(make(project("Order", "str", body)))] == [
        "worker 'w' takes shop.models.Order, and step 'b' gives it str, the result of worker 'w'."
    ]


def test_several_definitions_of_one_id(make: Make) -> None:
    """Where an id is defined twice, one definition that fits is enough."""
    files = project("Order", "None", 'await workflow.do("a", "w", "text")')
    files["shop/more.worker.py"] = (
        'from wfgen import define_worker\n\n\n@define_worker("w")\ndef w(data: str) -> None: ...\n'
    )
    assert codes(make(files)) == []


class Order(BaseModel):
    id: str


class User(BaseModel):
    name: str


@dataclass
class Point:
    x: int


RECORDS = [Order(id="1"), User(name="x"), Point(1)]


@pytest.mark.parametrize("value", [*RECORDS, "text", 5, [1], uuid.UUID(int=1)])
@pytest.mark.parametrize("kind", [Order, User, Point, str, int, list, dict])
def test_reported_records_are_refused_at_run_time(tmp_path: Path, value: Any, kind: type) -> None:
    """What is reported of models and dataclasses is what the runtime refuses as well."""
    source = (
        "import uuid\nfrom dataclasses import dataclass\nfrom pydantic import BaseModel\nclass Order(BaseModel):\n"
        "    id: str\nclass User(BaseModel):\n    name: str\n@dataclass\nclass Point:\n    x: int\n"
    )
    module = module_of(tmp_path, source)
    kinds = Kinds(Resolver(Program(tmp_path, tmp_path, "wfgen_gen")))
    names = [type(value).__name__.replace("UUID", "uuid.UUID"), kind.__name__]
    given, expected = (kinds.annotated(ast.parse(n, mode="eval").body, module.scope, module) for n in names)
    assert given
    assert expected
    if value in RECORDS or kind in (Order, User, Point):
        try:
            Codec(1000).validate(value, kind, "the input")
        except InvalidInputError:
            assert is_incompatible(given, expected) or isinstance(value, uuid.UUID)
        else:  # a model can be iterated over, so pydantic makes a list of its fields; no checker takes it for one
            is_model_as_list = kind is list and isinstance(value, BaseModel)
            assert is_model_as_list or not is_incompatible(given, expected)


SAMPLES = [1, True, 1.5, "text", b"text", None, [1], (1,), {1}, {"a": 1}, 1j]
VALUES = [uuid.UUID(int=1), datetime.now(UTC), date(2030, 1, 1), timedelta(1), Path("x")]
TYPES = ["int", "bool", "float", "str", "bytes", "None", "list", "tuple", "set", "frozenset", "dict", "complex"]


@pytest.mark.parametrize("value", [*SAMPLES, *VALUES])
@pytest.mark.parametrize("type_", TYPES)
def test_what_pydantic_takes_strictly_is_never_reported(tmp_path: Path, value: Any, type_: str) -> None:
    """Compared with pydantic: a value that it takes as it is is compatible, and what it refuses even in its lax mode is
    reported for plain values."""
    module = module_of(tmp_path, "import datetime, pathlib, uuid\n")
    kinds = Kinds(Resolver(Program(tmp_path, tmp_path, "wfgen_gen")))
    kind = type(value)
    name = "None" if value is None else f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    name = name.replace("pathlib.PosixPath", "pathlib.Path").replace("pathlib._local.PosixPath", "pathlib.Path")
    given = kinds.annotated(ast.parse(name, mode="eval").body, module.scope, module)
    expected = kinds.annotated(ast.parse(type_, mode="eval").body, module.scope, module)
    assert given
    assert expected
    is_reported = is_incompatible(given, expected)
    known = TypeAdapter(None if type_ == "None" else getattr(builtins, type_))

    def takes(strict: bool) -> bool:
        try:
            known.validate_python(value, strict=strict)
        except ValidationError:
            return False
        return True

    assert not (is_reported and takes(strict=True))
    coerced = {("datetime", "date"), ("int", "bool"), ("float", "bool"), ("str", "bytes"), ("bytes", "str")}
    if not takes(strict=False) and value in SAMPLES and (kind.__name__, type_) not in coerced | {("int", "complex")}:
        assert (
            is_reported or kind.__name__ == type_ or (kind in (list, tuple, set) and type_ in ("list", "tuple", "set"))
        )


def module_of(folder: Path, source: str) -> Module:
    """A file of a project without others."""
    return Module("app", "app.py", "", Text(source), parse(source))


@pytest.mark.parametrize("name", sorted(refused()))
def test_every_refused_class_is_refused_at_run_time(name: str) -> None:
    """What the table refuses has no encoding, or none that gives the value back."""
    module, _, attribute = name.rpartition(".")
    kind = getattr(importlib.import_module(module), attribute)
    try:
        known = adapter(kind)
    except DefinitionError:
        return
    with pytest.raises(SerializationError):
        Codec(1_000_000).encode(len if "Callable" in name else kind, kind, "the value")
    assert known is not None


PLAIN = """\
import abc, asyncio, collections, dataclasses, enum, threading, typing, uuid
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import dataclass
from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic.dataclasses import dataclass as checked
from pydantic_core import CoreSchema, core_schema
from typing import Annotated, Any, Generic, NamedTuple, NewType, Protocol, TypeVar
from typing_extensions import TypedDict

T = TypeVar("T")

class Plain:
    def __init__(self, x: int) -> None:
        self.x = x

class Child(Plain): ...
class Text(str): ...
class Numbers(list[int]): ...
class Wrong(ValueError): ...
class Base(abc.ABC): ...
class Shape(Protocol):
    x: int
class Model(BaseModel):
    x: int
class ChildModel(Model): ...
class GenericModel(BaseModel, Generic[T]):
    x: T
class Colour(enum.Enum):
    RED = 1
class Pair(NamedTuple):
    x: int
class Row(TypedDict):
    x: int
@dataclass
class Point:
    x: int
class ChildPoint(Point): ...
@checked
class Checked:
    x: int
@dataclass
class Holder:
    lock: threading.Lock
@dataclass
class Deep:
    holder: list[Holder]
class Job(NamedTuple):
    task: Plain
class Own:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.int_schema()
class ChildOwn(Own): ...
Id = NewType("Id", int)
Alias = dict[str, int]
"""


@pytest.mark.parametrize(
    ("annotation", "is_refused"),
    [
        *(
            (name, True)
            for name in ["Plain", "Child", "Text", "Numbers", "Wrong", "Base", "Shape", "Holder", "Deep", "Job"]
        ),
        *(
            (name, False)
            for name in [
                "Model",
                "ChildModel",
                "Colour",
                "Pair",
                "Row",
                "Point",
                "ChildPoint",
                "Checked",
                "Own",
                "ChildOwn",
            ]
        ),
        *(
            (name, False)
            for name in [
                "Id",
                "Alias",
                "int",
                "str",
                "None",
                "uuid.UUID",
                "collections.deque[int]",
                "GenericModel[int]",
            ]
        ),
        ("list[Plain]", True),
        ("dict[str, Plain]", True),
        ("Plain | None", True),
        ("typing.Optional[Plain]", True),
        ("tuple[int, Plain]", True),
        ("'Plain'", True),
        ("list['Plain']", True),
        ("Callable[[int], int]", True),
        ("asyncio.Task[int]", True),
        ("list[threading.Lock]", True),
        ("dict[str, list[int | None]]", False),
        ("int | str | bytes | float | bool | None | list[int] | dict[str, int] | Plain", True),
        ("typing.Any", False),
        ("typing.Literal['Plain']", False),
        ("Annotated[int, Plain]", False),
    ],
)
def test_payload_types_are_judged_as_pydantic_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, annotation: str, is_refused: bool
) -> None:
    """What is reported is refused at run time, and what is accepted has an encoding."""
    module = module_of(tmp_path, PLAIN)
    payloads = Payloads(Kinds(Resolver(Program(tmp_path, tmp_path, "wfgen_gen"))))
    refusal = payloads.refusal(ast.parse(annotation, mode="eval").body, module.scope, module)
    assert (refusal is not None) is is_refused
    (tmp_path / "payload_types.py").write_text(f"{PLAIN}kind = {annotation}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "payload_types", raising=False)
    namespace = vars(importlib.import_module("payload_types"))
    kind = namespace["kind"]
    kind = namespace[kind] if isinstance(kind, str) else kind
    if not is_refused:
        adapter(kind)
    elif "Callable" not in annotation and "'" not in annotation:
        with pytest.raises(DefinitionError):
            adapter(kind)


def test_a_field_that_cannot_be_stored_is_named(make: Make) -> None:
    """Where a dataclass holds the culprit, the message says which field it is."""
    source = """\
    import threading
    from dataclasses import dataclass

    from wfgen import define_worker


    @dataclass
    class Holder:
        lock: threading.Lock


    @define_worker("w")
    def w(data: list[Holder]) -> None: ...
    """
    (diagnostic,) = found(make({"jobs.worker.py": source}))
    assert diagnostic.message == (
        "the input of worker 'w' cannot be stored: it is, or holds, `Holder` (its field `lock` is `threading.Lock`), "
        "which is no data."
    )
    assert (diagnostic.line, diagnostic.column, diagnostic.end_column) == (13, 18, 24)


@pytest.mark.parametrize(
    ("annotation", "is_untyped"),
    [
        *((name, True) for name in ("dict", "list", "Any", "object", "dict | None", "tuple", "set")),
        *((name, False) for name in ("dict[str, Any]", "list[Any]", "int", "Order", "None", "tuple[int, ...]")),
    ],
)
def test_untyped_payloads(make: Make, annotation: str, is_untyped: bool) -> None:
    """Types that say nothing are a warning, those that say little are not."""
    source = (
        "from typing import Any\nfrom pydantic import BaseModel\nfrom wfgen import define_worker\n\n\n"
        f'class Order(BaseModel):\n    id: str\n\n\n@define_worker("w")\ndef w() -> {annotation}: ...\n'
    )
    assert codes(make({"jobs.worker.py": source})) == (["WF408"] if is_untyped else [])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('workflow.create_hook("h", Order)', ["WF404"]),
        ('hook = workflow.create_hook("h", Order)', ["WF404"]),
        ('hook = workflow.create_hook("h", Order)\nprint(hook.token)', ["WF404"]),
        ('print(workflow.create_hook("h", Order).token)', ["WF404"]),
        ('hook = workflow.create_hook("h", Order)\nprint(hook.token)\nawait hook', []),
        ('await workflow.create_hook("h", Order)', []),
        ('hooks = [workflow.create_hook("h", Order)]\nawait hooks[0]', []),
        ('hook = workflow.create_hook("h", Order)\nawait asyncio.gather(hook)', []),
        ('hook = workflow.create_hook("h", Order)\nasync def wait() -> None:\n    await hook\nawait wait()', []),
        ('hook = workflow.create_hook("h", Order)\norder.hook = hook', []),
        ('order.hook = workflow.create_hook("h", Order)', []),
    ],
)
def test_hooks_that_nobody_awaits(workflow: Callable[..., Read], body: str, expected: list[str]) -> None:
    """A hook of which only the token is used is a warning; one that is passed on may be awaited elsewhere."""
    assert [problem.code for problem in workflow(body).facts.problems if problem.code in MINE] == expected


@pytest.mark.parametrize(
    ("definition", "line", "expected"),
    [
        ("retry=Retry(attempts=3)", "httpx.post(url)", ["WF409"]),
        ("retry=Retry()", "requests.patch(url)", ["WF409"]),
        ("retry=Retry(attempts=3)", "requests.Session().post(url)", ["WF409"]),
        ("retry=Retry(attempts=1)", "httpx.post(url)", []),
        ("timeout='1s'", "httpx.post(url)", []),
        ("retry=Retry(attempts=3)", "httpx.get(url)", []),
        ("retry=Retry(attempts=3)", "httpx.post(url, headers={'Idempotency-Key': url})", []),
        ("retry=Retry(attempts=3)", "board.post(url)", []),
    ],
)
def test_retries_of_effects(make: Make, definition: str, line: str, expected: list[str]) -> None:
    """Sending twice is advice, where it is certain, and nobody has thought of a key."""
    source = (
        "import board, httpx, requests\nfrom wfgen import Job, Retry, define_worker\n\n\n"
        f'@define_worker("w", {definition})\ndef w(url: str) -> None:\n    {line}\n'
    )
    assert codes(make({"jobs.worker.py": source})) == expected
    assert codes(make({"jobs.worker.py": source.replace("url: str", "url: str, job: Job")})) == []


def test_a_step_may_ask_for_the_retry(make: Make) -> None:
    """The policy of a step counts as well as that of its worker."""
    worker = (
        "import httpx\nfrom wfgen import define_worker\n\n\n"
        '@define_worker("w")\ndef w(url: str) -> None:\n    httpx.post(url)\n'
    )
    flow = (
        "from wfgen import Retry, Workflow, define_workflow\n\n\n@define_workflow\n"
        'async def flow(workflow: Workflow) -> None:\n    await workflow.do("a", "w", "u", retry=Retry(attempts=2))\n'
    )
    assert codes(make({"jobs.worker.py": worker})) == []
    assert codes(make({"jobs.worker.py": worker, "flow.workflow.py": flow})) == ["WF409"]
