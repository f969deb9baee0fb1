"""Control flow of workflow code: WF107, WF108, WF302 to WF310."""

from __future__ import annotations

import ast
import asyncio
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.inspector.conftest import Read
from wfgen.settings import Settings
from wfgen_inspector import contracts, control, inspect
from wfgen_inspector.body import build
from wfgen_inspector.control.outcomes import always_raises
from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.modules import Module
from wfgen_inspector.parsing import parse
from wfgen_inspector.positions import Text
from wfgen_inspector.program import Program
from wfgen_inspector.reading import Reading

Workflow = Callable[..., Read]
MINE = {"WF107", "WF302", "WF303", "WF304", "WF305", "WF306", "WF307", "WF308", "WF309", "WF310"}


def codes(read: Read) -> list[str]:
    """Codes of this part, in order of place."""
    problems = sorted(read.facts.problems, key=lambda p: (p.span.line, p.span.column))
    return [problem.code for problem in problems if problem.code in MINE]


def dedented(*bodies: str) -> list[Any]:
    return [textwrap.dedent(body).strip() for body in bodies]


@pytest.mark.parametrize(
    ("body", "raises"),
    [
        ("raise", True),
        ("log()\nraise ValueError from error", True),
        ("log()", False),
        ("return 1", False),
        ("if a:\n    raise\nelse:\n    raise", True),
        ("if a:\n    raise", False),
        ("if a:\n    raise\nelif b:\n    raise\nelse:\n    raise", True),
        ("if a:\n    raise\nelif b:\n    raise", False),
        ("if a:\n    raise\nelif b:\n    c()\nelse:\n    raise", False),
        ("if a:\n    raise\n" + "elif a:\n    raise\n" * 1200 + "else:\n    raise", True),
        ("if a:\n    return\nraise", False),
        ("for a in b:\n    c()\nraise", True),
        ("for a in b:\n    return\nraise", False),
        ("for a in b:\n    break\nraise", True),
        ("while a:\n    raise", False),
        ("with a:\n    raise", True),
        ("try:\n    a()\nfinally:\n    raise", True),
        ("try:\n    raise\nfinally:\n    a()", True),
        ("try:\n    raise\nexcept ValueError:\n    pass", False),
        ("try:\n    a()\nexcept ValueError:\n    pass\nraise", True),
        ("try:\n    a()\nexcept ValueError:\n    return\nraise", False),
        ("match a:\n    case 1:\n        raise\n    case _:\n        raise", True),
        ("match a:\n    case 1:\n        raise", False),
        ("def f():\n    return 1\nraise", True),
    ],
)
def test_blocks_that_always_raise(body: str, raises: bool) -> None:
    """A handler re-raises if every path through it ends with `raise`."""
    source = "def f():\n    for _ in x:\n" + textwrap.indent(body, "        ")
    function: Any = parse(source).body[0]
    assert always_raises(function.body[0].body) is raises


@pytest.mark.parametrize(
    "body",
    dedented(
        'await workflow.sleep("a", "5")',
        'await workflow.sleep("a", "5 minutes")',
        'await workflow.sleep("a", 5)',
        'await workflow.sleep("a", "-5m")',
        'await workflow.sleep("a", None)',
        'await workflow.sleep("a", duration="")',
        'await workflow.hook("a", Order, timeout="7 days")',
        'await workflow.do("a", "x.y", timeout=30)',
        'pause = "soon"\nawait workflow.sleep("a", pause)',
        'await workflow.do("a", "x.y", retry=Retry(attempts=0))',
        'await workflow.do("a", "x.y", retry=Retry(3, factor=0.5))',
        'await workflow.do("a", "x.y", retry=Retry(jitter=2))',
        'await workflow.do("a", "x.y", retry=Retry(attempts="3"))',
        'await workflow.do("a", "x.y", retry=Retry(delay="1 second"))',
        'from datetime import timedelta\nawait workflow.sleep("a", timedelta(seconds=-1))',
        'from datetime import datetime\nawait workflow.sleep_until("a", datetime(2030, 1, 1))',
        'from datetime import datetime\nawait workflow.sleep_until("a", datetime.fromisoformat("2030-01-01"))',
        'from datetime import datetime\nthen = datetime(2030, 1, 1)\nawait workflow.sleep_until("a", then)',
    ),
)
def test_durations_that_the_runtime_refuses(workflow: Workflow, body: str) -> None:
    """What cannot be a duration, a time or a retry policy is an error where it is written."""
    assert codes(workflow(body)) == ["WF107"]


@pytest.mark.parametrize(
    "body",
    dedented(
        'await workflow.sleep("a", "1h30m")',
        'await workflow.sleep("a", "1.5 h")',
        'await workflow.sleep("a", "0s")',
        'await workflow.sleep("a", order.pause)',
        'await workflow.sleep("a", f"{order.days}d")',
        'await workflow.sleep("a", str(order.days))',
        'from datetime import timedelta\nawait workflow.sleep("a", timedelta(days=2) - timedelta(days=1))',
        'await workflow.hook("a", Order, timeout=None)',
        'await workflow.do("a", "x.y", retry=Retry(attempts=order.tries, delay="100ms", factor=1, jitter=0))',
        'from datetime import UTC, datetime\nawait workflow.sleep_until("a", datetime(2030, 1, 1, tzinfo=UTC))',
        'from datetime import datetime\nawait workflow.sleep_until("a", datetime.fromisoformat("2030-01-01T00:00Z"))',
        'await workflow.sleep_until("a", order.due)',
        'pause = "soon"\npause = order.pause\nawait workflow.sleep("a", pause)',
    ),
)
def test_durations_that_may_serve(workflow: Workflow, body: str) -> None:
    """Durations that are fine, or known at run time only, are no findings."""
    assert codes(workflow(body)) == []


@pytest.mark.parametrize(
    "body",
    dedented(
        'while True:\n    await workflow.sleep("a", "1h")',
        'while 1:\n    await workflow.do("a", "x.y")',
        'running = True\nwhile running:\n    await workflow.sleep("a", "1h")',
        'while True:\n    try:\n        await workflow.sleep("a", "1h")\n    except ValueError as e:\n        print(e)',
        'while True:\n    for x in order.items:\n        if x:\n            break\n    await workflow.sleep("a", "1h")',
        'import itertools\nfor n in itertools.count():\n    await workflow.sleep("a", "1h")',
    ),
)
def test_loops_that_never_end(workflow: Workflow, body: str) -> None:
    """A loop around a wait that nothing leaves is a warning."""
    assert codes(workflow(body)) == ["WF302"]


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ('while True:\n    if await workflow.do("a", "x.y"):\n        break', ""),
        ('while True:\n    if await workflow.do("a", "x.y"):\n        return', ""),
        ('while True:\n    if await workflow.do("a", "x.y"):\n        raise ValueError', ""),
        ('running = True\nwhile running:\n    running = await workflow.do("a", "x.y")', ""),
        ('while order.open:\n    await workflow.sleep("a", "1h")', ""),
        (
            'while True:\n    await workflow.sleep("a", "1h")\n    if order:\n        workflow.continue_as_new(order)',
            "",
        ),
        (
            'while True:\n    await workflow.sleep("a", "1h")\n    renew(workflow)',
            "def renew(handle: Workflow) -> None:\n    if handle.run_id:\n        handle.continue_as_new(1)\n",
        ),
        ("while True:\n    print(order)\n    if order:\n        break", ""),
        (
            'try:\n    while True:\n        await workflow.hook("a", Order, timeout="1h")\n'
            "except HookTimeoutError:\n    print(order)",
            "from wfgen import HookTimeoutError",
        ),
        (
            "with contextlib.suppress(HookTimeoutError):\n    while True:\n"
            '        await workflow.hook("a", Order, timeout="1h")',
            "import contextlib\nfrom wfgen import HookTimeoutError",
        ),
        ('import itertools\nfor n in itertools.repeat(1, 3):\n    await workflow.sleep("a", "1h")', ""),
        (
            "queue = asyncio.Queue()\npump = asyncio.create_task(work(workflow, queue))\nawait queue.join()\n"
            "pump.cancel()",
            "async def work(handle: Workflow, queue: asyncio.Queue[int]) -> None:\n"
            '    while True:\n        await handle.do("a", "x.y", await queue.get())\n        queue.task_done()\n',
        ),
    ],
)
def test_loops_that_may_end(workflow: Workflow, body: str, before: str) -> None:
    """A loop with a way out, or one that runs as a task which somebody cancels, is fine."""
    assert "WF302" not in codes(workflow(body, before=before))


@pytest.mark.parametrize(
    ("body", "mended"),
    [
        ('try:\n    await workflow.sleep("a", "1h")\nexcept:\n    print(1)', "except Exception:\n"),
        ('try:\n    await workflow.sleep("a", "1h")\nexcept BaseException:\n    print(1)', "except Exception:\n"),
        (
            'try:\n    await workflow.sleep("a", "1h")\nexcept BaseException as error:\n    print(error)',
            "except Exception as error:\n",
        ),
        (
            'try:\n    await workflow.sleep("a", "1h")\nexcept (ValueError, BaseException):\n    print(1)',
            "except (ValueError, Exception):\n",
        ),
        ('try:\n    await workflow.sleep("a", "1h")\nexcept asyncio.CancelledError:\n    print(1)', None),
        (
            'try:\n    await workflow.sleep("a", "1h")\nexcept (OSError, asyncio.CancelledError) as e:\n    print(e)',
            None,
        ),
        (
            "from asyncio import CancelledError as Gone\n"
            'try:\n    await workflow.sleep("a", "1h")\nexcept Gone:\n    return',
            None,
        ),
        (
            'try:\n    await workflow.sleep("a", "1h")\nexcept Exception as e:\n    print(e)\nexcept BaseException:\n'
            "    print(1)",
            None,
        ),
        (
            'try:\n    await workflow.sleep("a", "1h")\nexcept BaseException:\n    if order.strict:\n        raise',
            "except Exception:\n",
        ),
        ('try:\n    await workflow.sleep("a", "1h")\nexcept* BaseException:\n    print(1)', "except* Exception:\n"),
        (
            'import contextlib\nwith contextlib.suppress(BaseException):\n    await workflow.sleep("a", "1h")',
            "with contextlib.suppress(Exception):\n",
        ),
        (
            "from contextlib import suppress\nwith suppress(asyncio.CancelledError, OSError):\n"
            '    await workflow.sleep("a", "1h")',
            None,
        ),
        (
            'for i in [1]:\n    try:\n        await workflow.sleep("a", "1h")\n    except:\n        print(1)\n'
            "        continue",
            "except Exception:",
        ),
    ],
)
def test_handlers_that_swallow_cancelling(workflow: Workflow, body: str, mended: str | None) -> None:
    """Handlers that take CancelledError around a wait are errors; what catches everything comes with a fix."""
    read = workflow(body)
    assert codes(read) == ["WF303"]
    fixed = read.fixed()
    assert (fixed != read.source) is (mended is not None)
    if mended is not None:
        assert mended in fixed
        assert codes(workflow(fixed.partition("-> None:\n")[2].partition("\0")[0].replace("\n    ", "\n")[4:])) == []


@pytest.mark.parametrize(
    "body",
    dedented(
        'try:\n    await workflow.sleep("a", "1h")\nexcept Exception as error:\n    print(error)',
        'try:\n    await workflow.sleep("a", "1h")\nexcept BaseException:\n    print(1)\n    raise',
        'try:\n    await workflow.sleep("a", "1h")\nexcept:\n    raise ValueError("no") from None',
        'try:\n    print(order)\nexcept:\n    print("no wait")',
        """
        try:
            await workflow.sleep("a", "1h")
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            print(error)
        """,
        """
        task = asyncio.create_task(workflow.sleep("a", "1h"))
        await workflow.sleep("b", "1h")
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        """,
        """
        import contextlib
        tasks = [asyncio.create_task(workflow.sleep("a", "1h"))]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
        """,
        """
        import contextlib
        with contextlib.suppress(KeyError):
            await workflow.sleep("a", "1h")
        """,
        """
        async def fetch() -> str:
            try:
                return str(order)
            except BaseException:
                return ""
        await workflow.do("a", fetch)
        """,
    ),
)
def test_handlers_that_let_cancelling_through(workflow: Workflow, body: str) -> None:
    """Handlers that raise again, that are around no wait, or that end a task of one's own are fine."""
    assert codes(workflow(body)) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('try:\n    await workflow.do("a", "x.y")\nexcept Exception:\n    pass', ["WF309"]),
        (
            'for i in [1]:\n    try:\n        await workflow.do("a", "x.y")\n    except Exception:\n        continue',
            ["WF309"],
        ),
        ('try:\n    await workflow.do("a", "x.y")\nexcept Exception:\n    ...', ["WF309"]),
        ('try:\n    await workflow.do("a", "x.y")\nexcept Exception:\n    pass  # it is optional', []),
        ('try:\n    await workflow.do("a", "x.y")\nexcept Exception:\n    # it is optional\n    pass', []),
        ('try:\n    await workflow.do("a", "x.y")\nexcept ValueError:\n    pass', []),
        ("try:\n    print(order)\nexcept Exception:\n    pass", []),
        ('try:\n    await workflow.do("a", "x.y")\nexcept Exception:\n    return', []),
    ],
)
def test_silent_handlers(workflow: Workflow, body: str, found: list[str]) -> None:
    """Passing over every error of a step without a word is advice."""
    assert codes(workflow(body)) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("try:\n    print(1)\nfinally:\n    return", ["WF305"]),
        ("try:\n    print(1)\nfinally:\n    if order:\n        return", ["WF305"]),
        ("for i in [1]:\n    try:\n        print(1)\n    finally:\n        continue", ["WF305"]),
        ("try:\n    print(1)\nfinally:\n    try:\n        print(2)\n    finally:\n        return", ["WF305"]),
        ("try:\n    print(1)\nfinally:\n    for i in [1]:\n        break", []),
        ("try:\n    print(1)\nfinally:\n    for i in [1]:\n        return", ["WF305"]),
        ("try:\n    print(1)\nfinally:\n    def f():\n        return 1\n    f()", []),
        ("try:\n    return\nfinally:\n    print(1)", []),
    ],
)
def test_finally_that_leaves(workflow: Workflow, body: str, found: list[str]) -> None:
    """`return`, `break` and `continue` out of `finally` are errors, once each."""
    assert codes(workflow(body)) == found


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ('try:\n    await workflow.sleep("a", "1h")\nfinally:\n    doors.close(order)', "import doors"),
        ('try:\n    await workflow.sleep("a", "1h")\nfinally:\n    await doors.close(order)', "import doors"),
        (
            'try:\n    await workflow.sleep("a", "1h")\nfinally:\n    tidy()',
            "import doors\ndef tidy():\n    doors.close()",
        ),
        (
            'with opened():\n    await workflow.sleep("a", "1h")',
            "import doors\nfrom contextlib import contextmanager\n@contextmanager\ndef opened():\n    try:\n"
            "        yield\n    finally:\n        doors.close()",
        ),
        (
            'with Door():\n    await workflow.sleep("a", "1h")',
            "import doors\nclass Door:\n    def __enter__(self):\n        return self\n"
            "    def __exit__(self, *_):\n        doors.close()",
        ),
    ],
)
def test_effects_in_cleanup(workflow: Workflow, body: str, before: str) -> None:
    """What clean-up code around a wait calls in other packages is a warning, also through functions of the file."""
    assert codes(workflow(body, before=before)) == ["WF304"]


@pytest.mark.parametrize(
    ("body", "before"),
    [
        (
            'try:\n    await workflow.sleep("a", "1h")\nfinally:\n    await workflow.do("b", lambda: doors.close())',
            "import doors",
        ),
        ("try:\n    print(1)\nfinally:\n    doors.close()", "import doors"),
        ('try:\n    await workflow.sleep("a", "1h")\nfinally:\n    workflow.log.info("x")\n    print(1)', ""),
        (
            'try:\n    await workflow.sleep("a", "1h")\nfinally:\n    log.info("x")',
            "import logging\nlog = logging.getLogger()",
        ),
        ('try:\n    await workflow.sleep("a", "1h")\nfinally:\n    order.items.clear()', ""),
        ('try:\n    await workflow.sleep("a", "1h")\nfinally:\n    total = doors.count(order)', "import doors"),
        ('try:\n    await workflow.sleep("a", "1h")\nfinally:\n    tidy(order)', "def tidy(order):\n    order.x = 1"),
        ('lock = asyncio.Lock()\nasync with lock:\n    await workflow.sleep("a", "1h")', ""),
        ('async with asyncio.TaskGroup() as g:\n    g.create_task(workflow.sleep("a", "1h"))', ""),
        ('with contextlib.nullcontext():\n    await workflow.sleep("a", "1h")', "import contextlib"),
        ('with decimal.localcontext():\n    await workflow.sleep("a", "1h")', "import decimal"),
        ('with order.opened():\n    await workflow.sleep("a", "1h")', ""),
        ("with doors.opened():\n    print(1)", "import doors"),
        ('with doors.opened(order):\n    await workflow.sleep("a", "1h")', "import doors"),
        ('async with doors.Door() as door:\n    await workflow.sleep("a", "1h")', "import doors"),
        (
            'with Named("x"):\n    await workflow.sleep("a", "1h")',
            "class Named:\n    def __init__(self, name):\n        self.name = name\n    def __enter__(self):\n"
            "        return self\n    def __exit__(self, *_):\n        self.name = None",
        ),
    ],
)
def test_harmless_cleanup(workflow: Workflow, body: str, before: str) -> None:
    """Steps, logging, asyncio and what stays in memory are fine, and so is clean-up around no wait."""
    assert "WF304" not in codes(workflow(body, before=before))


@pytest.mark.parametrize(
    "body",
    dedented(
        'found = []\nawait workflow.do("a", lambda: found.append(1))',
        'found = {}\nawait workflow.do("a", lambda: found.update(a=1))',
        'seen: set[str] = set()\nawait workflow.do("a", lambda: seen.add("x"))',
        'await workflow.do("a", lambda: order.items.append(1))',
        'await workflow.do("a", lambda: setattr(order, "x", 1))',
        'found = {}\ndef fill():\n    found["a"] = 1\nawait workflow.do("a", fill)',
        'def fill():\n    order.status = "done"\nawait workflow.do("a", fill)',
        'found = {}\ndef fill():\n    del found["a"]\nawait workflow.do("a", fill)',
        'count = 0\nasync def add():\n    nonlocal count\n    count += 1\nawait workflow.do("a", add)',
        'found = []\ndef fill():\n    for x in [1]:\n        found.append(x)\nawait workflow.do("a", fill)',
    ),
)
def test_steps_that_change_outer_variables(workflow: Workflow, body: str) -> None:
    """A change that an inline step makes outside of itself is a warning where it is made."""
    assert codes(workflow(body)) == ["WF307"]


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ('await workflow.do("a", lambda: [1].append(2))', ""),
        ('def fill():\n    found = []\n    found.append(1)\n    return found\nawait workflow.do("a", fill)', ""),
        ('def fill(order):\n    order.status = "x"\n    return order\nawait workflow.do("a", fill, order)', ""),
        ('await workflow.do("a", lambda: client.update(order))', "client = make()"),
        ('client = make(order)\nawait workflow.do("a", lambda: client.update(order))', ""),
        ('client = make(order)\nawait workflow.do("a", lambda: client.remove(order))', ""),
        ('await workflow.do("a", lambda: (x := 1) + x)', ""),
        ('found = []\nfound.append(await workflow.do("a", "x.y"))', ""),
        ('found = []\ndef note(x):\n    found.append(x)\nnote(await workflow.do("a", "x.y"))', ""),
        ('await workflow.do("a", lambda: cache.setdefault("a", 1))', "cache = {}"),
        ('await workflow.do("a", lambda: sorted(order.items))', ""),
        ('total = 0\ndef add():\n    total = 1\n    return total\ntotal = await workflow.do("a", add)', ""),
    ],
)
def test_steps_that_change_their_own(workflow: Workflow, body: str, before: str) -> None:
    """Own variables, copies that a step is given, what stands outside of the workflow: all fine."""
    assert codes(workflow(body, before=before)) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('for x in asyncio.as_completed([workflow.do("a", "x.y"), workflow.do("b", "x.y")]):\n    await x', ["WF308"]),
        ("tasks = [asyncio.create_task(nap(workflow))]\nfor x in asyncio.as_completed(tasks):\n    await x", ["WF308"]),
        ("for x in asyncio.as_completed([nap(workflow), nap(workflow)]):\n    await x", ["WF310"]),
        ("naps = [nap(workflow) for _ in range(3)]\nfor x in asyncio.as_completed(naps):\n    await x", ["WF310"]),
        ("tasks = order.tasks\nawait asyncio.wait(tasks)", []),
        ("tasks = order.tasks\nawait asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)", ["WF308"]),
        ('tasks = order.tasks\nawait asyncio.wait(tasks, return_when="ALL_COMPLETED")', []),
        ('await workflow.parallel({"a": workflow.do("a", "x.y")}, wait_for="any")', ["WF308"]),
        ('await workflow.parallel({"a": workflow.do("a", "x.y")}, wait_for="all")', []),
        ('await asyncio.gather(workflow.do("a", "x.y"))', []),
    ],
)
def test_completion_order(workflow: Workflow, body: str, found: list[str]) -> None:
    """Depending on what completes first is a remark; what the run's loop refuses is an error."""
    before = 'async def nap(handle: Workflow) -> None:\n    await handle.sleep("nap", "1h")\n'
    assert codes(workflow(body, before=before)) == found


def test_steps_inside_steps_have_a_code_of_their_own(workflow: Workflow) -> None:
    """The handle inside a step is WF306 wherever the step's function is written."""
    body = 'def inner():\n    return workflow.now()\nawait workflow.do("a", inner)'
    assert codes(workflow(body)) == ["WF306"]


def test_places_inside_f_strings(workflow: Workflow) -> None:
    """What stands in an f-string is reported at the f-string: inside, positions cannot be relied on."""
    read = workflow("print(f\"a {await workflow.hook('a', Order, timeout='7 days')}\")")
    problem = next(p for p in read.facts.problems if p.code == "WF107")
    assert read.source.split("\n")[problem.span.line - 1][problem.span.column - 1 :].startswith('f"a ')


def test_same_name_in_parallel_branches(make: Callable[..., Settings]) -> None:
    """Two call sites of one name in branches that run at once are a warning, once."""
    source = """\
    import asyncio

    from wfgen import Workflow, define_workflow


    async def one(workflow: Workflow) -> None:
        await workflow.sleep("wait", "1h")
        await asyncio.gather(workflow.sleep("deep", "1h"), workflow.sleep("deep", "2h"))


    async def other(workflow: Workflow) -> None:
        await workflow.sleep("wait", "2h")


    @define_workflow
    async def flow(workflow: Workflow) -> None:
        await asyncio.gather(one(workflow), other(workflow), one(workflow))
        async with asyncio.TaskGroup() as group:
            group.create_task(workflow.sleep("beside", "1h"))
            group.create_task(workflow.sleep("beside", "2h"))
    """
    found = inspect(make({"flow.workflow.py": source}), cache=False).diagnostics
    assert [(d.code, d.line) for d in found] == [("WF108", 8), ("WF108", 12), ("WF108", 20)]


def test_helpers_of_other_modules_are_checked(make: Callable[..., Settings]) -> None:
    """What is wrong in a helper stands in its own file, once, however many workflows call it."""
    helper = """\
    from wfgen import Workflow


    class Nap:
        def __init__(self, handle: Workflow) -> None:
            self.handle = handle

        async def take(self) -> None:
            await self.handle.sleep("nap", "an hour")


    async def nap(handle: Workflow) -> None:
        try:
            await handle.sleep("nap", "1h")
        except BaseException as error:
            print(error)
    """
    flow = """\
    from shop.helpers import Nap, nap
    from wfgen import Workflow, define_workflow


    @define_workflow
    async def {}(workflow: Workflow) -> None:
        await nap(workflow)
        await Nap(workflow).take()
    """
    files = {"shop/__init__.py": "", "shop/helpers.py": helper}
    files |= {f"shop/{name}.workflow.py": flow.format(name) for name in ("one", "two")}
    found = [d for d in inspect(make(files), cache=False).diagnostics if d.code in MINE]
    assert [(d.file, d.line, d.code) for d in found] == [
        ("shop/helpers.py", 9, "WF107"),
        ("shop/helpers.py", 15, "WF303"),
    ]
    assert found[1].fix is not None
    assert [edit.file for edit in found[1].fix.edits] == ["shop/helpers.py"]


def test_every_function_of_real_code_is_examined(tmp_path: Path) -> None:
    """Taking the first parameter of each function of the standard library's larger packages for the handle, nothing
    fails, and what is reported has a place."""
    count = 0
    for path in sorted(Path(asyncio.__file__).parent.parent.rglob("*.py")):
        folder = path.parent.name
        if folder not in ("asyncio", "http", "email", "concurrent", "json", "multiprocessing", "urllib", "xml"):
            continue
        text = path.read_text(encoding="utf-8")
        tree = parse(text)
        place = SourcePath(f"{path.stem}.workflow.py", "workflow", f"files.{path.stem}", "")
        module = Module(f"files.{path.stem}", place.path, "", Text(text), tree)
        reading = Reading(place, module, Program(tmp_path, tmp_path, "wfgen_gen"))
        for node in module.scope.names.blocks:
            functions = node.body if isinstance(node, ast.ClassDef) else [node]
            for function in functions:
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    first = next(iter(function.args.args), None)
                    build(reading, function, None if first is None else first.arg)
                    count += 1
        bodies = control.examine(reading)
        contracts.examine(reading, bodies, ())
        assert len(bodies) >= len(reading.entered) / 2
        assert all(problem.span.line <= len(module.text.lines) for problem in reading.problems)
    assert count > 1000


def test_definitions_are_checked_too(make: Callable[..., Settings]) -> None:
    """Durations and policies of definitions and of module level are looked at, in every form of definition."""
    source = """\
    from wfgen import Retry, define_worker

    SHARED = Retry(attempts=0)


    @define_worker("a", timeout="1 minute", retry=SHARED)
    def a() -> None: ...


    def b() -> None: ...


    define_worker("b", b, timeout=-1)
    define_worker("c", retry=Retry(jitter=-1))(b)
    define_worker("d", timeout="30s", retry=Retry(attempts=2))(b)
    """
    found = inspect(make({"jobs.worker.py": source}), cache=False).diagnostics
    assert [(d.code, d.line) for d in found] == [("WF107", 3), ("WF107", 6), ("WF107", 13), ("WF107", 14)]
