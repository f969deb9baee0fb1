"""Ordinary code in workflows gives no finding about determinism."""

from __future__ import annotations

import ast
import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from wfgen.settings import Settings
from wfgen_inspector.determinism.analysis import Analysis
from wfgen_inspector.determinism.table import table
from wfgen_inspector.inspection import inspect
from wfgen_inspector.modules import Module
from wfgen_inspector.positions import Text
from wfgen_inspector.program import Program
from wfgen_inspector.resolution import Resolver
from wfgen_inspector.symbols import FunctionSymbol

Make = Callable[..., Settings]
EXAMPLES = Path(__file__).parents[2] / "examples"
LIBRARY = Path(sysconfig.get_path("stdlib"))

HEADER = """\
from wfgen import Workflow, define_workflow
from flows import helpers


@define_workflow
async def flow(workflow: Workflow, names: list[str], unknown, when: "datetime.datetime" = None) -> object:
"""

SILENT = {
    "identity": (
        "",
        "seen = set()\nif id(names) not in seen:\n    seen.add(id(names))\n{}.get(id(names)), {}[id(names)]",
    ),
    "seeded random": (
        "import random",
        "dice = random.Random(42)\ndice.random()\ndice.shuffle(names)\ndice.choice(names)",
    ),
    "seeded by keyword": ("import random", "random.Random(x=names[0]).random()"),
    "seeded numpy": ("import numpy as np", "np.random.default_rng(7).random()"),
    "uuid5 and UUID": (
        "import uuid",
        "uuid.uuid5(uuid.NAMESPACE_URL, 'a')\nuuid.uuid3(uuid.NAMESPACE_DNS, 'a')\nuuid.UUID(int=4)",
    ),
    "handle's own": ("", "workflow.now()\nworkflow.uuid()\nworkflow.random().choice(names)\nworkflow.log.info('a')"),
    "what the handle says": (
        "",
        "log = workflow.log.child(names=names)\nlog.info('a')\nworkflow.emit('a', names)\nworkflow.progress(1, 2)\n"
        "workflow.metrics.count('a', 2)\nworkflow.context.names",
    ),
    "alias of the handle": ("", "wf = workflow\nwf.now()\nwf.random().random()"),
    "sorted set": ("", "for n in sorted(set(names)):\n    await workflow.do('a', print, n)"),
    "sorted set by key": (
        "",
        "sorted({n for n in names}, key=len)\nsorted(list(set(names)))\nsorted(map(str, set(names)))",
    ),
    "membership": ("", "s = {'a', 'b'}\n'a' in s\n'b' not in set(names)\n'a' in list(s)\n'a' in [n for n in s]"),
    "counted": ("", "s = set(names)\nlen(s), sum(len(n) for n in s), min(s), max(s), any(s), all(n for n in s)"),
    "set to set": (
        "import collections",
        "s = set(names)\nfrozenset(n for n in s)\n{n for n in s}\ncollections.Counter(s)",
    ),
    "set methods": (
        "",
        "s = set()\ns.update({'a'})\ns.add('b')\ns |= {'c'}\ns.union(names).issubset(s)\ns.discard('a')",
    ),
    "empty set is filled": (
        "",
        "s = set()\nfor n in names:\n    if n not in s:\n        s.add(n)\n        await workflow.do('a', print, n)",
    ),
    "set loop without order": (
        "",
        "total = 0\nfor n in set(names):\n    total += len(n)\n    if not n:\n        continue",
    ),
    "set loop that looks for one": ("", "for n in set(names):\n    if n == 'a':\n        return True\nreturn False"),
    "set loop that notes something": (
        "",
        "found = False\nfor n in set(names):\n    if n:\n        found = True\n        break",
    ),
    "set loop that fills a dict": ("", "sizes = {}\nfor n in set(names):\n    sizes[n] = len(n)\nreturn sizes['a']"),
    "set loop that fills a sorted list": (
        "",
        "out = []\nfor n in set(names):\n    out.append(n)\nout.sort()\nawait workflow.do('a', print, out)",
    ),
    "list of a set that is sorted": ("", "out = list(set(names))\nreturn sorted(out)"),
    "list comprehension that is counted": (
        "",
        "out = [n for n in set(names)]\nif len(out) > 3 and 'a' in out:\n    return 1",
    ),
    "helper whose list is sorted": ("", "return sorted(helpers.unique(names))"),
    "helper whose filled list is sorted": ("", "return sorted(helpers.filled(names))"),
    "helper that yields from a set": ("", "return sorted(helpers.each(names))"),
    "set of numbers": ("", "for n in {1, 2, 3}:\n    await workflow.do('a', print, n)\nlist(set(range(4)))"),
    "annotated set of numbers": (
        "",
        "s: set[int] = helpers.numbers()\nfor n in s:\n    await workflow.do('a', print, n)",
    ),
    "set of one": ("", "for n in {names[0]}:\n    await workflow.do('a', print, n)"),
    "dict order": (
        "",
        "d = {n: 1 for n in names}\n"
        "for k in d:\n"
        "    await workflow.do('a', print, k)\n"
        "for k, v in d.items():\n"
        "    await workflow.do('b', print, v)\n"
        "list(d.keys())",
    ),
    "unique in order": ("", "for n in dict.fromkeys(names):\n    await workflow.do('a', print, n)"),
    "waited and cancelled": (
        "import asyncio",
        "done, left = await asyncio.wait([])\nfor task in left:\n    task.cancel()",
    ),
    "bitwise or of numbers": ("", "flags = 1 | 2\nfor n in range(flags):\n    await workflow.do('a', print, n)"),
    "inside a step": (
        "import random, time, os",
        "await workflow.do('a', lambda: (time.time(), os.environ['A'], open('b'), random.random()))",
    ),
    "function as a step": (
        "",
        "await workflow.do('a', helpers.impure)\nawait workflow.do('b', helpers.impure, names)",
    ),
    "nested function as a step": ("import time", "def now():\n    return time.time()\nawait workflow.do('a', now)"),
    "partial as a step": ("import functools", "await workflow.do('a', functools.partial(helpers.impure, 1))"),
    "method as a step": ("from pathlib import Path", "path = Path('a')\nawait workflow.do('a', path.read_text)"),
    "named lambda as a step": ("import time", "f = lambda: time.time()\nawait workflow.do('a', f)"),
    "step in a helper": ("", "await helpers.step(workflow)"),
    "compensation": ("", "await workflow.do('a', 'x', compensate=helpers.impure)  # wfgen: ignore[WF401]"),
    "given to a helper that makes a step of it": ("", "await helpers.as_step(workflow, helpers.impure)"),
    "own function called time": ("", "def time():\n    return 1\ntime()"),
    "own class called random": (
        "class random:\n    @staticmethod\n    def random():\n        return 4",
        "random.random()",
    ),
    "own function called open": ("def open(name):\n    return name", "open('a')"),
    "own function called id": ("from flows.helpers import id", "id(names)"),
    "parameter called id": ("", "def f(id, hash):\n    return id(hash)\nf(len, 1)"),
    "local that shadows": ("import time", "time = helpers.Own()\ntime.time()"),
    "comprehension that shadows": ("import time", "[time.time() for time in unknown]"),
    "loop that shadows": ("import random", "for random in unknown:\n    random.random()"),
    "module called time": ("from flows import time", "time.time()"),
    "type checking": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import datetime",
        "x: 'datetime.datetime' = workflow.now()\nreturn x",
    ),
    "under type checking": ("from typing import TYPE_CHECKING\nimport time", "if TYPE_CHECKING:\n    time.time()"),
    "annotations": (
        "import time, datetime",
        "x: time.time = 1\ndef f(a: 'time.time()') -> datetime.datetime.now: ...",
    ),
    "unknown types": (
        "",
        "unknown.now()\nunknown.read_text()\nunknown.execute('a')\nunknown.random()\nunknown.get('a')",
    ),
    "instance methods of datetime": (
        "import datetime",
        "when.isoformat()\nwhen + datetime.timedelta(days=1)\nwhen.timestamp()",
    ),
    "datetime from parts": (
        "from datetime import datetime, UTC",
        "datetime(2020, 1, 1, tzinfo=UTC)\ndatetime.fromtimestamp(5, UTC)\ndatetime.fromisoformat('a')",
    ),
    "time from parts": (
        "import time",
        "time.strptime('1', '%d')\n"
        "time.gmtime(5)\n"
        "time.localtime(5)\n"
        "time.strftime('%Y', time.gmtime(5))\n"
        "time.ctime(5)",
    ),
    "paths": (
        "import os.path\nfrom pathlib import Path, PurePath",
        "os.path.join('a', 'b')\n"
        "os.path.basename('a')\n"
        "os.sep\n"
        "Path('a').with_suffix('.b').name\n"
        "PurePath('a').parts\n"
        "Path('a') / 'b'\n"
        "Path('a').parent.stem",
    ),
    "constants": (
        "import socket, sys, os, signal",
        "socket.AF_INET\nsys.maxsize\nsys.version_info >= (3, 11)\nos.linesep\nsignal.SIGTERM\nos.PathLike",
    ),
    "exceptions of impure packages": (
        "import requests, httpx",
        "try:\n    pass\nexcept (requests.RequestException, httpx.HTTPError):\n    pass",
    ),
    "data types of impure packages": (
        "import httpx, sqlalchemy, requests",
        "httpx.URL('http://a')\nsqlalchemy.select(1)\nrequests.Request('GET', 'a')",
    ),
    "texts": (
        "import json, re, hashlib, base64, textwrap",
        "json.dumps({})\n"
        "re.sub('a', lambda m: m[0], 'b')\n"
        "hashlib.sha256(b'a').hexdigest()\n"
        "base64.b64encode(b'')\n"
        "textwrap.dedent('a')",
    ),
    "memory": (
        "import io, sqlite3, zipfile",
        "io.StringIO().read()\nio.BytesIO(b'')\nsqlite3.connect(':memory:')\nzipfile.ZipFile(io.BytesIO())",
    ),
    "logging and warnings": (
        "import logging, warnings\nlog = logging.getLogger(__name__)",
        "log.info('a')\nlogging.warning('b')\nwarnings.warn('c')\nprint('d')",
    ),
    "asyncio": (
        "import asyncio",
        "lock = asyncio.Lock()\n"
        "async with lock:\n"
        "    pass\n"
        "await asyncio.sleep(0)\n"
        "asyncio.Queue().put_nowait(1)\n"
        "await asyncio.gather(workflow.do('a', print), workflow.do('b', print))",
    ),
    "awaited task": ("import asyncio", "task = asyncio.create_task(workflow.do('a', print))\nawait task"),
    "kept tasks": (
        "import asyncio",
        "tasks = [asyncio.create_task(workflow.do('a', print, n)) for n in names]\nawait asyncio.gather(*tasks)",
    ),
    "task kept by append": (
        "import asyncio",
        "tasks = []\n"
        "for n in names:\n"
        "    tasks.append(asyncio.create_task(workflow.do('a', print, n)))\n"
        "await asyncio.wait(tasks)",
    ),
    "task of a group": (
        "import asyncio",
        "async with asyncio.TaskGroup() as group:\n    group.create_task(workflow.do('a', print))",
    ),
    "task in a field": ("import asyncio", "unknown.task = asyncio.create_task(workflow.do('a', print))"),
    "task given back": ("import asyncio", "return asyncio.create_task(workflow.do('a', print))"),
    "task in a nested function": (
        "import asyncio",
        "task = asyncio.create_task(workflow.do('a', print))\nasync def join():\n    await task\nawait join()",
    ),
    "own create_task": ("def create_task(x):\n    return x", "create_task(1)"),
    "cached helper": ("", "helpers.fibonacci(4)"),
    "locals that change": (
        "",
        "seen = []\nseen.append(1)\ncache = {}\ncache['a'] = seen\ndel cache['a']\nstate = helpers.Own()\nstate.n = 1",
    ),
    "parameters that change": (
        "",
        "def f(cache):\n    cache['a'] = 1\n    cache.setdefault('b', []).append(1)\nf({})",
    ),
    "own fields change": ("", "helpers.Own().work()"),
    "constants that are read": (
        "LIMITS = {'a': 1}\nNAMES = ['a']",
        "LIMITS['a']\n"
        "LIMITS.get('b')\n"
        "for n in NAMES:\n"
        "    await workflow.do('a', print, n)\n"
        "NAMES.copy()\n"
        "NAMES.index('a')",
    ),
    "nonlocal": ("", "n = 0\ndef up():\n    nonlocal n\n    n += 1\nup()\nreturn n"),
    "local of the name of a global": ("cache = {}", "cache = {}\ncache['a'] = 1\ncache.update(b=2)"),
    "default factory that is not used": (
        "",
        "helpers.Item(id='a')\nhelpers.Item('a')\nhelpers.Model(id='a', at=4)\nhelpers.Model(**unknown)",
    ),
    "default evaluated at import": ("", "helpers.stamped()"),
    "module level of a helper": ("", "helpers.STARTED"),
    "impure function that nobody calls": ("import time\ndef now():\n    return time.time()", "return names"),
    "function that is passed on": ("", "unknown(helpers.impure)\nreturn helpers.impure"),
    "method of the same name": ("", "helpers.Own().time()\nhelpers.Own().open('a')\nhelpers.Own().get('a')"),
    "subclass that overrides": ("", "helpers.Quiet().read()"),
    "recursion": ("", "helpers.even(4)"),
    "deep recursion of a method": ("", "helpers.Own().down(4)"),
    "import inside": ("", "import os\nfrom random import Random\nRandom(1).random()"),
    "decorators": ("", "helpers.decorated()"),
    "dataclass": (
        "",
        "import dataclasses\ndataclasses.replace(helpers.Item('a'), id='b')\ndataclasses.asdict(helpers.Item('a'))",
    ),
    "hashing a number of one's own": ("", "helpers.Own().hash()"),
    "string methods": ("", "', '.join(sorted(set(names)))\n', '.join(names)\n', '.join(str(n) for n in names)"),
    "sum of a list": ("", "total = sum(len(n) for n in names)\nreturn total"),
    "enumerate and zip": (
        "",
        "for i, n in enumerate(names):\n    await workflow.do('a', print, n)\nlist(zip(names, names))",
    ),
    "zone info": ("from zoneinfo import ZoneInfo", "workflow.now().astimezone(ZoneInfo('Europe/Berlin'))"),
}

HELPERS = """\
import functools, os, random, time as clock, uuid
from dataclasses import dataclass, field
from pydantic import BaseModel, Field

STARTED = clock.time()
PID = os.getpid()


def impure(*args):
    return clock.time(), random.random(), open("a")


async def step(workflow):
    await workflow.do("a", lambda: clock.time())
    await workflow.do("b", impure)


async def as_step(workflow, function):
    return await workflow.do("c", function)


def unique(xs):
    return list(set(xs))


def filled(xs):
    out = []
    for x in set(xs):
        out.append(x)
    return out


def each(xs):
    for x in set(xs):
        yield x


def numbers():
    return {1, 2}


def id(x):
    return x


def stamped(at=clock.time()):
    return at


@functools.lru_cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def plain(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **kwargs)

    return wrapper


@plain
def decorated():
    return 1


class Own:
    n = 0

    def __init__(self):
        self.items = []
        self.n = 1

    def time(self):
        return 1

    def open(self, name):
        return name

    get = open

    def hash(self):
        return 1

    def __hash__(self):
        return hash(self.n)

    def work(self):
        self.items.append(1)
        self.n += 1
        self.items[0] = 2

    def down(self, n):
        return self.down(n - 1) if n else 0


class Loud:
    def read(self):
        return self.source()

    def source(self):
        return clock.time()


class Quiet(Loud):
    def source(self):
        return 0


@dataclass
class Item:
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Model(BaseModel):
    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    at: float = Field(default_factory=clock.time)
"""


@pytest.mark.parametrize(("before", "body"), SILENT.values(), ids=SILENT)
def test_silence(make: Make, before: str, body: str) -> None:
    """Code that is the same in every replay, or whose order nobody sees, is no finding."""
    source = f"{before}\n{HEADER}{textwrap.indent(body, '    ')}\n"
    ast.parse(source)
    files = {
        "flows/__init__.py": "",
        "flows/flow.workflow.py": source,
        "flows/helpers.py": HELPERS,
        "flows/time.py": "def time():\n    return 1\n",
    }
    found = inspect(make(files), cache=False).diagnostics
    assert [(d.line, d.code, d.message) for d in found if d.code[:3] in ("WF2", "WF9")] == []


PURE = """
textwrap statistics fractions bisect heapq json/encoder json/decoder json/scanner colorsys copy difflib dataclasses
graphlib html/__init__ html/parser ipaddress keyword numbers operator pprint shlex string types enum csv base64 quopri
calendar functools collections/__init__ abc reprlib urllib/parse xml/etree/ElementPath contextlib
"""
"""Modules of the standard library that a workflow may use."""

EXPECTED = {
    ("copy", "WF206", "calls `id`"): "the memo of `deepcopy` is kept by address",
    ("pprint", "WF206", "calls `id`"): "the text of a recursive object holds its address",
    ("reprlib", "WF206", "calls `id`"): "the text of an object holds its address",
    ("dataclasses", "WF206", "calls `id`"): "the decorator against recursion keeps addresses",
    ("statistics", "WF202", "calls `random.gauss`"): "samples of a distribution, without a seed",
    ("statistics", "WF206", "calls `hash`"): "`__hash__` is a method like any other when all are asked",
    ("fractions", "WF206", "calls `hash`"): "the same",
    ("ipaddress", "WF206", "calls `hash`"): "the same",
    ("enum", "WF206", "calls `hash`"): "the same",
    ("collections/__init__", "WF206", "calls `hash`"): "the same",
    ("enum", "WF205", "follows the order of `member_names`"): "a self-test compares members in the order of a set",
    ("contextlib", "WF203", "calls `os.getcwd`"): "`chdir` is a context manager there",
    ("contextlib", "WF203", "calls `os.chdir`"): "the same",
    ("difflib", "WF210", "changes `HtmlDiff`, which all runs share"): "the class counts its tables",
    ("calendar", "WF210", "changes `c`, which all runs share"): "`setfirstweekday` changes the shared calendar",
    ("calendar", "WF203", "calls `locale.setlocale`"): "month names of a locale switch that of the process",
    ("calendar", "WF203", "reads `sys.argv`"): "its command line",
    ("calendar", "WF201", "calls `datetime.date.today`"): "its command line",
    ("pprint", "WF201", "calls `time.perf_counter`"): "its self-test measures",
    ("shlex", "WF204", "reads `sys.stdin`"): "the default source of a lexer",
    ("shlex", "WF204", "calls `open`"): "a lexer can include files",
    ("base64", "WF210", "rebinds the global `_a85chars`"): "filled in under a condition on another name",
    ("base64", "WF210", "rebinds the global `_b85chars`"): "the same",
    ("base64", "WF203", "reads `sys.argv`"): "its command line",
    ("base64", "WF204", "calls `open`"): "its command line",
    ("quopri", "WF203", "reads `sys.argv`"): "its command line",
    ("quopri", "WF204", "reads `sys.stdin`"): "its command line",
}
"""All that is found in them, and why it is right."""


@pytest.mark.parametrize("name", PURE.split())
def test_pure_modules_of_the_standard_library(name: str) -> None:
    """Whatever is found in functions of modules that compute is known and explained."""
    found = {(name, code, act) for code, _, act in effects(LIBRARY / f"{name}.py", name.replace("/", "."))}
    assert found <= EXPECTED.keys()


@pytest.mark.parametrize("example", ["orders", "onboarding"])
def test_examples(example: str) -> None:
    """The projects to copy give no finding about determinism."""
    found = inspect(Settings.load(EXAMPLES / example), cache=False).diagnostics
    assert [d for d in found if d.code.startswith("WF2")] == []


def effects(path: Path, name: str) -> set[tuple[str, str, str]]:
    """Code, function and subject of all that the functions of one file do by themselves or through each other."""
    text = path.read_text(encoding="utf-8")
    module = Module(name, path.name, name.rpartition(".")[0], Text(text), ast.parse(text))
    program = Program(Path("nowhere"), Path("nowhere"), "wfgen_gen")
    resolver = Resolver(program)
    analysis = Analysis(program, resolver, table(), module)
    found: set[tuple[str, str, str]] = set()
    for symbol in functions(module, resolver):
        for code, reached in analysis.reach(symbol).items():
            found.add((code, symbol.name, reached.effect.act))
    return found


def functions(module: Module, resolver: Resolver) -> list[FunctionSymbol]:
    """Functions and methods of a module."""
    found: list[FunctionSymbol] = []
    for name in module.scope.names.functions:
        found += [s for s in resolver.bound(name, module.scope, module) if isinstance(s, FunctionSymbol)]
    for name in module.scope.names.classes:
        for owner in resolver.bound(name, module.scope, module):
            for method in module.names_of(module.scope.names.classes[name]).functions:
                found += [s for s in resolver.member(owner, method, module) if isinstance(s, FunctionSymbol)]
    return found
