"""Names and expressions mean what Python would make of them, across the modules of a project."""

from __future__ import annotations

import ast
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from wfgen_inspector.modules import Module
from wfgen_inspector.positions import Text
from wfgen_inspector.program import Program
from wfgen_inspector.resolution import Resolver
from wfgen_inspector.scopes import Scope
from wfgen_inspector.symbols import (
    ClassSymbol,
    ExternalSymbol,
    FunctionKind,
    FunctionSymbol,
    InstanceSymbol,
    ModuleSymbol,
    Symbol,
    ValueSymbol,
)

Show = Callable[..., list[str]]
ASKING = "app.asking"
"""The module whose last statement is looked up."""
TOOLS = """\
    import time as clock
    from datetime import datetime
    LIMIT = 3
    def run(): ...
    def _hidden(): ...
    class Tool:
        size = 1
        def use(self): ...
    tool = Tool()
    """


def shown(symbol: Symbol) -> str:
    """A symbol as short text."""
    match symbol:
        case FunctionSymbol(module=module, kind=kind):
            return f"{kind} {module.name}:{symbol.name}"
        case ClassSymbol(module=module, node=node):
            return f"class {module.name}:{node.name}"
        case ModuleSymbol(name=name):
            return f"module {name}"
        case ExternalSymbol(qualified=name):
            return name
        case InstanceSymbol(of=of):
            return f"a {shown(of)}"
        case ValueSymbol(module=module, name=name):
            return f"value {module.name}:{name}"


@pytest.fixture
def show(tmp_path: Path) -> Show:
    """What the last statement of a module means, an expression or an annotation (`x: this`)."""

    def read(source: str, files: Mapping[str, str] | None = None) -> list[str]:
        write(tmp_path, {"app/tools.py": TOOLS, "app/asking.py": source, **(files or {})})
        program = Program(tmp_path, tmp_path, "app.wfgen_gen")
        resolver = Resolver(program)
        asking = program.module(ASKING, nobody())
        assert asking is not None
        scope, last = asking.scope, asking.tree.body[-1]
        while isinstance(last, ast.FunctionDef | ast.ClassDef):
            if isinstance(last, ast.ClassDef):
                scope = Scope(asking.names_of(last), scope, is_class=True)
            else:
                kind: FunctionKind = "method" if scope.is_class else "function"
                owner = ClassSymbol(asking, _class_of(asking.tree, last), asking.scope) if scope.is_class else None
                scope = resolver.function_scope(FunctionSymbol(asking, last, scope, kind, owner))
            last = last.body[-1]
        if isinstance(last, ast.AnnAssign):
            return [shown(symbol) for symbol in resolver.annotated(last.annotation, scope, asking)]
        assert isinstance(last, ast.Expr)
        return [shown(symbol) for symbol in resolver.resolve(last.value, scope, asking)]

    return read


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files, texts without their common indentation."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content))


def nobody() -> Module:
    """A module that asks for others."""
    return Module("nobody", "nobody.py", "", Text(""), ast.parse(""))


def _class_of(tree: ast.Module, method: ast.FunctionDef) -> ast.ClassDef:
    return next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and method in n.body)


RUN = ["function app.tools:run"]
USE = ["method app.tools:Tool.use"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from app.tools import run\nrun", RUN),
        ("from app.tools import run as go\ngo", RUN),
        ("from app import tools\ntools.run", RUN),
        ("import app.tools\napp.tools.run", RUN),
        ("import app.tools as t\nt.run", RUN),
        ("from .tools import run\nrun", RUN),
        ("from . import tools as t\nt.run", RUN),
        ("from ..app.tools import run\nrun", RUN),
        ("from app.tools import *\nrun", RUN),
        ("from app.tools import *\n_hidden", []),
        ("from app.tools import *\nclock.sleep", ["time.sleep"]),
        ("from app.tools import *\nlen", ["builtins.len"]),
        ("from app.tools import *\nfrom os.path import *\njoin", ["os.path.join"]),
        ("from json import *\nfrom os.path import *\njoin", []),
        ("from app.tools import clock\nclock.time", ["time.time"]),
        ("from app.tools import datetime\ndatetime.now", ["datetime.datetime.now"]),
        ("from app.tools import LIMIT\nLIMIT", ["value app.tools:LIMIT"]),
        ("from app.tools import nothing\nnothing", []),
        ("from app.nowhere import run\nrun", ["app.nowhere.run"]),
        ("import os.path\nos.path.join", ["os.path.join"]),
        ("import os\nos.environ.get", ["os.environ.get"]),
        ("print", ["builtins.print"]),
        ("unknown", []),
    ],
)
def test_imports(show: Show, source: str, expected: list[str]) -> None:
    """Absolute, relative, aliased, by star, of modules and of what they import themselves."""
    assert show(source) == expected


@pytest.mark.parametrize(
    ("init", "more", "expected"),
    [
        ("from app.tools import run", {}, RUN),
        ("from .tools import *", {}, RUN),
        ("from .tools import *\n__all__ = ['run']", {}, RUN),
        ("from .middle import *", {"app/middle.py": "from .tools import *"}, RUN),
        ("from .middle import *", {"app/middle.py": "from .tools import *\n__all__ = ['LIMIT']"}, []),
        ("from .middle import *", {"app/middle.py": "from app import *\nfrom .tools import *"}, RUN),
        ("from app import *", {}, []),
        ("from .middle import run", {"app/middle.py": "from app import run"}, []),
        ("from .other import *\nfrom .tools import *", {"app/other.py": "def run(): ..."}, RUN),
        ("from .tools import run as go\nrun = go", {}, RUN),
    ],
)
def test_reexports(show: Show, init: str, more: dict[str, str], expected: list[str]) -> None:
    """Through `__init__`, by name and by star, in chains and in circles, as `__all__` allows."""
    names = f"{init}\n"
    assert show("from app import *\nrun", {"app/__init__.py": names, **more}) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "try:\n    import ujson as json\nexcept ImportError:\n    import json\njson.dumps",
            ["ujson.dumps", "json.dumps"],
        ),
        (
            "import sys\nif sys.platform:\n    from app.tools import run\nelse:\n    run = print\nrun",
            [*RUN, "builtins.print"],
        ),
        ("from app.tools import run\nrun = made_up()\nrun", [*RUN, "value app.asking:run"]),
        ("from app.tools import run\nfor run in range(3): pass\nrun", []),
        ("from app.tools import run\ndef inner(run):\n    run", []),
        (
            "from app.tools import run\ndef inner():\n    run = 1\n    def deeper():\n        run",
            ["value app.asking:run"],
        ),
        ("from app.tools import run\nclass A:\n    run = 1\n    def inner(self):\n        run", RUN),
        ("import time\ndef time(): ...\ntime", ["time", "function app.asking:time"]),
        ("from app.tools import run\ngo = run\nstart = go\nstart", RUN),
        ("from app import tools\ngo = tools.run if tools else print\ngo", [*RUN, "builtins.print"]),
        ("from app import tools\nimport functools\ngo = functools.partial(tools.run, 1)\ngo", RUN),
        ("from functools import partial as p\nfrom app.tools import run\np(p(run, 1), 2)", RUN),
        ("from app.tools import run\n(go := run)\ngo", []),
    ],
)
def test_several_meanings(show: Show, source: str, expected: list[str]) -> None:
    """All definitions and imports that bind a name are meant; nothing is, where anything unknown binds it too."""
    assert show(source) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("Tool", []),
        ("x: Tool", ["a class app.tools:Tool"]),
        ("x: 'Tool | None'", ["a class app.tools:Tool"]),
        ("def f(tool: Tool):\n    tool.use", USE),
        ("both", ["builtins.object"]),
        ("x: both", ["a class app.tools:Tool"]),
    ],
)
def test_imports_for_checkers(show: Show, last: str, expected: list[str]) -> None:
    """What is imported below `if TYPE_CHECKING` alone is known in annotations, and nothing at run time."""
    head = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.tools import Tool\n"
        "    from app.tools import Tool as both\nelse:\n    both = object\n"
    )
    assert show(head + last) == expected


CLASSES = """\
    import functools
    import time
    from typing import overload
    from app.tools import Tool, run
    class Left(Tool):
        go = run
        clock = staticmethod(time.time)
        timer: Tool
        def __init__(self, tool: Tool):
            self.given = tool
            self.made = Tool()
            self.twice = Tool()
        def change(self):
            self.twice = None
        @staticmethod
        def plain(): ...
        @classmethod
        def make(cls) -> "Left":
            cls.plain
        @property
        def fresh(self) -> Tool: ...
        @fresh.setter
        def fresh(self, value) -> None: ...
        @functools.cached_property
        def kept(self) -> Tool: ...
        @overload
        def many(self, a: int) -> int: ...
        @overload
        def many(self, a: str) -> str: ...
        def many(self, a): ...
    class Right:
        def use(self): ...
        def other(self): ...
    class Both(Left, Right):
        def mine(self):
            return super().use
    left = Left(Tool())
    """


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Left.plain", ["static app.asking:Left.plain"]),
        ("left.plain", ["static app.asking:Left.plain"]),
        ("left.make", ["class app.asking:Left.make"]),
        ("left.make().use", ["method app.tools:Left.use"]),
        ("left.use", ["method app.tools:Left.use"]),
        ("Left.use", ["function app.tools:Left.use"]),
        ("left.fresh", ["property app.asking:Left.fresh"]),
        ("left.kept", ["property app.asking:Left.kept"]),
        ("left.many", ["method app.asking:Left.many"]),
        ("left.given.use", USE),
        ("left.made.use", USE),
        ("left.twice", []),
        ("left.timer.use", USE),
        ("Both(1).use", ["method app.tools:Both.use"]),
        ("Both(1).other", ["method app.asking:Both.other"]),
        ("left.nothing", []),
    ],
)
def test_members(show: Show, expression: str, expected: list[str]) -> None:
    """Attributes of classes and instances, inherited in Python's order; what `__init__` assigns once; properties with
    setters, overloads."""
    assert show(f"{CLASSES.replace(chr(10) + '    ', chr(10)).strip()}\n{expression}\n") == expected


def test_a_class_knows_itself(show: Show) -> None:
    """`self` and `super()` in its methods."""
    head = "from app.tools import Tool\nclass Mine(Tool):\n    def own(self): ...\n"
    assert show(f"{head}    def go(self):\n        self.own") == ["method app.asking:Mine.own"]
    assert show(f"{head}    def go(self):\n        super().use") == USE


def test_modules_that_shadow_the_standard_library(show: Show) -> None:
    """A module of the project comes before one of the same name elsewhere; a folder without `__init__` is a package."""
    files = {"random.py": "def random(): ...", "space/inner/deep.py": "def run(): ..."}
    assert show("import random\nrandom.random", files) == ["function random:random"]
    assert show("from space.inner import deep\ndeep.run", files) == ["function space.inner.deep:run"]
    assert show("import space.inner.deep\nspace.inner.deep.run", files) == ["function space.inner.deep:run"]


HOSTILE = {
    "a chain": "\n".join(["a0 = print", *(f"a{n} = a{n - 1}" for n in range(1, 10_000))]) + "\na9999",
    "two of each": "\n".join(["a0 = print", *(f"a{n} = a{n - 1}\na{n} = a{n - 1}" for n in range(1, 60))]) + "\na59",
    "itself": "a = b\nb = a\na",
    "itself and another": "a = b or c\nb = a or c\nc = b or a\na",
    "its own attribute": "a = a.b.c\na",
    "a call of itself": "def f() -> 'f()': ...\nf()",
    "diamonds": "class A0: ...\n"
    + "\n".join(f"class B{n}(A{n}): ...\nclass C{n}(A{n}): ...\nclass A{n + 1}(B{n}, C{n}): ..." for n in range(200))
    + "\nA200.nothing",
    "its own base": "class A(B): ...\nclass B(A): ...\nA.nothing",
    "a union": f"x: {' | '.join(f'A{n}' for n in range(400))}",
    "a deep attribute": f"import a\na{'.b' * 400}",
    "stars": "from app import *\nfrom app.asking import *\nnothing",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_hostile_code_takes_no_time(show: Show, source: str) -> None:
    """However many meanings lead to each other, an answer is given up after so many steps."""
    begin = time.process_time()
    show(source, {"app/__init__.py": "from app.asking import *\nfrom app.tools import *\n"})
    assert time.process_time() - begin < 5


def test_each_of_many_aliases(tmp_path: Path) -> None:
    """Ten thousand names that are made of each other are looked up in a few seconds, all of them."""
    source = "\n".join(["a0 = print", *(f"a{n} = a{n - 1}\na{n} = a{n // 2}" for n in range(1, 10_000))])
    write(tmp_path, {"many.py": source})
    program = Program(tmp_path, tmp_path, "wfgen_gen")
    module = program.module("many", nobody())
    assert module is not None
    resolver = Resolver(program)
    begin = time.process_time()
    for number in range(0, 10_000, 10):
        resolver.bound(f"a{number}", module.scope, module)
    assert time.process_time() - begin < 20


def test_what_is_looked_up_is_depended_on(tmp_path: Path) -> None:
    """Also the modules that are missing, and those that stand between."""
    files = {
        "app/__init__.py": "from app.tools import run",
        "app/tools.py": TOOLS,
        "app/asking.py": "from app import run",
    }
    write(tmp_path, files)
    program = Program(tmp_path, tmp_path, "app.wfgen_gen")
    asking = program.module(ASKING, nobody())
    assert asking is not None
    Resolver(program).bound("run", asking.scope, asking)
    kept = program.dependencies(ASKING)
    assert {name for name, _ in kept} >= {"app", "app.tools"}
    assert program.is_current(kept)
    write(tmp_path, {"app/tools.py": "def run(): pass"})
    assert not Program(tmp_path, tmp_path, "app.wfgen_gen").is_current(kept)


def test_names_that_functions_bind_by_global(show: Show) -> None:
    """They are names of the module: what is imported so is known, and a name that is bound again may be anything."""
    assert show("def load():\n    global t\n    import app.tools as t\nt.run") == RUN
    assert show("from app.tools import run\ndef load():\n    global run\n    run = made_up()\nrun") == []
    assert show("items = []\ndef load():\n    global items\n    items = [1]\nitems") == ["value app.asking:items"]
    assert show("from app.tools import *\ndef load():\n    global run\n    run = 1\nrun") == []


def test_a_name_bound_to_what_it_means_around(show: Show) -> None:
    """`run = run` in a class, and of a builtin."""
    assert show("from app.tools import run\nclass A:\n    run = staticmethod(run)\n    go = run\nA.nothing") == []
    assert show("from app.tools import run\nclass A:\n    run = run\nA.run") == ["function app.tools:A.run"]
    assert show("from app.tools import run\nclass A:\n    go = run\nA().go") == ["method app.tools:A.run"]
    assert show("print = print\nprint") == ["builtins.print"]


def test_a_partial_is_known_with_its_call(tmp_path: Path) -> None:
    """The function inside is meant, and that some of its arguments are bound is told."""
    source = "import functools\ndef run(a, b): ...\ngo = functools.partial(run, 1)\n"
    write(tmp_path, {"many.py": source})
    program = Program(tmp_path, tmp_path, "wfgen_gen")
    module = program.module("many", nobody())
    assert module is not None
    (symbol,) = Resolver(program).bound("go", module.scope, module)
    assert isinstance(symbol, FunctionSymbol)
    assert symbol.partial is module.scope.names.values["go"]
