"""Type expressions of signatures and hooks, and the declarations that they need."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from wfgen_inspector.facts import FileFacts, Project

Read = Callable[..., Project]
HERE = "flows.wfgen_gen.files.a"


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
@pytest.mark.parametrize(
    ("annotation", "text", "imports"),
    [
        ("int", "int", ()),
        ("None", "None", ()),
        ("Signup", "flows.models.Signup", ("flows.models",)),
        ("'Signup'", "flows.models.Signup", ("flows.models",)),
        ("Signup | None", "flows.models.Signup | None", ("flows.models",)),
        ("'Signup | None'", "flows.models.Signup | None", ("flows.models",)),
        ("Optional['Signup']", "typing.Optional[flows.models.Signup]", ("flows.models", "typing")),
        ("dict[str, list[Renamed]]", "dict[str, list[flows.models.User]]", ("flows.models",)),
        ("t.Literal['a', -1, None]", "typing.Literal['a', -1, None]", ("typing",)),
        ("t.Annotated[int, print('x')]", "int", ("typing",)),
        ("tuple[int, ...]", "tuple[int, ...]", ()),
        ("tuple[()]", "tuple[()]", ()),
        ("t.Callable[[int], Signup]", "typing.Callable[[int], flows.models.Signup]", ("flows.models", "typing")),
        ("shapes.Circle", "flows.shapes.Circle", ("flows.shapes",)),
        ("pkg.deep.mod.Thing", "pkg.deep.mod.Thing", ("pkg.deep.mod",)),
        ("datetime.date", "datetime.date", ("datetime",)),
        ("Outer.Inner", f"{HERE}.Outer.Inner", (HERE,)),
        ("Local", f"{HERE}.Local", (HERE,)),
        ("list['Local']", f"list[{HERE}.Local]", (HERE,)),
        ("Checked", "flows.checked.Checked", ("flows.checked",)),
        ("Tried", "flows.new.Tried", ("flows.new",)),
        ("Generated", "flows.wfgen_gen.files.b.Generated", ("flows.wfgen_gen.files.b",)),
        ("Neighbour", "flows.near.Neighbour", ("flows.near",)),
        ("Nowhere", "typing.Any", ("typing",)),
        ("make()", "typing.Any", ("typing",)),
        ("'not a type'", "typing.Any", ("typing",)),
    ],
)
def test_annotations_are_resolved(
    project: Read, annotation: str, text: str, imports: tuple[str, ...], future: str
) -> None:
    """Every name is written out, in whatever way it was imported or quoted, and its module stands beside it."""
    source = textwrap.dedent(f"""
        import typing as t
        import datetime
        import pkg.deep
        import pkg.deep.mod
        from typing import TYPE_CHECKING, Optional
        from wfgen import define_worker
        from flows import shapes
        from flows.models import Signup, User as Renamed
        from flows.wfgen_gen.files.b import Generated
        from .near import Neighbour
        if TYPE_CHECKING:
            from flows.checked import Checked
        try:
            from flows.old import Tried
        except ImportError:
            from flows.new import Tried
        class Local: ...
        class Outer:
            class Inner: ...
        @define_worker("w")
        def work(given: {annotation}) -> int: ...
    """)
    found = project({"flows/a.workflow.py": future + source})
    (entry,) = found.manifest.workers
    assert (entry.input, entry.imports) == (text, imports)


def test_star_imports_serve_if_there_is_one(project: Read) -> None:
    """A name that nothing else explains comes from the only `import *`."""
    source = "from wfgen import define_worker\nfrom flows.models import *\n"
    source += "@define_worker('w')\ndef work(a: Thing) -> int: ...\n"
    (entry,) = project({"flows/a.worker.py": source}).manifest.workers
    assert entry.input == "flows.models.Thing"


DECLARING = '''
from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Generic, Literal, NamedTuple, NewType, Protocol, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from wfgen import define_workflow

LIMIT = 10
T = TypeVar("T")
UserId = NewType("UserId", str)
Amounts = dict[str, "Amount"]


def make() -> list[int]:
    return []


class Color(enum.Enum):
    """A colour."""

    RED = "red"
    BLUE = enum.auto()
    OTHER = make()

    def shout(self) -> str:
        return self.value.upper()


class Amount(NamedTuple):
    value: Decimal
    unit: str = "EUR"
    rate: float = 1 / 3


class Extra(TypedDict, total=False):
    key: typing.Required[str]
    at: dt.date


class Shape(Protocol):
    @property
    def area(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Part(Generic[T]):
    name: str
    items: list[T] = field(default_factory=list)
    made: list[int] = field(default_factory=make)
    limit: int = LIMIT
    computed: int = LIMIT * 3
    color: Color = Color.RED
    _hidden: int = 0
    shared: ClassVar[int] = 3

    def total(self, factor=2, *more: int, key: str = "x") -> int:
        return len(self.items) * factor

    @classmethod
    def empty(cls) -> Part[T]:
        return cls(name="")

    @functools.cached_property
    def length(self) -> int:
        return len(self.items)

    def _secret(self): ...


class Base(BaseModel):
    model_config = ConfigDict(frozen=True)
    id: UserId
    note: str | None = None


class Welcome(Base):
    class Inner(BaseModel):
        value: int = Field(default=LIMIT, gt=0)

    inner: Inner = Inner(value=3)
    parts: list[Part[int]] = Field(default_factory=lambda: [])
    amounts: Amounts = Field(default_factory=dict, description="All of them")
    mode: Literal["Color", "b"] = "b"
    extra: Extra | None = None
    _cache: dict[str, int] = PrivateAttr(default_factory=dict)

    @field_validator("mode")
    @classmethod
    def check(cls, value: str) -> str:
        return value

    def __init__(self, **data: Any):
        super().__init__(**data)

    async def load(self, shape: Shape) -> Iterator[int]: ...


class Unused(BaseModel):
    x: int


@define_workflow
async def flow(workflow, given: Part[str]) -> Welcome:
    await workflow.hook("h", list["Answer"])
    return Welcome(id=UserId("x"))


class Answer(BaseModel):
    ok: bool = True
'''

USING = """
from flows.wfgen_gen.files.a import Amount, Answer, Color, Extra, Part, UserId, Welcome
from typing import assert_type
from decimal import Decimal

part = Part[int](name="a", items=[3])
assert_type(part.total(), int)
assert_type(part.limit, int)
assert_type(part.length, int)
assert_type(part.color, Color)
welcome = Welcome(id=UserId("x"), parts=[part], mode="b")
assert_type(welcome.id, UserId)
assert_type(welcome.inner.value, int)
assert_type(welcome.amounts, dict[str, Amount])
assert_type(Amount(Decimal(1)).unit, str)
assert_type(Answer().ok, bool)
extra: Extra = {"key": "x"}
Amount("no")  # type: ignore[arg-type]
Part[int](items=[])  # type: ignore[call-arg]
"""


def stub(facts: FileFacts) -> str:
    lines = sorted({line for declaration in facts.declarations for line in declaration.imports})
    return "\n".join([*lines, *(declaration.text for declaration in facts.declarations)]) + "\n"


@pytest.fixture
def declared(project: Read) -> FileFacts:
    return project({"flows/a.workflow.py": DECLARING}).files[0]


def test_types_that_are_needed_are_declared_and_no_others(declared: FileFacts) -> None:
    """Inputs, outputs and payloads bring what they need from the file, transitively, in its order."""
    assert [d.name for d in declared.declarations] == [
        "T",
        "UserId",
        "Amounts",
        "Color",
        "Amount",
        "Extra",
        "Shape",
        "Part",
        "Base",
        "Welcome",
        "Answer",
    ]
    assert declared.workflows[0].local_types == tuple(sorted(d.name for d in declared.declarations))
    assert {name for name, _ in declared.declared_types} >= {"Unused", "Color", "UserId", "Welcome"}


def test_declarations_keep_what_checkers_need(declared: FileFacts) -> None:
    """Literals and calls such as Field(...) stay, bodies and what needs the file to run do not."""
    texts = {d.name: d.text for d in declared.declarations}
    assert "model_config = ConfigDict(frozen=True)" in texts["Base"]
    assert "limit: int = 10" in texts["Part"]
    assert "made: list[int] = field(default_factory=_typing.cast(_typing.Any, ...))" in texts["Part"]
    assert "computed: int = _typing.cast(_typing.Any, ...)" in texts["Part"]
    assert "def total(self, factor: _typing.Any=..., *more: int, key: str=...) -> int:" in texts["Part"]
    assert "value: int = Field(default=10, gt=0)" in texts["Welcome"]
    assert "Field(default_factory=dict, description='All of them')" in texts["Welcome"]
    assert "return" not in "".join(texts.values())
    assert "check" not in texts["Welcome"]
    assert "_secret" not in texts["Part"]


def test_declarations_pass_the_checkers(declared: FileFacts, tmp_path: Path) -> None:
    """As a stub they satisfy mypy --strict and basedpyright, and mean what the source means."""
    folder = tmp_path / "checked" / "flows" / "wfgen_gen" / "files"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent, folder.parent.parent):
        (package / "__init__.py").write_text("")
    (folder / "a.py").write_text("")
    (folder / "a.pyi").write_text(stub(declared))
    root = tmp_path / "checked"
    (root / "using.py").write_text(USING)
    (root / "mypy.ini").write_text("[mypy]\nstrict = True\nplugins = pydantic.mypy\n")
    (root / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard", "pythonVersion": "3.11"}')
    mypy = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "using.py", "flows/wfgen_gen/files/a.pyi"]
    pyright = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "-p", "."]
    for command in (mypy, pyright):
        run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=120)
        assert run.returncode == 0, f"{run.stdout}{run.stderr}\n{stub(declared)}"


def test_type_statements_are_read_where_python_has_them(project: Read) -> None:
    """`type X = ...` is declared like any other type; a Python without it reports a syntax error, as running would."""
    source = """
        from wfgen import define_worker
        class Part: ...
        type Parts[T] = dict[str, T | Part]
        @define_worker("w")
        def work(given: Parts[int]) -> None: ...
    """
    (facts,) = project({"flows/a.worker.py": source}).files
    if sys.version_info < (3, 12):
        assert [problem.code for problem in facts.problems] == ["WF001"]
        return
    assert facts.workers[0].entry.input == "flows.wfgen_gen.files.a_worker.Parts[int]"
    assert [d.text for d in facts.declarations] == ["class Part:\n    ...", "type Parts[T] = dict[str, T | Part]"]
