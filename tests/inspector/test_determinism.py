"""What in workflow code, or in what it calls, is not the same in every replay."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping

import pytest

from wfgen.settings import Settings
from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.inspection import inspect

Make = Callable[..., Settings]

HEADER = """\
from wfgen import Workflow, define_workflow
from flows import helpers


@define_workflow
async def flow(workflow: Workflow, names: list[str]) -> None:
"""


def diagnostics(make: Make, files: Mapping[str, str], **settings: object) -> tuple[Diagnostic, ...]:
    """Findings of a project about determinism."""
    found = inspect(make({"flows/__init__.py": "", **files}, **settings), cache=False).diagnostics
    assert not [d for d in found if d.code[:3] in ("WF0", "WF9")], found
    return tuple(d for d in found if d.code.startswith("WF2"))


def codes(make: Make, body: str, helpers: str = "", before: str = "") -> list[str]:
    """Codes of the findings in one workflow."""
    source = f"{textwrap.dedent(before)}\n{HEADER}{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"
    files = {"flows/flow.workflow.py": source, "flows/helpers.py": helpers}
    return [d.code for d in diagnostics(make, files)]


DIRECT = {
    "time": ("import time", "time.time()", "WF201"),
    "time alias": ("import time as t", "t.monotonic()", "WF201"),
    "from import as": ("from time import perf_counter as tick", "tick()", "WF201"),
    "local alias": ("import time", "tick = time.time\ntick()", "WF201"),
    "import inside": ("", "from time import time_ns\ntime_ns()", "WF201"),
    "datetime": ("from datetime import datetime", "datetime.now()", "WF201"),
    "datetime with zone": ("import datetime as dt", "dt.datetime.now(dt.UTC)", "WF201"),
    "today": ("from datetime import date", "date.today()", "WF201"),
    "localtime": ("import time", "time.localtime()", "WF201"),
    "localtime of none": ("import time", "time.localtime(None)", "WF201"),
    "strftime": ("import time", "time.strftime('%Y')", "WF201"),
    "in an f-string": ("import time", "print(f'{time.time():.1f}')", "WF201"),
    "in the data of a step": ("import time", "await workflow.do('a', print, time.time())", "WF201"),
    "in a condition": ("import time", "if names and time.time() > 5:\n    pass", "WF201"),
    "in a comprehension": ("import time", "[time.time() for name in names]", "WF201"),
    "in a condition of a comprehension": ("import time", "[n for n in names if time.time()]", "WF201"),
    "in a match": ("import time", "match time.time():\n    case _:\n        pass", "WF201"),
    "in a default of a nested function": ("import time", "def f(at=time.time()):\n    return at", "WF201"),
    "key function": ("import time", "names.sort(key=lambda name: time.time())", "WF201"),
    "try import": (
        "try:\n    from time import monotonic as now\nexcept ImportError:\n    from time import time as now",
        "now()",
        "WF201",
    ),
    "star import": ("from time import *", "perf_counter()", "WF201"),
    "random": ("import random", "random.random()", "WF202"),
    "unseeded": ("import random", "random.Random()", "WF202"),
    "seeded with none": ("import random", "random.Random(None)", "WF202"),
    "system random": ("from random import SystemRandom", "SystemRandom().random()", "WF202"),
    "secrets": ("import secrets", "secrets.token_hex(4)", "WF202"),
    "uuid4": ("from uuid import uuid4 as new", "new()", "WF202"),
    "uuid1": ("import uuid", "uuid.uuid1()", "WF202"),
    "urandom": ("import os", "os.urandom(4)", "WF202"),
    "numpy": ("import numpy as np", "np.random.rand(3)", "WF202"),
    "numpy generator": ("import numpy as np", "np.random.default_rng()", "WF202"),
    "faker": ("from faker import Faker", "fake = Faker()\nfake.name()", "WF202"),
    "mapped": ("import random", "list(map(random.choice, [names]))", "WF202"),
    "partial": ("import functools, random", "draw = functools.partial(random.randint, 1)\ndraw(6)", "WF202"),
    "environ": ("import os", "os.environ['HOME']", "WF203"),
    "environ get": ("from os import environ", "environ.get('HOME')", "WF203"),
    "environ in": ("import os", "'HOME' in os.environ", "WF203"),
    "getenv": ("import os", "os.getenv('HOME')", "WF203"),
    "getpid": ("import os", "os.getpid()", "WF203"),
    "hostname": ("import socket", "socket.gethostname()", "WF203"),
    "node": ("import platform", "platform.node()", "WF203"),
    "argv": ("import sys", "sys.argv[1:]", "WF203"),
    "cwd": ("from pathlib import Path", "Path.cwd()", "WF203"),
    "open": ("", "open('a')", "WF204"),
    "open in with": ("", "with open('a') as file:\n    file.read()", "WF204"),
    "input": ("", "input()", "WF204"),
    "path": ("from pathlib import Path", "Path('a').exists()", "WF204"),
    "joined path": ("from pathlib import Path", "(Path('a') / 'b').read_text()", "WF204"),
    "path of a parameter": (
        "from pathlib import Path",
        "def read(path: Path):\n    return path.read_text()\nread(Path('a'))",
        "WF204",
    ),
    "named path": ("from pathlib import Path", "path = Path('a') / 'b'\npath.parent.mkdir()", "WF204"),
    "stat": ("import os", "os.stat('a')", "WF204"),
    "os.path.exists": ("import os.path", "os.path.exists('a')", "WF204"),
    "socket": ("import socket", "socket.socket()", "WF204"),
    "requests": ("import requests", "requests.get('http://a')", "WF204"),
    "session": ("import requests", "s = requests.Session()\ns.post('http://a')", "WF204"),
    "httpx": ("import httpx", "async with httpx.AsyncClient() as c:\n    await c.get('http://a')", "WF204"),
    "urllib": ("from urllib.request import urlopen", "urlopen('http://a')", "WF204"),
    "aiohttp": ("import aiohttp", "s = aiohttp.ClientSession()\nawait s.get('http://a')", "WF204"),
    "subprocess": ("import subprocess", "subprocess.run(['ls'])", "WF204"),
    "sqlite": ("import sqlite3", "sqlite3.connect('a.db')", "WF204"),
    "psycopg": ("import psycopg", "psycopg.connect('')", "WF204"),
    "redis": ("import redis", "redis.Redis().get('a')", "WF204"),
    "boto3": ("import boto3", "boto3.client('s3')", "WF204"),
    "listdir": ("import os", "os.listdir()", "WF204"),
    "glob": ("import glob", "glob.glob('*')", "WF204"),
    "iterdir": ("from pathlib import Path", "for p in Path('a').iterdir():\n    pass", "WF204"),
    "set with steps": ("", "for n in {'a', 'b'}:\n    await workflow.do('a', print, n)", "WF205"),
    "set of names": ("", "for n in set(names):\n    await workflow.do('a', print, n)", "WF205"),
    "named set": ("", "s = set(names)\nfor n in s:\n    await workflow.do('a', print, n)", "WF205"),
    "annotated set": ("", "s: set[str] = make()\nfor n in s:\n    await workflow.do('a', print, n)", "WF205"),
    "union": ("", "s = set(names)\nfor n in s | {'x'}:\n    await workflow.do('a', print, n)", "WF205"),
    "filled list": (
        "",
        "out = []\nfor n in set(names):\n    out.append(n)\nawait workflow.do('a', print, out)",
        "WF205",
    ),
    "filled text": ("", "out = ''\nfor n in set(names):\n    out += n\nawait workflow.do('a', print, out)", "WF205"),
    "the first one": ("", "for n in set(names):\n    break\nawait workflow.do('a', print, n)", "WF205"),
    "one of them": ("", "for n in set(names):\n    if n:\n        return n", "WF205"),
    "list of set": ("", "await workflow.do('a', print, list(set(names)))", "WF205"),
    "list comprehension": ("", "await workflow.do('a', print, [n for n in set(names)])", "WF205"),
    "joined": ("", "', '.join(set(names))", "WF205"),
    "joined turns": ("", "', '.join(n.upper() for n in set(names))", "WF205"),
    "popped": ("", "s = set(names)\ns.pop()", "WF205"),
    "next": ("", "next(iter(set(names)))", "WF205"),
    "unpacked": ("", "first, *others = set(names)", "WF205"),
    "starred": ("", "helpers.call(*set(names))", "WF205"),
    "gathered": (
        "import asyncio",
        "await asyncio.gather(*(workflow.do('a', print, n) for n in set(names)))",
        "WF205",
    ),
    "waited": ("import asyncio", "done, left = await asyncio.wait([])\nfor task in done:\n    await task", "WF205"),
    "hash": ("", "hash('a')", "WF206"),
    "id": ("", "id(names)", "WF206"),
    "key=id": ("", "sorted(names, key=id)", "WF206"),
    "thread": ("import threading", "threading.Thread(target=print).start()", "WF207"),
    "executor": (
        "from concurrent.futures import ThreadPoolExecutor",
        "with ThreadPoolExecutor() as pool:\n    pool.submit(print)",
        "WF207",
    ),
    "to_thread": ("import asyncio", "await asyncio.to_thread(print)", "WF207"),
    "run_in_executor": (
        "import asyncio",
        "loop = asyncio.get_running_loop()\nawait loop.run_in_executor(None, print)",
        "WF207",
    ),
    "process": ("from multiprocessing import Process", "Process(target=print)", "WF207"),
    "asyncio.sleep": ("import asyncio", "await asyncio.sleep(1)", "WF208"),
    "wait_for": ("import asyncio", "await asyncio.wait_for(workflow.do('a', print), 5)", "WF208"),
    "timeout": ("import asyncio", "async with asyncio.timeout(5):\n    pass", "WF208"),
    "time.sleep": ("from time import sleep", "sleep(1)", "WF208"),
    "call_later": ("import asyncio", "asyncio.get_running_loop().call_later(1, print)", "WF208"),
    "wait with timeout": ("import asyncio", "await asyncio.wait([], timeout=5)", "WF208"),
    "lost task": ("import asyncio", "asyncio.create_task(workflow.do('a', print))", "WF209"),
    "unread task": ("import asyncio", "task = asyncio.ensure_future(workflow.do('a', print))", "WF209"),
    "lost task of the loop": (
        "import asyncio",
        "loop = asyncio.get_running_loop()\nloop.create_task(workflow.do('a', print))",
        "WF209",
    ),
    "global": ("count = 0", "global count\ncount = 1", "WF210"),
    "global augmented": ("count = 0", "global count\ncount += 1", "WF210"),
    "changed dict": ("cache = {}", "cache['a'] = 1", "WF210"),
    "deleted item": ("cache = {}", "del cache['a']", "WF210"),
    "nested item": ("cache = {}", "cache['a']['b'] = 1", "WF210"),
    "changed list": ("seen = []", "seen.append(1)", "WF210"),
    "changed set": ("seen = set()", "seen.add(1)", "WF210"),
    "changed deque": ("from collections import deque\nseen = deque()", "seen.append(1)", "WF210"),
    "changed counter": ("from collections import Counter\nseen = Counter()", "seen.update('a')", "WF210"),
    "changed attribute": ("class State:\n    n = 0\nstate = State()", "state.n = 1", "WF210"),
    "changed class": ("class State:\n    n = 0", "State.n += 1", "WF210"),
    "changed container of a class": ("class State:\n    seen: list[str] = []", "State.seen.append('a')", "WF210"),
    "changed module": ("", "helpers.limit = 1", "WF210"),
    "changed container of a module": ("", "helpers.seen.append(1)", "WF210"),
    "rebound elsewhere": ("count = 0\ndef up():\n    global count\n    count += 1", "print(count)", "WF210"),
}


@pytest.mark.parametrize(("before", "body", "code"), DIRECT.values(), ids=DIRECT)
def test_direct(make: Make, before: str, body: str, code: str) -> None:
    """What stands in the workflow itself is found, once, under its code."""
    assert codes(make, body, "limit = 0\nseen = []\n", before) == [code]


CHAINS = {
    "three levels": (
        "helpers.a()",
        "import time\ndef a(): return b()\ndef b(): return c()\ndef c(): return time.time()\n",
        ["calls `b`", "calls `c`", "calls `time.time`"],
    ),
    "method": (
        "helpers.Clock().read()",
        "import time\nclass Clock:\n    def read(self): return self._now()\n    def _now(self): return time.time()\n",
        ["calls `Clock._now`", "calls `time.time`"],
    ),
    "inherited method": (
        "helpers.Child().read()",
        "import time\n"
        "class Base:\n"
        "    def read(self): return self.now()\n"
        "    def now(self): return 0\n"
        "class Child(Base):\n"
        "    def now(self): return time.time()\n",
        ["calls `Child.now`", "calls `time.time`"],
    ),
    "super": (
        "helpers.Child().read()",
        "import time\n"
        "class Base:\n"
        "    def read(self): return time.time()\n"
        "class Child(Base):\n"
        "    def read(self): return super().read()\n",
        ["calls `Base.read`", "calls `time.time`"],
    ),
    "class method": (
        "helpers.Stamp.new()",
        "import time\n"
        "class Stamp:\n"
        "    @classmethod\n"
        "    def new(cls): return cls.now()\n"
        "    @staticmethod\n"
        "    def now(): return time.time()\n",
        ["calls `Stamp.now`", "calls `time.time`"],
    ),
    "property": (
        "item = helpers.Item()\nprint(item.age)",
        "import time\nclass Item:\n    @property\n    def age(self): return time.time()\n",
        ["calls `time.time`"],
    ),
    "cached property": (
        "print(helpers.Item().age)",
        "import time\n"
        "import functools\n"
        "class Item:\n"
        "    @functools.cached_property\n"
        "    def age(self): return time.time()\n",
        ["calls `time.time`"],
    ),
    "initialiser": (
        "helpers.Item()",
        "import time\nclass Item:\n    def __init__(self): self.at = time.time()\n",
        ["calls `Item.__init__`", "calls `time.time`"],
    ),
    "post init": (
        "helpers.Item()",
        "import time\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Item:\n"
        "    at: float = 0\n"
        "    def __post_init__(self): self.at = time.time()\n",
        ["calls `Item.__post_init__`", "calls `time.time`"],
    ),
    "dataclass default factory": (
        "helpers.Item('a')",
        "import time\n"
        "from dataclasses import dataclass, field\n"
        "@dataclass\n"
        "class Item:\n"
        "    name: str\n"
        "    at: float = field(default_factory=time.time)\n",
        ["calls `time.time`"],
    ),
    "pydantic default factory": (
        "helpers.Item(name='a')",
        "import time\n"
        "from pydantic import BaseModel, Field\n"
        "def now(): return time.time()\n"
        "class Item(BaseModel):\n"
        "    name: str\n"
        "    at: float = Field(default_factory=now)\n",
        ["calls `now`", "calls `time.time`"],
    ),
    "default factory lambda": (
        "helpers.Item()",
        "import time\n"
        "from pydantic import BaseModel, Field\n"
        "class Item(BaseModel):\n"
        "    at: float = Field(default_factory=lambda: time.time())\n",
        ["calls `<lambda>`", "calls `time.time`"],
    ),
    "inherited default factory": (
        "helpers.Item()",
        "import time\n"
        "from pydantic import BaseModel, Field\n"
        "class Base(BaseModel):\n"
        "    at: float = Field(default_factory=time.time)\n"
        "class Item(Base):\n"
        "    name: str = ''\n",
        ["calls `time.time`"],
    ),
    "validator": (
        "helpers.Item(name='a')",
        "import time\n"
        "from pydantic import BaseModel, field_validator\n"
        "class Item(BaseModel):\n"
        "    name: str\n"
        "    @field_validator('name')\n"
        "    @classmethod\n"
        "    def check(cls, value):\n"
        "        time.time()\n"
        "        return value\n",
        ["calls `Item.check`", "calls `time.time`"],
    ),
    "key function": (
        "sorted(names, key=helpers.rank)",
        "import time\ndef rank(name): return time.time()\n",
        ["calls `time.time`"],
    ),
    "partial": (
        "import functools\nf = functools.partial(helpers.a, 1)\nf()",
        "import time\ndef a(x): return time.time()\n",
        ["calls `time.time`"],
    ),
    "defaultdict": (
        "import collections\nd = collections.defaultdict(helpers.a)",
        "import time\ndef a(): return time.time()\n",
        ["calls `time.time`"],
    ),
    "own higher-order function": (
        "helpers.twice(helpers.a)",
        "import time\ndef twice(f): return f(), f()\ndef a(): return time.time()\n",
        ["calls `time.time`"],
    ),
    "comprehension in a helper": (
        "helpers.a(names)",
        "import time\ndef a(xs): return {x: time.time() for x in xs}\n",
        ["calls `time.time`"],
    ),
    "lambda with a name": ("helpers.a()", "import time\na = lambda: time.time()\n", ["calls `time.time`"]),
    "decorator": (
        "helpers.a()",
        "import functools, time\n"
        "def timed(f):\n"
        "    @functools.wraps(f)\n"
        "    def wrapper(*args):\n"
        "        time.time()\n"
        "        return f(*args)\n"
        "    return wrapper\n"
        "@timed\n"
        "def a(): return 1\n",
        ["is wrapped by `timed`, which calls `wrapper`", "calls `time.time`"],
    ),
    "decorator with arguments": (
        "helpers.a()",
        "import time\n"
        "def timed(n):\n"
        "    def decorate(f):\n"
        "        def wrapper(*args):\n"
        "            time.time()\n"
        "            return f(*args)\n"
        "        return wrapper\n"
        "    return decorate\n"
        "@timed(2)\n"
        "def a(): return 1\n",
        ["is wrapped by `timed`, which calls `wrapper`", "calls `time.time`"],
    ),
    "with": (
        "with helpers.Timer():\n    pass",
        "import time\nclass Timer:\n    def __enter__(self): return self\n    def __exit__(self, *a): time.time()\n",
        ["calls `time.time`"],
    ),
    "context manager": (
        "with helpers.timer():\n    pass",
        "import contextlib, time\n@contextlib.contextmanager\ndef timer():\n    yield time.time()\n",
        ["calls `time.time`"],
    ),
    "call of an object": (
        "helpers.Clock()()",
        "import time\nclass Clock:\n    def __call__(self): return time.time()\n",
        ["calls `time.time`"],
    ),
    "iteration": (
        "for _ in helpers.Ticks():\n    pass",
        "import time\nclass Ticks:\n    def __iter__(self): yield time.time()\n",
        ["calls `time.time`"],
    ),
    "attribute of a class": (
        "helpers.Service().run()",
        "import time\n"
        "class Clock:\n"
        "    def now(self): return time.time()\n"
        "class Service:\n"
        "    def __init__(self): self.clock = Clock()\n"
        "    def run(self): return self.clock.now()\n",
        ["calls `Clock.now`", "calls `time.time`"],
    ),
    "annotated parameter": (
        "helpers.run(helpers.Clock())",
        "import time\nclass Clock:\n    def now(self): return time.time()\ndef run(clock: Clock): return clock.now()\n",
        ["calls `Clock.now`", "calls `time.time`"],
    ),
    "cycle": (
        "helpers.a(3)",
        "import time\ndef a(n): return b(n)\ndef b(n): return a(n - 1) if n else c()\ndef c(): return time.time()\n",
        ["calls `b`", "calls `c`", "calls `time.time`"],
    ),
    "the shortest way": (
        "helpers.a()",
        "import time\ndef a(): return b() + time.time()\ndef b(): return time.monotonic()\n",
        ["calls `time.time`"],
    ),
    "async helper": (
        "await helpers.a()",
        "import time\nasync def a(): return await b()\nasync def b(): return time.time()\n",
        ["calls `b`", "calls `time.time`"],
    ),
    "class by base outside": (
        "helpers.now()",
        "import datetime\nclass Moment(datetime.datetime):\n    pass\ndef now(): return Moment(2000, 1, 1).now()\n",
        ["calls `datetime.datetime.now`"],
    ),
}


@pytest.mark.parametrize(("body", "helpers", "chain"), CHAINS.values(), ids=CHAINS)
def test_chain(make: Make, body: str, helpers: str, chain: list[str]) -> None:
    """What a helper does is found at the call in the workflow, with the calls that lead there."""
    source = f"{HEADER}{textwrap.indent(body, '    ')}\n"
    found = diagnostics(make, {"flows/flow.workflow.py": source, "flows/helpers.py": helpers})
    assert [(d.code, d.file) for d in found] == [("WF201", "flows/flow.workflow.py")]
    assert [related.message for related in found[0].related] == chain
    assert {related.file for related in found[0].related} == {"flows/helpers.py"}
    lines = helpers.split("\n")
    for related in found[0].related:
        assert lines[related.line - 1][related.column - 1 :].strip(), related


def test_chain_across_modules(make: Make) -> None:
    """The message names the source with file and line; each related place stands in its own file."""
    found = diagnostics(
        make,
        {
            "flows/flow.workflow.py": """\
                from wfgen import Workflow, define_workflow
                from flows.ids import make_id as new


                @define_workflow
                async def flow(wf: Workflow) -> None:
                    first = (
                        new("order")
                    )
                """,
            "flows/ids.py": "from .tokens import token\n\n\ndef make_id(kind):\n    return f'{kind}-{token()}'\n",
            "flows/tokens.py": "import uuid as u\n\n\ndef token():\n    return u.uuid4().hex\n",
        },
    )
    (finding,) = found
    assert (finding.line, finding.column, finding.end_line, finding.end_column) == (8, 9, 8, 21)
    assert finding.message == '`new("order")` draws random numbers: `uuid.uuid4` (flows/tokens.py:5).'
    assert finding.hint == "Use `wf.uuid()`, which is the same in every replay."
    places = [(r.file, r.line, r.column, r.message) for r in finding.related]
    assert places == [
        ("flows/ids.py", 5, 12, "calls `token`"),
        ("flows/tokens.py", 5, 12, "calls `uuid.uuid4`"),
    ]


def test_helpers_with_the_handle(make: Make) -> None:
    """In a helper of the same file that receives the handle, a finding stands at its own line."""
    source = """\
        import time
        from wfgen import Workflow, define_workflow


        async def wait(handle: Workflow) -> None:
            if time.time() > 5:
                await handle.sleep("a", "5s")


        def plain():
            return time.time()


        @define_workflow
        async def flow(workflow: Workflow) -> None:
            await wait(workflow)
            plain()
        """
    first, second = diagnostics(make, {"flows/flow.workflow.py": source})
    assert (first.line, first.related) == (6, ())
    assert first.fix is not None
    assert first.fix.edits[0].text == "handle.now().timestamp()"
    assert (second.line, len(second.related), second.fix) == (17, 1, None)


def test_depth(make: Make) -> None:
    """Thirty helpers that call each other are followed to the end."""
    helpers = "import time\n" + "".join(f"def f{n}(): return f{n + 1}()\n" for n in range(30))
    helpers += "def f30(): return time.time()\n"
    found = diagnostics(make, {"flows/flow.workflow.py": HEADER + "    helpers.f0()\n", "flows/helpers.py": helpers})
    assert [len(d.related) for d in found] == [31]


def test_suppression(make: Make) -> None:
    """A comment at the line in the workflow suppresses what a helper does."""
    body = "    helpers.now()  # wfgen: ignore[WF201]\n"
    helpers = "import time\ndef now(): return time.time()\n"
    assert diagnostics(make, {"flows/flow.workflow.py": HEADER + body, "flows/helpers.py": helpers}) == ()


def test_one_finding_for_a_code_and_a_call(make: Make) -> None:
    """A helper that does the same in two ways gives one finding; one that does two things gives two."""
    helpers = "import random, time\ndef f():\n    return time.time(), time.monotonic(), random.random()\n"
    assert codes(make, "helpers.f()", helpers) == ["WF201", "WF202"]


def test_names_that_are_bound_through_each_other(make: Make) -> None:
    """Many bindings that lead to each other are followed without going round in circles."""
    names = [f"n{number}" for number in range(12)]
    helpers = "import time\ndef f(n0, other):\n"
    for one in names:
        helpers += "".join(f"    {one} = {other}.step({one}).union({other})\n" for other in names)
    helpers += "    for item in n3:\n        n4.append(item)\n    return n11.now(), time.time()\n"
    assert codes(make, "helpers.f(1, 2)", helpers) == ["WF201"]


def test_many_helpers(make: Make) -> None:
    """Two hundred helpers that all call each other are each looked at once."""
    count = 200
    helpers = "import time\n"
    for number in range(count):
        calls = ", ".join(f"f{other}()" for other in range(count))
        helpers += f"def f{number}():\n    return {calls if number < count - 1 else 'time.time()'}\n"
    body = "\n".join(f"helpers.f{number}()" for number in range(count))
    assert codes(make, body, helpers) == ["WF201"] * count


DEFAULTS = """\
import time
import random

def stamp(now=time.time, *, draw=random.random):
    return now()

def drawn(*, draw=random.random):
    return draw()

class Clock:
    def read(self, now=time.time):
        return now()
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("helpers.stamp()", ["WF201"]),
        ("helpers.stamp(draw=len)", ["WF201"]),
        ("helpers.stamp(lambda: 5)", []),
        ("helpers.stamp(now=lambda: 5)", []),
        ("helpers.stamp(*names)", []),
        ("helpers.drawn()", ["WF202"]),
        ("helpers.drawn(draw=lambda: 0.5)", []),
        ("helpers.Clock().read()", ["WF201"]),
        ("helpers.Clock().read(lambda: 5)", []),
    ],
)
def test_a_default_that_the_function_calls(make: Make, body: str, expected: list[str]) -> None:
    """Counts where the call leaves it to the default, at the call."""
    assert codes(make, body, DEFAULTS) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("next(helpers_numbers)", ["WF210"]),
        ("helpers.number()", ["WF210"]),
        ("next(iter(names))", []),
        ("mine = iter(names)\nnext(mine)", []),
        ("next(helpers_numbers, None)", ["WF210"]),
    ],
)
def test_an_iterator_that_all_runs_share(make: Make, body: str, expected: list[str]) -> None:
    """Each run takes what another would have got."""
    helpers = "import itertools\n\nNUMBERS = itertools.count()\n\ndef number():\n    return next(NUMBERS)\n"
    before = "from flows.helpers import NUMBERS as helpers_numbers"
    assert codes(make, body, helpers, before) == expected


MIDDLEWARE = """\
import time
from wfgen import Middleware


class Timed(Middleware):
    async def step(self, call, proceed):
        start = time.time()
        return [start, await proceed()]


class Wrong(Middleware):
    async def workflow(self, call, proceed):
        return [self.now(), await proceed()]

    def now(self):
        return time.time()


class Right(Middleware):
    async def workflow(self, call, proceed):
        call.workflow.log.info("at %s", call.workflow.now())
        return await proceed()
"""


@pytest.mark.parametrize(
    ("middleware", "expected"),
    [
        ("[Timed(), Right(), Middleware()]", []),
        ("[Timed(), Wrong()]", ["WF201"]),
        ("(WRONG,)", ["WF201"]),
        ("MANY", ["WF201"]),
    ],
)
def test_middleware_around_a_workflow_is_workflow_code(make: Make, middleware: str, expected: list[str]) -> None:
    """C1, F1: its method around workflows is looked into, with the chain of calls; that around steps is not."""
    source = (
        "from wfgen import Middleware, Workflow, define_workflow\n"
        "from flows.tracing import Right, Timed, Wrong\n"
        "WRONG = Wrong()\nMANY = [Timed(), Wrong()]\n\n"
        f"@define_workflow(middleware={middleware})\n"
        'async def flow(workflow: Workflow) -> None:\n    await workflow.sleep("a", "1s")\n'
    )
    found = diagnostics(make, {"flows/flow.workflow.py": source, "flows/tracing.py": MIDDLEWARE})
    assert [d.code for d in found] == expected
    for finding in found:
        assert (finding.file, finding.related[-1].file) == ("flows/flow.workflow.py", "flows/tracing.py")
        assert [related.line for related in finding.related] == [13, 16]
